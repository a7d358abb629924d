//! What a deployment would do, were it published now.

use sedge_statement::{Action, NodeId, NodeName, ReleaseId, RolloutId, SlotName, Timestamp, VariantName};
use serde::{Deserialize, Serialize};

/// The plan of a deployment that is not published.
///
/// It comes out of the planner that every node runs, over this node's view: published at once, and with nothing else
/// published in between, the deployment has these waves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployPlan {
    /// The slot.
    pub slot: SlotName,
    /// The model and its version.
    pub model: String,
    /// The release.
    pub release: ReleaseId,
    /// Which nodes are meant.
    pub selector: String,
    /// Its place among the deployments for the slot.
    pub generation: String,
    /// Activate or only stage.
    pub action: Action,
    /// How many nodes would get it, as far as is known here.
    pub gets: usize,
    /// How many of the others refuse to go back to an older release.
    pub refused: usize,
    /// Its waves in order.
    pub waves: Vec<PlannedWave>,
    /// The members that it does not name, and why.
    pub others: Vec<PlannedOther>,
    /// The rollouts whose place it takes.
    pub supersedes: Vec<PlannedLoser>,
    /// The share of a wave's witnesses that must have committed before the next opens.
    pub quorum: String,
    /// How many failures are borne; one more halts it.
    pub max_failed: u32,
    /// How long a witness must have served before it counts, milliseconds.
    pub soak_ms: u64,
    /// How long a node watches the model before it commits, milliseconds.
    pub probation_ms: u64,
    /// When it would end, were it published now.
    pub deadline: Timestamp,
    /// Past it nothing new would start.
    pub start_by: Option<Timestamp>,
    /// The bytes that all nodes together would fetch.
    pub move_bytes: u64,
}

/// A wave that would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedWave {
    /// From zero.
    pub wave: usize,
    /// What opens it, a sentence.
    pub opens: String,
    /// Its nodes, by rank.
    pub nodes: Vec<PlannedNode>,
}

/// Whether a node would get the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// It would.
    Yes,
    /// It would not.
    No,
    /// It has not said what machine it is.
    Unknown,
}

/// A node that would be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub node: NodeName,
    /// Its id.
    pub id: NodeId,
    /// Whether the next wave waits for it.
    pub witness: bool,
    /// Whether it would get the release.
    pub gets: Outlook,
    /// Which variant.
    pub variant: Option<VariantName>,
    /// What would run it.
    pub backend: Option<String>,
    /// What it takes in memory, bytes.
    pub memory_bytes: Option<u64>,
    /// The bytes of its files that the node does not hold.
    pub move_bytes: Option<u64>,
    /// Why, or why not.
    pub why: String,
}

/// A member that is not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOther {
    /// Its name.
    pub node: NodeName,
    /// Its id.
    pub id: NodeId,
    /// Why not.
    pub why: String,
}

/// A rollout whose place would be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLoser {
    /// Which.
    pub rollout: RolloutId,
    /// Of which model.
    pub model: String,
    /// On how many nodes.
    pub nodes: usize,
}
