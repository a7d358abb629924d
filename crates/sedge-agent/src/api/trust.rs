//! The mesh itself: its roots, who is revoked, and what waits for further signatures.

use std::collections::BTreeMap;
use std::fmt;

use sedge_statement::{
    CellPath, DocKind, Kept, LabelKey, LabelValue, MeshId, MeshName, NodeId, NodeName, RevocationId, RootsId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// Takes back what a node may say, for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeRequest {
    /// Its name, its id or a prefix of at least six digits.
    pub node: String,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// What it said up to then still counts, by its own clock; by default all that is known of it.
    #[serde(default)]
    pub good_until: Option<Timestamp>,
    /// The last node that it rightly enrolled; `none` voids every certificate it issued. By default all stay.
    #[serde(default)]
    pub last_enrolled: Option<String>,
    /// Which of the revocations that other roots proposed is signed: the first digits of its id.
    #[serde(default)]
    pub proposed: Option<String>,
}

/// A revocation that was signed here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revoked {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: Option<NodeName>,
    /// Whether the revocation counts; else it waits for further roots to sign the same.
    pub counts: bool,
    /// How many roots have signed it, and how many must where no issuer above the node does.
    pub signed: usize,
    /// As above.
    pub needed: usize,
    /// How many of the certificates that it issued stay.
    pub certificates_kept: u64,
    /// Its id, by which other roots name it.
    pub id: RevocationId,
}

/// Gives a node other labels, or another cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabelRequest {
    /// Its name, its id or a prefix of at least six digits.
    pub node: String,
    /// Labels to set, or to remove where there is no value.
    #[serde(default)]
    pub labels: BTreeMap<LabelKey, Option<LabelValue>>,
    /// Where it stands from now on.
    #[serde(default)]
    pub cell: Option<CellPath>,
}

/// Proposes the next version of the roots.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RotateRequest {
    /// Members that become roots.
    #[serde(default)]
    pub add: Vec<String>,
    /// Roots that leave. Their keys are revoked by it.
    #[serde(default)]
    pub remove: Vec<String>,
    /// What a leaving root said up to then still counts; by default all that is known of it.
    #[serde(default)]
    pub good_until: Option<Timestamp>,
    /// How many roots must agree; by default the least majority.
    #[serde(default)]
    pub threshold: Option<u8>,
    /// How many must agree on a release; by default as before.
    #[serde(default)]
    pub release_approvals: Option<u8>,
    /// How many must agree on a deployment; by default as before.
    #[serde(default)]
    pub deploy_approvals: Option<u8>,
}

/// A node by its id and, where it has a certificate, its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Named {
    /// The id.
    pub id: NodeId,
    /// The name.
    pub name: Option<NodeName>,
}

/// The mesh as this node knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeshShown {
    /// Its id.
    pub id: MeshId,
    /// Its name.
    pub name: MeshName,
    /// How many members it has.
    pub members: usize,
    /// The roots.
    pub roots: RootsShown,
    /// Versions of the roots that wait for further roots to sign them.
    pub proposed: Vec<ProposedRoots>,
    /// Who is revoked.
    pub revoked: Vec<Named>,
    /// Revocations by roots that wait for further roots to sign the same.
    pub pending_revocations: Vec<PendingRevocation>,
    /// The latest time that an authority has proven to be past.
    pub verified_time: Timestamp,
}

/// A version of the roots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RootsShown {
    /// Counts from the genesis, which is 0.
    pub version: u32,
    /// Its name.
    pub id: RootsId,
    /// The keys.
    pub keys: Vec<Named>,
    /// How many must agree on what only roots may say.
    pub threshold: u8,
    /// How many must agree on a release.
    pub release_approvals: u8,
    /// How many must agree on a deployment.
    pub deploy_approvals: u8,
    /// When it was proposed.
    pub since: Timestamp,
}

/// A version of the roots on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProposedRoots {
    /// What it would be.
    pub roots: RootsShown,
    /// Which roots would leave, and what is kept of them.
    pub leaving: Vec<LeavingRoot>,
    /// Who signed it.
    pub signed_by: Vec<Named>,
    /// How many of the present roots have yet to sign.
    pub lacks_old: usize,
    /// How many of its own roots have.
    pub lacks_new: usize,
}

/// A root that leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeavingRoot {
    /// Which.
    #[serde(flatten)]
    pub node: Named,
    /// What of its word is kept.
    pub kept: KeptShown,
}

/// What of a node's word is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptShown {
    /// The serial of the last certificate.
    pub certificates: u64,
    /// How many revocations.
    pub revocations: usize,
    /// The last link of each kind of documents, as epoch and link.
    pub documents: BTreeMap<DocKind, (u32, u64)>,
}

impl From<&Kept> for KeptShown {
    fn from(kept: &Kept) -> Self {
        Self {
            certificates: kept.certificates.last,
            revocations: kept.revocations.len(),
            documents: kept.documents.iter().map(|(kind, last)| (*kind, (last.epoch, last.seq))).collect(),
        }
    }
}

impl fmt::Display for KeptShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keeping {} certificates and {} revocations of its", self.certificates, self.revocations)?;
        for (kind, (epoch, link)) in &self.documents {
            write!(f, ", its {kind} documents up to link {link} of epoch {epoch}")?;
        }
        Ok(())
    }
}

/// A revocation on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingRevocation {
    /// Its id.
    pub id: RevocationId,
    /// Of whom.
    pub node: Named,
    /// What of its word is kept.
    pub kept: KeptShown,
    /// Why.
    pub reason: String,
    /// Which roots signed it.
    pub signed_by: Vec<Named>,
    /// How many roots have yet to sign.
    pub lacks: usize,
}

/// Who agrees to a statement, and how many must.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approvals {
    /// Who does, its author first of all.
    pub by: Vec<String>,
    /// For how many of them that counts: those who may be another one's making count with it, as one.
    #[serde(default)]
    pub counted: usize,
    /// How many must.
    pub needed: u8,
}
