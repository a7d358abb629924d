//! What suites of update frameworks ask of whoever follows signed metadata, in the words of this project: expiry, thresholds, rollback,
//! fast-forward, graphs of delegation, rotation; and that a member's floods are bounded. Each by nodes that sync.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod delegation;
mod expiry;
mod floods;
mod rollback;
mod rotation;
mod statements;
#[path = "../support/mod.rs"]
mod support;
mod thresholds;
