//! An authority's agreement to what another one said.

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::{ReleaseId, RolloutId, Timestamp};

/// What is agreed to, by its digest: every byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Approved {
    /// A release.
    Release(ReleaseId),
    /// A deployment, and so the rollout that carries it out.
    Rollout(RolloutId),
}

/// An approval. An authority's document holds it as one byte scalar; it is never taken back, since a rollout is paused or halted instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What is agreed to.
    pub of: Approved,
    /// When, by the authority's clock.
    pub at: Timestamp,
}

impl Approval {
    /// The largest encoding, bytes.
    pub const MAX_BYTES: usize = 64;

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// See [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, Self::MAX_BYTES)
    }
}
