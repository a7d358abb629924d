//! What an authority says of a rollout once it runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::{RolloutId, Timestamp};

/// What is to happen to the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlAction {
    /// Nothing new starts until resumed.
    Pause,
    /// Goes on.
    Resume,
    /// Withdraws what is not yet active; what is, stays.
    Cancel,
    /// Final: nothing of it ever starts again.
    Halt,
}

impl fmt::Display for ControlAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Halt => "halt",
        })
    }
}

/// A control. An authority's document holds it as one byte scalar; a rollout's last pause or resume of the highest
/// `count` holds, a cancel or halt holds for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The rollout.
    pub rollout: RolloutId,
    /// What happens to it.
    pub action: ControlAction,
    /// Orders the controls of one rollout; the highest counts, ties by the greater action.
    pub count: u32,
    /// Why, for people; at most [`Self::MAX_REASON`] bytes.
    pub reason: String,
    /// When, by the authority's clock.
    pub at: Timestamp,
}

impl Control {
    /// The longest reason, bytes.
    pub const MAX_REASON: usize = 512;
    /// The largest encoding, bytes.
    pub const MAX_BYTES: usize = 1024;

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
}
