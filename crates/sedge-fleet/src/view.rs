//! What the mesh says, all documents taken together: the fold.
//!
//! The fold is a pure function of verified documents, certificates and a time. Every node that holds the same ones gets the
//! same [`FleetView`], whatever the order they came in; whatever it leaves out has a [`Finding`] that says why. It judges
//! who may say what; it decides nothing about what a node should do.

mod authority;
mod digest;
#[cfg(test)]
pub(crate) mod fixtures;
mod fold;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sedge_statement::{
    Blake3, CellPath, Certificate, ControlAction, Deployment, Frontier, GateReport, Genesis, Kept, MeshId, NodeId,
    NodeName, Profile, Release, ReleaseId, Revocation, RolloutId, SlotName, SlotReport, Timestamp,
};

use serde::Serialize;

use crate::Finding;
use crate::membership::{Proposal, Roots};

pub(crate) use fold::{Fold, FoldInput};
pub(crate) use reading::Reading;

/// A release and who published it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRelease {
    /// The release.
    pub release: Release,
    /// Its publisher; of several, the one whose cell is widest, then of the least id.
    pub publisher: NodeId,
}

/// A deployment, who published it, and what authorities have said of it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedDeployment {
    /// The deployment. Its release may not have arrived yet; nothing starts before it has.
    pub deployment: Deployment,
    /// Its author; of several, the one of the least id.
    pub author: NodeId,
    /// Who agrees to it, its author first of all, and how many must.
    pub agreement: Agreement,
    /// Who agrees to its release for the cell that it names, and how many must.
    pub release_agreement: Agreement,
    /// Whether it may go on.
    pub control: ControlState,
    /// Every control that was given by somebody who may, in the order of counts.
    pub given: Vec<GivenControl>,
    /// The highest count of its controls, zero where there is none: the next control counts on from it.
    pub controls: u32,
}

/// A node whose word is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokedNode {
    /// Its name, by its last certificate.
    pub name: Option<NodeName>,
    /// What it said that still counts.
    pub kept: Kept,
}

/// Who agrees to a statement, and how many must.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Its authors, and those who approved it.
    pub given: BTreeSet<NodeId>,
    /// For how many of them that counts: whoever may be another one's making counts with it, as one.
    pub counted: usize,
    /// How many must; the roots say.
    pub needed: u8,
}

impl Agreement {
    /// Whether enough agree.
    pub fn is_reached(&self) -> bool {
        self.counted >= usize::from(self.needed)
    }
}

impl PublishedDeployment {
    /// Whether enough authorities agree to it and to its release.
    pub fn is_approved(&self) -> bool {
        self.agreement.is_reached() && self.release_agreement.is_reached()
    }
}

/// Who set a rollout's state, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBy {
    /// The authority.
    pub author: NodeId,
    /// Its reason, for people; may be empty.
    pub reason: String,
    /// When, by the authority's clock.
    pub at: Timestamp,
}

/// A control as it was given, whether or not it still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenControl {
    /// What was asked.
    pub action: ControlAction,
    /// Its count.
    pub count: u32,
    /// By whom, why and when.
    pub by: SetBy,
}

/// What the authorities' controls make of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlState {
    /// Goes on: no control was given, or the last one resumed it.
    Running,
    /// Nothing new starts until resumed.
    Paused(SetBy),
    /// Withdrawn for ever where it is not yet active; what is, stays.
    Cancelled(SetBy),
    /// Nothing of it ever starts again.
    Halted(SetBy),
}

impl fmt::Display for ControlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Paused(_) => "paused",
            Self::Cancelled(_) => "cancelled",
            Self::Halted(_) => "halted",
        })
    }
}

/// What the mesh says at one time, as far as this node has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetView {
    /// The mesh.
    pub mesh: MeshId,
    /// How it began.
    pub genesis: Genesis,
    /// Its roots, and how many must agree on what.
    pub roots: Roots,
    /// Versions of the roots that wait for further roots to sign them.
    pub proposed: Vec<Proposal>,
    /// Whose word is taken back, and what of it still counts.
    pub revoked: BTreeMap<NodeId, RevokedNode>,
    /// Revocations that roots signed and that lack further signatures, with who signed each.
    pub pending_revocations: Vec<(Revocation, BTreeSet<NodeId>)>,
    /// The cells whose nodes' documents are held here: this node's own, and others that it wants for now and that a node of theirs told of. Of nodes
    /// elsewhere there is neither profile nor slot nor file here, which says nothing of them.
    pub held: BTreeSet<CellPath>,
    /// The latest time that an authority has proven to be past: no clock is right that stands before it.
    pub verified: Timestamp,
    /// Of each node that is not revoked the certificates nearest to a root, replaced ones included, by issuer, serial and id: what a
    /// frontier is resolved over.
    pub certificates: Vec<Certificate>,
    /// The certificate of each member that counts.
    pub members: BTreeMap<NodeId, Certificate>,
    /// How far each issuer's certificates are held without a gap.
    pub frontier: Frontier,
    /// Releases by authors who may publish them.
    pub releases: BTreeMap<ReleaseId, PublishedRelease>,
    /// Deployments by authors who may publish them.
    pub deployments: BTreeMap<RolloutId, PublishedDeployment>,
    /// What each member of a cell that is held here says of its machine.
    pub profiles: BTreeMap<NodeId, Profile>,
    /// What each member of a cell that is held here says of its slots.
    pub slots: BTreeMap<(NodeId, SlotName), SlotReport>,
    /// Who says it holds which file whole, of the cells that are held here.
    pub holders: BTreeMap<Blake3, BTreeSet<NodeId>>,
    /// Members' evidence on rollouts.
    pub gates: BTreeMap<RolloutId, BTreeMap<NodeId, GateReport>>,
    /// What is not taken into account, and why; in the order of kind, party and document.
    pub findings: Vec<Finding>,
}

impl FleetView {
    /// Whether a member's `node` document is held here, or would be, so that the absence of what it says means that it has not said it.
    pub fn knows(&self, node: &NodeId) -> bool {
        let is_held = |cell: &CellPath| self.held.contains(cell) || self.profiles.contains_key(node);
        self.members.get(node).is_some_and(|certificate| is_held(&certificate.cell))
    }
}
