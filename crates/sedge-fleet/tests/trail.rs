//! The audit trail tells who said what, when and where, in one order, and why something does not count.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::collections::BTreeSet;

use sedge_fleet::{Entry, Place, Said};
use sedge_statement::{Control, ControlAction, DocKind, Role};
use support::author::{Author, EVIL, listener, say};
use support::story::{at, control, control_ops, revocation, story, the_deployment};
use support::{Node, certificate, id};

/// An entry in short: by which node, what, and its standing.
fn short(entry: &Entry) -> (u8, String, &'static str) {
    let by = (0..=EVIL).find(|n| id(*n) == entry.order.by).unwrap();
    let what = match &entry.said {
        Said::Genesis { .. } => "genesis".to_owned(),
        Said::Certificate(c) => format!("certificate {}", c.name),
        Said::Revocation { reason, .. } => format!("revocation {reason}"),
        Said::Release { model, version, .. } => format!("release {model}:{version}"),
        Said::Deployment { slot, .. } => format!("deployment {slot}"),
        Said::Approval(_) => "approval".to_owned(),
        Said::Control { action, count, .. } => format!("{action} {count}"),
        Said::Evidence(report) => format!("evidence {}", report.state),
        Said::Fork { doc, from } => format!("fork of {} from {from}", doc.kind),
        Said::Unknown(kind) => format!("unknown {}", kind.0),
        other => format!("{other:?}"),
    };
    (by, what, entry.standing.word())
}

fn told(node: &mut Node) -> Vec<(u8, String, &'static str)> {
    let trail = node.fleet.trail(at(60));
    assert!(trail.is_sorted_by(|a, b| a.order < b.order), "one order, and no two entries share a place in it");
    trail.iter().map(short).collect()
}

fn of<'a>(trail: &'a [(u8, String, &'static str)], what: &str) -> Vec<(u8, &'a str)> {
    trail.iter().filter(|(_, said, _)| said == what).map(|(by, _, standing)| (*by, *standing)).collect()
}

#[test]
fn every_statement_is_told_with_its_standing() {
    let trail = told(&mut story());
    let expected = [
        ("genesis", vec![(0, "counts")]),
        ("certificate node-1", vec![(0, "counts")]),
        ("certificate node-2", vec![(0, "revoked")]),
        ("revocation stolen", vec![(0, "counts")]),
        ("release digits:1.0.0", vec![(3, "counts")]),
        ("deployment digits", vec![(3, "counts")]),
        // Node 8 is a device.
        ("approval", vec![(8, "not-allowed")]),
        ("pause 1", vec![(2, "superseded")]),
        ("resume 2", vec![(2, "counts")]),
        ("halt 3", vec![(2, "past-last-good")]),
        ("evidence committed", vec![(3, "superseded")]),
        ("evidence failed", vec![(3, "counts")]),
        ("pause 7", vec![(9, "not-allowed")]),
        ("cancel 8", vec![(9, "behind-fork")]),
        ("fork of authority from 2", vec![(9, "counts")]),
    ];
    for (what, standings) in expected {
        assert_eq!(of(&trail, what), standings, "{what} in {trail:#?}");
    }
}

#[test]
fn the_reason_says_from_where_on_nothing_counts() {
    let trail = story().fleet.trail(at(60));
    let reason = |action: ControlAction| {
        let is = |entry: &&Entry| matches!(&entry.said, Said::Control { action: a, .. } if *a == action);
        trail.iter().find(is).unwrap().standing.reason().unwrap()
    };
    assert_eq!(reason(ControlAction::Halt), "beyond link 2, the last good one of its revoked author");
    let pause = reason(ControlAction::Pause);
    assert_eq!(pause, "a resume came after it");
    let place = trail.iter().find(|entry| matches!(entry.said, Said::Release { .. })).map(|entry| &entry.order.place);
    assert!(matches!(place, Some(Place::Link { seq: 1, nth: 0, doc }) if doc.author == id(3)), "{place:?}");
}

#[test]
fn the_trail_is_the_same_after_a_restart() {
    let mut node = story();
    let before = node.fleet.trail(at(60));
    node.restart();
    assert_eq!(node.fleet.trail(at(60)), before);
    assert_eq!(node.fleet.trail(at(60)), before, "and when it is asked for again");
}

#[test]
fn a_revocation_changes_the_standing_of_what_was_told_before() {
    let mut node = listener(1);
    node.publish(certificate(2, &[Role::Deploy]));
    assert_eq!(of(&told(&mut node), "certificate node-2"), [(0, "counts")]);
    let revocation = revocation(&node);
    node.publish(revocation);
    assert_eq!(of(&told(&mut node), "certificate node-2"), [(0, "revoked")]);
}

#[test]
fn a_statement_that_its_author_replaces_or_removes_stays_in_the_trail() {
    let mut node = listener(1);
    let mut author = Author::new(DocKind::Authority, 0);
    let first = Control { reason: "first".into(), ..control(ControlAction::Pause, 1, 5) };
    let second = Control { reason: "second".into(), ..first.clone() };
    let mut ops = vec![sedge_fleet::testing::Op::make("controls", 0)];
    ops.extend(control_ops(1, &first));
    author.link(&ops);
    let replaced = control_ops(1, &second).into_iter().map(|op| sedge_fleet::testing::Op { replaces: vec![2], ..op });
    author.link(&replaced.collect::<Vec<_>>());
    let gone = sedge_fleet::testing::Op { replaces: vec![1], ..sedge_fleet::testing::Op::make("controls", 0) };
    author.link(&[gone]);
    say(&mut node, author.pages(1));
    let trail = node.fleet.trail(at(60));
    let said: Vec<(String, String)> = trail
        .iter()
        .filter_map(|entry| match &entry.said {
            Said::Control { reason, .. } => Some((reason.clone(), entry.standing.to_string())),
            _ => None,
        })
        .collect();
    let by = |link: u64| format!("link {link} of the same document says otherwise");
    assert_eq!(said, [("first".to_owned(), by(2)), ("second".to_owned(), by(3))]);
}

#[test]
fn what_cannot_be_read_is_told_and_harms_nothing_else() {
    let mut node = listener(1);
    let mut author = Author::new(DocKind::Authority, 0);
    let mut ops = vec![sedge_fleet::testing::Op::make("controls", 0)];
    ops.extend(control_ops(1, &control(ControlAction::Pause, 1, 5)));
    let mut bad = control_ops(1, &control(ControlAction::Pause, 2, 5)).remove(0);
    bad.value = (3 << 4 | 7, b"bad".to_vec());
    ops.push(bad);
    author.link(&ops);
    say(&mut node, author.pages(1));
    let trail = told(&mut node);
    assert_eq!(of(&trail, "Unreadable"), [(9, "unreadable")]);
    assert_eq!(of(&trail, "pause 1").len(), 1);
}

#[test]
fn a_later_epoch_repeats_no_entry() {
    let mut node = Node::member(1);
    let mut edits = vec![sedge_fleet::Edit::PutDeployment(the_deployment())];
    edits.extend((1..300).map(|count| sedge_fleet::Edit::PutControl(control(ControlAction::Pause, count, 5))));
    for edit in &edits {
        node.write(DocKind::Authority, at(1), std::slice::from_ref(edit));
    }
    let docs: BTreeSet<u32> = node
        .fleet
        .trail(at(60))
        .iter()
        .filter_map(|entry| match &entry.order.place {
            Place::Link { doc, .. } => Some(doc.epoch),
            _ => None,
        })
        .collect();
    assert_eq!(docs, BTreeSet::from([0, 1]), "the rest is in the next epoch");
    let trail = node.fleet.trail(at(60));
    let controls = trail.iter().filter(|entry| matches!(entry.said, Said::Control { .. }));
    assert_eq!(controls.count(), 299);
}
