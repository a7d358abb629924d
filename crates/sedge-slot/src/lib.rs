//! One slot's update, as a state machine: event and time in, effects out.
//!
//! A slot is a named place on a node where one model serves. This crate decides what happens when it is to serve
//! another: it fetches, proves, tries, switches, watches, commits or goes back, and at every moment it can be killed and
//! go on. It does none of it itself. [`SlotMachine::handle`] takes an [`Event`] and the time, and returns [`Effect`]s
//! for its surroundings to carry out in order; they answer with further events.
//!
//! ```text
//!           unfit, floor          wait
//!   Rejected ◄─── Offered ─► Accepted ─► Waiting
//!                               │ go        │ go
//!                               ▼           │
//!               Paused ◄────► Fetching ◄────┘
//!                               │ fetched
//!                               ▼
//!                           Verifying ─► Staged ─► Testing ─► Activating ─► Probation ─► Committed
//!                                          │                       └──────┬──────┘
//!                                    (the end, where                      ▼
//!                                    no more is asked)               RollingBack ─► RolledBack
//!                                                                         └───────► RollbackFailed
//!
//!   from every state before Activating: Failed, Cancelled, Superseded, Expired
//! ```
//!
//! # What it promises
//!
//! - **The journal comes first.** Where the state changed, the first effect is [`Effect::Journal`]; it must be on disk
//!   before the next one. The floor follows it, before [`Effect::Activate`].
//! - **Nothing is lost by an update that failed.** What serves changes with [`Effect::Commit`] and at no other time.
//!   Before that, every failure leaves it, or goes back to it.
//! - **Nothing is claimed that is not served.** Reports name a digest only while the machine was told that this digest
//!   answers: after a start that takes an [`Event::Healthy`].
//! - **Only committed is success**, after a probation without an [`Event::Unhealthy`]. A deployment that asks for
//!   staging alone ends in `Staged`, and is never called committed.
//! - **Every state ends.** [`SlotMachine::deadline`] says when [`Event::Tick`] is due; [`limits`] argues the times.
//! - **A restart resumes** what had not begun to take over. Taking over is tried once more, then it goes back.
//! - **A withdrawal** is honoured before `Activating`, and refused with [`Effect::Refused`] after. A newer offer
//!   supersedes what is not yet taking over, and waits for the end of what is.
//! - **A floor** ([`Floor`]) keeps validly signed statements of the past from coming back.
//!
//! `Accepted` is passed through: the fit check's answer leads on at once, to `Fetching` or to `Waiting`. A withdrawal by
//! a halt is reported as `Cancelled`, with the halt as its reason.
//!
//! # How to drive it
//!
//! ```
//! use sedge_slot::{Effect, Event, Floor, SlotMachine};
//! use sedge_statement::Timestamp;
//!
//! let mut slot = SlotMachine::new("detector".parse().expect("a name"), Floor::default());
//! let now = Timestamp::from_millis(1);
//! for effect in slot.handle(Event::Tick, now) {
//!     match effect {
//!         Effect::Journal(_bytes) => { /* write and sync, then go on */ }
//!         _ => { /* start it; answer later with Event::Finished */ }
//!     }
//! }
//! ```
//!
//! The crate reads no clock: `now` is an argument, and must be a wall clock read once plus monotonic time, because
//! probation and soak are measured with it.
//!
//! This crate is *not* a scheduler: which deployment a slot follows, and when its wave opens, comes in with
//! [`Event::Offered`].

pub mod limits;

mod effect;
mod event;
mod floor;
mod journal;
mod machine;
mod offer;
mod reason;

pub use effect::Effect;
pub use event::{Event, Outcome, Withdrawal};
pub use floor::{Floor, FloorRefusal};
pub use journal::{Ended, Journal, JournalError, Serving, Update};
pub use machine::SlotMachine;
pub use offer::{Go, Offer};
pub use reason::Reason;
