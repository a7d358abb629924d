//! Epochs of a hostile author: what follows what is read once, and counts the same whatever came in which order and page.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{self, Op};
use sedge_fleet::{Edit, FindingKind};
use sedge_statement::{DocKind, GateReport, RolloutId, SlotState};
use support::author::{
    Author, EVIL, agree, artifact, artifacts, carry, evidence, evidence_of, links_of, listener, meet, number, say,
};
use support::{Fate, Net, Node, START, gate, id};

/// An epoch that is complete with its first link, which says that a file is held.
fn complete_at_once() -> Author {
    let mut author = Author::new(DocKind::Node, 1);
    let ops = [support::author::handover(None, 1), artifacts(5, [1])].concat();
    author.link(&ops);
    author
}

#[test]
fn a_handover_that_a_later_link_rewrites_is_the_same_in_one_page_and_in_many() {
    let mut author = complete_at_once();
    author.link(&[Op { replaces: vec![4], ..number("complete_after", 256) }]);
    let (mut one, mut other) = (listener(1), listener(2));
    say(&mut one, author.pages(1));
    say(&mut other, author.pages(2));
    let mut net = agree(one, other);
    assert_eq!(net.node(2).view().holders.len(), 1, "what was said first stays");
    assert_eq!(links_of(net.node(1)), 1);
}

#[test]
fn a_handover_that_a_later_link_removes_costs_no_honest_carrier_its_name() {
    let gone = Op { action: 3, value: (0, vec![]), replaces: vec![1], ..Op::put("previous", "") };
    let other_head = Op { object: 1, replaces: vec![3], ..number("seq", 7) };
    for op in [gone, other_head] {
        let mut author = complete_at_once();
        author.link(&[op]).link(&[artifact(5, 2)]);
        let (mut one, other) = (listener(1), listener(2));
        say(&mut one, author.pages(1));
        let mut net = agree(one, other);
        assert_eq!(links_of(net.node(2)), 1);
        let named = net.node(1).view();
        assert_eq!(named.holders.len(), 1);
    }
}

#[test]
fn an_epoch_of_an_authority_begins_only_where_the_one_before_is_full() {
    let mut before = Author::new(DocKind::Authority, 0);
    before.link(&[Op::put("first", "1")]);
    let next = Author::after(&before, 1);
    let mut late = before.clone();
    late.link(&[Op::put("more", "1")]);
    // The next epoch before, between and after the links of the first.
    let orders = [
        vec![next.page(1, 1), late.page(1, 1), late.page(2, 2)],
        vec![late.page(1, 2), next.page(1, 1)],
        vec![late.page(1, 1), next.page(1, 1), late.page(2, 2)],
    ];
    for (n, order) in orders.iter().enumerate() {
        let (mut one, mut other) = (listener(1), listener(2));
        say(&mut one, order.clone());
        say(&mut other, orders[(n + 1) % 3].clone());
        let mut net = agree(one, other);
        assert_eq!(links_of(net.node(1)), 2, "only the first epoch is held");
    }
}

#[test]
fn evidence_counts_in_whatever_order_its_epochs_come() {
    let epoch = |epoch, state| {
        let mut author = Author::new(DocKind::Gate, epoch);
        let first = support::author::handover(None, 1);
        author.link(&[first, vec![Op::make("evidence", 0)], evidence_of(5, 6, 1, state)].concat());
        author
    };
    let (failed, committed) = (epoch(3, SlotState::Failed), epoch(7, SlotState::Committed));
    // The first epoch goes on after the later ones came.
    let mut longer = failed.clone();
    longer.link(&[Op::put("more", "1")]);
    let fails = |node: &mut Node| node.view().gates.values().any(|said| said[&id(EVIL)].state.is_failure());
    let orders = [
        [failed.page(1, 1), committed.page(1, 1), longer.page(2, 2)],
        [committed.page(1, 1), failed.page(1, 1), longer.page(2, 2)],
        [committed.page(1, 1), longer.page(2, 2), longer.page(1, 2)],
    ];
    for order in orders {
        let (mut one, other) = (listener(1), listener(2));
        let mut failed = false;
        for frame in order {
            say(&mut one, [frame]);
            let now = fails(&mut one);
            assert!(now || !failed, "a failure that was seen stays");
            failed = now;
        }
        assert!(failed);
        let mut net = agree(one, other);
        assert_eq!(links_of(net.node(2)), 3);
        assert!(fails(net.node(2)));
    }
}

#[test]
fn forged_wave_evidence_a_witness_takes_no_failure_back_by_another_epoch() {
    let mut first = Author::new(DocKind::Gate, 0);
    first.link(&[Op::make("evidence", 0)]);
    first.fill();
    let mut second = Author::after(&first, 1);
    second.link(&[vec![Op::make("evidence", 0)], evidence_of(5, 6, 1, SlotState::Failed)].concat());
    let mut node = listener(1);
    say(&mut node, first.pages(64));
    say(&mut node, second.pages(1));
    let rollout = RolloutId::from_bytes([1; 32]);
    let failed =
        |node: &mut Node| node.view().gates.get(&rollout).is_some_and(|said| said[&id(EVIL)].state.is_failure());
    assert!(failed(&mut node));
    // The old epoch goes on; another one leaves the failure out; the next replaces what it follows.
    let mut longer = first.clone();
    longer.link(&[Op::put("late", "1")]);
    say(&mut node, [longer.page(longer.links.len(), longer.links.len())]);
    assert!(failed(&mut node));
    let mut third = Author::after(&second, 1);
    third.link(&[vec![Op::make("evidence", 0)], evidence_of(5, 6, 1, SlotState::Committed)].concat());
    say(&mut node, third.pages(1));
    assert!(failed(&mut node));
    node.restart();
    assert!(failed(&mut node));
    let mut other = listener(2);
    say(&mut other, third.pages(1));
    say(&mut other, second.pages(1));
    meet(&mut node);
    let mut net = agree(node, other);
    assert!(failed(net.node(2)));
}

#[test]
fn an_epoch_that_follows_another_end_is_not_taken_and_names_its_author_alone() {
    let first = Author::full(DocKind::Authority);
    let hash = first.end().map(|(_, hash)| hash);
    for end in [None, hash.map(|hash| (255, hash)), Some((256, testing::hash(&first.links[0])))] {
        let mut second = Author::new(DocKind::Authority, 1);
        second.link(&support::author::handover(end, 1));
        let mut node = listener(1);
        say(&mut node, first.pages(256));
        carry(&mut node, second.pages(1));
        assert_eq!(links_of(&node), 256);
        let found = node.view().findings.clone();
        assert!(found.iter().all(|finding| finding.about == id(EVIL)), "{found:?}");
        assert_eq!(found.iter().filter(|finding| finding.kind == FindingKind::BadChange).count(), 1, "{found:?}");
    }
}

#[test]
fn equivocation_two_histories_each_with_epochs_of_its_own_end_where_they_part() {
    let mut common = Author::new(DocKind::Gate, 0);
    common.link(&[vec![Op::make("evidence", 0)], evidence_of(1, 2, 1, SlotState::Failed)].concat());
    let sides = ["left", "right"].map(|text| {
        let mut first = common.clone();
        first.link(&[Op::put("side", text)]);
        first.fill();
        let second = Author::after(&first, 1);
        [first.pages(3), second.pages(1)].concat()
    });
    let [mut one, mut other] = [1, 2].map(listener);
    say(&mut one, sides[0].clone());
    say(&mut other, sides[1].clone());
    assert_eq!((links_of(&one), links_of(&other)), (9, 9));
    let mut net = agree(one, other);
    assert!(net.node(1).view().gates.contains_key(&RolloutId::from_bytes([1; 32])), "what stands before counts");
    for n in [1, 2] {
        assert_eq!(evidence(net.node(n)).len(), 1);
        assert!(links_of(net.node(n)) <= 3, "the later epochs are gone");
    }
}

/// Evidence on a rollout of its own.
fn said(n: u16) -> Edit {
    let Edit::PutGate(report) = gate(0) else { panic!() };
    let mut rollout = [0; 32];
    rollout[..2].copy_from_slice(&n.to_le_bytes());
    Edit::PutGate(GateReport { rollout: RolloutId::from_bytes(rollout), ..report })
}

#[test]
fn an_honest_author_s_epochs_add_up_everywhere_though_new_ones_overtake_old() {
    let mut net = Net::new([Node::member(1), Node::member(2), Node::member(3)]);
    net.connect(1, 2);
    net.settle();
    for n in 0..300 {
        net.write(1, DocKind::Gate, &[said(n)]);
        // Around the end of the first epoch every other frame is lost or late.
        for fate in if (250..262).contains(&n) { [Fate::Lose, Fate::Delay] } else { [Fate::Deliver; 2] } {
            net.step(fate);
        }
    }
    net.connect(2, 3);
    net.run(30);
    net.assert_agreed();
    for n in [1, 2, 3] {
        net.node(n).restart();
        let view = net.node(n).view();
        assert_eq!(view.gates.len(), 300);
        assert!(view.findings.is_empty(), "{:?}", view.findings);
    }
    net.assert_agreed();
    assert!(net.closed.is_empty());
}

#[test]
fn half_told_epochs_keep_no_whole_one_out() {
    let half = |epoch| {
        let mut author = Author::new(DocKind::Node, epoch);
        author.link(&support::author::handover(None, 200));
        author
    };
    let mut whole = Author::new(DocKind::Node, 50);
    whole.link(&support::author::handover(None, 3)).link(&artifacts(5, [1])).link(&[artifact(5, 2)]);
    let (mut one, mut other) = (listener(1), listener(2));
    for epoch in [10, 20, 30, 40, 60, 70, 80] {
        say(&mut one, half(epoch).pages(1));
    }
    say(&mut one, whole.pages(1));
    say(&mut other, whole.pages(3));
    say(&mut other, half(90).pages(1));
    assert_eq!(one.view().holders.len(), 2);
    let mut net = agree(one, other);
    assert_eq!(links_of(net.node(1)), 3, "no half of an epoch is kept");
    assert_eq!(net.node(2).digest(START), net.node(1).digest(START));
}
