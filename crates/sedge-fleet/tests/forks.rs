//! Two signed histories of one document: proven by whoever meets both, in either order, and never held against who carried them.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{Forge, Op, hash, head, hello_frame, links_frame};
use sedge_fleet::{Effect, Event, FindingKind, WriteError};
use sedge_statement::{ChangeHash, DocId, DocKind, Role};
use support::{Net, Node, START, artifact, certificate, doc_id, id, key, mesh, slot};

fn doc() -> DocId {
    doc_id(id(9), DocKind::Node, 0)
}

fn link(previous: Option<(u64, ChangeHash)>, start: u64, name: &str, text: &str) -> Vec<u8> {
    Forge::new(&doc(), previous, start, &[Op::put(name, text)]).bytes()
}

/// A common first link and two second ones.
fn branches() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let first = link(None, 1, "x", "1");
    let previous = Some((1, hash(&first)));
    (first, link(previous, 2, "y", "left"), link(previous, 2, "y", "right"))
}

fn listener(n: u8) -> Node {
    let mut node = Node::member(n);
    for peer in [8, 9] {
        node.handle(Event::Connected { peer: id(peer) }, START);
        let path = [certificate(peer, &[Role::Device])];
        node.handle(Event::Received { peer: id(peer), frame: hello_frame(mesh(), &path) }, START);
    }
    node
}

/// Node `from` carries links of node 9's document.
fn carry(node: &mut Node, from: u8, first_seq: u64, links: Vec<Vec<u8>>) -> Vec<Effect> {
    let seq = first_seq + links.len() as u64 - 1;
    let head = head(&key(9), mesh(), &doc(), seq, links.last().unwrap());
    node.handle(Event::Received { peer: id(from), frame: links_frame(head, first_seq, links) }, START)
}

fn evidence(node: &Node) -> Vec<Vec<u8>> {
    node.store.iter().filter(|(key, _)| key[0] == b'f').map(|(_, value)| value.clone()).collect()
}

fn links_of(node: &Node) -> usize {
    node.store.keys().filter(|key| key[0] == b'l').count()
}

#[test]
fn equivocation_cloned_node_gives_the_same_evidence_in_either_order() {
    let (first, left, right) = branches();
    let mut one = listener(1);
    carry(&mut one, 8, 1, vec![first.clone()]);
    carry(&mut one, 8, 2, vec![left.clone()]);
    carry(&mut one, 9, 2, vec![right.clone()]);
    let mut other = listener(2);
    carry(&mut other, 9, 1, vec![first.clone()]);
    carry(&mut other, 9, 2, vec![right]);
    carry(&mut other, 8, 2, vec![left]);
    assert_eq!(evidence(&one).len(), 1);
    assert_eq!(evidence(&one), evidence(&other));
    for node in [&mut one, &mut other] {
        assert_eq!(links_of(node), 1, "only what stands before the divergence counts");
        let view = node.view();
        assert_eq!(view.findings.len(), 1, "{:?}", view.findings);
        let found = &view.findings[0];
        assert_eq!((found.kind, found.about, found.doc.as_ref()), (FindingKind::Fork, id(9), Some(&doc())));
    }
}

#[test]
fn a_fork_is_announced_to_all_and_believed_by_those_who_never_met_it() {
    let (first, left, right) = branches();
    let mut one = listener(1);
    carry(&mut one, 8, 1, vec![first]);
    carry(&mut one, 8, 2, vec![left]);
    let effects = carry(&mut one, 9, 2, vec![right]);
    let announced: Vec<_> = effects.iter().filter(|e| matches!(e, Effect::Send { .. })).collect();
    assert_eq!(announced.len(), 2, "to both peers");
    let Effect::Send { frame, .. } = announced[0] else { panic!() };
    let mut other = listener(2);
    other.handle(Event::Received { peer: id(8), frame: frame.clone() }, START);
    assert_eq!(evidence(&one), evidence(&other));
    assert!(other.view().findings.iter().all(|f| f.about == id(9)));
}

#[test]
fn links_beyond_a_divergence_are_never_applied_again() {
    let (first, left, right) = branches();
    let mut node = listener(1);
    carry(&mut node, 8, 1, vec![first]);
    carry(&mut node, 8, 2, vec![left.clone()]);
    carry(&mut node, 9, 2, vec![right]);
    let before = (node.store.clone(), node.digest(START));
    let third = link(Some((2, hash(&left))), 3, "z", "1");
    carry(&mut node, 8, 2, vec![left, third]);
    assert_eq!((node.store.clone(), node.digest(START)), before);
    node.restart();
    assert_eq!(node.digest(START), before.1);
}

#[test]
fn a_lower_divergence_found_later_cuts_lower() {
    let (first, left, right) = branches();
    let mut node = listener(1);
    carry(&mut node, 8, 1, vec![first]);
    carry(&mut node, 8, 2, vec![left]);
    carry(&mut node, 9, 2, vec![right]);
    let other = link(None, 1, "x", "2");
    carry(&mut node, 9, 1, vec![other]);
    assert_eq!(links_of(&node), 0);
    assert_eq!(evidence(&node).len(), 1, "the lower evidence replaces the higher");
    node.restart();
    assert_eq!(links_of(&node), 0);
}

#[test]
fn a_link_before_which_all_is_unknown_is_fetched_down_to_the_divergence() {
    let (first, left, right) = branches();
    let mut node = listener(1);
    carry(&mut node, 8, 1, vec![first.clone()]);
    carry(&mut node, 8, 2, vec![left]);
    let third = link(Some((2, hash(&right))), 3, "z", "1");
    let effects = carry(&mut node, 9, 3, vec![third.clone()]);
    let want = sedge_fleet::testing::want_frame(doc(), 1);
    assert!(effects.contains(&Effect::Send { peer: id(9), frame: want }), "{effects:?}");
    assert!(evidence(&node).is_empty());
    carry(&mut node, 9, 1, vec![first, right, third]);
    assert_eq!(evidence(&node).len(), 1);
    assert_eq!(links_of(&node), 1);
}

#[test]
fn nodes_on_two_sides_of_a_fork_agree_after_they_meet() {
    let (first, left, right) = branches();
    let mut net = Net::new([listener(1), listener(2), Node::member(3)]);
    carry(net.node(1), 8, 1, vec![first.clone()]);
    carry(net.node(1), 8, 2, vec![left]);
    carry(net.node(2), 8, 1, vec![first]);
    carry(net.node(2), 8, 2, vec![right]);
    net.connect(1, 3);
    net.connect(3, 2);
    net.run(30);
    net.assert_agreed();
    for n in [1, 2, 3] {
        assert_eq!(evidence(net.node(n)).len(), 1, "node {n}");
        // One more link may stay where only its head proves the one that counts.
        assert!(links_of(net.node(n)) <= 2, "node {n}");
    }
    assert!(net.closed.is_empty());
}

#[test]
fn a_restored_backup_heals_once_by_a_new_epoch() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.connect(1, 2);
    net.settle();
    net.write(1, DocKind::Node, &[artifact(1)]);
    net.settle();
    let backup = net.node(1).store.clone();
    net.write(1, DocKind::Node, &[artifact(2)]);
    net.settle();
    net.disconnect(1, 2);
    net.node(1).store = backup;
    net.node(1).restart();
    net.write(1, DocKind::Node, &[artifact(3)]);
    net.connect(1, 2);
    net.run(15);
    net.assert_agreed();
    let view = net.node(2).view();
    assert!(view.findings.iter().any(|f| f.kind == FindingKind::Fork && f.about == id(1)));
    assert_eq!(view.holders.len(), 1, "only what stands before the divergence counts");
    net.write(1, DocKind::Node, &[slot("detector", 4)]);
    net.settle();
    net.assert_agreed();
    let view = net.node(2).view();
    assert_eq!((view.holders.len(), view.slots.len()), (1, 1), "the new epoch carries the state and the edit");
    // A second fork, now of the epoch that healed the first, is not healed again.
    let backup = net.node(1).store.clone();
    net.write(1, DocKind::Node, &[artifact(5)]);
    net.settle();
    net.disconnect(1, 2);
    net.node(1).store = backup;
    net.node(1).restart();
    net.write(1, DocKind::Node, &[artifact(6)]);
    net.connect(1, 2);
    net.run(15);
    net.assert_agreed();
    let refused = net.node(1).fleet.write(&key(1), DocKind::Node, START, &[artifact(7)]);
    assert!(matches!(refused, Err(WriteError::Forked)));
}

#[test]
fn a_fork_of_what_others_rely_on_is_not_healed_by_a_new_epoch() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.connect(1, 2);
    net.settle();
    let backup = net.node(1).store.clone();
    net.write(1, DocKind::Gate, &[support::gate(1)]);
    net.settle();
    net.disconnect(1, 2);
    net.node(1).store = backup;
    net.node(1).restart();
    net.write(1, DocKind::Gate, &[support::gate(2)]);
    net.connect(1, 2);
    net.run(15);
    net.assert_agreed();
    let refused = net.node(1).fleet.write(&key(1), DocKind::Gate, START, &[support::gate(3)]);
    assert!(matches!(refused, Err(WriteError::Forked)));
}

#[test]
fn forged_evidence_is_dropped_and_counted_against_the_sender() {
    let (first, left, right) = branches();
    let mut node = listener(1);
    carry(&mut node, 8, 1, vec![first]);
    carry(&mut node, 8, 2, vec![left]);
    carry(&mut node, 9, 2, vec![right]);
    let genuine = evidence(&node).remove(0);
    for at in [0, 1, 40, 80, genuine.len() / 2, genuine.len() - 1] {
        let mut forged = genuine.clone();
        forged[at] ^= 1;
        let mut other = listener(2);
        let frame = sedge_fleet::testing::evidence_frame(forged);
        other.handle(Event::Received { peer: id(8), frame }, START);
        assert!(evidence(&other).is_empty(), "byte {at}");
        assert!(other.view().findings.iter().all(|f| f.about == id(8)), "byte {at}");
        assert_eq!(other.view().findings.len(), 1, "byte {at}");
    }
}
