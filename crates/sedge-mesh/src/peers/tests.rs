//! The table of peers, without any I/O.

use std::time::Duration;

use super::*;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn peers() -> Peers {
    Peers { me: node(0), paused: false, peers: BTreeMap::new(), bare: BTreeMap::new() }
}

fn everyone() -> BTreeSet<NodeId> {
    (0..=50).map(node).collect()
}

fn dialled(errands: &[Errand]) -> Vec<NodeId> {
    errands.iter().filter_map(|e| if let Errand::Dial(id, _) = e { Some(*id) } else { None }).collect()
}

#[test]
fn known_members_are_dialled_until_there_are_enough_neighbours_and_configured_ones_always() {
    let now = Instant::now();
    let mut table = peers();
    for n in 1..=20 {
        table.learn(node(n), addr(u16::from(n)), n > 18, now);
    }
    assert_eq!(dialled(&table.due(&everyone(), now)).len(), NEIGHBOURS + 2);
    assert!(dialled(&table.due(&everyone(), now)).is_empty(), "all of them are under way");
}

#[test]
fn strangers_are_not_dialled_unless_configured() {
    let now = Instant::now();
    let mut table = peers();
    table.learn(node(1), addr(1), false, now);
    table.learn(node(2), addr(2), true, now);
    assert_eq!(dialled(&table.due(&BTreeSet::new(), now)), [node(2)]);
}

#[test]
fn nothing_is_due_while_paused() {
    let now = Instant::now();
    let mut table = peers();
    table.learn(node(1), addr(1), true, now);
    table.paused = true;
    assert!(table.due(&everyone(), now).is_empty());
    assert_eq!(table.next_due(), None);
}

#[test]
fn every_member_is_tried_at_a_bare_address_a_few_at_a_time() {
    let mut now = Instant::now();
    let mut table = peers();
    table.bare.insert(addr(9), Bare { found: None, under_way: false, round: 0, retry: Retry::new(now) });
    let mut tried = BTreeSet::new();
    for _ in 0..4 {
        let errands = table.due(&everyone(), now);
        let [Errand::Identify(at, candidates)] = errands.as_slice() else { panic!("{errands:?}") };
        assert_eq!((*at, candidates.len()), (addr(9), MAX_CANDIDATES));
        tried.extend(candidates.iter().copied());
        assert!(table.due(&everyone(), now).is_empty(), "one round at a time");
        table.settle(addr(9), None, now);
        now += Duration::from_secs(60);
    }
    assert_eq!(tried.len(), 50);
    assert!(!tried.contains(&node(0)), "never itself");
    table.settle(addr(9), Some(node(7)), now);
    assert_eq!(dialled(&table.due(&everyone(), now)), [node(7)]);
}

#[test]
fn the_last_address_that_worked_comes_first_and_few_are_kept() {
    let now = Instant::now();
    let mut table = peers();
    for port in 1..=20 {
        table.learn(node(1), addr(port), false, now);
    }
    let known = &table.peers[&node(1)].addresses;
    assert_eq!((known.len(), known[0]), (MAX_ADDRESSES, addr(20)));
}

#[test]
fn a_node_writes_once_a_neighbour_was_heard_or_none_is_reached() {
    let now = Instant::now();
    let deadline = now + SETTLE_DEADLINE;
    let mut table = peers();
    assert_eq!(table.settles_at(deadline, now), None, "nobody to wait for");
    table.learn(node(1), addr(1), true, now);
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
