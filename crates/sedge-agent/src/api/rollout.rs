//! Deployments as they are asked for, and rollouts: their waves and nodes, what their policy asks, and who steered them.

use sedge_statement::{
    DeploymentDraft, NodeId, NodeName, ReleaseId, RolloutId, Sha256, SlotName, SlotState, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::Approvals;

/// A deployment to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeployRequest {
    /// `MODEL[:VERSION]`, or a release's id or prefix; the newest release where no version is given.
    pub model: String,
    /// Nodes that form a wave of their own before all others, each by name, id or prefix.
    #[serde(default)]
    pub canaries: Vec<String>,
    /// The rest.
    pub draft: DeploymentDraft,
}

/// A deployment that was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployed {
    /// The rollout.
    pub rollout: RolloutId,
    /// The slot.
    pub slot: SlotName,
    /// The release.
    pub release: ReleaseId,
    /// How many nodes its selector names.
    pub nodes: usize,
    /// Whether another node already holds every file; until then this one must stay reachable.
    pub replicated: bool,
}

/// A rollout in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutSummary {
    /// The rollout.
    pub rollout: RolloutId,
    /// The slot.
    pub slot: SlotName,
    /// The model.
    pub model: String,
    /// The release.
    pub release: ReleaseId,
    /// Its state's word.
    pub state: String,
    /// Who wished it.
    pub author: NodeName,
    /// When.
    pub created_at: Timestamp,
    /// Nodes named.
    pub total: usize,
    /// Nodes that answer with it.
    pub committed: usize,
    /// Nodes where it failed.
    pub failed: usize,
    /// Nodes of which it is not known here: they are in cells whose documents this node does not hold, and signed no evidence.
    pub unknown: usize,
}

/// A rollout, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rollout {
    /// As in the list: rollout, slot, release, state and counts.
    #[serde(flatten)]
    pub summary: RolloutSummary,
    /// Which nodes it names.
    pub selector: String,
    /// Why it is in its state, where that needs a reason.
    pub reason: Option<String>,
    /// Who agrees to it.
    pub approvals: Approvals,
    /// Who agrees to its release.
    pub release_approvals: Approvals,
    /// Its terms, and who steered it.
    #[serde(flatten)]
    pub terms: RolloutTerms,
    /// Its waves in order.
    pub waves: Vec<RolloutWave>,
    /// Every node it names.
    pub nodes: Vec<RolloutNode>,
    /// The agent's revision; give it back as `after` to wait for the next.
    pub revision: u64,
}

/// One wave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutWave {
    /// From zero, the canary.
    pub wave: usize,
    /// Whether its nodes may start.
    pub open: bool,
    /// Why, or why not.
    pub reason: String,
    /// Its nodes.
    pub total: usize,
    /// Those that answer with the release.
    pub committed: usize,
    /// Those where it failed.
    pub failed: usize,
    /// The others.
    pub pending: usize,
    /// What its witnesses have signed.
    #[serde(flatten)]
    pub evidence: WaveEvidence,
}

/// One node of a rollout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutNode {
    /// Its name.
    pub node: NodeName,
    /// Its id.
    pub id: NodeId,
    /// Its wave; absent for nodes enrolled after the deployment.
    pub wave: Option<usize>,
    /// How far it is; absent where that is not known here, since its cell's documents are not held and it signed no evidence.
    pub state: Option<SlotState>,
    /// Why, where the state needs a reason.
    pub reason: Option<String>,
    /// Since when, by its own clock.
    pub since: Option<Timestamp>,
    /// The digest that answers its requests.
    pub sha256: Option<Sha256>,
}

impl RolloutNode {
    /// The word for how far it is.
    pub fn word(&self) -> &'static str {
        self.state.map_or("unknown", SlotState::word)
    }
}

/// The chain of reasons for one node and one rollout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// The rollout.
    pub rollout: RolloutId,
    /// The node.
    pub node: NodeName,
    /// Sentences, from the selector down to what is being waited for.
    pub reasons: Vec<String>,
}

/// A rollout's terms, and what was said of it since. Its fields stand among those of [`Rollout`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutTerms {
    /// The share of a wave's witnesses that must have committed before the next opens: `80%`.
    pub quorum: String,
    /// How many failures are borne.
    pub max_failed: u32,
    /// Those that count against it.
    pub failures: Vec<NodeName>,
    /// How long a witness must have served before it counts, milliseconds.
    pub soak_ms: u64,
    /// How long a node watches the model before it commits, milliseconds.
    pub probation_ms: u64,
    /// When the rollout ends, reached or not.
    pub deadline: Timestamp,
    /// Past it nothing new starts.
    pub start_by: Option<Timestamp>,
    /// Whether waiting longer changes nothing.
    pub over: bool,
    /// What authorities said of it, oldest first; at most the last [`MAX_CONTROLS`].
    pub controls: Vec<GivenControl>,
}

/// The most controls that are shown. A rollout that was paused more often than this has another problem.
pub const MAX_CONTROLS: usize = 32;

/// One thing that an authority said of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenControl {
    /// `pause`, `resume`, `cancel` or `halt`.
    pub action: String,
    /// Who.
    pub by: NodeName,
    /// Why; may be empty.
    pub reason: String,
    /// When, by that node's clock.
    pub at: Timestamp,
}

/// What a wave's witnesses have signed. Its fields stand among those of [`RolloutWave`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveEvidence {
    /// How many witnesses it has.
    pub witnesses: usize,
    /// How many of them must have committed and soaked before the next wave opens.
    pub needed: usize,
    /// How many have.
    pub soaked: usize,
    /// Those that committed, but have not served for long enough.
    pub soaking: Vec<NodeName>,
    /// How long the last of those still has to serve, milliseconds: by the clocks of this node and of that one, so only for
    /// people. The wave opens by what the node itself has measured.
    pub soak_left_ms: Option<u64>,
    /// Those for which the model is not: they lower the number needed.
    pub excused: Vec<NodeName>,
    /// Those that have not reported.
    pub waiting_for: Vec<NodeName>,
    /// How many of its nodes a newer deployment took over before they were done.
    pub superseded: usize,
}
