//! Forks without end: what is kept of them is bounded, the same everywhere, and lasts over a restart.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{self, Op, evidence_frame};
use sedge_fleet::{Event, FindingKind};
use sedge_statement::{CellPath, DocKind, Scope};
use support::author::{Author, EVIL, agree, artifacts, carry, evidence, handover, links_of, listener, meet, nonsense};
use support::{Node, START, id};

/// The evidence of a fork at the first link of an epoch, whether or not anybody would hold the document.
fn forked(kind: DocKind, epoch: u32) -> Vec<u8> {
    sides(&Author::new(kind, epoch))
}

fn sides(of: &Author) -> Vec<u8> {
    let side = |text: &str| of.clone().link(&[Op::put("x", text)]).links.clone();
    testing::evidence(&support::key(EVIL), support::mesh(), &of.doc, 1, [side("left"), side("right")])
}

fn told(n: u8, all: impl IntoIterator<Item = Vec<u8>>) -> Node {
    let mut node = listener(n);
    carry(&mut node, all.into_iter().map(evidence_frame));
    node
}

#[test]
fn endless_data_forks_of_many_documents_leave_only_the_evidence_that_matters() {
    for (kind, kept) in [(DocKind::Node, 2), (DocKind::Gate, 1), (DocKind::Authority, 1)] {
        let all: Vec<_> = (0..12).map(|epoch| forked(kind, epoch)).collect();
        let mut one = told(1, all.clone());
        let mut other = told(2, all.iter().rev().cloned());
        assert_eq!(evidence(&one).len(), kept, "{kind}");
        assert_eq!(evidence(&one), evidence(&other), "{kind}");
        let forks = |node: &mut Node| node.view().findings.iter().filter(|f| f.kind == FindingKind::Fork).count();
        assert_eq!((forks(&mut one), forks(&mut other)), (kept, kept));
        one.restart();
        assert_eq!(forks(&mut one), kept);
        meet(&mut one);
        agree(one, other);
    }
}

#[test]
fn evidence_of_a_scope_that_is_not_in_use_is_not_kept_and_held_against_nobody() {
    let mut author = Author::new(DocKind::Gate, 0);
    author.doc.scope = Scope::Cell(CellPath::root());
    let bytes = sides(&author);
    let mut node = told(1, [bytes]);
    assert!(evidence(&node).is_empty());
    assert!(node.view().findings.is_empty(), "{:?}", node.view().findings);
}

#[test]
fn a_document_above_the_forks_that_end_a_chain_of_epochs_is_dropped_and_not_taken_again() {
    let mut author = Author::new(DocKind::Node, 9);
    author.link(&[handover(None, 1), artifacts(5, [1])].concat());
    let evidence = [forked(DocKind::Node, 3), forked(DocKind::Node, 5)];
    let mut one = listener(1);
    carry(&mut one, author.pages(1));
    carry(&mut one, evidence.iter().cloned().map(evidence_frame));
    let mut other = told(2, evidence);
    carry(&mut other, author.pages(1));
    for node in [&one, &other] {
        assert_eq!(links_of(node), 0);
    }
    let mut net = agree(one, other);
    assert!(net.node(1).view().holders.is_empty());
}

#[test]
fn equivocation_links_past_a_divergence_are_not_checked_when_they_come_nor_at_a_start() {
    let mut first = Author::new(DocKind::Node, 0);
    first.link(&artifacts(1, [1]));
    let (mut left, mut right) = (first.clone(), first.clone());
    left.link(&[Op::put("y", "left")]);
    right.link(&[Op::put("y", "right")]);
    let mut knows = listener(3);
    carry(&mut knows, [left.page(1, 2), right.page(2, 2)]);
    let evidence = evidence(&knows).pop().unwrap();
    // One head covers what counts and what nobody would accept.
    let mut longer = first.clone();
    longer.link(&[nonsense()]);
    let mut node = listener(1);
    node.handle(Event::Received { peer: id(8), frame: evidence_frame(evidence) }, START);
    carry(&mut node, [longer.page(1, 2)]);
    let before = node.digest(START);
    assert_eq!(node.view().holders.len(), 1);
    node.restart();
    assert_eq!(node.digest(START), before);
    let found = node.view().findings.clone();
    assert!(found.iter().all(|finding| finding.kind == FindingKind::Fork), "{found:?}");
}

#[test]
fn what_an_earlier_version_kept_and_nobody_keeps_now_goes_without_a_word() {
    let mut author = Author::new(DocKind::Node, 9);
    author.link(&[handover(None, 1), artifacts(5, [1])].concat());
    let mut later = listener(1);
    carry(&mut later, author.pages(1));
    carry(&mut later, [evidence_frame(forked(DocKind::Node, 8))]);
    let mut node = told(1, [forked(DocKind::Node, 3), forked(DocKind::Node, 5)]);
    let now = (node.store.clone(), node.digest(START));
    node.store.extend(later.store);
    assert_eq!((evidence(&node).len(), links_of(&node)), (3, 1));
    node.restart();
    assert_eq!(node.digest(START), now.1);
    let found = node.view().findings.clone();
    assert!(found.iter().all(|finding| finding.kind == FindingKind::Fork), "{found:?}");
    node.handle(Event::Tick, START);
    assert_eq!(node.store, now.0, "it is removed");
}
