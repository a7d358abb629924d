//! Real endpoints on loopback, a real fleet, storage in memory.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod admission;
mod churn;
mod connections;
mod dialling;
mod enrolling;
mod halves;
mod hostile;
mod presence;
mod support;
mod syncing;
