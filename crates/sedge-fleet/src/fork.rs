//! Forks: the proof that an author signed two histories of one document.
//!
//! The evidence verifies by itself, so it needs no signature of whoever found it, and who carries it never matters: two nodes that
//! meet the same two histories, in either order, make the same bytes.

use sedge_statement::codec::{self, CodecError};
use sedge_statement::{DocId, MeshId, ObjectId, SignedHead, Timestamp};
use serde::{Deserialize, Serialize};

use crate::segment::{MAX_SEGMENT_BYTES, Segment, SegmentError};

/// The largest evidence, bytes: two segments, their heads and lengths.
pub(crate) const MAX_EVIDENCE_BYTES: usize = 2 * MAX_SEGMENT_BYTES + (16 << 10);

/// Why bytes do not prove a fork. The sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The bytes do not decode.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// One side does not hold.
    #[error("{0}")]
    Segment(#[from] SegmentError),
    /// The sides are of two documents, do not part where they begin, or stand in the wrong order.
    #[error("the two sides prove no fork")]
    NoFork,
}

/// One side of a fork: the links from the divergence on, and a head that covers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) head: SignedHead,
    pub(crate) links: Vec<Vec<u8>>,
}

/// Two signed histories of one document, from where they part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    /// The first sequence number at which they differ.
    pub(crate) from: u64,
    sides: (Side, Side),
}

impl Evidence {
    /// Puts the sides in the one order they have.
    pub(crate) fn new(from: u64, one: Side, other: Side) -> Self {
        let sides = if one.head.head < other.head.head { (one, other) } else { (other, one) };
        Self { from, sides }
    }

    /// The document.
    pub(crate) fn doc(&self) -> &DocId {
        &self.sides.0.head.doc
    }

    /// When the later of the two heads was signed, by the author's clock.
    pub(crate) fn signed_at(&self) -> Timestamp {
        self.sides.0.head.signed_at.max(self.sides.1.head.signed_at)
    }

    /// The canonical bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The name of evidence: a digest of its bytes in a context of its own.
    pub(crate) fn id(bytes: &[u8]) -> ObjectId {
        ObjectId::from_bytes(blake3::derive_key("sedge fork evidence 1", bytes))
    }

    /// Decodes evidence and proves it.
    pub(crate) fn open(bytes: &[u8], mesh: MeshId) -> Result<Self, EvidenceError> {
        let evidence: Self = codec::decode(bytes, MAX_EVIDENCE_BYTES)?;
        let (one, other) = &evidence.sides;
        if one.head.doc != other.head.doc || one.head.head >= other.head.head || evidence.from == 0 {
            return Err(EvidenceError::NoFork);
        }
        let open = |side: &Side| Segment::open(mesh, side.head.clone(), evidence.from, side.links.clone());
        let (one, other) = (open(one)?, open(other)?);
        if one.previous() != other.previous() || one.first().hash == other.first().hash {
            return Err(EvidenceError::NoFork);
        }
        Ok(evidence)
    }
}
