//! The slot machine, from outside.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod attacks;
mod fixture;
mod journal;
mod laws;
mod story;
mod table;
