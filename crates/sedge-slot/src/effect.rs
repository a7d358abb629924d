//! What a slot asks of its surroundings.

use sedge_statement::{GateReport, RolloutId, SlotReport, SlotState};

use crate::{Floor, Offer, Serving, Withdrawal};

/// Something to do. Effects are carried out in the order given; those that take time are started in that order and
/// answered by [`crate::Event::Finished`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write the record in place of the one before, and sync it, before any effect behind it.
    Journal(Vec<u8>),
    /// Write the floor beside the journal, and sync it, before any effect behind it.
    SetFloor(Floor),
    /// Ask whether this node can run the variant. Answer with [`crate::Outcome::Fit`].
    CheckFit(Box<Offer>),
    /// Get every file. Answer with [`crate::Outcome::Fetched`].
    Fetch(Box<Offer>),
    /// Stop whatever was started for the rollout (fit check, fetch, proof, trial); nothing is answered. What was
    /// fetched stays for another time.
    Stop(RolloutId),
    /// Prove SHA-256 over the files read back from disk. Answer with [`crate::Outcome::Verified`].
    Verify(Box<Offer>),
    /// Try the model beside the one that serves. Answer with [`crate::Outcome::Tested`].
    Test(Box<Offer>),
    /// Load the new model and switch to it. Answer with [`crate::Outcome::Activated`]; keep the old one within reach.
    Activate {
        /// What takes over.
        offer: Box<Offer>,
        /// What serves until then.
        replaces: Option<Box<Serving>>,
    },
    /// The new model stays: the old one may go, unless the two share files.
    Commit {
        /// What serves.
        serving: Box<Serving>,
        /// What served before.
        dropped: Option<Box<Serving>>,
    },
    /// Go back: unload the new model, and make sure that the old one answers. Answer with
    /// [`crate::Outcome::RolledBack`].
    RollBack {
        /// What did not hold.
        offer: Box<Offer>,
        /// What is to serve again; where nothing, the slot is left empty.
        to: Option<Box<Serving>>,
    },
    /// Load what the slot stands for, after a start. Answer with [`crate::Event::Healthy`] or
    /// [`crate::Event::Unhealthy`].
    Serve(Box<Serving>),
    /// Put this into the node's document.
    Report(SlotReport),
    /// Put this into the node's gate document, if the node is a witness of the rollout or the state is a failure.
    Gate(GateReport),
    /// Say aloud that a withdrawal came too late: the model already takes over, or serves.
    Refused {
        /// The rollout.
        rollout: RolloutId,
        /// What was asked.
        why: Withdrawal,
        /// The state that forbids it.
        state: SlotState,
    },
}
