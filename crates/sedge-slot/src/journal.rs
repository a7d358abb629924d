//! What a slot writes to disk before it does anything.
//!
//! Layout: one version byte, then the canonical encoding (postcard) of [`Journal`]. Goals: a restart at any
//! instruction continues from the last record alone, with no document at hand; a damaged record is refused, never half
//! read. Non-goals: history (the record replaces the one before it), and reading the records of a newer version.

use sedge_statement::codec::{self, CodecError};
use sedge_statement::{
    Action, Generation, ModelFile, ModelId, ReleaseId, RolloutId, Sha256, SlotName, SlotState, Timestamp, VariantName,
};
use serde::{Deserialize, Serialize};

use crate::{Floor, Go, Offer, Reason};

/// The model that a slot stands for: what it serves, and what it goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The rollout that brought it.
    pub rollout: RolloutId,
    /// The release.
    pub release: ReleaseId,
    /// Of which model.
    pub model: ModelId,
    /// Which variant.
    pub variant: VariantName,
    /// Its files; the first is the one that is opened.
    pub files: Vec<ModelFile>,
    /// The digest of that first file.
    pub sha256: Sha256,
    /// The generation of the deployment that brought it.
    pub deployment_generation: Generation,
    /// The release's own generation.
    pub release_generation: Generation,
    /// Since when it is committed.
    pub since: Timestamp,
}

/// An update, under way or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// What is to be done.
    pub offer: Offer,
    /// Whether it may go on.
    pub go: Go,
    /// How far it is.
    pub state: SlotState,
    /// Since when.
    pub since: Timestamp,
    /// How often this state was begun, from 1: restarts count.
    pub attempt: u8,
    /// Why, where the state needs a reason.
    pub reason: Option<Reason>,
    /// Whether a withdrawal that came too late was refused, which is said once.
    pub refused: bool,
    /// Whether the soak is over and reported.
    pub soaked: bool,
}

impl Update {
    /// Whether nothing more will happen to it by itself: a final state, or staged where no more was asked.
    pub fn is_settled(&self) -> bool {
        self.state.is_final() || (self.state == SlotState::Staged && self.offer.action == Action::StageOnly)
    }
}

/// How an earlier update ended, remembered so that offering it again does not start it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its last state.
    pub state: SlotState,
}

/// All that a slot knows across a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The slot.
    pub slot: SlotName,
    /// What serves, or would if its runner were up; what a failing update goes back to.
    pub serving: Option<Serving>,
    /// The newest update.
    pub update: Option<Update>,
    /// How far down the slot may go.
    pub floor: Floor,
    /// The updates that ended, oldest first, at most [`Journal::MAX_ENDED`].
    pub ended: Vec<Ended>,
}

/// Why a record cannot be read. The slot must not be run on a guess: the operator removes the record, which loses
/// what served but not the floor kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Not even a version byte.
    #[error("empty journal")]
    Empty,
    /// Written by a newer Sedge: run that one.
    #[error("journal version {0}, this program reads {known}", known = Journal::VERSION)]
    UnknownVersion(u8),
    /// Damaged.
    #[error("journal: {0}")]
    Codec(#[from] CodecError),
}

impl Journal {
    /// The version that is written.
    pub const VERSION: u8 = 1;
    /// The largest record, bytes: two sets of files, each from a release of at most 48 KiB, and room to spare.
    pub const MAX_BYTES: usize = 256 << 10;
    /// How many ended updates are remembered. Only one that the plan could still offer matters, and plans offer the
    /// newest first.
    pub const MAX_ENDED: usize = 32;

    /// The record of a slot that has never served.
    pub fn new(slot: SlotName, floor: Floor) -> Self {
        Self { slot, serving: None, update: None, floor, ended: Vec::new() }
    }

    /// The bytes to write.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![Self::VERSION];
        bytes.extend(codec::encode(self));
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JournalError> {
        match bytes.split_first() {
            None => Err(JournalError::Empty),
            Some((&Self::VERSION, record)) => Ok(codec::decode(record, Self::MAX_BYTES)?),
            Some((version, _)) => Err(JournalError::UnknownVersion(*version)),
        }
    }
}
