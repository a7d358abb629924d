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
//!                                (what is deployed, └ opens by the signed gate reports of wave 0's witnesses
//!                                 node)
//! ```
//!
//! - What is deployed is the release, the slot and the generation, not the rollout's id: the plan of a deployment that is
//!   only thought of has the waves that it will have.
//! - A wave's size is a count of nodes, a share of the whole roster that is to be reached by then, or nodes by name. A
//!   share that was reached before makes no wave. A wave of named nodes is never dropped: where none of them is in the
//!   roster, it opens nothing.
//!
//! - The roster is resolved over the certificates that the deployment's frontier names, and nothing starts until all of
//!   them are held. Nodes that come to match later follow the last wave.
//! - The first [`MAX_WITNESSES`] of each wave are its witnesses. A wave opens when enough witnesses of the one before
//!   committed and soaked. A witness that rejected the offer (it is unfit, or its floor forbids it) is excused; a wave
//!   where nobody committed opens nothing; silence is not success.
//! - A wave whose witnesses can give no quorum any more stalls the rollout, and so does the deadline where it comes before
//!   the quorum. Where every wave was open by then, the rollout expires, with the names of whoever was not reached.
//! - More failures than are borne, in waves that are open or have been, halt the rollout, for ever: a node's first failing
//!   report is the one that is handed in here, whatever it says later, and a wave that may have opened counts even if a
//!   witness takes back its word.
//! - Only gate reports count for any of this. What nodes say of their slots is shown, and believed of the node itself.
//!
//! # Who wins a slot
//!
//! The highest generation, ties by the greater id. A rollout that was cancelled, halted or ran out of time wins only on
//! nodes where it is active: there nothing changes, and elsewhere the slot falls to whoever was next. A slot without an
//! [`Assignment`] keeps what it serves. Nothing active is ever rolled back by a plan.
//!
//! A rollout that lost nodes to another on the way is completed where every node that is still its own is done and at
//! least one of those succeeded; where none is left that did, it is superseded. Nodes that succeeded and moved on later
//! were reached.
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

pub use explain::{Facts, explain, fitness, not_named};
pub use fit::{Fit, Unfit, choose, fit};
pub use input::{Approvals, ControlState, PlanInput, SteeredBy, Wish};
pub use plan::{Assignment, Go, NodeProgress, Plan, Quorum, RolloutPlan, RolloutState, WaveGate, WavePlan};
pub use planner::plan;
pub use reason::{Reason, Steering, Who};
pub use waves::MAX_WITNESSES;
