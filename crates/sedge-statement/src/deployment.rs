//! The wish: this release, in this slot, on the nodes that this selector names, by this policy.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec::{self, CodecError};
use crate::id::digest_in;
use crate::{Frontier, ReleaseId, RolloutId, Selector, SlotName, Timestamp, WaveSize};

/// Orders statements of authorities: first by root epoch, then by count. A slot's floor is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Generation {
    /// The root version under which it was counted.
    pub epoch: u32,
    /// The count.
    pub n: u64,
}

impl Generation {
    /// The next one of the same epoch.
    #[must_use]
    pub fn next(self) -> Self {
        Self { n: self.n.saturating_add(1), ..self }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.n)
    }
}

/// Why a number or a word is outside its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("outside {from} to {to}")]
pub struct RangeError {
    /// The least.
    pub from: u32,
    /// The most.
    pub to: u32,
}

/// 1 is served first, 5 last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

impl Default for Priority {
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<u8> for Priority {
    type Error = RangeError;
    fn try_from(n: u8) -> Result<Self, RangeError> {
        if (1..=5).contains(&n) { Ok(Self(n)) } else { Err(RangeError { from: 1, to: 5 }) }
    }
}

impl From<Priority> for u8 {
    fn from(p: Priority) -> Self {
        p.0
    }
}

/// A whole percentage, 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// The least whole number that is at least this share of `n`.
    pub fn of(self, n: usize) -> usize {
        (n * usize::from(self.0)).div_ceil(100)
    }
}

impl TryFrom<u8> for Percent {
    type Error = RangeError;
    fn try_from(n: u8) -> Result<Self, RangeError> {
        if (1..=100).contains(&n) { Ok(Self(n)) } else { Err(RangeError { from: 1, to: 100 }) }
    }
}

impl From<Percent> for u8 {
    fn from(p: Percent) -> Self {
        p.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// What the nodes do with the release once they hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Try it and serve it.
    Activate,
    /// Hold it, proven, and go on serving what serves.
    StageOnly,
}

/// Whether a slot may go to a release of a lower generation than it has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Downgrade {
    /// It may not.
    Refuse,
    /// The operator says so.
    Allow,
}

/// When a wave opens the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatePolicy {
    /// The share of a wave's witnesses that must have committed.
    pub quorum: Percent,
    /// How many failures in open waves are borne; one more halts the rollout.
    pub max_failed: u32,
    /// How long each witness must have served since it committed, by its own monotonic clock.
    pub soak: Duration,
}

impl Default for GatePolicy {
    /// Every witness, no failure, no soak.
    fn default() -> Self {
        Self { quorum: Percent::ALL, max_failed: 0, soak: Duration::ZERO }
    }
}

/// A deployment, as an authority's document holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Makes two wishes of the same content different.
    pub command: Uuid,
    /// What to run.
    pub release: ReleaseId,
    /// Where on the node.
    pub slot: SlotName,
    /// On which nodes.
    pub selector: Selector,
    /// The certificates over which the selector is resolved into waves; nodes enrolled later follow the last wave.
    pub frontier: Frontier,
    /// Orders deployments for one slot: the highest wins, ties by the greater id.
    pub generation: Generation,
    /// Activate or stage.
    pub action: Action,
    /// Whether to go down.
    pub downgrade: Downgrade,
    /// Which fetch comes first.
    pub priority: Priority,
    /// The waves before the last.
    pub waves: Vec<WaveSize>,
    /// When the next wave opens.
    pub gate: GatePolicy,
    /// How long a new model is watched before it is committed.
    pub probation: Duration,
    /// When the rollout ends, reached or not.
    pub deadline: Timestamp,
    /// Past it nothing new starts.
    pub start_by: Option<Timestamp>,
    /// When it was made, by the operator's clock.
    pub created_at: Timestamp,
}

/// What an operator says of a deployment; the agent adds release, frontier, generation and times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentDraft {
    /// Where on the node.
    pub slot: SlotName,
    /// On which nodes.
    pub selector: Selector,
    /// Activate or stage.
    pub action: Action,
    /// Whether to go down.
    pub downgrade: Downgrade,
    /// Which fetch comes first.
    pub priority: Priority,
    /// The waves before the last.
    pub waves: Vec<WaveSize>,
    /// When the next wave opens.
    pub gate: GatePolicy,
    /// How long a new model is watched.
    pub probation: Duration,
    /// How long until the rollout ends.
    pub deadline_in: Duration,
    /// How long until nothing new starts; unbounded where absent.
    pub start_within: Option<Duration>,
}

impl Deployment {
    /// The largest encoding, bytes.
    pub const MAX_BYTES: usize = 32 << 10;

    /// For how long evidence on a rollout is kept after its deadline, when nothing of it can start any more: for people who look back.
    pub const EVIDENCE_KEPT: Duration = Duration::from_secs(30 * 86_400);

    const CONTEXT: &str = "sedge deployment id 1";

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// See [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, Self::MAX_BYTES)
    }

    /// Whether the rollout has been over for so long that evidence on it is not kept any more.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now >= self.deadline.plus(Self::EVIDENCE_KEPT)
    }

    /// The rollout's name.
    pub fn id(&self) -> RolloutId {
        RolloutId::from_bytes(digest_in(Self::CONTEXT, &self.to_bytes()))
    }
}
