//! Whom a node dials that has neighbours enough.

use std::net::SocketAddr;

use sedge_statement::{CellPath, Gauges};

use super::*;
use crate::peers::Sighting;
use crate::presence::{Age, Brief};

const PULSE: Duration = Duration::from_secs(10);
const WANTED: usize = 4;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn wall() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// Node 0 in a mesh of 21: connected with the first four of those that it knows the places of.
fn content(now: Instant) -> Peers {
    let mut table = Peers::new(node(0), WANTED, PULSE, now);
    table.set_roster((0..=20).map(|n| (node(n), CellPath::root())).collect());
    for n in 1..=20 {
        let addr = SocketAddr::from(([10, 0, 0, n], 1));
        table.recall(Sighting { node: node(n), addr, seen: wall(), proven: true }, now, wall());
    }
    for n in 1..=4 {
        table.entry(node(n), now).link = Link::Connected;
    }
    table
}

/// Node 1 says that it hears of all up to this one.
fn hears(table: &mut Peers, last: u8, now: Instant) {
    let heard = (5..=last).map(|n| (Brief::node(node(n)), Age::of(Duration::ZERO))).collect();
    let (holds, linked) = (Vec::new(), Vec::new());
    let message = Presence { counter: 1, uptime: 1, gauges: Gauges::default(), verified: wall(), holds, linked, heard };
    table.present(node(1), message, now, wall());
}

/// Lets time pass by the second; every dial fails at once. Says who was dialled how often.
fn dialled(table: &mut Peers, from: Instant, pulses: u32, each: impl Fn(&mut Peers, Instant)) -> Vec<NodeId> {
    let mut dialled = Vec::new();
    for second in 0..pulses * 10 {
        let now = from + Duration::from_secs(second.into());
        each(table, now);
        for errand in table.due(now) {
            let Errand::Dial(id, _) = errand else { continue };
            dialled.push(id);
            table.dial_ended(id, now);
        }
    }
    dialled
}

#[test]
fn a_content_node_dials_members_of_whom_nobody_hears_for_ever_and_slowly() {
    let now = Instant::now();
    let mut table = content(now);
    assert!(dialled(&mut table, now, FRESH_IN_TEST, |_, _| {}).is_empty(), "not before it can know who is lost");
    let from = now + PULSE * FRESH_IN_TEST;
    let lost = dialled(&mut table, from, 120, |table, now| hears(table, 10, now));
    let counted: Vec<usize> = (11..=20).map(|n| lost.iter().filter(|id| **id == node(n)).count()).collect();
    assert!(counted.iter().all(|count| *count >= 5), "each in its turn: {counted:?}");
    let most = 120 / usize::try_from(PROBE_EVERY).expect("small") * 2 * (PROBES + 1);
    assert!(lost.len() <= most, "{} dials", lost.len());
    let doubted = lost.iter().filter(|id| (5..=10).any(|n| **id == node(n))).count();
    assert!(doubted > 0 && doubted * 8 < lost.len(), "{doubted} of {}", lost.len());
}

/// Presence counts for so many messages' time.
const FRESH_IN_TEST: u32 = 12;

#[test]
fn nobody_is_probed_by_a_node_that_looks_for_no_neighbours_or_has_none() {
    let now = Instant::now();
    let mut table = content(now);
    table.wanted = 0;
    assert!(dialled(&mut table, now, 60, |_, _| {}).is_empty());
    let mut table = content(now);
    (1..=4).for_each(|n| table.entry(node(n), now).link = Link::Apart);
    assert!(table.due_probes(now + PULSE * 100).is_empty(), "all of them are dialled anyway");
}

#[test]
fn whoever_was_let_go_is_let_be_unless_it_is_lost_or_nobody_else_is_there() {
    let now = Instant::now();
    let mut table = content(now);
    table.disconnected(node(1), super::super::Spell::Enough, now);
    let soon = now + Duration::from_secs(30);
    let due = |table: &mut Peers| -> Vec<NodeId> {
        let dial = |errand| if let Errand::Dial(id, _) = errand { Some(id) } else { None };
        let due: Vec<NodeId> = table.due(soon).into_iter().filter_map(dial).collect();
        due.iter().for_each(|id| table.dial_ended(*id, now));
        due
    };
    (5..=20).for_each(|n| drop(table.peers.remove(&node(n))));
    assert!(due(&mut table).is_empty());
    (2..=4).for_each(|n| drop(table.peers.remove(&node(n))));
    assert_eq!(due(&mut table), [node(1)]);
}
