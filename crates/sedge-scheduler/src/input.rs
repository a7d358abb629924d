//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{
    Certificate, Deployment, Frontier, GateReport, NodeId, ReleaseId, RolloutId, SlotName, SlotReport, Timestamp,
};

/// Which authority steered a rollout, why, and when by its clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SteeredBy {
    /// The authority.
    pub node: NodeId,
    /// Its words; may be empty.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How many authorities agree, of how many that must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Approvals {
    /// To the deployment.
    pub deployment: (usize, usize),
    /// To its release.
    pub release: (usize, usize),
}

/// What authorities say of a rollout, folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ControlState {
    /// It goes on.
    #[default]
    Running,
    /// It or its release lacks approvals that the mesh requires.
    AwaitingApproval(Approvals),
    /// Nothing new starts until it is resumed.
    Paused(SteeredBy),
    /// What is not yet active is withdrawn.
    Cancelled(SteeredBy),
    /// Nothing of it ever starts again.
    Halted(SteeredBy),
}

/// A deployment, and what authorities said of it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The deployment.
    pub deployment: Deployment,
    /// What was said since.
    pub control: ControlState,
}

/// A view of the fleet: all that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// Every valid certificate there ever was, in any order.
    pub certificates: &'a [Certificate],
    /// Up to which serial, without gaps, the certificates of each issuer are held.
    pub frontier: &'a Frontier,
    /// Deployments, by the rollout that carries each out.
    pub deployments: &'a BTreeMap<RolloutId, Wish>,
    /// The releases held.
    pub releases: &'a BTreeSet<ReleaseId>,
    /// Signed evidence: the only thing that opens a wave or halts a rollout.
    pub gates: &'a BTreeMap<RolloutId, BTreeMap<NodeId, GateReport>>,
    /// What nodes say of their slots: shown, and believed of the node that says it, never of a wave.
    pub slots: &'a BTreeMap<(NodeId, SlotName), SlotReport>,
    /// When.
    pub now: Timestamp,
}
