//! The table of peers, without any I/O.

use std::collections::BTreeSet;
use std::time::Duration;

use super::places::Source;
use super::table::{HEARING, HINT_EVERY, MAX_CANDIDATES, NEIGHBOURS};
use super::*;
use crate::herald::PULSE;
use crate::whereabouts::{MAX_NODES, Sighted};

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn wall() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// A table of node 0 in a mesh of these members, all in the root cell.
fn among(members: impl IntoIterator<Item = u8>) -> Peers {
    let mut table = Peers::new(node(0), NEIGHBOURS, PULSE, Instant::now());
    table.set_roster(members.into_iter().map(|n| (node(n), CellPath::root())).collect());
    table
}

fn peers() -> Peers {
    among(0..=50)
}

fn at(n: u8, port: u16) -> PeerAddr {
    PeerAddr { id: Some(node(n)), addr: addr(port) }
}

fn seen(n: u8, port: u16) -> Sighting {
    Sighting { node: node(n), addr: addr(port), seen: wall(), proven: true }
}

fn saying(n: u8, ports: impl IntoIterator<Item = u16>) -> Whereabouts {
    Whereabouts(vec![Sighted { node: node(n), at: ports.into_iter().map(|port| (addr(port), 0)).collect() }])
}

fn dialled(errands: &[Errand]) -> Vec<NodeId> {
    errands.iter().filter_map(|e| if let Errand::Dial(id, _) = e { Some(*id) } else { None }).collect()
}

#[test]
fn known_members_are_dialled_until_there_are_enough_neighbours_and_configured_ones_always() {
    let now = Instant::now();
    let mut table = peers();
    for n in 1..=20 {
        match n > 18 {
            true => table.add(at(n, 1), now, wall()),
            false => table.recall(seen(n, 1), now, wall()),
        }
    }
    assert_eq!(dialled(&table.due(now)).len(), NEIGHBOURS + 2);
    assert!(dialled(&table.due(now)).is_empty(), "all of them are under way");
}

#[test]
fn strangers_are_not_dialled_unless_configured() {
    let now = Instant::now();
    let mut table = among([0, 7]);
    table.recall(seen(1, 1), now, wall());
    table.add(at(2, 2), now, wall());
    assert_eq!(dialled(&table.due(now)), [node(2)]);
}

#[test]
fn nothing_is_due_while_paused() {
    let now = Instant::now();
    let mut table = peers();
    table.add(at(1, 1), now, wall());
    table.paused = true;
    assert!(table.due(now).is_empty());
    assert_eq!(table.next_due(now), None);
}

#[test]
fn what_is_due_and_left_alone_wakes_nobody() {
    let mut now = Instant::now();
    let mut table = peers();
    (1..=20).for_each(|n| table.recall(seen(n, 1), now, wall()));
    table.recall(seen(99, 1), now, wall());
    for id in dialled(&table.due(now)) {
        table.entry(id, now).link = Link::Connected;
    }
    assert_eq!(table.next_due(now), None, "there are neighbours enough, and one is no member");
    table.add(PeerAddr { id: None, addr: addr(9) }, now, wall());
    assert_eq!(table.due(now).len(), 1);
    table.settle(addr(9), Some(node(1)), now, wall());
    assert!(table.next_due(now).is_some_and(|at| at > now));
    now += Duration::from_secs(60);
    assert!(table.due(now).is_empty(), "it is known who is there");
    assert_eq!(table.next_due(now), None);
    table.dial_ended(node(1), now);
    table.disconnected(node(1), Spell::Good, now);
    assert!(table.next_due(now).is_some_and(|at| at > now), "a lost neighbour is dialled again in its time");
}

#[test]
fn every_member_is_tried_at_a_bare_address_a_few_at_a_time() {
    let mut now = Instant::now();
    let mut table = peers();
    table.add(PeerAddr { id: None, addr: addr(9) }, now, wall());
    let mut tried = BTreeSet::new();
    for _ in 0..4 {
        let errands = table.due(now);
        let [Errand::Identify(at, candidates)] = errands.as_slice() else { panic!("{errands:?}") };
        assert_eq!((*at, candidates.len()), (addr(9), MAX_CANDIDATES));
        tried.extend(candidates.iter().copied());
        assert!(table.due(now).is_empty(), "one round at a time");
        table.settle(addr(9), None, now, wall());
        now += Duration::from_secs(60);
    }
    assert_eq!(tried.len(), 50);
    assert!(!tried.contains(&node(0)), "never itself");
    table.settle(addr(9), Some(node(7)), now, wall());
    assert_eq!(dialled(&table.due(now)), [node(7)]);
}

#[test]
fn a_node_writes_once_a_neighbour_was_heard_or_none_is_reached() {
    let now = Instant::now();
    let deadline = now + SETTLE_DEADLINE;
    let mut table = peers();
    assert_eq!(table.settles_at(deadline, now), None, "nobody to wait for");
    table.add(at(1, 1), now, wall());
    assert_eq!(table.settles_at(deadline, now), Some(deadline));
    table.entry(node(1), now).retry.failed(now);
    assert_eq!(table.settles_at(deadline, now), None, "nobody is reached");
    let peer = table.entry(node(1), now);
    (peer.link, peer.since) = (Link::Connected, now);
    assert_eq!(table.settles_at(deadline, now), Some(now + HEARING));
    assert_eq!(table.settles_at(deadline, now + HEARING), None);
    table.entry(node(1), now).since = deadline;
    assert_eq!(table.settles_at(deadline, deadline), None, "never longer than this");
}

#[test]
fn whoever_is_never_dialled_is_not_waited_for() {
    let now = Instant::now();
    let deadline = now + SETTLE_DEADLINE;
    let alone = || [(node(0), CellPath::root())].into_iter().collect();
    let mut table = among([0, 1]);
    table.recall(seen(2, 1), now, wall());
    assert_eq!(table.settles_at(deadline, now), None, "no member");
    table.set_roster(alone());
    assert_eq!(table.settles_at(deadline, now), Some(deadline), "a newcomer dials it");
    let mut table = among([0, 1]);
    table.add(PeerAddr { id: None, addr: addr(9) }, now, wall());
    assert_eq!(table.settles_at(deadline, now), Some(deadline));
    table.set_roster(alone());
    assert_eq!(table.settles_at(deadline, now), None, "nobody can be there");
}

#[test]
fn a_node_waits_for_answers_of_the_local_network_before_it_writes() {
    let now = Instant::now();
    let mut table = peers();
    table.listening_until = Some(now + LISTENING);
    assert_eq!(table.settles_at(now + SETTLE_DEADLINE, now), Some(now + LISTENING));
    assert_eq!(table.settles_at(now + SETTLE_DEADLINE, now + LISTENING), None);
    table.paused = true;
    assert_eq!(table.settles_at(now + SETTLE_DEADLINE, now), None, "a silent node hears nobody");
}

#[test]
fn what_neighbours_say_is_believed_of_members_only_and_never_of_this_node() {
    let now = Instant::now();
    let mut table = peers();
    let mut all = saying(0, [1]);
    all.0.extend(saying(2, [2]).0);
    all.0.extend(saying(3, [3]).0);
    assert!(table.told(node(2), Some(addr(1)), &all, |n| n != node(3), now, wall()));
    assert_eq!(table.peers.keys().copied().collect::<Vec<_>>(), [node(2)]);
    assert!(!table.told(node(2), Some(addr(1)), &all, |n| n != node(3), now, wall()), "nothing new");
}

#[test]
fn rumours_are_tried_and_neither_news_nor_told_on() {
    let now = Instant::now();
    let mut table = peers();
    table.nearby(node(1), &[addr(1)], now, wall());
    assert!(!table.told(node(9), Some(addr(9)), &saying(2, [2]), |_| true, now, wall()));
    table.recall(Sighting { proven: false, ..seen(3, 3) }, now, wall());
    assert!(table.whereabouts(node(7), |_| true, wall()).0.is_empty());
    assert_eq!(dialled(&table.due(now)).len(), 3);
    assert!(table.told(node(2), Some(addr(2)), &saying(2, [2]), |_| true, now, wall()), "it says so itself");
    let told = table.whereabouts(node(7), |_| true, wall());
    assert_eq!(told, Whereabouts(vec![Sighted { node: node(2), at: vec![(addr(2), 1)] }]));
}

#[test]
fn a_flood_of_hints_brings_one_dial_forward_and_not_each() {
    let mut now = Instant::now();
    let mut table = peers();
    let mut dials = 0;
    // Ten seconds of a liar that names new places a hundred times a second.
    for step in 0..1000u16 {
        table.told(node(9), None, &saying(1, [1 + step]), |_| true, now, wall());
        for id in dialled(&table.due(now)) {
            dials += 1;
            table.dial_ended(id, now);
        }
        now += Duration::from_millis(10);
    }
    // Backoff alone would try about as often: what the flood adds is bounded by how often a hint may hasten a dial.
    let hastened = Duration::from_secs(10).as_secs() / HINT_EVERY.as_secs();
    assert!(dials <= 10 + hastened, "{dials} dials");
    assert!(table.peers[&node(1)].places.all().count() <= 8);
}

#[test]
fn a_neighbour_is_told_of_others_but_not_of_itself_and_within_limits() {
    let now = Instant::now();
    let mut table = peers();
    for n in 1..=200 {
        for port in 1..=4 {
            table.recall(seen(n, port), now, wall());
        }
    }
    let told = table.whereabouts(node(1), |n| n != node(2), wall());
    assert_eq!(told.0.len(), MAX_NODES - 1);
    assert!(told.0.iter().all(|sighted| ![node(1), node(2)].contains(&sighted.node)));
    assert!(Whereabouts::decode(&told.encode()).is_ok());
}

#[test]
fn a_newcomer_is_told_where_neighbours_were_reached_and_no_rumour() {
    let now = Instant::now();
    let mut table = peers();
    table.recall(seen(1, 1), now, wall());
    table.told(node(9), None, &saying(1, [2]), |_| true, now, wall());
    table.told(node(9), None, &saying(2, [3]), |_| true, now, wall());
    table.recall(seen(4, 4), now, wall());
    for n in [1, 2] {
        table.entry(node(n), now).link = Link::Connected;
    }
    assert!(table.peers[&node(1)].places.all().any(|at| at == addr(2)), "it is tried here");
    assert_eq!(table.neighbours_places(), [(node(1), vec![addr(1)])]);
}

#[test]
fn members_without_an_address_are_dialled_where_there_is_a_relay() {
    let now = Instant::now();
    let mut table = peers();
    assert!(dialled(&table.due(now)).is_empty());
    table.relayed = true;
    assert_eq!(dialled(&table.due(now)).len(), NEIGHBOURS);
}

#[test]
fn what_was_seen_is_told_with_its_age_and_kept_with_its_date() {
    let now = Instant::now();
    let mut table = peers();
    let earlier = Timestamp::from_millis(wall().as_millis() - 90_000);
    table.recall(Sighting { seen: earlier, ..seen(1, 1) }, now, wall());
    assert_eq!(table.whereabouts(node(2), |_| true, wall()).0[0].at, [(addr(1), 91)]);
    assert_eq!(table.sightings(wall()), [Sighting { seen: earlier, ..seen(1, 1) }]);
    table.entry(node(1), now).places.add(addr(2), Source::Multicast, wall());
    let hint = Sighting { proven: false, ..seen(1, 2) };
    assert_eq!(table.sightings(wall())[1], hint);
}

#[test]
fn a_newcomer_that_knows_no_member_dials_whoever_let_it_in_and_nobody_it_only_heard_of() {
    let now = Instant::now();
    let mut table = among([0]);
    table.recall(seen(1, 1), now, wall());
    table.recall(Sighting { proven: false, ..seen(2, 2) }, now, wall());
    assert_eq!(dialled(&table.due(now)), [node(1)]);
}

#[test]
fn a_date_of_a_clock_that_was_ahead_is_no_later_than_now() {
    let now = Instant::now();
    let mut table = peers();
    table.recall(Sighting { seen: wall().plus(HINT_EVERY), ..seen(1, 1) }, now, wall());
    assert_eq!(table.sightings(wall()), [seen(1, 1)]);
}
