//! A year of a thousand nodes in ten cells, and what it leaves on one node of each cell:
//! `SEDGE_DAYS=365 SEDGE_CELLS=10 cargo test -p sedge-sim --test year`. Without the variables it is a few days of two cells.
//!
//! Every node writes twenty links a day, two authorities publish two releases and five deployments, and witnesses give evidence on each.
//! All of it is really made by Automerge, chained and signed, but by authors that check nothing ([`sedge_fleet::testing::Scribe`]), so that a
//! year takes minutes. A cell's *observer* is the real thing: a process of its own, with a [`sedge_fleet::Fleet`] that is told everything as
//! frames of a neighbour and keeps its records in a redb file, as the agent does. It is told the node documents of its own cell, and the authority
//! and gate documents of all. For each cell are measured
//!
//! - the observer's store, the whole file, and what each kind of document has in it;
//! - its memory, what the process grew by since before it opened its fleet;
//! - its start, from the closed file to the first view, in processor time of yet another process, and what memory each kind of document takes there;
//! - what a node of the cell that was away for thirty days receives until it sees what the observer sees, over the real protocol.
//!
//! It prints a table and ends with 1 where a figure is not as promised. `SEDGE_THREADS` says how many cells live at a time, else two.

mod absence;
#[expect(dead_code, reason = "the benches use more of it")]
#[path = "../../../../tests/bench/support/clock.rs"]
mod clock;
mod feed;
mod life;
mod mesh;
mod observer;
mod outcome;
mod weigh;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use outcome::Outcome;

/// How long, and of how much of the mesh.
#[derive(Debug, Clone, Copy)]
struct Span {
    days: u64,
    cells: u32,
}

impl Span {
    /// For how many days the node that is away is so: thirty, or half of what there is.
    fn away(self) -> u64 {
        30.min(self.days.div_ceil(2))
    }
}

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(observer::AS_OBSERVER) {
        return observer::live(Path::new(&dir));
    }
    if let Some(store) = std::env::var_os(weigh::AS_SCALE) {
        return weigh::weigh(Path::new(&store));
    }
    // What the test harness is asked for, where somebody asks for other tests.
    let mut words = std::env::args().skip(1);
    if words.any(|word| word == "--list" || !(word.starts_with('-') || "year".contains(&word))) {
        return ExitCode::SUCCESS;
    }
    let span =
        Span { days: number("SEDGE_DAYS", 4), cells: u32::try_from(number("SEDGE_CELLS", 2)).expect("few cells") };
    let threads = number("SEDGE_THREADS", 2);
    let (next, outcomes) = (Mutex::new(0..span.cells.min(mesh::CELLS)), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(cell) = { next.lock().expect("no thread panics").next() } {
                    let outcome = one(cell, span);
                    outcomes.lock().expect("no thread panics").push((cell, outcome));
                }
            });
        }
    });
    let mut outcomes: Vec<(u32, Outcome)> = outcomes.into_inner().expect("no thread panics");
    outcomes.sort_by_key(|(cell, _)| *cell);
    outcome::table(span.days, span.away(), &outcomes)
}

/// The life of one cell.
fn one(cell: u32, span: Span) -> Outcome {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lived = feed::feed(cell, span, dir.path()).expect("the observer lives to its end");
    let weights = weigh::weights(&dir.path().join(observer::STORE)).expect("a start ends");
    Outcome { lived, weights }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}
