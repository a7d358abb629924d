//! What a node says of its slots.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::UnknownWord;
use crate::{ReleaseId, RolloutId, Sha256, SlotName, Timestamp};

/// The state of a slot's update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotState {
    /// Known, not yet looked at.
    Offered,
    /// Checked: it is for this node, and the node can run it.
    Accepted,
    /// Held back by a window, power, space, approval or lock.
    Waiting,
    /// Weights are on their way.
    Fetching,
    /// Held by an authority.
    Paused,
    /// SHA-256 is being proven.
    Verifying,
    /// Held, proven, on disk.
    Staged,
    /// The gate is trying it.
    Testing,
    /// Taking over.
    Activating,
    /// Serving, watched.
    Probation,
    /// Serving. The only success.
    Committed,
    /// Not for this node: downgraded, unfit or not allowed.
    Rejected,
    /// Could not be done; the old model serves.
    Failed,
    /// Withdrawn by an authority before it was active.
    Cancelled,
    /// Another deployment won.
    Superseded,
    /// Not started in time.
    Expired,
    /// Going back.
    RollingBack,
    /// Back on the old model.
    RolledBack,
    /// Could not go back. Look at the node.
    RollbackFailed,
}

impl SlotState {
    const WORDS: [(Self, &'static str); 19] = [
        (Self::Offered, "offered"),
        (Self::Accepted, "accepted"),
        (Self::Waiting, "waiting"),
        (Self::Fetching, "fetching"),
        (Self::Paused, "paused"),
        (Self::Verifying, "verifying"),
        (Self::Staged, "staged"),
        (Self::Testing, "testing"),
        (Self::Activating, "activating"),
        (Self::Probation, "probation"),
        (Self::Committed, "committed"),
        (Self::Rejected, "rejected"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
        (Self::Superseded, "superseded"),
        (Self::Expired, "expired"),
        (Self::RollingBack, "rolling-back"),
        (Self::RolledBack, "rolled-back"),
        (Self::RollbackFailed, "rollback-failed"),
    ];

    /// The word in JSON and documents.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(s, _)| *s == self).expect("the table lists every state").1
    }

    /// Whether nothing more will happen to this update by itself.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Committed
                | Self::Rejected
                | Self::Failed
                | Self::Cancelled
                | Self::Superseded
                | Self::Expired
                | Self::RolledBack
                | Self::RollbackFailed
        )
    }

    /// Whether it counts against a rollout's failure budget.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::RolledBack | Self::RollbackFailed)
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for SlotState {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::WORDS
            .iter()
            .find(|(_, word)| *word == text)
            .map(|(state, _)| *state)
            .ok_or(UnknownWord { what: "slot state", known: "those of `sedge help`" })
    }
}

/// What a node's document says of one slot. Kept as a native map of the document, one entry per field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotReport {
    /// The slot.
    pub slot: SlotName,
    /// The rollout that it follows, if any.
    pub rollout: Option<RolloutId>,
    /// How far that is.
    pub state: SlotState,
    /// Why, where the state needs a reason; at most [`SlotReport::MAX_REASON`] bytes.
    pub reason: Option<String>,
    /// Since when, by the node's clock.
    pub since: Timestamp,
    /// The release that answers requests, if one does.
    pub serving: Option<ReleaseId>,
    /// The digest of the file that answers requests, if one does.
    pub sha256: Option<Sha256>,
}

impl SlotReport {
    /// The longest reason, bytes; longer ones are cut by the writer and refused by readers.
    pub const MAX_REASON: usize = 512;
}

/// A witness's evidence on one rollout: what the next wave waits for. Kept as a native map of its `gate` document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReport {
    /// The rollout.
    pub rollout: RolloutId,
    /// How far this node is: a final state.
    pub state: SlotState,
    /// Why, where it failed; bounded as [`SlotReport::MAX_REASON`].
    pub reason: Option<String>,
    /// The digest that answers requests.
    pub sha256: Option<Sha256>,
    /// How long it has served since it committed, by the monotonic clock.
    pub soaked: Duration,
    /// When, by the node's clock.
    pub at: Timestamp,
}
