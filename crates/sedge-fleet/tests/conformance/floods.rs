//! Whatever a member sends without end is answered up to a bound, and keeps nothing of it here.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_fleet::testing::{hello_frame, objects_frame, set_frame, vector_frame, want_frame, want_items_frame};
use sedge_fleet::{Effect, Event, FindingKind};
use sedge_statement::{
    ChangeHash, ControlAction, DocId, DocKind, NodeId, Object, ObjectBody, ObjectId, ObjectKind, Role, RolloutId, Scope,
};
use serde::{Deserialize, Serialize};

use crate::statements::control;
use crate::support::author::{Author, EVIL, carry, listener, meet, say};
use crate::support::{Net, Node, START, artifact, certificate, id, key, mesh};

/// How many entries there are in all, in frames of so many.
const ENTRIES: u64 = 100_000;
const A_FRAME: usize = 10_000;

fn rising(n: u64) -> [u8; 32] {
    let mut bytes = [0x55; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn made_up(n: u64) -> (DocId, u64, ChangeHash) {
    let doc = sedge_fleet::testing::doc_id(NodeId::from_bytes(rising(n)), DocKind::Authority, 0);
    (doc, 1 + n % 256, ChangeHash::from_bytes(rising(n)))
}

/// Frames and bytes that are sent in answer.
fn answered(effects: &[Effect]) -> (usize, usize) {
    let frames =
        effects.iter().filter_map(|e| if let Effect::Send { frame, .. } = e { Some(frame.len()) } else { None });
    frames.fold((0, 0), |(count, bytes), len| (count + 1, bytes + len))
}

#[test]
fn floods_of_vectors_of_a_hundred_thousand_documents_are_asked_for_a_few_at_a_time() {
    let mut node = listener(1);
    node.write(DocKind::Node, START, &[artifact(1)]);
    let before = node.store.clone();
    for first in (0..ENTRIES).step_by(A_FRAME) {
        let effects = say(&mut node, [vector_frame(Scope::Mesh, (first..).take(A_FRAME).map(made_up).collect())]);
        let (frames, bytes) = answered(&effects);
        assert!((1..=1_100).contains(&frames) && bytes < 256 << 10, "{frames} frames of {bytes} bytes");
    }
    assert_eq!(node.store, before, "nothing of it is kept");
    assert!(node.fleet.stats().behind <= 1024, "{:?}", node.fleet.stats());
    assert!(node.view().findings.is_empty(), "{:?}", node.view().findings);
}

#[test]
fn floods_of_sets_of_a_hundred_thousand_ids_are_asked_for_once_each_frame() {
    let mut node = listener(1);
    let before = node.store.clone();
    for first in (0..ENTRIES).step_by(A_FRAME) {
        let ids = (first..).take(A_FRAME).map(|n| ObjectId::from_bytes(rising(n))).collect();
        let (frames, bytes) = answered(&say(&mut node, [set_frame(ids)]));
        // One request, and once what the peer lacks.
        assert!((1..=4).contains(&frames) && bytes < 1 << 20, "{frames} frames of {bytes} bytes");
    }
    assert_eq!(node.store, before);
}

#[test]
fn floods_of_pages_out_of_order_end_the_connection() {
    let mut node = listener(1);
    let mut frames = 0;
    loop {
        let out_of_order = vector_frame(Scope::Mesh, vec![made_up(2), made_up(1)]);
        frames += 1;
        let effects = say(&mut node, [out_of_order]);
        if effects.iter().any(|effect| matches!(effect, Effect::Close { peer, .. } if *peer == id(EVIL))) {
            break;
        }
        assert!(frames < 64, "borne without end");
    }
    assert!(node.view().findings.iter().any(|f| (f.kind, f.about) == (FindingKind::Malformed, id(EVIL))));
}

#[test]
fn floods_of_requests_for_what_nobody_has_are_answered_with_nothing() {
    let mut node = listener(1);
    let asked = (0..10_000).map(|n| want_frame(made_up(n).0, 1 + n));
    assert_eq!(answered(&say(&mut node, asked)), (0, 0));
    let before = node.store.len();
    say(&mut node, [want_frame(made_up(1).0, u64::MAX), want_frame(made_up(1).0, 0)]);
    assert_eq!(node.store.len(), before);
}

#[test]
fn floods_of_requests_for_one_object_are_answered_up_to_a_share_of_each_second() {
    let mut node = listener(1);
    let one = certificate(EVIL, &[Role::Device]).id();
    let frame = want_items_frame(vec![one; 30_000]);
    for seconds in 1..3 {
        let now = START.plus(Duration::from_secs(seconds));
        let asked = (0..8).flat_map(|_| node.handle(Event::Received { peer: id(EVIL), frame: frame.clone() }, now));
        let (_, bytes) = answered(&asked.collect::<Vec<_>>());
        assert!((1 << 20..33 << 20).contains(&bytes), "{bytes} bytes in a second");
    }
}

#[test]
fn floods_of_hellos_are_as_long_as_a_path_and_no_longer() {
    let mut node = Node::member(1);
    node.handle(Event::Connected { peer: id(EVIL) }, START);
    let own = certificate(EVIL, &[Role::Device]);
    let path: Vec<Object> = std::iter::repeat_n(own, 257).collect();
    node.handle(Event::Received { peer: id(EVIL), frame: hello_frame(mesh(), &path) }, START);
    // It was not even looked at.
    assert!(!node.fleet.admit(id(EVIL), START));
    node.handle(Event::Received { peer: id(EVIL), frame: hello_frame(mesh(), &path[..256]) }, START);
    assert!(node.fleet.admit(id(EVIL), START));
}

/// Something that a later version says.
#[derive(Serialize, Deserialize)]
struct Later(Vec<u8>);

impl ObjectBody for Later {
    const KIND: ObjectKind = ObjectKind(900);
    const MAX_BYTES: usize = 64 << 10;
}

#[test]
fn floods_of_objects_of_a_later_version_are_kept_up_to_a_share() {
    let mut node = listener(1);
    let before: usize = node.store.values().map(Vec::len).sum();
    let objects = (0..200u8).map(|n| Object::sign(&key(EVIL), mesh(), &Later(vec![n; 8 << 10])));
    for object in objects {
        say(&mut node, [objects_frame(&[object])]);
    }
    let kept = node.store.values().map(Vec::len).sum::<usize>() - before;
    // Eight of sixteen KiB at the most, whatever a later version would have them say.
    assert!((1..=128 << 10).contains(&kept), "{kept} bytes are kept of what nobody here can read");
    assert!(node.view().findings.iter().any(|f| (f.kind, f.about) == (FindingKind::OverQuota, id(EVIL))));
}

#[test]
fn floods_of_epochs_that_are_never_told_whole_are_not_stored() {
    let mut node = listener(1);
    let before = node.store.clone();
    let mut kinds: BTreeMap<DocKind, usize> = BTreeMap::new();
    for epoch in 1..200 {
        for kind in [DocKind::Authority, DocKind::Node] {
            let mut author = Author::new(kind, epoch);
            author.link(&crate::support::author::handover(None, 256));
            let effects =
                if epoch % 2 == 0 { say(&mut node, author.pages(1)) } else { carry(&mut node, author.pages(1)) };
            *kinds.entry(kind).or_default() += answered(&effects).0;
        }
    }
    assert_eq!(node.store, before);
    assert!(kinds.values().all(|frames| *frames <= 400), "{kinds:?}");
    assert!(node.view().findings.iter().all(|f| f.about == id(EVIL)), "{:?}", node.view().findings);
}

#[test]
fn drop_requests_by_one_neighbour_keeps_nothing_from_who_has_another() {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    // All that is said to the hostile one is lost, and it claims to be ahead of everybody.
    meet(net.node(2));
    net.connect(1, 2);
    net.run(8);
    net.write(1, DocKind::Authority, &[control(RolloutId::from_bytes([1; 32]), ControlAction::Pause, 1, START)]);
    let doc = sedge_fleet::testing::doc_id(id(1), DocKind::Authority, 0);
    let claim = vector_frame(Scope::Mesh, vec![(doc, 200, ChangeHash::from_bytes([7; 32]))]);
    say(net.node(2), [claim]);
    for n in 2..5 {
        net.write(1, DocKind::Authority, &[control(RolloutId::from_bytes([n; 32]), ControlAction::Pause, 1, START)]);
        net.run(2);
    }
    net.run(8);
    net.assert_agreed();
    let heard = net.node(2).view().findings.iter().map(|f| f.count).sum::<u32>();
    assert!(heard >= 4, "all four controls came: {heard}");
}
