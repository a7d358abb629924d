//! What goes wrong when, and who writes when.

use std::collections::BTreeSet;
use std::time::Duration;

use sedge_statement::Object;

use crate::{Dice, Seat, WireId};

/// Something that does not follow from anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// A node writes what its pen thinks of.
    Write(Seat),
    /// A node writes again and again, without a pause.
    Burst { seat: Seat, writes: u32 },
    /// A node dies once it has carried out so many effects more.
    Crash { seat: Seat, effects: u32, down: Duration },
    /// A connection breaks.
    Break(WireId),
    /// All connections of a node break.
    CutOff(Seat),
    /// The network falls into these seats and all others.
    Part(BTreeSet<Seat>),
    /// The network is whole again.
    Mend,
    /// A node asks the root for its certificate.
    Join(Seat),
    /// Whoever may certifies a node in another cell.
    Move { seat: Seat, to: usize },
    /// Whoever may takes a node's word back.
    Revoke(Seat),
    /// A root signs the version of the roots without the last one.
    Rotate(Seat),
    /// A node publishes what it has signed.
    Publish { seat: Seat, object: Object },
}

/// What a schedule is made for.
#[derive(Debug, Clone)]
pub(crate) struct Cast<'a> {
    /// Everybody, whether or not it has joined.
    pub(crate) seats: &'a [Seat],
    /// Who joins while it storms.
    pub(crate) late: &'a [Seat],
    /// Every wire.
    pub(crate) wires: &'a [WireId],
    /// How long it storms.
    pub(crate) length: Duration,
    /// How many times somebody writes.
    pub(crate) writes: usize,
}

/// A random schedule: what happens how long after the start.
pub(crate) fn schedule(cast: &Cast<'_>, dice: &mut Dice) -> Vec<(Duration, Act)> {
    let mut acts = Vec::new();
    let moment = |dice: &mut Dice| dice.between(Duration::ZERO, cast.length);
    for _ in 0..cast.writes {
        // Authorities speak oftener than their number.
        let authorities = cast.seats.iter().copied().filter(|seat| seat.is_authority()).collect::<Vec<_>>();
        let from = if dice.chance(400) { &authorities[..] } else { cast.seats };
        acts.push((moment(dice), Act::Write(*dice.pick(from))));
    }
    for _ in 0..dice.below(3) {
        let writes = u32::try_from(2 + dice.below(12)).unwrap_or(2);
        acts.push((moment(dice), Act::Burst { seat: *dice.pick(cast.seats), writes }));
    }
    for _ in 0..dice.below(cast.seats.len()) {
        let effects = u32::try_from(dice.below(12)).unwrap_or(0);
        let down = dice.between(Duration::from_millis(200), Duration::from_secs(20));
        acts.push((moment(dice), Act::Crash { seat: *dice.pick(cast.seats), effects, down }));
    }
    for _ in 0..dice.below(2 * cast.seats.len()) {
        acts.push((moment(dice), Act::Break(*dice.pick(cast.wires))));
    }
    for _ in 0..dice.below(4) {
        let part: BTreeSet<Seat> = cast.seats.iter().copied().filter(|_| dice.chance(400)).collect();
        acts.push((moment(dice), Act::Part(part)));
        if dice.chance(500) {
            acts.push((moment(dice), Act::Mend));
        }
    }
    for seat in cast.late {
        acts.push((moment(dice), Act::Join(*seat)));
    }
    acts
}
