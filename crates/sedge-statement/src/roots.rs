//! The root keys of a mesh after its genesis.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::digest_in;
use crate::{Kept, MeshId, NodeId, ObjectBody, ObjectKind, RootsId, Timestamp, codec};

impl From<MeshId> for RootsId {
    fn from(mesh: MeshId) -> Self {
        Self::from_bytes(*mesh.as_bytes())
    }
}

/// How many authors must agree before a statement takes effect, its own author counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// A release, by authors with the release role.
    pub release: u8,
    /// A deployment, by authors with the deploy role.
    pub deploy: u8,
}

impl Default for Approvals {
    /// The author alone.
    fn default() -> Self {
        Self { release: 1, deploy: 1 }
    }
}

/// The next set of root keys. It counts where as many roots of the version before signed the same body as that version asks for, and as many of
/// its own roots as it asks for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootVersion {
    /// Counts from the genesis, which is 0.
    pub version: u32,
    /// The version before.
    pub previous: RootsId,
    /// The root keys from now on.
    pub roots: BTreeSet<NodeId>,
    /// How many of them must agree on what only roots may say: more than half.
    pub threshold: u8,
    /// How many must agree on a release, and on a deployment.
    pub approvals: Approvals,
    /// What still counts of each root that leaves. Its key is revoked by this.
    pub leaving: BTreeMap<NodeId, Kept>,
    /// When, by the clock of whoever proposed it.
    pub at: Timestamp,
}

/// Why a version of the roots can never hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootVersionError {
    /// The threshold must be a majority of the roots, so that two disjoint groups can never both be right.
    #[error("its threshold is not a majority of its roots")]
    BadThreshold,
    /// Name between one and [`RootVersion::MAX_ROOTS`] roots.
    #[error("names {0} roots, not 1 to {max}", max = RootVersion::MAX_ROOTS)]
    Roots(usize),
    /// A statement needs at least its author.
    #[error("asks for no approval at all")]
    NoApproval,
    /// A root cannot leave and stay.
    #[error("a root both leaves and stays")]
    LeavesAndStays,
    /// Keep less of those who leave.
    #[error("keeps too much of those who leave")]
    KeepsTooMuch,
}

impl RootVersion {
    /// The most roots of a mesh.
    pub const MAX_ROOTS: usize = 16;

    const CONTEXT: &str = "sedge roots id 1";

    /// The version's name.
    pub fn id(&self) -> RootsId {
        RootsId::from_bytes(digest_in(Self::CONTEXT, &codec::encode(self)))
    }

    /// Checks what no other statement can mend.
    ///
    /// # Errors
    /// See [`RootVersionError`].
    pub fn check(&self) -> Result<(), RootVersionError> {
        let (roots, k) = (self.roots.len(), usize::from(self.threshold));
        if roots == 0 || roots > Self::MAX_ROOTS || self.leaving.len() > Self::MAX_ROOTS {
            return Err(RootVersionError::Roots(roots));
        }
        if k * 2 <= roots || k > roots {
            return Err(RootVersionError::BadThreshold);
        }
        if self.approvals.release == 0 || self.approvals.deploy == 0 {
            return Err(RootVersionError::NoApproval);
        }
        if self.leaving.keys().any(|root| self.roots.contains(root)) {
            return Err(RootVersionError::LeavesAndStays);
        }
        if !self.leaving.values().all(Kept::is_bounded) || codec::encode(self).len() > Self::MAX_BYTES {
            return Err(RootVersionError::KeepsTooMuch);
        }
        Ok(())
    }
}

impl ObjectBody for RootVersion {
    const KIND: ObjectKind = ObjectKind::ROOTS;
    const MAX_BYTES: usize = 15 << 10;
}
