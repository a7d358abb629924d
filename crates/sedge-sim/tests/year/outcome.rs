//! What came of a year, from one process to another and on paper.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use crate::observer::Failure;
use crate::weigh::KINDS;

/// The largest store that is promised, bytes.
const STORE: u64 = 64_000_000;
/// The most memory.
const MEMORY: u64 = 64_000_000;
/// The longest start.
const START: Duration = Duration::from_secs(2);
/// The most that who was away receives, bytes.
const RECEIVED: u64 = 10_000_000;

/// What an observer found at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lived {
    /// Bytes of its file.
    pub(crate) store: u64,
    /// By how much its process grew, bytes.
    pub(crate) memory: u64,
    /// What the traveller received, bytes.
    pub(crate) received: u64,
    /// Records, and their bytes, by kind.
    pub(crate) kinds: BTreeMap<char, (u64, u64)>,
}

/// What opening a store took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Processor time up to the first view.
    pub(crate) spent: Duration,
    /// By how much the process grew, bytes.
    pub(crate) memory: u64,
}

/// What is known of a cell.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) lived: Lived,
    /// The whole store; then its objects alone, with the authorities' documents, and with the nodes' too.
    pub(crate) weights: Vec<Weight>,
}

/// Ends a process by what it has to say.
pub(crate) fn end<T: fmt::Display>(result: Result<T, Failure>) -> ExitCode {
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

impl fmt::Display for Lived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.store, self.memory, self.received)?;
        self.kinds.iter().try_for_each(|(kind, (count, bytes))| write!(f, " {} {count} {bytes}", u32::from(*kind)))
    }
}

impl Lived {
    pub(crate) fn read(text: &str) -> io::Result<Self> {
        let numbers = numbers(text)?;
        let [store, memory, received, ref kinds @ ..] = numbers[..] else { return Err(unread(text)) };
        let kind = |n: u64| u32::try_from(n).ok().and_then(char::from_u32).ok_or_else(|| unread(text));
        let kinds = kinds.chunks_exact(3).map(|of| Ok((kind(of[0])?, (of[1], of[2]))));
        Ok(Self { store, memory, received, kinds: kinds.collect::<io::Result<_>>()? })
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.spent.as_micros(), self.memory)
    }
}

impl Weight {
    pub(crate) fn read(text: &str) -> io::Result<Self> {
        match numbers(text)?[..] {
            [micros, memory] => Ok(Self { spent: Duration::from_micros(micros), memory }),
            _ => Err(unread(text)),
        }
    }
}

fn numbers(text: &str) -> io::Result<Vec<u64>> {
    text.split_whitespace().map(|word| word.parse().map_err(|_| unread(text))).collect()
}

fn unread(text: &str) -> io::Error {
    io::Error::other(format!("a process answered {text:?}"))
}

/// Prints everything; 1 where a figure is not as promised.
pub(crate) fn table(days: u64, away: u64, outcomes: &[(u32, Outcome)]) -> ExitCode {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("{days} days of 1,000 nodes, observers of {} cells; MB are 10^6 bytes\n", outcomes.len());
    println!("cell | store | memory | start | received after {away} days");
    for (cell, Outcome { lived, weights }) in outcomes {
        let (store, memory, received) = (megabytes(lived.store), megabytes(lived.memory), megabytes(lived.received));
        println!(
            "{cell:4} | {store:.1} MB | {memory:.1} MB | {:.2} s | {received:.2} MB",
            weights[0].spent.as_secs_f64()
        );
    }
    if let Some((cell, outcome)) = outcomes.first() {
        println!("\ncell {cell} by kind | records | bytes of records | memory when opened | time to open");
        kinds_of(outcome).for_each(|line| println!("{line}"));
    }
    let worst = |figure: fn(&Outcome) -> u64| outcomes.iter().map(|(_, outcome)| figure(outcome)).max().unwrap_or(0);
    let start = outcomes.iter().map(|(_, outcome)| outcome.weights[0].spent).max().unwrap_or_default();
    println!("\nwhat, worst of all | measured | promise");
    let bytes = |what, measured: u64, promise: u64| {
        judge(
            what,
            format!("{:.2} MB", megabytes(measured)),
            format!("{:.2} MB", megabytes(promise)),
            measured <= promise,
        )
    };
    let kept = [
        bytes("the store", worst(|o| o.lived.store), STORE),
        bytes("memory at the end", worst(|o| o.lived.memory), MEMORY),
        bytes("memory after a start", worst(|o| o.weights[0].memory), MEMORY),
        bytes("received after the absence", worst(|o| o.lived.received), RECEIVED),
        judge("the start", format!("{:.2} s", start.as_secs_f64()), format!("{} s", START.as_secs()), start <= START),
    ];
    let missed = kept.iter().filter(|kept| !**kept).count();
    println!("\nyear: {} of {} figures as promised", kept.len() - missed, kept.len());
    ExitCode::from(u8::from(missed > 0))
}

fn judge(what: &str, measured: String, promise: String, kept: bool) -> bool {
    println!("{what} | {measured} | ≤ {promise}{}", if kept { "" } else { " MISSED" });
    kept
}

/// A line for each kind: its records, and by how much more a process grows and takes that opens them too.
fn kinds_of(outcome: &Outcome) -> impl Iterator<Item = String> {
    let [whole, objects, authority, node] = outcome.weights[..] else { unreachable!("four weights are taken") };
    let none = Weight { spent: Duration::ZERO, memory: 0 };
    let steps = [(none, objects), (objects, authority), (authority, node), (node, whole)];
    KINDS.into_iter().zip(steps).map(|((letter, name), (before, after))| {
        let (count, bytes) = outcome.lived.kinds.get(&letter).copied().unwrap_or_default();
        let memory = after.memory.saturating_sub(before.memory) as f64 / 1e6;
        let spent = after.spent.saturating_sub(before.spent).as_secs_f64();
        format!("{name} | {count} | {:.2} MB | {memory:.2} MB | {spent:.2} s", bytes as f64 / 1e6)
    })
}
