//! The names of documents, and the signature over a document's whole history.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::id32;
use crate::key::{self, SecretKey, Signature, VerifyError};
use crate::{CellPath, MeshId, NodeId, Timestamp, codec};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserializer, Serializer};
use std::str::FromStr;

use crate::id::{IdError, parse_hex32};

const HEAD_DOMAIN: &[u8] = b"sedge/head/1\0";

id32! {
    /// The hash of one Automerge change, which names all changes before it too.
    ChangeHash
}

/// What a document holds, and so who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocKind {
    /// Releases, deployments and controls of one authority.
    Authority,
    /// One node's profile, slots and the artifacts it holds.
    Node,
    /// One node's signed evidence on live rollouts.
    Gate,
}

impl fmt::Display for DocKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Authority => "authority",
            Self::Node => "node",
            Self::Gate => "gate",
        })
    }
}

/// Who replicates a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everyone.
    Mesh,
    /// The members of one cell, and whoever asks.
    Cell(CellPath),
}

/// One document: one author's chain of changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocId {
    /// The only node that may write it.
    pub author: NodeId,
    /// What it holds.
    pub kind: DocKind,
    /// Who replicates it.
    pub scope: Scope,
    /// Counts the documents that replaced one another, from 0.
    pub epoch: u32,
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.author.short())?;
        if let Scope::Cell(cell) = &self.scope {
            write!(f, "@{cell}")?;
        }
        if self.epoch > 0 { write!(f, "#{}", self.epoch) } else { Ok(()) }
    }
}

/// Why a signed head does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The signature is not the author's.
    #[error("{0}")]
    Verify(#[from] VerifyError),
    /// Sequence numbers count from one.
    #[error("sequence number zero")]
    ZeroSeq,
}

/// The author's signature over a document up to one change: it covers all before it.
///
/// Signed bytes: `"sedge/head/1\0" ‖ postcard(mesh, doc, seq, head, signed_at)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// The document.
    pub doc: DocId,
    /// How many changes, the head included.
    pub seq: u64,
    /// The last change.
    pub head: ChangeHash,
    /// When, by the author's clock.
    pub signed_at: Timestamp,
    signature: Signature,
}

impl SignedHead {
    /// Signs the head of a document of one's own. `doc.author` must be the key's node.
    pub fn sign(key: &SecretKey, mesh: MeshId, doc: DocId, seq: u64, head: ChangeHash, signed_at: Timestamp) -> Self {
        let signature = key.sign(&message(mesh, &doc, seq, &head, signed_at));
        Self { doc, seq, head, signed_at, signature }
    }

    /// What a chain that has document, place and hash must keep of it.
    pub fn proof(&self) -> HeadProof {
        let signature = self.signature.as_bytes().try_into().expect("a signature is 64 bytes");
        HeadProof { signed_at: self.signed_at, signature }
    }

    /// The head of which a chain kept the proof.
    pub fn from_proof(doc: DocId, seq: u64, head: ChangeHash, proof: &HeadProof) -> Self {
        let HeadProof { signed_at, signature } = *proof;
        Self { doc, seq, head, signed_at, signature: Signature::from_bytes(signature) }
    }

    /// Verifies the author's signature strictly.
    ///
    /// # Errors
    /// See [`HeadError`]; drop the head.
    pub fn verify(&self, mesh: MeshId) -> Result<(), HeadError> {
        if self.seq == 0 {
            return Err(HeadError::ZeroSeq);
        }
        let message = message(mesh, &self.doc, self.seq, &self.head, self.signed_at);
        Ok(key::verify(&self.doc.author, &message, &self.signature)?)
    }
}

/// What of a signed head its place in a chain does not say: a third of its bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadProof {
    signed_at: Timestamp,
    signature: [u8; 64],
}

fn message(mesh: MeshId, doc: &DocId, seq: u64, head: &ChangeHash, signed_at: Timestamp) -> Vec<u8> {
    let mut message = HEAD_DOMAIN.to_vec();
    message.extend(codec::encode(&(mesh, doc, seq, head, signed_at)));
    message
}
