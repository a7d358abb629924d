//! Objects that stand alone: signed by themselves, kept outside documents for ever, synced as a set by id.
//!
//! Layout: postcard of `(kind: u16, mesh: [u8; 32], signer: [u8; 32], body: bytes, signature: 64 bytes)`. The signature covers
//! `"sedge/object/1\0" ‖ kind (2 bytes, little-endian) ‖ mesh ‖ signer ‖ body`. The body is opaque here: a kind this
//! version does not know is still verified, kept and forwarded.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::codec::{self, CodecError};
use crate::id::digest_in;
use crate::key::{self, SecretKey, Signature, VerifyError};
use crate::{MeshId, NodeId, ObjectId};

const DOMAIN: &[u8] = b"sedge/object/1\0";
const ID_CONTEXT: &str = "sedge object id 1";
const STATEMENT_CONTEXT: &str = "sedge object statement 1";

/// What an object's body is. Numbers are the wire's; one is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectKind(pub u16);

impl ObjectKind {
    /// [`crate::Genesis`].
    pub const GENESIS: Self = Self(1);
    /// [`crate::Certificate`].
    pub const CERTIFICATE: Self = Self(2);
    /// [`crate::Revocation`].
    pub const REVOCATION: Self = Self(3);
    /// [`crate::RootVersion`].
    pub const ROOTS: Self = Self(4);
    /// Two signed heads of one document and the links that prove them apart.
    pub const FORK: Self = Self(5);
    /// [`crate::Roll`].
    pub const ROLL: Self = Self(6);
    /// [`crate::Entry`].
    pub const ENTRY: Self = Self(7);
}

/// A type that travels as the body of an [`Object`].
pub trait ObjectBody: Serialize + DeserializeOwned {
    /// The kind that says so.
    const KIND: ObjectKind;
    /// The largest body accepted, bytes.
    const MAX_BYTES: usize;
}

/// Why bytes are not an object to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The envelope or the body does not decode.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// The signature does not hold.
    #[error("{0}")]
    Verify(#[from] VerifyError),
    /// It belongs to another mesh.
    #[error("made for mesh {}", .0.short())]
    OtherMesh(MeshId),
    /// The body asked for is of another kind.
    #[error("of kind {found}, not {wanted}")]
    OtherKind {
        /// The kind it has.
        found: u16,
        /// The kind asked for.
        wanted: u16,
    },
}

/// A signed statement that needs no document round it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    kind: ObjectKind,
    mesh: MeshId,
    signer: NodeId,
    body: Vec<u8>,
    signature: Signature,
}

impl Object {
    /// The largest object of any kind, bytes encoded. Fork evidence, which carries links, is the largest.
    pub const MAX_BYTES: usize = 512 << 10;

    /// Signs `body` for `mesh`.
    pub fn sign<B: ObjectBody>(key: &SecretKey, mesh: MeshId, body: &B) -> Self {
        let body = codec::encode(body);
        let signer = key.node_id();
        let signature = key.sign(&message(B::KIND, &mesh, &signer, &body));
        Self { kind: B::KIND, mesh, signer, body, signature }
    }

    /// Decodes and verifies an object of `mesh` from its canonical bytes.
    ///
    /// # Errors
    /// See [`ObjectError`]; the sender's fault in every case.
    pub fn open(bytes: &[u8], mesh: MeshId) -> Result<Self, ObjectError> {
        let object = Self::restore(bytes, mesh)?;
        let message = message(object.kind, &object.mesh, &object.signer, &object.body);
        key::verify(&object.signer, &message, &object.signature)?;
        Ok(object)
    }

    /// Decodes an object of `mesh` that was opened before, without verifying it again. The caller vouches for the bytes, as with an id that
    /// it kept: the signature is part of what [`Self::id`] is a digest of.
    ///
    /// # Errors
    /// See [`ObjectError`]; the bytes are damaged, or never were an object of this mesh.
    pub fn restore(bytes: &[u8], mesh: MeshId) -> Result<Self, ObjectError> {
        let object: Self = codec::decode(bytes, Self::MAX_BYTES)?;
        if object.mesh == mesh { Ok(object) } else { Err(ObjectError::OtherMesh(object.mesh)) }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The object's name: a digest of its canonical bytes, signature included.
    pub fn id(&self) -> ObjectId {
        ObjectId::from_bytes(digest_in(ID_CONTEXT, &self.to_bytes()))
    }

    /// Names what is said and by whom, whatever the signature: one key can sign the same in many ways.
    pub fn statement(&self) -> [u8; 32] {
        digest_in(STATEMENT_CONTEXT, &message(self.kind, &self.mesh, &self.signer, &self.body))
    }

    /// What the body is.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// Who signed.
    pub fn signer(&self) -> NodeId {
        self.signer
    }

    /// Which mesh it was made for.
    pub fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// Decodes the body.
    ///
    /// # Errors
    /// [`ObjectError::OtherKind`] where the object is something else, [`ObjectError::Codec`] where its body is damaged.
    pub fn body<B: ObjectBody>(&self) -> Result<B, ObjectError> {
        if self.kind != B::KIND {
            return Err(ObjectError::OtherKind { found: self.kind.0, wanted: B::KIND.0 });
        }
        Ok(codec::decode(&self.body, B::MAX_BYTES)?)
    }
}

fn message(kind: ObjectKind, mesh: &MeshId, signer: &NodeId, body: &[u8]) -> Vec<u8> {
    [DOMAIN, &kind.0.to_le_bytes(), mesh.as_bytes(), signer.as_bytes(), body].concat()
}
