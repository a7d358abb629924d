//! A valid member that says whatever its key can sign: nothing of it gets in, nothing panics, and the finding names it.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{Forge, Key, Op, column, hash, head, hello_frame, links_frame, run_of};
use sedge_fleet::{CloseReason, Effect, Event, Finding, FindingKind};
use sedge_statement::{ChangeHash, DocId, DocKind, Role, SecretKey};
use support::{Node, START, certificate, doc_id, id, key, mesh};

/// A member's node with the attacker, node 9, connected to it.
fn victim() -> Node {
    let mut node = Node::member(1);
    connect(&mut node, 9);
    node
}

fn connect(node: &mut Node, n: u8) {
    node.handle(Event::Connected { peer: id(n) }, START);
    let path = [certificate(n, &[Role::Device])];
    node.handle(Event::Received { peer: id(n), frame: hello_frame(mesh(), &path) }, START);
}

fn doc() -> DocId {
    doc_id(id(9), DocKind::Node, 0)
}

/// Says one change under the attacker's own signature.
fn say(node: &mut Node, raw: Vec<u8>, seq: u64) -> Vec<Effect> {
    let head = head(&key(9), mesh(), &doc(), seq, &raw);
    node.handle(Event::Received { peer: id(9), frame: links_frame(head, seq, vec![raw]) }, START)
}

fn links_of(node: &Node) -> usize {
    node.store.keys().filter(|key| key[0] == b'l').count()
}

fn findings(node: &mut Node, kind: FindingKind) -> Vec<Finding> {
    node.view().findings.iter().filter(|f| f.kind == kind).cloned().collect()
}

/// Says a change that must be refused, and looks at what was made of it.
fn refused(forge: &Forge) -> Finding {
    refused_after(&mut victim(), forge)
}

fn refused_after(node: &mut Node, forge: &Forge) -> Finding {
    let before = links_of(node);
    say(node, forge.bytes(), forge.seq);
    assert_eq!(links_of(node), before, "the change was adopted");
    let view = node.view();
    let found = view.findings.iter().find(|f| f.about == id(9)).expect("a finding names the attacker");
    found.clone()
}

fn refused_because(forge: &Forge, reason: &str) {
    let finding = refused(forge);
    assert!(finding.detail.contains(reason), "{finding:?}");
}

fn honest() -> Forge {
    Forge::new(&doc(), None, 1, &[Op::put("x", "1")])
}

/// A node that holds an honest first change of the attacker's: a map (operation 1), a list (2) with one element (3), a text (4).
fn with_objects() -> (Node, (u64, ChangeHash)) {
    let mut node = victim();
    let element = Op { object: 2, key: Key::Head, insert: true, ..Op::put("x", "e") };
    let ops = [Op::make("map", 0), Op::make("list", 2), element, Op::make("text", 4)];
    let raw = Forge::new(&doc(), None, 1, &ops).bytes();
    let previous = (1, hash(&raw));
    say(&mut node, raw, 1);
    assert_eq!(links_of(&node), 1, "{:?}", node.view().findings);
    (node, previous)
}

fn refused_on_objects(op: Op, reason: &str) {
    let (mut node, previous) = with_objects();
    let finding = refused_after(&mut node, &Forge::new(&doc(), Some(previous), 5, &[op]));
    assert_eq!(finding.kind, FindingKind::BadChange);
    assert!(finding.detail.contains(reason), "{finding:?}");
}

#[test]
fn a_hand_made_honest_change_is_adopted() {
    let mut node = victim();
    say(&mut node, honest().bytes(), 1);
    assert_eq!(links_of(&node), 1);
    assert!(findings(&mut node, FindingKind::BadChange).is_empty());
}

/// Evidence (operation 1), in it an entry (2) with a field (3): the entry, the field or all of it is replaced or removed.
#[test]
fn a_witness_that_takes_back_its_evidence_is_refused_and_named() {
    let evidence = || vec![Op::make("evidence", 0), Op { object: 1, ..Op::make("r/0", 0) }];
    let field = Op { object: 2, ..Op::put("state", "failed") };
    let takes_back = [
        Op { object: 2, replaces: vec![3], ..Op::put("state", "committed") },
        Op { object: 2, replaces: vec![3], action: 3, value: (0, vec![]), ..Op::put("state", "") },
        Op { object: 1, replaces: vec![2], ..Op::make("r/0", 0) },
        Op { replaces: vec![1], ..Op::make("evidence", 0) },
        Op { replaces: vec![1], action: 3, value: (0, vec![]), ..Op::put("evidence", "") },
    ];
    for op in takes_back {
        let mut node = victim();
        let raw = Forge::new(&doc(), None, 1, &[evidence(), vec![field.clone()]].concat()).bytes();
        let previous = (1, hash(&raw));
        say(&mut node, raw, 1);
        assert_eq!(links_of(&node), 1, "{:?}", node.view().findings);
        let finding = refused_after(&mut node, &Forge::new(&doc(), Some(previous), 4, &[op]));
        assert_eq!(finding.kind, FindingKind::BadChange);
        assert!(finding.detail.contains("only ever added to"), "{finding:?}");
    }
    let mut node = victim();
    let raw = Forge::new(&doc(), None, 1, &[evidence(), vec![field]].concat()).bytes();
    let previous = (1, hash(&raw));
    say(&mut node, raw, 1);
    let more = Op { object: 1, ..Op::make("r/1", 0) };
    say(&mut node, Forge::new(&doc(), Some(previous), 4, &[more]).bytes(), 2);
    assert_eq!(links_of(&node), 2, "more of it is welcome");
}

#[test]
fn malformed_or_huge_frames_change_bombs_a_run_of_a_million_operations_is_counted_not_made() {
    let mut forge = honest();
    for (number, value) in [(column::ACTION, 1), (column::VALUE_META, 0), (column::PRED_COUNT, 0)] {
        forge.columns.insert(number, run_of(1_000_000, value));
    }
    forge.columns.insert(column::VALUE, vec![]);
    forge.columns.insert(column::INSERT, vec![0xc0, 0x84, 0x3d]);
    let mut name = run_of(1_000_000, 1);
    name.push(b'x');
    forge.columns.insert(column::KEY_STRING, name);
    assert!(forge.bytes().len() < 90);
    refused_because(&forge, "more than 512 operations");
}

#[test]
fn a_run_length_of_two_to_the_forty_returns_at_once() {
    for number in [column::ACTION, column::VALUE_META, column::KEY_STRING, column::OBJECT_COUNTER, column::PRED_COUNT] {
        let mut forge = honest();
        let mut run = run_of(1 << 40, 1);
        run.push(b'x');
        forge.columns.insert(number, run);
        refused_because(&forge, "more than 512 operations");
    }
    // As nulls.
    let mut forge = honest();
    forge.columns.insert(column::OBJECT_COUNTER, vec![0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
    refused_because(&forge, "more than 512 operations");
    // As a literal stretch.
    let mut forge = honest();
    forge.columns.insert(column::ACTION, run_of(-(1 << 40), 1));
    refused_because(&forge, "more than 512 operations");
    // As booleans.
    let mut forge = honest();
    forge.columns.insert(column::INSERT, vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
    refused_because(&forge, "more than 512 operations");
}

#[test]
fn five_hundred_and_thirteen_operations_are_one_too_many() {
    let ops = |n: u32| (0..n).map(|i| Op::put(&format!("{i}"), "v")).collect::<Vec<_>>();
    let mut node = victim();
    say(&mut node, Forge::new(&doc(), None, 1, &ops(512)).bytes(), 1);
    assert_eq!(links_of(&node), 1);
    refused_because(&Forge::new(&doc(), None, 1, &ops(513)), "more than 512 operations");
}

#[test]
fn an_unknown_object_is_refused() {
    refused_on_objects(Op { object: 77, ..Op::put("x", "1") }, "names an object that does not exist");
    // An operation that is no object.
    refused_on_objects(Op { object: 3, ..Op::put("x", "1") }, "names an object that does not exist");
}

#[test]
fn an_unknown_element_is_refused() {
    let op = Op { object: 2, key: Key::Element(99), insert: true, ..Op::put("x", "1") };
    refused_on_objects(op, "names an element that does not exist");
}

#[test]
fn an_unknown_predecessor_is_refused() {
    refused_on_objects(Op { replaces: vec![99], ..Op::put("map", "1") }, "does not replace exactly");
    // Leaving out what is there would make one author conflict with itself.
    refused_on_objects(Op::put("map", "1"), "does not replace exactly");
    let delete = Op { action: 3, value: (0, vec![]), ..Op::put("nothing", "") };
    refused_on_objects(delete, "does not replace exactly");
}

#[test]
fn a_key_of_the_wrong_kind_is_refused() {
    refused_on_objects(Op { object: 2, ..Op::put("x", "1") }, "invalid key");
    refused_on_objects(Op { key: Key::Head, insert: true, ..Op::put("x", "1") }, "invalid key");
    refused_on_objects(Op { object: 2, key: Key::Head, ..Op::put("x", "1") }, "invalid key");
}

#[test]
fn counters_floats_marks_and_unknown_values_are_refused() {
    refused_on_objects(Op { action: 5, ..Op::put("x", "1") }, "outside what documents hold");
    refused_on_objects(Op { action: 7, ..Op::put("x", "1") }, "outside what documents hold");
    refused_on_objects(Op { value: (8 << 4 | 5, vec![0; 8]), ..Op::put("x", "") }, "outside what documents hold");
    refused_on_objects(Op { value: (1 << 4 | 8, vec![1]), ..Op::put("x", "") }, "outside what documents hold");
    refused_on_objects(Op { value: (1 << 4 | 13, vec![1]), ..Op::put("x", "") }, "outside what documents hold");
    let mut forge = honest();
    forge.columns.insert(0x94, vec![0, 1]);
    refused_because(&forge, "unexpected column");
}

#[test]
fn objects_nested_without_end_are_refused() {
    let mut ops = vec![Op::make("x", 0)];
    ops.extend((1..100).map(|object| Op { object, ..Op::make("x", 0) }));
    refused_because(&Forge::new(&doc(), None, 1, &ops), "nested too deep");
}

#[test]
fn an_unknown_actor_is_refused() {
    let mut forge = honest();
    forge.other_actors = vec![vec![1; 16]];
    refused_because(&forge, "names other actors");
    let mut forge = honest();
    forge.columns.insert(column::OBJECT_ACTOR, vec![0x7f, 5]);
    forge.columns.insert(column::OBJECT_COUNTER, vec![0x7f, 1]);
    refused_because(&forge, "invalid object");
}

#[test]
fn the_wrong_actor_is_refused() {
    let mut forge = honest();
    forge.actor = vec![3; 16];
    refused_because(&forge, "another actor");
    let mut forge = honest();
    forge.actor = sedge_fleet::testing::actor(&doc_id(id(9), DocKind::Node, 1)).to_vec();
    refused_because(&forge, "another actor");
}

#[test]
fn a_non_canonical_encoding_is_refused() {
    // Two runs of one value instead of one.
    let ops = [Op::put("a", "1"), Op::put("b", "2")];
    let mut forge = Forge::new(&doc(), None, 1, &ops);
    forge.columns.insert(column::ACTION, vec![0x7e, 1, 1]);
    refused_because(&forge, "not the canonical encoding of actions");
    // A column of nulls that should be absent.
    let mut forge = honest();
    forge.columns.insert(column::OBJECT_ACTOR, vec![0, 1]);
    refused_because(&forge, "not the canonical encoding of objects");
    // An integer longer than it need be.
    let mut forge = honest();
    forge.columns.insert(column::ACTION, vec![0x7f, 0x81, 0x00]);
    refused_because(&forge, "not the canonical encoding of integer");
    // A boolean run of zero in the middle.
    let mut forge = Forge::new(&doc(), None, 1, &ops);
    forge.columns.insert(column::INSERT, vec![1, 0, 1]);
    refused_because(&forge, "not the canonical encoding of insertions");
    // The value of a null with bytes.
    let mut forge = honest();
    forge.columns.insert(column::VALUE_META, vec![0x7f, 1 << 4]);
    refused_because(&forge, "outside what documents hold");
}

#[test]
fn columns_of_different_length_are_refused() {
    for number in [column::VALUE_META, column::PRED_COUNT, column::INSERT, column::KEY_STRING] {
        let mut forge = Forge::new(&doc(), None, 1, &[Op::put("a", "1"), Op::put("b", "2")]);
        let one = honest().columns[&number].clone();
        forge.columns.insert(number, one);
        refused(&forge);
    }
}

#[test]
fn compressed_chunks_documents_and_bundles_are_refused() {
    for chunk in [0, 2, 3, 200] {
        let forge = Forge { chunk, ..honest() };
        refused_because(&forge, &format!("chunk type {chunk}"));
    }
    let mut forge = honest();
    let actions = forge.columns.remove(&column::ACTION).unwrap();
    forge.columns.insert(column::ACTION | 8, actions);
    refused_because(&forge, "unexpected column");
}

#[test]
fn trailing_and_extra_bytes_are_refused() {
    refused_because(&Forge { extra: vec![1], ..honest() }, "trailing bytes");
    refused(&Forge { trailing: vec![1], ..honest() });
}

#[test]
fn an_oversize_change_and_message_are_refused() {
    let long = "x".repeat(65 << 10);
    refused_because(&Forge::new(&doc(), None, 1, &[Op::put("x", &long)]), "above the limit");
    refused_because(&Forge { message: vec![b'x'; 257], ..honest() }, "a message of 257 bytes");
}

#[test]
fn a_change_without_operations_is_refused() {
    refused_because(&Forge::new(&doc(), None, 1, &[]), "no operations");
}

#[test]
fn operations_that_do_not_start_where_they_should_are_refused() {
    for start_op in [0, 2, u64::MAX] {
        refused_because(&Forge { start_op, ..honest() }, "operations start at");
    }
}

#[test]
fn an_impossible_time_is_refused() {
    for time in [-1, i64::MIN, i64::MAX] {
        refused_because(&Forge { time, ..honest() }, "impossible time");
    }
}

#[test]
fn a_gap_is_not_applied_and_the_missing_links_are_asked_for() {
    let mut node = victim();
    let second = Forge::new(&doc(), Some((1, hash(&honest().bytes()))), 2, &[Op::put("y", "1")]);
    let effects = say(&mut node, second.bytes(), 2);
    assert_eq!(links_of(&node), 0);
    let want = sedge_fleet::testing::want_frame(doc(), 1);
    assert!(effects.contains(&Effect::Send { peer: id(9), frame: want }));
}

#[test]
fn an_orphan_is_never_applied() {
    let mut node = victim();
    say(&mut node, honest().bytes(), 1);
    let orphan = Forge::new(&doc(), Some((1, ChangeHash::from_bytes([9; 32]))), 2, &[Op::put("y", "1")]);
    say(&mut node, orphan.bytes(), 2);
    assert_eq!(links_of(&node), 1);
    let two = Forge { dependencies: vec![hash(&honest().bytes()), ChangeHash::from_bytes([9; 32])], ..orphan };
    refused_after(&mut node, &two);
}

#[test]
fn a_replayed_old_head_changes_nothing() {
    let mut node = victim();
    let first = honest().bytes();
    say(&mut node, first.clone(), 1);
    let second = Forge::new(&doc(), Some((1, hash(&first))), 2, &[Op::put("y", "1")]).bytes();
    say(&mut node, second, 2);
    let before = (node.store.clone(), node.digest(START));
    assert!(say(&mut node, first, 1).is_empty());
    assert_eq!((node.store.clone(), node.digest(START)), before);
}

#[test]
fn a_forged_author_is_dropped_and_counted_against_the_sender() {
    let mut node = victim();
    connect(&mut node, 8);
    let doc = doc_id(id(8), DocKind::Node, 0);
    let raw = Forge::new(&doc, None, 1, &[Op::put("x", "1")]).bytes();
    let forged = head(&key(9), mesh(), &doc, 1, &raw);
    node.handle(Event::Received { peer: id(9), frame: links_frame(forged, 1, vec![raw]) }, START);
    assert_eq!(links_of(&node), 0);
    let found = findings(&mut node, FindingKind::Malformed);
    assert_eq!((found.len(), found[0].about), (1, id(9)));
}

#[test]
fn a_head_of_another_mesh_does_not_hold() {
    let mut node = victim();
    let raw = honest().bytes();
    let other = sedge_statement::MeshId::from_bytes([1; 32]);
    let head = head(&key(9), other, &doc(), 1, &raw);
    node.handle(Event::Received { peer: id(9), frame: links_frame(head, 1, vec![raw]) }, START);
    assert_eq!(links_of(&node), 0);
}

#[test]
fn a_document_of_an_unknown_author_is_not_kept() {
    let mut node = victim();
    let stranger = SecretKey::from_bytes(&[77; 32]);
    let doc = doc_id(stranger.node_id(), DocKind::Node, 0);
    let raw = Forge::new(&doc, None, 1, &[Op::put("x", "1")]).bytes();
    let head = head(&stranger, mesh(), &doc, 1, &raw);
    node.handle(Event::Received { peer: id(9), frame: links_frame(head, 1, vec![raw]) }, START);
    assert_eq!(links_of(&node), 0);
}

#[test]
fn a_sender_that_keeps_on_is_closed_out() {
    let mut node = victim();
    let mut closed = Vec::new();
    for n in 0..100u32 {
        closed
            .extend(node.handle(Event::Received { peer: id(9), frame: [&[1], &n.to_le_bytes()[..]].concat() }, START));
    }
    let close = Effect::Close { peer: id(9), reason: CloseReason::Misbehaved };
    assert_eq!(closed.iter().filter(|effect| **effect == close).count(), 1);
    let found = findings(&mut node, FindingKind::Malformed);
    assert_eq!(found.len(), 1);
    assert!(found[0].count > 10);
}

#[test]
fn a_frame_longer_than_the_limit_is_not_decoded() {
    let mut node = victim();
    let frame = vec![0; sedge_fleet::MAX_FRAME_BYTES + 1];
    node.handle(Event::Received { peer: id(9), frame }, START);
    assert_eq!(findings(&mut node, FindingKind::Malformed).len(), 1);
}

#[test]
fn a_certificate_that_nobody_gave_the_right_to_issue_is_not_kept() {
    let mut node = victim();
    let own = sedge_statement::Object::sign(
        &key(9),
        mesh(),
        &sedge_statement::Certificate { issuer: id(9), ..certificate(7, &[Role::Deploy]).body().unwrap() },
    );
    let before = node.store.len();
    let frame = sedge_fleet::testing::objects_frame(&[own]);
    node.handle(Event::Received { peer: id(9), frame }, START);
    assert_eq!(node.store.len(), before);
    let found = findings(&mut node, FindingKind::BadCertificate);
    assert_eq!((found.len(), found[0].about), (1, id(9)));
}
