//! Who gets a seat.

use std::collections::BTreeSet;

use super::*;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn cell(text: &str) -> CellPath {
    text.parse().expect("a cell")
}

/// Node 0 and 1 to 20 in cell `a`, 21 to 40 in cell `b`, 41 and 42 in the root cell.
fn roster() -> Roster {
    let of = |n| match n {
        0..=20 => cell("a"),
        21..=40 => cell("b"),
        _ => CellPath::root(),
    };
    (0..=42).map(|n| (node(n), of(n))).collect()
}

fn candidates(linked: &[u8]) -> Vec<Candidate> {
    (1..=42).map(|n| Candidate { id: node(n), linked: linked.contains(&n) }).collect()
}

/// Whom node 0 dials, of 1 to 42 in this order.
fn taken(linked: &[u8], across: &BTreeSet<CellPath>, order: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let (roster, candidates) = (roster(), candidates(linked));
    let mut seats = Seats::new(&roster, node(0), 8, across, &candidates);
    order.into_iter().filter(|n| !linked.contains(n) && seats.take(&node(*n))).collect()
}

fn near(of: &[u8]) -> usize {
    of.iter().filter(|n| **n <= 20).count()
}

#[test]
fn half_of_the_neighbours_are_near_and_one_at_least_is_outside_whatever_the_order() {
    let none = BTreeSet::new();
    assert_eq!(near(&taken(&[], &none, 1..=42)), 7, "those that come first, but for one seat");
    assert_eq!(near(&taken(&[], &none, (1..=42).rev())), 4);
    for order in [(1..=42).collect::<Vec<_>>(), (1..=42).rev().collect(), (20..=42).chain(1..20).collect()] {
        assert_eq!(taken(&[], &none, order).len(), 8);
    }
}

#[test]
fn whoever_is_connected_takes_a_seat_whoever_dialled() {
    let none = BTreeSet::new();
    assert!(taken(&[1, 2, 3, 4, 21, 22, 23, 24], &none, 1..=42).is_empty());
    assert_eq!(taken(&[1, 2, 3, 4, 5, 6, 7, 8], &none, 1..=42), [21], "somebody outside is always looked for");
    assert_eq!(taken(&[21, 22, 23, 24, 25, 26, 27, 28], &none, 1..=42), [1, 2, 3, 4]);
    assert_eq!(taken(&[21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31], &none, 1..=42), [1], "up to the surplus");
}

#[test]
fn a_cell_that_is_looked_at_gets_two_neighbours_and_no_more() {
    let across = BTreeSet::from([cell("b"), CellPath::root()]);
    let full = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    assert_eq!(taken(&full, &across, 1..=42), [21, 22, 41, 42]);
    let and_one = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 30, 41, 42];
    assert_eq!(taken(&and_one, &across, 1..=42), [21]);
    assert!(taken(&full, &BTreeSet::from([cell("a"), cell("nowhere")]), 1..=20).is_empty());
}

#[test]
fn a_node_that_looks_for_no_neighbours_dials_nobody() {
    let (roster, candidates, across) = (roster(), candidates(&[]), BTreeSet::from([cell("b")]));
    let mut seats = Seats::new(&roster, node(0), 0, &across, &candidates);
    assert!((1..=42).all(|n| !seats.take(&node(n)) && !seats.can_spare(&node(n), SURPLUS)));
}

#[test]
fn nobody_is_spared_who_is_the_last_outside_or_among_the_near_that_are_wanted() {
    let spared = |linked: &[u8], across: &BTreeSet<CellPath>| -> Vec<u8> {
        let (roster, candidates) = (roster(), candidates(linked));
        let seats = Seats::new(&roster, node(0), 8, across, &candidates);
        linked.iter().copied().filter(|n| seats.can_spare(&node(*n), SURPLUS)).collect()
    };
    let none = BTreeSet::new();
    let crowd: Vec<u8> = (1..=12).collect();
    assert!(spared(&crowd, &none).is_empty(), "not more than may be");
    let crowd: Vec<u8> = (1..=12).chain([21]).collect();
    assert_eq!(spared(&crowd, &none), (1..=12).collect::<Vec<_>>(), "but for the one outside");
    let outsiders: Vec<u8> = (1..=4).chain(21..=30).collect();
    assert_eq!(spared(&outsiders, &none), (21..=30).collect::<Vec<_>>());
    let across = BTreeSet::from([CellPath::root()]);
    let crowd: Vec<u8> = (1..=4).chain(21..=30).chain([41, 42]).collect();
    assert_eq!(spared(&crowd, &across), (21..=30).collect::<Vec<_>>(), "nor those that a gateway needs above");
}

#[test]
fn a_newcomer_that_knows_no_certificate_takes_whoever_there_is() {
    let (roster, candidates) = (Roster::default(), candidates(&[]));
    let mut seats = Seats::new(&roster, node(0), 8, [], &candidates);
    assert_eq!((1..=42).filter(|n| seats.take(&node(*n))).count(), 8);
}
