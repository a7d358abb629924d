//! Taking back what a node may say.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::digest_in;
use crate::{ChangeHash, DocKind, NodeId, ObjectBody, ObjectId, ObjectKind, RevocationId, RollId, Timestamp, codec};

/// The last link of a node's documents of one kind that counts, and of later epochs nothing.
///
/// Its hash names every link before it, and through what a later epoch says it follows, every epoch before: whoever has the key can sign
/// another history, and none of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LastGood {
    /// The epoch.
    pub epoch: u32,
    /// The link in it, from 1.
    pub seq: u64,
    /// Its hash.
    pub head: ChangeHash,
}

/// The certificates of an issuer that still count: named in rolls, so that its key can sign no other under a serial that was kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct KeptCertificates {
    /// The greatest serial among them; what a frontier names past it will never come.
    pub last: u64,
    /// The [`crate::Roll`]s that name them; at most [`Kept::MAX_ROLLS`].
    pub rolls: Vec<RollId>,
}

/// What a node said that still counts though its word is taken back. Everything else it signed, before or after, does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The certificates that it issued.
    pub certificates: KeptCertificates,
    /// The revocations that it signed; at most [`Self::MAX_REVOCATIONS`].
    pub revocations: BTreeSet<ObjectId>,
    /// Its documents by kind, up to that link; nothing of a kind that is not named.
    pub documents: BTreeMap<DocKind, LastGood>,
}

impl Kept {
    /// The most revocations that can be kept: they must fit an object.
    pub const MAX_REVOCATIONS: usize = 256;
    /// The most rolls: as many as name all that one issuer may publish.
    pub const MAX_ROLLS: usize = 88;

    /// What counts by both: of certificates and of each kind of documents the lesser. Who signs the lesser stands above the node too, and so could
    /// have kept nothing at all.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |(kind, last): (&DocKind, &LastGood)| Some((*kind, (*last).min(*other.documents.get(kind)?)));
        Self {
            certificates: self.certificates.clone().min(other.certificates.clone()),
            revocations: self.revocations.intersection(&other.revocations).copied().collect(),
            documents: self.documents.iter().filter_map(both).collect(),
        }
    }

    /// Whether every part is within its bound.
    pub fn is_bounded(&self) -> bool {
        self.revocations.len() <= Self::MAX_REVOCATIONS && self.certificates.rolls.len() <= Self::MAX_ROLLS
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

    const CONTEXT: &str = "sedge revocation id 1";

    /// What roots that must say the very same name it by.
    pub fn id(&self) -> RevocationId {
        RevocationId::from_bytes(digest_in(Self::CONTEXT, &codec::encode(self)))
    }

    /// Whether every part is within its bound.
    pub fn is_bounded(&self) -> bool {
        self.reason.len() <= Self::MAX_REASON && self.kept.is_bounded()
    }
}

impl ObjectBody for Revocation {
    const KIND: ObjectKind = ObjectKind::REVOCATION;
    const MAX_BYTES: usize = 12 << 10;
}
