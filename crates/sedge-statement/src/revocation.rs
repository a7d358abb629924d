//! Taking back what a node may say.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{DocKind, NodeId, ObjectBody, ObjectId, ObjectKind, Timestamp};

/// The last link of a node's documents of one kind that counts: whatever earlier epochs hold, and of later ones nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LastGood {
    /// The epoch.
    pub epoch: u32,
    /// The link in it, from 1; zero where nothing of that epoch counts.
    pub seq: u64,
}

/// What a node said that still counts though its word is taken back. Everything else it signed, before or after, does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The certificates that it issued, up to this serial.
    pub certificates: u64,
    /// The revocations that it signed; at most [`Self::MAX_REVOCATIONS`].
    pub revocations: BTreeSet<ObjectId>,
    /// Its documents by kind, up to that link; nothing of a kind that is not named.
    pub documents: BTreeMap<DocKind, LastGood>,
}

impl Kept {
    /// The most revocations that can be kept: they must fit an object.
    pub const MAX_REVOCATIONS: usize = 256;

    /// What counts by both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |(kind, last): (&DocKind, &LastGood)| Some((*kind, (*last).min(*other.documents.get(kind)?)));
        Self {
            certificates: self.certificates.min(other.certificates),
            revocations: self.revocations.intersection(&other.revocations).copied().collect(),
            documents: self.documents.iter().filter_map(both).collect(),
        }
    }
}

/// Takes back, for ever, what a key may say. It counts where a strict ancestor of the node signed it, an issuer on the path of certificates
/// between it and a root, or as many roots as the mesh asks for, each the same body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose word is taken back.
    pub subject: NodeId,
    /// What of it still counts.
    pub kept: Kept,
    /// Why, for people; at most [`Self::MAX_REASON`] bytes.
    pub reason: String,
    /// When, by the revoker's clock.
    pub at: Timestamp,
}

impl Revocation {
    /// The longest reason, bytes.
    pub const MAX_REASON: usize = 512;

    /// Whether every part is within its bound.
    pub fn is_bounded(&self) -> bool {
        self.reason.len() <= Self::MAX_REASON && self.kept.revocations.len() <= Kept::MAX_REVOCATIONS
    }
}

impl ObjectBody for Revocation {
    const KIND: ObjectKind = ObjectKind::REVOCATION;
    const MAX_BYTES: usize = 12 << 10;
}
