//! What a later version says is kept, passed on and ignored by this one, and ends no session.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{Op, hello_frame, stored_link};
use sedge_fleet::{Event, Said, Write};
use sedge_statement::{DocKind, Object, ObjectBody, ObjectKind, Role};
use serde::{Deserialize, Serialize};
use support::author::{Author, EVIL, carry, listener, say};
use support::{Net, Node, START, artifact, certificate, id, key, mesh};

/// A statement of a kind that nobody here knows.
#[derive(Serialize, Deserialize)]
struct Later(Vec<u8>);

impl ObjectBody for Later {
    const KIND: ObjectKind = ObjectKind(900);
    const MAX_BYTES: usize = 1 << 10;
}

#[test]
fn an_object_of_an_unknown_kind_is_kept_passed_on_and_ignored() {
    let mut net = Net::new((1..5).map(Node::member));
    net.connect(1, 2);
    net.connect(2, 3);
    net.run(8);
    let before = net.digests();
    let object = Object::sign(&key(1), mesh(), &Later(vec![7; 100]));
    let effects = net.node(1).publish(object.clone());
    net.carry(1, effects);
    net.run(8);
    let holds = |node: &mut Node| node.store.values().any(|value| *value == object.to_bytes());
    for n in 1..4 {
        assert!(holds(net.node(n)), "node {n}");
        let trail = net.node(n).fleet.trail(START);
        let told = trail.iter().find(|entry| entry.said == Said::Unknown(Later::KIND)).unwrap();
        assert_eq!((told.order.by, told.standing.word()), (id(1), "unreadable"));
    }
    assert_eq!(net.digests(), before, "it says nothing to this version");
    // Over a restart, and to one that comes later.
    net.node(3).restart();
    assert!(holds(net.node(3)));
    net.connect(3, 4);
    net.run(12);
    assert!(holds(net.node(4)));
    assert!(net.closed.is_empty(), "{:?}", net.closed);
}

/// Two links of node 9's document: what this version knows, and around it what a later one says.
fn of_a_later_version() -> Author {
    let mut author = Author::new(DocKind::Node, 0);
    let mut ops = vec![Op::make("artifacts", 0)];
    ops.push(support::author::artifact(1, 1));
    ops.push(Op::make("thermals", 0));
    ops.push(Op { object: 3, ..support::author::number("celsius", 71) });
    author.link(&ops);
    author.link(&[Op { object: 1, ..Op::put("not a digest", "of a file") }, Op::put("mood", "fair")]);
    author
}

#[test]
fn unknown_keys_of_a_document_are_kept_passed_on_and_ignored() {
    let author = of_a_later_version();
    let mut one = listener(1);
    say(&mut one, author.pages(1));
    let view = one.view();
    assert_eq!(view.holders.values().filter(|nodes| nodes.contains(&id(EVIL))).count(), 1);
    let mut net = Net::new([one, Node::member(2)]);
    net.connect(1, 2);
    net.run(12);
    net.assert_agreed();
    net.node(2).restart();
    net.assert_agreed();
    let held = |node: &Node| {
        let links = node.store.iter().filter_map(|(key, value)| {
            stored_link(&Write { key: key.clone(), value: Some(value.clone()) }).filter(|link| link.doc == author.doc)
        });
        links.map(|link| link.raw).collect::<Vec<_>>()
    };
    for n in [1, 2] {
        assert_eq!(held(net.node(n)), author.links, "node {n} holds every byte of it");
    }
    // And the author writes on, beside what is not understood.
    let mut author = author;
    author.link(&[support::author::artifact(1, 2)]);
    say(net.node(1), [author.page(3, 3)]);
    assert_eq!(net.node(1).view().holders.values().filter(|nodes| nodes.contains(&id(EVIL))).count(), 2);
}

#[test]
fn frames_of_a_later_version_and_a_longer_hello_end_no_session() {
    let mut node = Node::member(1);
    let peer = id(8);
    node.handle(Event::Connected { peer }, START);
    let hello = [hello_frame(mesh(), &[certificate(8, &[Role::Device])]), b"and more".to_vec()].concat();
    node.handle(Event::Received { peer, frame: hello }, START);
    let before = node.view().findings.clone();
    let mut effects = Vec::new();
    for n in 0..100 {
        effects.extend(carry(&mut node, [vec![100 + n, 1, 2, 3]]));
    }
    assert_eq!(effects, [], "passed over");
    assert_eq!(node.view().findings, before, "and nobody is blamed");
    let mut net = Net::new([node, Node::member(8)]);
    net.connect(1, 8);
    net.run(8);
    net.write(8, DocKind::Node, &[artifact(1)]);
    net.run(2);
    assert_eq!(net.node(1).view().holders.len(), 1, "the session goes on");
}

#[test]
fn what_no_version_says_still_counts_as_a_fault() {
    let mut node = listener(1);
    let known_kind_of_nonsense = vec![4, 0xff];
    let effects: Vec<_> = (0..20).flat_map(|_| carry(&mut node, [known_kind_of_nonsense.clone()])).collect();
    assert!(effects.iter().any(|effect| matches!(effect, sedge_fleet::Effect::Close { .. })), "{effects:?}");
}
