//! Plans, from outside.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod attacks;
mod fit;
mod fleet;
mod laws;
mod precedence;
mod snapshot;
mod story;
mod waves;
