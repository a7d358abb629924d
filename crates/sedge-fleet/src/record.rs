//! How documents and objects lie in a node's store.
//!
//! One table of bytes to bytes. Keys: `l` ‖ document ‖ sequence number, big-endian, for a link with its head; `o` ‖ id for an object;
//! `f` ‖ id for fork evidence; `r` ‖ version, big-endian, for the id of the roots that were followed as that version. The actor of a document follows from its name and needs no record. A batch is written whole or
//! not at all, so a link is never held without what it follows.

mod bytes;

use std::borrow::Cow;

use sedge_statement::codec;
use sedge_statement::{DocId, ObjectId, RootsId, SignedHead};
use serde::{Deserialize, Serialize};

use crate::chain::Link;
use crate::precheck::{self, MAX_LINK_BYTES};
use crate::segment;

const LINK: u8 = b'l';
const OBJECT: u8 = b'o';
const FORK: u8 = b'f';
const ROOTS: u8 = b'r';

/// One change of a node's store; a value of none removes the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// Its new value.
    pub value: Option<Vec<u8>>,
}

/// A stored link. Its value ends in [`CHECK`] bytes of BLAKE3 over key and record: signatures of all heads would take seconds to check at
/// every start, and a damaged one must not be passed on.
#[derive(Debug, Serialize, Deserialize)]
struct LinkRecord<'a> {
    head: Option<SignedHead>,
    #[serde(with = "bytes")]
    raw: Cow<'a, [u8]>,
}

const CHECK: usize = 8;

/// What a record's key says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Link(DocId, u64),
    Object(ObjectId),
    Fork(ObjectId),
    Roots(u32),
}

pub(crate) fn link_key(doc: &DocId, seq: u64) -> Vec<u8> {
    let mut key = vec![LINK];
    key.extend(codec::encode(doc));
    key.extend(seq.to_be_bytes());
    key
}

pub(crate) fn object_key(id: &ObjectId) -> Vec<u8> {
    [&[OBJECT], id.as_bytes().as_slice()].concat()
}

pub(crate) fn fork_key(id: &ObjectId) -> Vec<u8> {
    [&[FORK], id.as_bytes().as_slice()].concat()
}

/// That a version of the roots was followed.
pub(crate) fn roots(version: u32, id: &RootsId) -> Write {
    let key = [&[ROOTS], version.to_be_bytes().as_slice()].concat();
    Write { key, value: Some(id.as_bytes().to_vec()) }
}

pub(crate) fn link(doc: &DocId, seq: u64, link: &Link) -> Write {
    let key = link_key(doc, seq);
    let head = link.signed(doc, seq);
    let mut value = codec::encode(&LinkRecord { head, raw: Cow::Borrowed(&link.raw) });
    value.extend(check(&key, &value));
    Write { key, value: Some(value) }
}

fn check(key: &[u8], record: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new_derive_key("sedge link record 1");
    hasher.update(key).update(record);
    *hasher.finalize().as_bytes().first_chunk().expect("a digest is longer than the check")
}

/// Reads a key; none where it is not one of these.
pub(crate) fn parse_key(key: &[u8]) -> Option<Key> {
    let (kind, rest) = key.split_first()?;
    let id = || Some(ObjectId::from_bytes(rest.try_into().ok()?));
    match *kind {
        LINK => {
            let (doc, seq) = rest.split_last_chunk::<8>()?;
            Some(Key::Link(codec::decode(doc, rest.len()).ok()?, u64::from_be_bytes(*seq)))
        }
        OBJECT => id().map(Key::Object),
        FORK => id().map(Key::Fork),
        ROOTS => Some(Key::Roots(u32::from_be_bytes(rest.try_into().ok()?))),
        _ => None,
    }
}

/// Reads the value of the link at `key`, `seq` of a document; none where it is damaged, or its head another link's.
pub(crate) fn parse_link(key: &[u8], doc: &DocId, seq: u64, value: &[u8]) -> Option<Link> {
    let (record, stored) = value.split_last_chunk::<CHECK>()?;
    if check(key, record) != *stored {
        return None;
    }
    let LinkRecord { head, raw } = codec::decode(record, MAX_LINK_BYTES + 1024).ok()?;
    let raw = raw.into_owned();
    let hash = precheck::place(&raw, &segment::actor(doc)).ok()?.hash;
    let is_its_own = |head: &SignedHead| (&head.doc, head.seq, head.head) == (doc, seq, hash);
    head.as_ref().is_none_or(is_its_own).then(|| Link { raw, hash, head: head.as_ref().map(SignedHead::proof) })
}
