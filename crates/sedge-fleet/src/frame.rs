//! The frames of `sedge/sync/1`.
//!
//! Goals: one encoding for each frame (postcard, read strictly), so that its bytes can be held by golden tests; a length that is known before
//! anything is read (the transport puts a `u32`, little-endian, in front; [`MAX_FRAME_BYTES`] at most). Non-goals: reliability and order,
//! which sync does without: whatever is lost is found again by the next digest.
//!
//! `Hello` comes first from both sides. Then the node of the greater id says, of each scope that both hold, its digest every few seconds; where the
//! other's differs, that one answers with what it has there (of the whole mesh the items by id, then documents); the first sends what the other lacks and
//! asks for what it lacks itself. Both hold what the whole mesh holds, and each its own cell, by its certificate; which other cells it wants it says
//! (`Wants`), again and again while it does, so that a word lost costs a moment. New items go to every neighbour at once, and new links to those that hold
//! their scope.

#[cfg(test)]
mod tests;

use sedge_statement::codec::{self, CodecError};
use sedge_statement::{CellPath, ChangeHash, DocId, MeshId, ObjectId, Scope, SignedHead};
use serde::{Deserialize, Serialize};

/// The protocol's version, in the hello.
pub const PROTOCOL: u16 = 2;
/// The largest frame, bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;
/// The most cells beside its own that a node may want at once. A cell of a hundred takes about a megabyte of memory and of disk, so an operator's
/// laptop bears so many, and a peer that asks for all of them costs its neighbours a few digests.
pub const MAX_WANTED: usize = 32;

/// Who speaks, for which mesh, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u16,
    pub(crate) mesh: MeshId,
    /// The sender's certificate and those above it, as objects, so that a newcomer needs no document to be believed.
    pub(crate) path: Vec<Vec<u8>>,
    /// Whether the sender has heard ours; if not, it needs to hear it again.
    pub(crate) heard: bool,
}

/// Where a document stands with the sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) doc: DocId,
    pub(crate) seq: u64,
    pub(crate) head: ChangeHash,
}

/// How a link comes to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// It is new: pass it on.
    New,
    /// The receiver lacked it.
    CatchUp,
}

/// Something that syncs as a set by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Item {
    /// The canonical bytes of an object.
    Object(Vec<u8>),
    /// The canonical bytes of fork evidence.
    Fork(Vec<u8>),
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// The first frame of both sides.
    Hello(Hello),
    /// The digest of the sender's vector of one scope, and, of the whole mesh's, of its set.
    Digest { scope: Scope, digest: [u8; 32] },
    /// The sender's documents of a scope from `from` up to before `to`, in order.
    Vector { scope: Scope, from: Option<DocId>, to: Option<DocId>, docs: Vec<Standing> },
    /// The sender's items from `from` up to before `to`, in order.
    Set { from: Option<ObjectId>, to: Option<ObjectId>, ids: Vec<ObjectId> },
    /// Links of one document up to a signed head.
    Links { cause: Cause, head: SignedHead, first_seq: u64, links: Vec<Vec<u8>> },
    /// Items.
    Items { cause: Cause, items: Vec<Item> },
    /// Asks for a document's links.
    Want { doc: DocId, from_seq: u64 },
    /// Asks for items.
    WantItems(Vec<ObjectId>),
    /// The cells beside its own whose documents the sender wants for now.
    Wants(Vec<CellPath>),
}

impl Frame {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_FRAME_BYTES)
    }
}
