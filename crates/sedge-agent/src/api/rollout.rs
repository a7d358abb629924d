//! What a rollout's policy asks, how far each wave's evidence is, and who steered it.

use sedge_statement::{NodeName, Timestamp};
use serde::{Deserialize, Serialize};

/// A rollout's terms, and what was said of it since. Its fields stand among those of [`super::Rollout`].
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

/// What a wave's witnesses have signed. Its fields stand among those of [`super::RolloutWave`].
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
