//! Members that meet end up with the same view, whatever the network does.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use proptest::prelude::*;
use sedge_fleet::{CloseReason, Effect, Event};
use sedge_statement::DocKind;
use support::{Fate, Net, Node, START, artifact, id, slot};

#[test]
fn two_members_that_meet_hold_the_same_view() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.write(1, DocKind::Node, &[slot("detector", 1)]);
    net.write(2, DocKind::Node, &[artifact(1), artifact(2)]);
    net.connect(1, 2);
    net.settle();
    net.assert_agreed();
    assert_eq!(net.node(1).view().holders.len(), 2);
    assert_eq!(net.node(2).view().slots.len(), 1);
}

#[test]
fn a_new_link_reaches_everybody_at_once_over_a_line_of_nodes() {
    let mut net = Net::new((1..=5).map(Node::member));
    for n in 1..5 {
        net.connect(n, n + 1);
    }
    net.settle();
    net.run(12);
    net.assert_agreed();
    net.write(1, DocKind::Node, &[slot("detector", 5)]);
    net.settle();
    net.assert_agreed();
    assert_eq!(net.node(5).view().slots.len(), 1);
}

#[test]
fn a_node_without_certificate_is_closed_out() {
    let mut net = Net::new([Node::member(1), Node::stranger(2)]);
    net.connect(1, 2);
    net.settle();
    assert_eq!(net.closed, [(1, 2, CloseReason::NotAMember)]);
}

#[test]
fn a_newcomer_is_believed_by_the_path_in_its_hello() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    assert!(!net.node(1).fleet.admit(id(2), START));
    net.connect(1, 2);
    net.settle();
    assert!(net.node(1).fleet.admit(id(2), START));
    assert!(net.closed.is_empty());
}

#[test]
fn a_restart_from_the_store_gives_the_same_view() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    for n in 0..20 {
        net.write(1, DocKind::Node, &[artifact(n)]);
    }
    net.connect(1, 2);
    net.settle();
    net.assert_agreed();
    net.disconnect(1, 2);
    net.node(2).restart();
    net.assert_agreed();
    net.node(1).restart();
    net.assert_agreed();
    net.write(1, DocKind::Node, &[slot("detector", 9)]);
    net.connect(1, 2);
    net.settle();
    net.assert_agreed();
}

#[test]
fn a_full_epoch_rolls_over_and_the_old_one_is_dropped_everywhere() {
    let mut net = Net::new([Node::member(1), Node::member(2), Node::member(3)]);
    net.connect(1, 2);
    net.settle();
    for n in 0..300 {
        net.write(1, DocKind::Node, &[artifact(n)]);
    }
    net.settle();
    net.assert_agreed_but(3);
    assert_eq!(net.node(2).view().holders.len(), 300);
    net.connect(2, 3);
    net.settle();
    net.run(12);
    net.assert_agreed();
    let links = net.node(2).store.keys().filter(|key| key[0] == b'l').count();
    assert!(links < 100, "{links} links are stored");
    for n in [1, 2, 3] {
        net.node(n).restart();
    }
    net.assert_agreed();
}

#[test]
fn an_unchanged_edit_writes_nothing() {
    let mut node = Node::member(1);
    assert!(!node.write(DocKind::Node, START, &[slot("detector", 1)]).is_empty());
    assert!(node.write(DocKind::Node, START, &[slot("detector", 1)]).is_empty());
}

#[test]
fn links_are_persisted_before_they_are_sent() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.connect(1, 2);
    net.settle();
    let effects = net.node(1).write(DocKind::Node, START, &[artifact(1)]);
    assert!(matches!(effects[0], Effect::Persist(_)));
    assert!(effects.iter().any(|e| matches!(e, Effect::Send { .. })));
    assert!(effects.contains(&Effect::Changed));
}

#[test]
fn quiet_members_say_only_digests() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.write(1, DocKind::Node, &[artifact(1)]);
    net.connect(1, 2);
    net.run(5);
    net.bytes = 0;
    net.run(60);
    // Of two scopes, the mesh's and the cell's.
    assert!(net.bytes < 2 * 20 * 40, "{} bytes in a quiet minute", net.bytes);
}

#[test]
fn frames_before_any_connection_are_ignored() {
    let mut node = Node::member(1);
    assert!(node.handle(Event::Received { peer: id(2), frame: vec![1, 2, 3] }, START).is_empty());
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Deliver), 2 => Just(Fate::Lose), 1 => Just(Fate::Repeat), 2 => Just(Fate::Delay)]
}

#[derive(Debug, Clone)]
enum Step {
    Write(u8, u64),
    Frame(Fate),
    Tick,
    Restart(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..=4u8, 0..20u64).prop_map(|(n, what)| Step::Write(n, what)),
        12 => fate().prop_map(Step::Frame),
        2 => Just(Step::Tick),
        1 => (1..=4u8).prop_map(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_edits_and_deliveries_converge(steps in proptest::collection::vec(step(), 0..120)) {
        let mut net = Net::new((1..=4).map(Node::member));
        for (a, b) in [(1, 2), (2, 3), (3, 4), (4, 1)] {
            net.connect(a, b);
        }
        for step in steps {
            match step {
                Step::Write(n, what) if what % 3 == 0 => net.write(n, DocKind::Node, &[slot("detector", what)]),
                Step::Write(n, what) => net.write(n, DocKind::Node, &[artifact(what)]),
                Step::Frame(fate) => { net.step(fate); }
                Step::Tick => net.tick(),
                Step::Restart(n) => {
                    for other in (1..=4).filter(|other| *other != n) {
                        net.disconnect(n, other);
                    }
                    net.node(n).restart();
                    for other in [n % 4 + 1, (n + 2) % 4 + 1] {
                        net.connect(n, other);
                    }
                }
            }
        }
        net.run(30);
        net.assert_agreed();
        prop_assert!(net.closed.is_empty());
        for n in 1..=4 {
            prop_assert!(net.node(n).view().findings.is_empty(), "{:?}", net.node(n).view().findings);
        }
    }
}

#[test]
fn what_a_healed_partition_brings_crosses_the_other_side_within_seconds() {
    let mut net = Net::new((1..=6).map(Node::member));
    for (a, b) in [(1, 2), (2, 3), (4, 5), (5, 6)] {
        net.connect(a, b);
    }
    for n in 1..=6 {
        net.write(n, DocKind::Node, &[artifact(u64::from(n))]);
    }
    net.run(10);
    net.connect(3, 4);
    net.settle();
    net.run(4);
    net.assert_agreed();
}

#[test]
fn a_loss_of_every_first_hello_is_made_good_by_ticks() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.write(1, DocKind::Node, &[artifact(1)]);
    net.connect(1, 2);
    while net.step(Fate::Lose) {}
    net.run(20);
    net.assert_agreed();
}
