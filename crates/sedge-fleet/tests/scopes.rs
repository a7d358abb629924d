//! A node holds what the whole mesh holds, what its own cell's nodes say of themselves, and of other cells what it wants for a while.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{StoredLink, doc_in, head, link_record, vector_frame, wants_frame};
use sedge_fleet::{Event, FindingKind, MAX_WANTED};
use sedge_statement::{DocId, DocKind, Object, Scope};
use support::author::{Author, EVIL, artifacts, carry, listener, say};
use support::{CELL, MEMBER, Net, Node, START, artifact, cell, certificate_in, gate, id, key, mesh, slot};

const HERE: &str = "acme/plant-7";
const THERE: &str = "acme/plant-8";

/// Nodes 1 and 2 in one cell, 3 and 4 in another, one after another on a line.
fn two_cells() -> Net {
    let nodes = [(HERE, 1), (HERE, 2), (THERE, 3), (THERE, 4)].map(|(path, n)| Node::member_in(path, n));
    let mut net = Net::new(nodes);
    for n in 1..4 {
        net.connect(n, n + 1);
    }
    net.run(15);
    net
}

/// The names of the documents in a store.
fn stored(node: &Node) -> Vec<DocId> {
    let mut docs: Vec<DocId> = Vec::new();
    for (key, value) in &node.store {
        let write = sedge_fleet::Write { key: key.clone(), value: Some(value.clone()) };
        docs.extend(sedge_fleet::testing::stored_link(&write).map(|link| link.doc));
    }
    docs.dedup();
    docs
}

fn of(node: &Node, author: u8, kind: DocKind) -> Vec<DocId> {
    stored(node).into_iter().filter(|doc| (doc.author, doc.kind) == (id(author), kind)).collect()
}

fn moved(n: u8, to: &str, revision: u32) -> Object {
    certificate_in(to, n, MEMBER, 100 + u64::from(revision), revision)
}

#[test]
fn what_a_node_says_of_itself_stays_in_its_cell_and_what_others_rely_on_goes_everywhere() {
    let mut net = two_cells();
    net.write(1, DocKind::Node, &[slot("detector", 1), artifact(1)]);
    loop {
        let crossing = net.frames.iter().filter(|(from, to, _)| *from < 3 && *to >= 3).count();
        assert_eq!(crossing, 0, "a frame leaves the cell");
        if !net.step(support::Fate::Deliver) {
            break;
        }
    }
    net.write(1, DocKind::Gate, &[gate(1)]);
    net.settle();
    for (n, knows) in [(1, true), (2, true), (3, false), (4, false)] {
        let view = net.node(n).view();
        assert_eq!((view.slots.len(), view.holders.len()), (usize::from(knows), usize::from(knows)), "node {n}");
        assert_eq!((view.gates.len(), view.members.len()), (1, 5), "node {n}");
        assert_eq!(view.knows(&id(1)), knows, "node {n}");
        assert_eq!(of(net.node(n), 1, DocKind::Node).len(), usize::from(knows), "node {n}");
    }
    let of_mesh: Vec<_> = (1..=4).map(|n| net.node(n).view().mesh_digest()).collect();
    assert!(of_mesh.iter().all(|digest| *digest == of_mesh[0]));
    net.bytes = 0;
    net.run(60);
    assert!(net.bytes < 3 * 2 * 20 * 60, "{} bytes where all agree", net.bytes);
}

#[test]
fn a_cell_that_is_wanted_comes_is_kept_fresh_and_goes_again() {
    let mut net = two_cells();
    net.write(1, DocKind::Node, &[slot("detector", 1)]);
    net.settle();
    net.want(3, HERE);
    net.settle();
    assert_eq!(net.node(3).fleet.wanted_cells(), [cell(HERE)].into());
    assert!(net.node(3).view().knows(&id(1)));
    assert_eq!(net.node(3).view().slots.len(), 1, "within a round");
    net.write(1, DocKind::Node, &[slot("assistant", 2)]);
    net.settle();
    assert_eq!(net.node(3).view().slots.len(), 2, "what is new is told at once");
    assert!(net.node(4).view().slots.is_empty(), "and to nobody who did not ask");
    net.run(590);
    assert_eq!(net.node(3).view().slots.len(), 2);
    net.run(20);
    assert!(net.node(3).view().slots.is_empty());
    assert!(of(net.node(3), 1, DocKind::Node).is_empty(), "nor does the store keep it");
    assert!(net.node(3).fleet.wanted_cells().is_empty());
    net.bytes = 0;
    net.write(1, DocKind::Node, &[slot("detector", 3)]);
    net.settle();
    assert!(net.node(3).view().slots.is_empty());
    assert!(net.closed.is_empty());
}

#[test]
fn a_want_that_is_lost_is_said_again() {
    let mut net = two_cells();
    net.write(1, DocKind::Node, &[slot("detector", 1)]);
    net.settle();
    net.want(3, HERE);
    while net.step(support::Fate::Lose) {}
    net.run(12);
    assert_eq!(net.node(3).view().slots.len(), 1);
}

#[test]
fn a_restart_forgets_cells_that_were_wanted() {
    let mut net = two_cells();
    net.write(1, DocKind::Node, &[slot("detector", 1)]);
    net.want(3, HERE);
    net.settle();
    assert_eq!(of(net.node(3), 1, DocKind::Node).len(), 1);
    net.node(3).restart();
    assert!(net.node(3).view().slots.is_empty());
    let now = net.now;
    net.node(3).handle(Event::Tick, now);
    assert!(of(net.node(3), 1, DocKind::Node).is_empty());
}

#[test]
fn a_node_that_moves_carries_on_in_its_new_cell_and_leaves_the_old() {
    let mut net = two_cells();
    net.write(1, DocKind::Node, &[slot("detector", 1), artifact(1)]);
    net.settle();
    let before = of(net.node(2), 1, DocKind::Node);
    net.publish(1, moved(1, THERE, 2));
    net.settle();
    assert_eq!(net.node(1).view().slots.len(), 1, "it knows itself meanwhile");
    assert!(net.node(2).view().slots.is_empty());
    assert!(of(net.node(2), 1, DocKind::Node).is_empty());
    // Its neighbour there.
    net.connect(1, 4);
    net.write(1, DocKind::Node, &[]);
    net.run(12);
    for n in [1, 3, 4] {
        let view = net.node(n).view();
        assert_eq!((view.slots.len(), view.holders.len()), (1, 1), "node {n}");
        let docs = of(net.node(n), 1, DocKind::Node);
        assert_eq!(docs.len(), 1, "{docs:?}");
        assert_eq!((docs[0].epoch, &docs[0].scope), (before[0].epoch + 1, &Scope::Cell(cell(THERE))));
    }
    assert!(net.node(2).view().slots.is_empty());
    // And back: its epochs count on.
    net.publish(1, moved(1, HERE, 3));
    net.settle();
    net.write(1, DocKind::Node, &[slot("detector", 9)]);
    net.run(12);
    assert_eq!(of(net.node(2), 1, DocKind::Node)[0].epoch, before[0].epoch + 2);
    assert!(of(net.node(4), 1, DocKind::Node).is_empty());
    for n in 1..=4 {
        net.node(n).restart();
        let view = net.node(n).view();
        assert_eq!(view.slots.len(), usize::from(n < 3), "node {n}");
        assert!(view.findings.is_empty(), "{:?}", view.findings);
    }
    assert!(net.closed.is_empty());
}

#[test]
fn a_document_waits_for_the_certificate_that_places_it_and_is_held_against_nobody() {
    let mut author = Author::new(DocKind::Node, 3);
    author.doc = doc_in(id(EVIL), DocKind::Node, &cell(THERE), 3);
    author.link(&[support::author::handover(None, 1), artifacts(5, [1])].concat());
    let mut node = Node::member_in(THERE, 1);
    support::author::meet(&mut node);
    carry(&mut node, author.pages(1));
    assert!(of(&node, EVIL, DocKind::Node).is_empty());
    assert!(node.view().findings.is_empty(), "{:?}", node.view().findings);
    node.publish(moved(EVIL, THERE, 2));
    carry(&mut node, author.pages(1));
    assert_eq!(node.view().holders.len(), 1);
}

#[test]
fn a_member_that_says_of_itself_what_the_whole_mesh_would_hold_is_refused() {
    let mut author = Author::new(DocKind::Node, 0);
    author.doc.scope = Scope::Mesh;
    author.link(&artifacts(1, [1]));
    let mut elsewhere = Author::new(DocKind::Node, 0);
    elsewhere.doc = doc_in(id(EVIL), DocKind::Node, &cell("acme/nowhere"), 0);
    elsewhere.link(&artifacts(1, [2]));
    let mut node = listener(1);
    say(&mut node, elsewhere.pages(1));
    assert!(node.view().findings.is_empty());
    say(&mut node, author.pages(1));
    assert!(stored(&node).is_empty());
    let found = node.view().findings.clone();
    assert_eq!((found.len(), found[0].kind, found[0].about), (1, FindingKind::Malformed, id(EVIL)));
    let mixed = vector_frame(Scope::Mesh, vec![(elsewhere.doc.clone(), 1, elsewhere.end().unwrap().1)]);
    say(&mut node, [mixed]);
    assert_eq!(node.view().findings[0].count, 2);
}

#[test]
fn who_wants_everything_is_told_no_more_than_is_held_and_too_many_cells_are_a_fault() {
    let mut node = listener(1);
    let wants = |count: usize| wants_frame((0..count).map(|n| cell(&format!("acme/plant-{n}"))).collect());
    let told = say(&mut node, [wants(MAX_WANTED), wants(MAX_WANTED)]);
    assert!(told.is_empty(), "{told:?}");
    say(&mut node, [wants(MAX_WANTED + 1)]);
    let found = node.view().findings.clone();
    assert_eq!((found.len(), found[0].kind, found[0].about), (1, FindingKind::Malformed, id(EVIL)));
}

#[test]
fn of_too_many_wanted_cells_those_that_were_wanted_longest_ago_go() {
    let mut node = Node::member(1);
    for n in 0..u32::try_from(MAX_WANTED).unwrap() + 5 {
        node.fleet.want([cell(&format!("acme/plant-{n}"))], START.plus(std::time::Duration::from_secs(u64::from(n))));
    }
    let wanted = node.fleet.wanted_cells();
    assert_eq!(wanted.len(), MAX_WANTED);
    assert!(!wanted.contains(&cell("acme/plant-0")) && wanted.contains(&cell("acme/plant-36")));
    node.fleet.want([cell(CELL)], START);
    assert!(!node.fleet.wanted_cells().contains(&cell(CELL)), "its own is held anyway");
}

/// Puts a document as an older version named it into a node's store.
fn put_old(node: &mut Node, n: u8, file: u64) {
    let mut author = Author::new(DocKind::Node, 0);
    author.doc = DocId { author: id(n), kind: DocKind::Node, scope: Scope::Mesh, epoch: 0 };
    author.link(&artifacts(1, [file]));
    let raw = author.links[0].clone();
    let head = head(&key(n), mesh(), &author.doc, 1, &raw);
    let write = link_record(StoredLink { doc: author.doc, seq: 1, head: Some(head), raw });
    node.store.insert(write.key, write.value.unwrap());
}

#[test]
fn documents_of_an_older_store_open_and_give_way_to_their_author_s_next_epoch() {
    let mut net = Net::new([Node::member(1), Node::member(2), Node::member_in(THERE, 3)]);
    net.connect(1, 2);
    net.connect(2, 3);
    net.run(12);
    for n in [1, 2] {
        net.disconnect(n, n + 1);
    }
    for n in 1..=3 {
        put_old(net.node(n), 1, 7);
        net.node(n).restart();
        assert_eq!(net.node(n).view().holders.len(), usize::from(n < 3), "node {n}");
        assert!(net.node(n).view().findings.is_empty());
        let now = net.now;
        net.node(n).handle(Event::Tick, now);
    }
    assert!(of(net.node(3), 1, DocKind::Node).is_empty(), "its author's next is not told there");
    net.connect(1, 2);
    net.bytes = 0;
    net.run(30);
    assert!(net.bytes < 20_000, "{} bytes: an old document is not offered for ever", net.bytes);
    net.write(1, DocKind::Node, &[]);
    net.settle();
    for n in [1, 2] {
        let docs = of(net.node(n), 1, DocKind::Node);
        assert_eq!(docs, [support::doc_id(id(1), DocKind::Node, 1)], "node {n}");
        assert_eq!(net.node(n).view().holders.len(), 1, "node {n}");
        net.node(n).restart();
        assert_eq!(net.node(n).view().holders.len(), 1, "node {n}");
    }
}

#[test]
fn an_idle_pair_exchanges_nothing_but_digests() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    for n in 1..=40 {
        net.write(1, DocKind::Node, &[artifact(n)]);
        net.write(2, DocKind::Gate, &[gate(u8::try_from(n).unwrap())]);
    }
    net.connect(1, 2);
    net.run(20);
    net.bytes = 0;
    let mut frames = 0;
    for _ in 0..3600 {
        net.tick();
        assert!(net.frames.iter().all(|(_, _, frame)| frame[0] == 1), "more than a digest");
        frames += net.frames.len();
        net.settle();
    }
    let a_pair = 34 + 34 + CELL.len() + 1;
    assert!(net.bytes < 900 * a_pair, "{} bytes", net.bytes);
    println!("an idle pair exchanged {frames} digests of {} bytes in an hour", net.bytes);
}
