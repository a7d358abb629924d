//! What happens to a slot.

use sedge_statement::RolloutId;

use crate::{Go, Offer, Reason};

/// Something that happened. Each names the rollout it is about, so that the late answer to a superseded update is
/// never taken for the answer to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The plan assigns this update to the slot. Say it after every plan: repeating it changes nothing, and a changed
    /// `go` starts, pauses or resumes. The machine knows one hold at a time: `go` has to stand for the plan's and for
    /// any local one together.
    Offered {
        /// The update.
        offer: Box<Offer>,
        /// Whether it may go on.
        go: Go,
    },
    /// An authority or the plan takes a rollout away from the slot. May be repeated.
    Withdrawn {
        /// The rollout.
        rollout: RolloutId,
        /// Why.
        why: Withdrawal,
    },
    /// Nothing of it goes on until resumed, as if it were offered again with [`Go::Wait`]: a local hold (window, power,
    /// space, lock) or an authority's pause.
    Paused {
        /// The rollout.
        rollout: RolloutId,
        /// Why.
        reason: Reason,
    },
    /// It goes on, as if it were offered again with [`Go::Now`].
    Resumed {
        /// The rollout.
        rollout: RolloutId,
    },
    /// What an effect asked for is done, or cannot be done.
    Finished {
        /// The rollout that the effect named.
        rollout: RolloutId,
        /// What came of it.
        outcome: Outcome,
    },
    /// The model that this rollout brought answers requests.
    Healthy {
        /// The rollout that brought it.
        rollout: RolloutId,
    },
    /// The model that this rollout brought does not answer as it should.
    Unhealthy {
        /// The rollout that brought it.
        rollout: RolloutId,
        /// What is wrong.
        reason: Reason,
    },
    /// Time passed; see [`crate::SlotMachine::deadline`].
    Tick,
    /// The process started. Comes first after [`crate::SlotMachine::open`], and means that nothing runs.
    Restarted,
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`crate::Effect::CheckFit`].
    Fit(Result<(), Reason>),
    /// Of [`crate::Effect::Fetch`]. An error means giving up, not a peer lost.
    Fetched(Result<(), Reason>),
    /// Of [`crate::Effect::Verify`].
    Verified(Result<(), Reason>),
    /// Of [`crate::Effect::Test`].
    Tested(Result<(), Reason>),
    /// Of [`crate::Effect::Activate`].
    Activated(Result<(), Reason>),
    /// Of [`crate::Effect::RollBack`].
    RolledBack(Result<(), Reason>),
}

/// Why a rollout leaves a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// An authority cancelled it.
    Cancelled,
    /// It was halted: by an authority, or by its failures.
    Halted,
    /// Another deployment won.
    Superseded,
}
