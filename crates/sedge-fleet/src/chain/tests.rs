//! A document comes out the same however its links come, and only Automerge decides whether they are taken.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjType, ROOT, ReadDoc, ScalarValue};
use sedge_statement::{DocId, DocKind, MeshId, SecretKey, SignedHead, Timestamp};

use super::adopt::load_links;
use super::{AdoptError, Chain, Link};
use crate::documents::doc_id;
use crate::precheck;
use crate::segment::{self, Segment};

const MESH: MeshId = MeshId::from_bytes([5; 32]);

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

fn id() -> DocId {
    doc_id(key().node_id(), DocKind::Node, 0)
}

/// An honest writer's changes: keys set again and again, a list that grows in its midst and shrinks.
fn written(count: u64, value: impl Fn(u64) -> ScalarValue) -> Vec<Link> {
    let actor = segment::actor(&id());
    let mut doc = Automerge::new().with_actor(ActorId::from(actor));
    let mut links = Vec::new();
    for i in 0..count {
        let mut edit = doc.transaction();
        edit.put(ROOT, format!("key {}", i % 3), value(i)).unwrap();
        let list = match edit.get(ROOT, "list").unwrap() {
            Some((_, list)) => list,
            None => edit.put_object(ROOT, "list", ObjType::List).unwrap(),
        };
        edit.insert(&list, edit.length(&list) / 2, i).unwrap();
        if i % 4 == 3 {
            edit.delete(&list, 1).unwrap();
        }
        edit.commit_with(CommitOptions::default().with_time(0));
        let raw = doc.get_last_local_change().unwrap().raw_bytes().to_vec();
        let hash = precheck::place(&raw, &actor).unwrap().hash;
        links.push(Link { raw, hash, head: None });
    }
    links
}

fn honest(count: u64) -> Vec<Link> {
    written(count, ScalarValue::Uint)
}

fn segment(first_seq: u64, links: &[Link]) -> Segment {
    let seq = first_seq + links.len() as u64 - 1;
    let head = SignedHead::sign(&key(), MESH, id(), seq, links.last().unwrap().hash, Timestamp::from_millis(0));
    Segment::open(MESH, head, first_seq, links.iter().map(|link| link.raw.clone()).collect()).unwrap()
}

#[test]
fn a_document_is_the_same_however_many_links_come_at_once() {
    let links = honest(40);
    let saved = |at_once: usize| {
        let mut chain = Chain::new(id(), None);
        for (first, links) in (1u64..).step_by(at_once).zip(links.chunks(at_once)) {
            chain.adopt(segment(first, links), 0, usize::MAX).unwrap();
        }
        assert_eq!(chain.head(), links.last().map(|link| link.hash));
        chain.automerge().unwrap().save_nocompress()
    };
    let one_by_one = saved(1);
    for at_once in [2, 3, 7, 20, 40] {
        assert_eq!(saved(at_once), one_by_one, "{at_once} at once");
    }
    let mut restored = Chain::new(id(), None);
    restored.restore(links.clone()).unwrap();
    assert_eq!(restored.automerge().unwrap().save_nocompress(), one_by_one);
}

#[test]
fn a_document_without_the_signed_head_is_not_loaded_and_its_links_are_refused() {
    let mut links = honest(20);
    links[19].hash = links[18].hash;
    assert!(load_links(&[], &links, &segment::actor(&id())).is_none());
    assert_eq!(Chain::new(id(), None).try_links(&links).err(), Some(AdoptError::DoesNotApply));
}

#[test]
fn a_history_that_automerge_does_not_take_is_refused_though_its_document_is_written() {
    let mut links = honest(20);
    links.remove(9);
    assert!(load_links(&[], &links, &segment::actor(&id())).is_none());
    assert_eq!(Chain::new(id(), None).try_links(&links).err(), Some(AdoptError::DoesNotApply));
}

/// Floats, which the check lets nobody say, stand for whatever may be written wrongly one day.
#[test]
fn links_whose_document_cannot_be_written_are_applied() {
    let links = written(20, |i| ScalarValue::F64(i as f64));
    assert!(load_links(&[], &links, &segment::actor(&id())).is_none());
    let doc = Chain::new(id(), None).try_links(&links).unwrap();
    assert_eq!(doc.get_heads(), [automerge::ChangeHash(*links[19].hash.as_bytes())]);
}
