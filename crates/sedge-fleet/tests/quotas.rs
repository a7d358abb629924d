//! What one author may have, in links and in what they come to: the same on every node, whatever came first.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Duration;

use sedge_fleet::testing::{Forge, Key, Op};
use sedge_fleet::{Edit, Effect, Event, FindingKind, WriteError, testing};
use sedge_statement::{DocKind, GateReport, RolloutId, SlotState};
use support::author::{Author, EVIL, agree, evidence_of, handover, links_of, listener, say};
use support::{Net, Node, START, gate, id};

/// Maps at the root, and a link that sets one key in each of them: on the wire it stands there once.
fn one_key_in_many_maps(maps: u64, key: &str) -> Author {
    let mut author = Author::new(DocKind::Node, 0);
    let make: Vec<Op> = (0..maps).map(|n| Op::make(&format!("m{n}"), 0)).collect();
    let set: Vec<Op> = (1..=maps).map(|object| Op { object, key: Key::Name(key.into()), ..Op::put("", "") }).collect();
    author.link(&make).link(&set);
    author
}

#[test]
fn change_bombs_a_long_key_in_a_run_over_five_hundred_maps_is_refused() {
    let author = one_key_in_many_maps(512, &"k".repeat(60 << 10));
    assert!(author.links[1].len() < sedge_fleet::MAX_LINK_BYTES);
    let mut node = listener(1);
    say(&mut node, author.pages(1));
    assert_eq!(links_of(&node), 1, "the second link is refused");
    let found = node.view().findings.clone();
    assert!(found.iter().any(|f| f.kind == FindingKind::BadChange && f.about == id(EVIL)), "{found:?}");
}

#[test]
fn a_key_as_long_as_any_honest_one_is_taken() {
    let mut node = listener(1);
    say(&mut node, one_key_in_many_maps(3, &"k".repeat(256)).pages(1));
    assert_eq!(links_of(&node), 2, "{:?}", node.view().findings);
    let mut node = listener(1);
    say(&mut node, one_key_in_many_maps(3, &"k".repeat(257)).pages(1));
    assert_eq!(links_of(&node), 1);
}

#[test]
fn change_bombs_an_epoch_is_held_to_what_it_comes_to_in_memory_and_not_to_its_bytes() {
    let mut author = one_key_in_many_maps(512, &format!("{:0256}", 0));
    for n in 1..150 {
        let key = format!("{n:0256}");
        let op = |object| Op { object, key: Key::Name(key.clone()), ..Op::put("", "") };
        author.link(&(1..=512).map(op).collect::<Vec<_>>());
    }
    let bytes: usize = author.links.iter().map(Vec::len).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes on the wire");
    let mut node = listener(1);
    say(&mut node, author.pages(1));
    let held = links_of(&node);
    assert!((100..140).contains(&held), "{held} links of a thousand maps' keys are held");
    let found = node.view().findings.clone();
    assert!(found.iter().any(|f| f.kind == FindingKind::BadChange && f.about == id(EVIL)), "{found:?}");
    let before = node.digest(START);
    node.restart();
    assert_eq!(node.digest(START), before);
}

/// What fits into the share: one full epoch, and about fifty links of the next.
const SMALL_SHARE: usize = 460_000;

#[test]
fn endless_data_an_author_that_fills_its_share_leaves_every_node_with_the_same() {
    let first = Author::full(DocKind::Authority);
    let mut second = Author::after(&first, 1);
    for n in 0..100 {
        second.link(&[Op::put(&format!("more {n}"), "x")]);
    }
    let [mut one, mut other] = [1, 2].map(listener);
    for node in [&mut one, &mut other] {
        testing::set_share(&mut node.fleet, SMALL_SHARE);
    }
    say(&mut one, first.pages(1).into_iter().chain(second.pages(1)));
    say(&mut other, second.pages(1).into_iter().chain(second.pages(7)));
    assert_eq!(links_of(&other), 0, "an epoch waits for the one before it");
    say(&mut other, first.pages(100).into_iter().chain(second.pages(7)));
    let held = links_of(&one);
    assert!((290..330).contains(&held), "{held}");
    assert_over_and_equal(one, other, held);
}

/// Node 1 named its author for having more than it may; both hold these many links in the end, and the same.
fn assert_over_and_equal(mut one: Node, other: Node, held: usize) {
    assert!(one.view().findings.iter().any(|f| f.kind == FindingKind::OverQuota));
    let mut net = agree(one, other);
    let links = |net: &mut Net, n| {
        let store = net.node(n).store.clone();
        store.into_keys().filter(|key| key[0] == b'l').collect::<Vec<_>>()
    };
    let (ours, theirs) = (links(&mut net, 1), links(&mut net, 2));
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), held);
}

/// An epoch that gives evidence on a rollout that nobody knows.
fn epoch_of_evidence(epoch: u32) -> Author {
    let mut author = Author::new(DocKind::Gate, epoch);
    let said = [vec![Op::make("evidence", 0)], evidence_of(5, 6, 1, SlotState::Committed)].concat();
    author.link(&[handover(None, 1), said].concat());
    author
}

#[test]
fn endless_data_of_evidence_the_lowest_epochs_are_held_in_whatever_order_they_come() {
    let [mut one, mut other] = [1, 2].map(listener);
    say(&mut one, (1..400).flat_map(|epoch| epoch_of_evidence(epoch).pages(1)));
    say(&mut other, (1..400).rev().flat_map(|epoch| epoch_of_evidence(epoch).pages(1)));
    assert_eq!((links_of(&one), links_of(&other)), (256, 256));
    assert_over_and_equal(one, other, 256);
}

/// Evidence on a rollout of its own.
fn evidence(n: u16) -> Edit {
    let Edit::PutGate(report) = gate(0) else { panic!() };
    let mut rollout = [0; 32];
    rollout[..2].copy_from_slice(&n.to_le_bytes());
    Edit::PutGate(GateReport { rollout: RolloutId::from_bytes(rollout), ..report })
}

#[test]
fn an_edit_that_was_taken_is_kept_and_one_past_the_share_leaves_nothing_behind() {
    let mut node = Node::member(1);
    let mut taken = 0;
    let refused = loop {
        let before = node.store.clone();
        match node.fleet.write(&support::key(1), DocKind::Gate, START, &[evidence(taken)]) {
            Ok(effects) => node.keep(&effects),
            Err(error) => {
                assert_eq!(node.store, before);
                break error;
            }
        }
        taken += 1;
        assert_eq!(node.view().gates.len(), usize::from(taken), "what was taken is said");
    };
    assert!(matches!(refused, WriteError::OverQuota), "{refused:?}");
    assert!(taken >= 1700, "{taken}");
    let before = node.digest(START);
    assert_eq!(node.view().gates.len(), usize::from(taken));
    node.restart();
    assert_eq!(node.digest(START), before);
    node.write(DocKind::Node, START, &[support::artifact(1)]);
    assert_eq!(node.view().holders.len(), 1, "documents of other kinds have room");
}

#[test]
fn endless_data_a_peer_that_asks_without_end_is_answered_up_to_its_share_of_a_second() {
    let mut author = Author::new(DocKind::Node, 0);
    for n in 0..3 {
        author.link(&[Op::put(&format!("{n}"), &"x".repeat(60 << 10))]);
    }
    let mut node = listener(1);
    say(&mut node, author.pages(3));
    let mut ask = |now| {
        let effects = (0..400).flat_map(|_| {
            let frame = testing::want_frame(author.doc.clone(), 1);
            node.handle(Event::Received { peer: id(8), frame }, now)
        });
        effects.map(|effect| if let Effect::Send { frame, .. } = effect { frame.len() } else { 0 }).sum::<usize>()
    };
    for seconds in 1..4 {
        let answered = ask(START.plus(Duration::from_secs(seconds)));
        assert!((30 << 20..33 << 20).contains(&answered), "{answered} of 70 MiB asked for");
    }
}

#[test]
fn a_sequence_number_at_the_end_of_its_range_is_refused_before_any_signature() {
    for (seq, first_seq) in
        [(u64::MAX, u64::MAX), (u64::MAX, u64::MAX - 1), (0, 0), (1, 0), (0, u64::MAX), (1, u64::MAX)]
    {
        let mut node = listener(1);
        let author = Author::new(DocKind::Node, 0);
        let forge = Forge { seq, ..Forge::new(&author.doc, None, 1, &[Op::put("x", "1")]) };
        for dependencies in [vec![], vec![testing::hash(&forge.bytes())]] {
            let raw = Forge { dependencies, ..forge.clone() }.bytes();
            let head = testing::head(&support::key(EVIL), support::mesh(), &author.doc, seq, &raw);
            for links in [vec![raw.clone()], vec![raw.clone(), raw.clone()]] {
                say(&mut node, [testing::links_frame(head.clone(), first_seq, links)]);
            }
        }
        assert_eq!(links_of(&node), 0);
        let found = node.view().findings.clone();
        assert!(found.iter().all(|finding| finding.about == id(EVIL)), "the sender could have told: {found:?}");
        assert_eq!(found.len(), 1);
    }
}
