//! Real endpoints on loopback, a real fleet, storage in memory.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod admission;
mod dialling;
mod enrolling;
mod hostile;
mod support;
mod syncing;
