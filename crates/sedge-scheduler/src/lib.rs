//! Who gets what and when, computed alike on every node.
//!
//! There is no scheduler process anywhere: each node folds the documents it holds into a view, and [`plan`] turns the
//! view into a [`Plan`]. Equal views give equal plans, so nobody has to tell anybody what to do, and everybody can say
//! why: every decision carries a [`Reason`], and [`explain`] gives the whole chain for one node.
//!
//! # Waves
//!
//! ```text
//!   certificates ──► roster ──► rank ──► wave 0 │ wave 1 │ … │ whoever is left │ late
//!   at the frontier   selector   BLAKE3 of          ▲
//!                                (rollout, node)    └ opens by the signed gate reports of wave 0's witnesses
//! ```
//!
//! - The roster is resolved over the certificates that the deployment's frontier names, and nothing starts until all of
//!   them are held. Nodes that come to match later follow the last wave.
//! - The first [`MAX_WITNESSES`] of each wave are its witnesses. A wave opens when enough witnesses of the one before
//!   committed and soaked. A witness that rejected the offer (it is unfit, or its floor forbids it) is excused; a wave
//!   where nobody committed opens nothing; silence is not success.
//! - More failures than are borne, in waves that are open or have been, halt the rollout. A witness that takes back its
//!   word for a wave does not undo that; one that takes back a failure could, so the fold keeps the first.
//! - Only gate reports count for any of this. What nodes say of their slots is shown, and believed of the node itself.
//!
//! # Who wins a slot
//!
//! The highest generation, ties by the greater id. A rollout that was cancelled, halted or ran out of time wins only on
//! nodes where it is active: there nothing changes, and elsewhere the slot falls to whoever was next. A slot without an
//! [`Assignment`] keeps what it serves. Nothing active is ever rolled back by a plan.
//!
//! `start_by` closes no wave, because a view does not tell when a wave opened: it holds back each node that has not
//! said that it started.
//!
//! This crate is *not* a decision of trust: what it is given counts as verified. It reads no clock: the time is part of
//! the input.

mod explain;
mod fit;
mod input;
mod plan;
mod planner;
mod reason;
mod roster;
mod waves;

pub use explain::explain;
pub use fit::{Fit, Unfit, choose, fit};
pub use input::{ControlState, PlanInput, Wish};
pub use plan::{Assignment, Go, NodeProgress, Plan, RolloutPlan, RolloutState, WaveGate, WavePlan};
pub use planner::plan;
pub use reason::{Reason, Who};
pub use waves::MAX_WITNESSES;
