//! What the benches share: a clock of processor time, a table, and results that a later change can be held against.
//!
//! A bench is a plain program (`harness = false`) that makes a [`Report`], measures with [`median`] of [`timed`], adds a [`Line`] for each promise and
//! calls [`Report::finish`], which prints
//!
//! ```text
//! what | measured | promise | anchor | ratio | since the baseline
//! ```
//!
//! *Anchor* is something well known that is measured in the same run, so that the *ratio* says the same on a faster or busier machine. The
//! last column is that ratio over the one in `tests/bench/baseline.json`: below 1.00× is faster than when it was kept.
//!
//! | variable | effect |
//! |---|---|
//! | `SEDGE_BENCH_CHECK=1` | the program exits with 1 where a promise is missed |
//! | `SEDGE_BENCH_BASELINE=FILE` | compares with this file instead |
//! | `SEDGE_BENCH_KEEP=1` | writes this run's figures into the baseline |
//!
//! Every run is appended to `target/bench/results.jsonl`, a JSON object a line.

mod baseline;
mod clock;
mod report;

pub(crate) use clock::{median, timed};
pub(crate) use report::{Line, Report};
