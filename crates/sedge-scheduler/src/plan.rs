//! What a plan says.

use std::collections::BTreeMap;
use std::fmt;

use sedge_statement::{
    Action, Generation, NodeId, NodeName, ReleaseId, RolloutId, Selector, Sha256, SlotName, SlotState, Timestamp,
};

use crate::{Reason, Who};

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutState {
    /// Approvals are missing.
    AwaitingApproval,
    /// Under way.
    Running,
    /// Held by an authority.
    Paused,
    /// No quorum of a wave can come any more, or none came by the deadline: the next wave does not open.
    Stalled,
    /// Final: by an authority, or by its failures.
    Halted,
    /// Every node that is still its own is done, at least one of them successfully, and no more failed than are borne.
    /// Nodes that went to a newer deployment before they were done do not hold it up, and do not count for it.
    Completed,
    /// It names nobody, or nobody succeeded.
    Failed,
    /// Withdrawn by an authority.
    Cancelled,
    /// Newer deployments won, and nothing of its own is left that succeeded.
    Superseded,
    /// Its time is over, every wave was open, and not every node was reached.
    Expired,
}

impl RolloutState {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting-approval",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stalled => "stalled",
            Self::Halted => "halted",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }

    /// Whether waiting longer changes nothing.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Halted | Self::Completed | Self::Failed | Self::Cancelled | Self::Superseded | Self::Expired
        )
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Whether a wave's nodes may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaveGate {
    /// They may.
    Open(Reason),
    /// They may not.
    Closed(Reason),
}

impl WaveGate {
    /// Whether they may.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Why.
    pub const fn reason(&self) -> &Reason {
        match self {
            Self::Open(reason) | Self::Closed(reason) => reason,
        }
    }
}

/// What a wave's witnesses have signed: what the next wave waits for. Each witness is in one of the lists, by rank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quorum {
    /// How many must have committed and soaked.
    pub needed: usize,
    /// Those that have.
    pub committed: Vec<NodeId>,
    /// Those that committed, but have not yet served for long enough.
    pub soaking: Vec<NodeId>,
    /// Those for which it is not: unfit, or their floor forbids it. They lower the number needed.
    pub excused: Vec<NodeId>,
    /// Those whose update ended otherwise: failed, withdrawn, superseded, out of time.
    pub ended: Vec<NodeId>,
    /// Those that have not reported.
    pub silent: Vec<NodeId>,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WavePlan {
    /// Its nodes, by rank.
    pub members: Vec<NodeId>,
    /// How many of them, from the front, are witnesses.
    pub witnesses: usize,
    /// Whether it is open.
    pub gate: WaveGate,
    /// What its witnesses have signed.
    pub quorum: Quorum,
    /// How many nodes.
    pub total: usize,
    /// How many succeeded, as far as is known here: committed, or staged where no more was asked.
    pub committed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many a newer deployment took over before they were done.
    pub superseded: usize,
    /// How many are not done.
    pub pending: usize,
}

/// How far one node is with one rollout, as far as is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProgress {
    /// Its state.
    pub state: SlotState,
    /// Why, where there is a why.
    pub reason: Option<Reason>,
    /// Since when, by the node's clock; absent where the node has not reported.
    pub since: Option<Timestamp>,
    /// The digest that answers requests.
    pub sha256: Option<Sha256>,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutPlan {
    /// What runs.
    pub release: ReleaseId,
    /// Where.
    pub slot: SlotName,
    /// On whom.
    pub selector: Selector,
    /// Which of two wins.
    pub generation: Generation,
    /// Serve it, or only hold it.
    pub action: Action,
    /// How far it is.
    pub state: RolloutState,
    /// Why, where the state needs a reason.
    pub reason: Option<Reason>,
    /// Whether waiting longer changes nothing: a final state, or stalled beyond the deadline.
    pub over: bool,
    /// Who failed in waves that are open or have been: what counts against the failures that are borne.
    pub failed: Vec<NodeId>,
    /// Its waves: together the roster, each node once. Empty while the roster is incomplete.
    pub waves: Vec<WavePlan>,
    /// Nodes that came to match after the deployment was made.
    pub late: Option<WavePlan>,
    /// How far each node is: those of the waves, and the late ones.
    pub nodes: BTreeMap<NodeId, NodeProgress>,
}

/// Whether a node may go on with what it is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Go {
    /// It may.
    Now,
    /// Not yet.
    Wait(Reason),
}

/// What one slot of one node is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The rollout that it follows.
    pub rollout: RolloutId,
    /// Whether it may go on.
    pub go: Go,
    /// The rollouts that lost there, greatest id last.
    pub superseded: Vec<RolloutId>,
}

/// What every node computes alike from the same view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Every rollout.
    pub rollouts: BTreeMap<RolloutId, RolloutPlan>,
    /// What each slot of each node is to do. A slot that is not here keeps what it serves.
    pub assignments: BTreeMap<(NodeId, SlotName), Assignment>,
    /// The names of all nodes.
    pub names: BTreeMap<NodeId, NodeName>,
}

impl Plan {
    /// A node as people know it.
    pub fn who(&self, node: NodeId) -> Who {
        Who { node, name: self.names.get(&node).cloned() }
    }

    /// Whether the node is among the witnesses of one of the rollout's waves, so that its gate report counts.
    pub fn is_witness(&self, rollout: RolloutId, node: NodeId) -> bool {
        let waves = self.rollouts.get(&rollout).map_or(&[][..], |r| &r.waves);
        waves.iter().any(|wave| wave.members.iter().take(wave.witnesses).any(|member| *member == node))
    }
}
