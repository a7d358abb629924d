//! Evidence on rollouts that are long over goes, everywhere alike, and nobody offers it to others for ever.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use sedge_fleet::testing::stored_link;
use sedge_fleet::{Edit, Write};
use sedge_statement::{Deployment, DocId, DocKind, GateReport, RolloutId, SlotState};
use support::story::{at, deployment, release};
use support::{Net, Node, id};

const DAY: u64 = 86_400;

/// Deployment number `n`, which ends so many days after the start.
fn wish(n: u64, days: u64) -> Deployment {
    Deployment {
        selector: "cell=acme/**".parse().unwrap(),
        deadline: at(days * DAY),
        ..deployment(&release("1.0.0", 1), n)
    }
}

fn evidence(on: RolloutId, state: SlotState) -> Edit {
    Edit::PutGate(GateReport { rollout: on, state, reason: None, sha256: None, soaked: Duration::ZERO, at: at(9) })
}

/// Node 1 is the authority, node 2 the witness, and node 3 listens.
fn mesh_with(wishes: &[Deployment]) -> Net {
    let mut net = Net::new([Node::member(1), Node::member(2), Node::member(3)]);
    net.connect(1, 2);
    net.connect(2, 3);
    net.settle();
    net.write(1, DocKind::Authority, &[Edit::PutRelease(release("1.0.0", 1))]);
    for wish in wishes {
        net.write(1, DocKind::Authority, &[Edit::PutDeployment(wish.clone())]);
        net.write(2, DocKind::Gate, &[evidence(wish.id(), SlotState::Committed)]);
        net.settle();
    }
    net
}

/// The authority says something so many days after the start, which proves that so much time is past.
fn prove(net: &mut Net, days: u64) {
    let effects = net.node(1).write(DocKind::Authority, at(days * DAY), &[Edit::PutRelease(release("2.0.0", days))]);
    net.carry(1, effects);
    net.run(2);
}

/// Which epochs of the witness's evidence a node has in its store.
fn epochs(node: &Node) -> Vec<u32> {
    let stored = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        stored_link(&Write { key: key.clone(), value: Some(value.clone()) }).map(|link| link.doc)
    };
    let docs: BTreeSet<DocId> = node.store.iter().filter_map(stored).collect();
    docs.into_iter().filter(|doc| (doc.author, doc.kind) == (id(2), DocKind::Gate)).map(|doc| doc.epoch).collect()
}

#[test]
fn what_was_said_of_rollouts_long_over_goes_everywhere_and_the_last_epoch_stays() {
    let wishes: Vec<Deployment> = (1..=20).map(|n| wish(n, 1)).collect();
    let mut net = mesh_with(&wishes);
    for n in 1..=3 {
        assert_eq!((epochs(net.node(n)), net.node(n).view().gates.len()), (vec![0, 1, 2], 20));
    }
    prove(&mut net, 30);
    assert_eq!(epochs(net.node(3)), [0, 1, 2], "a day before its time");
    let before = net.node(3).store.clone();
    prove(&mut net, 31);
    for n in 1..=3 {
        // Seven of an epoch's links say something once the first says what it follows.
        assert_eq!(epochs(net.node(n)), [2], "node {n}");
        assert_eq!(net.node(n).view().gates.len(), 20 - 8 - 7, "node {n}");
    }
    net.node(3).restart();
    net.assert_agreed();
    // Who was away brings it all back, and nobody takes it.
    net.disconnect(2, 3);
    net.node(3).store = before;
    net.node(3).restart();
    net.connect(2, 3);
    net.run(10);
    net.assert_agreed();
    assert_eq!(epochs(net.node(3)), [2]);
    net.bytes = 0;
    net.run(30);
    assert!(net.bytes < 20 * (34 + 40), "{} bytes where only digests are left to say", net.bytes);
    // And the witness goes on where it was.
    net.write(2, DocKind::Gate, &[evidence(RolloutId::from_bytes([7; 32]), SlotState::Failed)]);
    net.run(2);
    net.assert_agreed();
    assert_eq!(epochs(net.node(3)), [2]);
    assert!(net.node(3).view().gates.contains_key(&RolloutId::from_bytes([7; 32])));
}

#[test]
fn one_rollout_that_goes_on_keeps_what_is_said_from_its_epoch_on() {
    let mut wishes: Vec<Deployment> = (1..=30).map(|n| wish(n, 1)).collect();
    wishes[9] = wish(10, 100);
    let mut net = mesh_with(&wishes);
    assert_eq!(epochs(net.node(3)), [0, 1, 2, 3, 4]);
    prove(&mut net, 40);
    assert_eq!(epochs(net.node(3)), [1, 2, 3, 4], "the second epoch speaks of it");
    assert!(net.node(3).view().gates.contains_key(&wishes[9].id()));
    prove(&mut net, 130);
    assert_eq!(epochs(net.node(3)), [4]);
    net.assert_agreed();
}

#[test]
fn a_newcomer_is_told_what_is_left_and_comes_to_the_same() {
    let wishes: Vec<Deployment> = (1..=40).map(|n| wish(n, if n > 25 { 60 } else { 1 })).collect();
    let mut net = mesh_with(&wishes);
    prove(&mut net, 50);
    let left = epochs(net.node(2));
    assert!(!left.contains(&0) && left.len() > 2, "{left:?}");
    net.nodes.insert(4, Node::member(4));
    net.connect(3, 4);
    net.run(10);
    net.assert_agreed();
    assert_eq!(epochs(net.node(4)), left);
}
