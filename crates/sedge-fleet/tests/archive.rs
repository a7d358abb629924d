//! An archive of the audit trail proves itself: whatever is changed in it, or taken out of the middle, is found.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use proptest::prelude::*;
use sedge_fleet::testing::doc_id;
use sedge_fleet::{Archive, ArchiveError, Edit, MAX_ARCHIVE_BYTES};
use sedge_statement::{ControlAction, DocId, DocKind, MeshId, SignedHead, codec};
use serde::{Deserialize, Serialize};
use support::story::{at, control, story};
use support::{Node, id, mesh};

const HEAD: usize = b"sedge/archive\0".len() + 2;

/// The layout as `fleet/archive.rs` describes it, to take archives apart.
#[derive(Clone, Serialize, Deserialize)]
struct Body {
    genesis: Vec<u8>,
    roots: Vec<(u32, [u8; 32])>,
    objects: Vec<Vec<u8>>,
    evidence: Vec<Vec<u8>>,
    documents: Vec<Document>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Document {
    doc: DocId,
    stretches: Vec<Stretch>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stretch {
    head: SignedHead,
    links: Vec<Vec<u8>>,
}

fn apart(archive: &[u8]) -> Body {
    codec::decode(&archive[HEAD..], MAX_ARCHIVE_BYTES).unwrap()
}

fn whole(body: &Body) -> Vec<u8> {
    [b"sedge/archive\0".as_slice(), &1u16.to_le_bytes(), &codec::encode(body)].concat()
}

fn opened(body: &Body) -> Result<Archive, ArchiveError> {
    Archive::open(&whole(body), Some(mesh()))
}

/// A small archive: a root, and an authority that said two things.
fn small() -> Vec<u8> {
    let mut node = Node::member(1);
    for count in [1, 2] {
        node.write(DocKind::Authority, at(1), &[Edit::PutControl(control(ControlAction::Pause, count, 5))]);
    }
    node.fleet.archive()
}

#[test]
fn an_archive_tells_the_trail_that_the_node_told() {
    let mut node = story();
    let archive = node.fleet.archive();
    let mut opened = Archive::open(&archive, Some(mesh())).unwrap();
    assert_eq!(opened.trail(at(60)), node.fleet.trail(at(60)));
    assert_eq!(opened.mesh(), mesh());
    node.restart();
    assert_eq!(node.fleet.archive(), archive, "one state has one archive");
}

#[test]
fn archives_keep_their_bytes() {
    let golden = include_str!("archive.txt").trim();
    let hex: String = small().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let archive = small();
    assert!(Archive::open(&archive, None).is_ok());
    for at in 0..archive.len() {
        let mut flipped = archive.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(Archive::open(&flipped, None).is_err(), "byte {at} of {}", archive.len());
    }
    println!("{} flipped bytes found", archive.len());
}

proptest! {
    #[test]
    fn any_other_byte_anywhere_is_found(place in any::<prop::sample::Index>(), with in 1u8..) {
        let archive = full();
        let mut changed = archive.clone();
        changed[place.index(archive.len())] ^= with;
        prop_assert!(Archive::open(&changed, None).is_err());
    }

    #[test]
    fn an_archive_cut_or_lengthened_anywhere_is_found(place in any::<prop::sample::Index>(), more in 0u8..3) {
        let archive = full();
        prop_assert!(Archive::open(&archive[..place.index(archive.len())], None).is_err());
        let longer = [archive.as_slice(), &vec![0; usize::from(more) + 1]].concat();
        prop_assert!(Archive::open(&longer, None).is_err());
    }
}

fn full() -> &'static Vec<u8> {
    static FULL: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FULL.get_or_init(|| story().fleet.archive())
}

#[test]
fn a_link_dropped_from_the_middle_of_a_chain_is_named() {
    let body = apart(full());
    let long = body.documents.iter().position(|document| document.stretches[0].links.len() == 3).unwrap();
    for at in 0..2 {
        let mut without = body.clone();
        without.documents[long].stretches[0].links.remove(at);
        let error = opened(&without).unwrap_err();
        assert!(matches!(&error, ArchiveError::Links { doc, .. } if *doc == body.documents[long].doc), "{error}");
    }
    // Without the head that covers it, what is left is signed by nobody.
    let mut short = body.clone();
    short.documents[long].stretches[0].links.pop();
    assert!(matches!(opened(&short), Err(ArchiveError::Links { .. })));
}

#[test]
fn an_epoch_dropped_before_another_is_named() {
    let mut node = Node::member(1);
    for count in 1..300 {
        node.write(DocKind::Authority, at(1), &[Edit::PutControl(control(ControlAction::Pause, count, 5))]);
    }
    let body = apart(&node.fleet.archive());
    assert_eq!(body.documents.len(), 2);
    assert!(body.documents[0].stretches.len() == 1, "256 links fit under one head");
    opened(&body).unwrap();
    let mut without = body.clone();
    without.documents.remove(0);
    let next = doc_id(id(1), DocKind::Authority, 1);
    assert!(matches!(opened(&without), Err(ArchiveError::Unfollowed(doc)) if doc == next));
}

#[test]
fn things_out_of_place_are_named() {
    let body = apart(full());
    let mut twice = body.clone();
    twice.objects.insert(1, twice.objects[0].clone());
    assert!(matches!(opened(&twice), Err(ArchiveError::Order { what: "object", n: 2 })));
    let mut swapped = body.clone();
    swapped.documents.swap(0, 1);
    assert!(matches!(opened(&swapped), Err(ArchiveError::Order { what: "document", n: 2 })));
    let mut renamed = body.clone();
    renamed.documents.truncate(1);
    renamed.documents[0].doc.author = id(7);
    assert!(matches!(opened(&renamed), Err(ArchiveError::OutOfPlace(doc)) if doc.author == id(7)));
    let mut rooted = body.clone();
    rooted.roots.push((1, [7; 32]));
    assert!(matches!(opened(&rooted), Err(ArchiveError::Roots(1))));
    let mut nothing = body.clone();
    nothing.documents[0].stretches.clear();
    assert!(matches!(opened(&nothing), Err(ArchiveError::OutOfPlace(_))));
}

#[test]
fn an_archive_is_of_the_mesh_that_it_says() {
    let other = MeshId::from_bytes([7; 32]);
    assert!(matches!(Archive::open(full(), Some(other)), Err(ArchiveError::OtherMesh(of)) if of == mesh()));
    let mut newer = full().clone();
    newer[HEAD - 2] = 2;
    assert!(matches!(Archive::open(&newer, None), Err(ArchiveError::Newer(2))));
    assert!(matches!(Archive::open(b"PK\x03\x04", None), Err(ArchiveError::NotAnArchive)));
}

#[test]
fn what_no_signature_follows_can_be_left_out_unseen() {
    // Said in the layout's description, and here so that nobody relies on more.
    let mut body = apart(full());
    let all = Archive::open(full(), None).unwrap().trail(at(60)).len();
    let last = body.documents.len() - 1;
    body.documents.remove(last);
    let left = opened(&body).unwrap().trail(at(60)).len();
    assert!(left < all);
}
