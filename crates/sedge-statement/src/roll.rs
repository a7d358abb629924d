//! A page of the certificates that a revocation keeps.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::digest_in;
use crate::{ObjectBody, ObjectId, ObjectKind, RollId, codec};

/// Names certificates by the ids of their objects. A revocation names the rolls, so what a roll says hangs on nobody's word but the revoker's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Roll {
    /// The certificates; at most [`Self::MAX`].
    pub certificates: BTreeSet<ObjectId>,
}

impl Roll {
    /// The most certificates that one names: with its envelope it is no larger than other objects.
    pub const MAX: usize = 384;

    const CONTEXT: &str = "sedge roll id 1";

    /// The roll's name.
    pub fn id(&self) -> RollId {
        RollId::from_bytes(digest_in(Self::CONTEXT, &codec::encode(self)))
    }
}

impl ObjectBody for Roll {
    const KIND: ObjectKind = ObjectKind::ROLL;
    const MAX_BYTES: usize = Self::MAX * 32 + 2;
}
