//! Changes made by hand, byte by byte, for tests that attack: what no honest writer's Automerge would ever produce.
//!
//! [`Forge`] begins as an honest change and lets every field and column be replaced. The frame makers say it to a real node under a
//! real signature, since the attacker is assumed to be a valid member.

mod scribe;

use std::collections::BTreeMap;

use sedge_statement::{
    CellPath, ChangeHash, DocId, DocKind, MeshId, NodeId, Object, ObjectId, Scope, SecretKey, SignedHead, Timestamp,
    codec,
};
use sha2::{Digest, Sha256};

use crate::chain::Link;
use crate::fork::{Evidence, Side};
use crate::frame::{Cause, Frame, Hello, Item, PROTOCOL, Standing};
use crate::precheck::{MAGIC, booleans, deltas, nullable_strings, nullable_unsigned, sleb, uleb, unsigned};
use crate::record::{self, Key as Stored};
use crate::view::Fold;
use crate::{Fleet, FleetView, Write};

pub use crate::precheck::spec as column;
pub use scribe::Scribe;

/// What an operation is about inside its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A map's key.
    Name(String),
    /// The place before a list's first element.
    Head,
    /// An element, by the operation that inserted it.
    Element(u64),
}

/// One operation of a forged change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The object's operation; zero for the root.
    pub object: u64,
    /// Where in it.
    pub key: Key,
    /// Whether it inserts an element.
    pub insert: bool,
    /// Automerge's number: 0 map, 1 set, 2 list, 3 delete, 4 text.
    pub action: u64,
    /// The value's type and length, as Automerge packs them, and its bytes.
    pub value: (u64, Vec<u8>),
    /// What it replaces.
    pub replaces: Vec<u64>,
}

impl Op {
    /// Sets a root key to a short text.
    pub fn put(name: &str, text: &str) -> Self {
        let value = (((text.len() as u64) << 4) | 6, text.as_bytes().to_vec());
        Self { object: 0, key: Key::Name(name.into()), insert: false, action: 1, value, replaces: vec![] }
    }

    /// Makes an object of the given action at a root key.
    pub fn make(name: &str, action: u64) -> Self {
        Self { action, value: (0, vec![]), ..Self::put(name, "") }
    }
}

/// A change in the making. Every part can be replaced before [`Forge::bytes`].
#[derive(Debug, Clone)]
pub struct Forge {
    /// The chunk's type: 1 is an uncompressed change.
    pub chunk: u8,
    /// The changes it depends on.
    pub dependencies: Vec<ChangeHash>,
    /// Its actor.
    pub actor: Vec<u8>,
    /// Its sequence number.
    pub seq: u64,
    /// The number of its first operation.
    pub start_op: u64,
    /// Its time, seconds.
    pub time: i64,
    /// Its message.
    pub message: Vec<u8>,
    /// Further actors that it names.
    pub other_actors: Vec<Vec<u8>>,
    /// Its columns by number; see [`mod@column`].
    pub columns: BTreeMap<u64, Vec<u8>>,
    /// Bytes after the columns, inside the chunk.
    pub extra: Vec<u8>,
    /// Bytes after the chunk.
    pub trailing: Vec<u8>,
}

impl Forge {
    /// The change that follows `previous` (sequence number and hash) in a document, with operations from `start_op` on.
    pub fn new(doc: &DocId, previous: Option<(u64, ChangeHash)>, start_op: u64, ops: &[Op]) -> Self {
        Self {
            chunk: 1,
            dependencies: previous.map(|(_, hash)| hash).into_iter().collect(),
            actor: actor(doc).to_vec(),
            seq: previous.map_or(1, |(seq, _)| seq + 1),
            start_op,
            time: 0,
            message: vec![],
            other_actors: vec![],
            columns: columns(ops),
            extra: vec![],
            trailing: vec![],
        }
    }

    /// The chunk's bytes, with a checksum that fits.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        uleb(&mut body, self.dependencies.len() as u64);
        self.dependencies.iter().for_each(|hash| body.extend(hash.as_bytes()));
        prefixed(&mut body, &self.actor);
        uleb(&mut body, self.seq);
        uleb(&mut body, self.start_op);
        sleb(&mut body, self.time);
        prefixed(&mut body, &self.message);
        uleb(&mut body, self.other_actors.len() as u64);
        self.other_actors.iter().for_each(|actor| prefixed(&mut body, actor));
        let columns: Vec<_> = self.columns.iter().filter(|(_, data)| !data.is_empty()).collect();
        uleb(&mut body, columns.len() as u64);
        for (number, data) in &columns {
            uleb(&mut body, **number);
            uleb(&mut body, data.len() as u64);
        }
        columns.iter().for_each(|(_, data)| body.extend(*data));
        body.extend(&self.extra);
        let mut hashed = vec![self.chunk];
        prefixed(&mut hashed, &body);
        let hash = Sha256::digest(&hashed);
        [&MAGIC, &hash[..4], &hashed, &self.trailing].concat()
    }
}

/// The columns that an honest writer makes of operations.
pub fn columns(ops: &[Op]) -> BTreeMap<u64, Vec<u8>> {
    let objects: Vec<Option<u64>> = ops.iter().map(|op| (op.object > 0).then_some(op.object)).collect();
    let key_counters: Vec<Option<i64>> = ops
        .iter()
        .map(|op| match op.key {
            Key::Name(_) => None,
            Key::Head => Some(0),
            Key::Element(counter) => i64::try_from(counter).ok(),
        })
        .collect();
    let key_actors: Vec<Option<u64>> = ops.iter().map(|op| matches!(op.key, Key::Element(_)).then_some(0)).collect();
    let names: Vec<Option<&str>> = ops
        .iter()
        .map(|op| match &op.key {
            Key::Name(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let map = |f: fn(&Op) -> u64| unsigned(ops.iter().map(f));
    let replaced: Vec<Option<i64>> = ops.iter().flat_map(|op| &op.replaces).map(|r| i64::try_from(*r).ok()).collect();
    BTreeMap::from([
        (column::OBJECT_ACTOR, nullable_unsigned(objects.iter().map(|o| o.map(|_| 0)))),
        (column::OBJECT_COUNTER, nullable_unsigned(objects)),
        (column::KEY_ACTOR, nullable_unsigned(key_actors)),
        (column::KEY_COUNTER, deltas(key_counters)),
        (column::KEY_STRING, nullable_strings(names)),
        (column::INSERT, booleans(ops.iter().map(|op| op.insert))),
        (column::ACTION, map(|op| op.action)),
        (column::VALUE_META, map(|op| op.value.0)),
        (column::VALUE, ops.iter().flat_map(|op| op.value.1.clone()).collect()),
        (column::PRED_COUNT, map(|op| op.replaces.len() as u64)),
        (column::PRED_ACTOR, unsigned(replaced.iter().map(|_| 0))),
        (column::PRED_COUNTER, deltas(replaced)),
    ])
}

/// A run of `count` rows of one unsigned value, which a decoder that does not count would expand.
pub fn run_of(count: i64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    sleb(&mut out, count);
    uleb(&mut out, value);
    out
}

fn prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    uleb(out, bytes.len() as u64);
    out.extend(bytes);
}

/// The actor that a document's changes must have.
pub fn actor(doc: &DocId) -> [u8; 16] {
    crate::segment::actor(doc)
}

/// The hash of a change, as the link after it names it.
pub fn hash(raw: &[u8]) -> ChangeHash {
    ChangeHash::from_bytes(raw.get(8..).map(|hashed| Sha256::digest(hashed).into()).unwrap_or_default())
}

/// The author's signature over a document up to the change `raw`.
pub fn head(key: &SecretKey, mesh: MeshId, doc: &DocId, seq: u64, raw: &[u8]) -> SignedHead {
    SignedHead::sign(key, mesh, doc.clone(), seq, hash(raw), Timestamp::from_millis(0))
}

/// A document as a node of the root cell names it.
pub fn doc_id(author: NodeId, kind: DocKind, epoch: u32) -> DocId {
    doc_in(author, kind, &CellPath::root(), epoch)
}

/// A document as a node of a cell names it.
pub fn doc_in(author: NodeId, kind: DocKind, cell: &CellPath, epoch: u32) -> DocId {
    let scope = if kind == DocKind::Node { Scope::Cell(cell.clone()) } else { Scope::Mesh };
    DocId { author, kind, scope, epoch }
}

/// The record that keeps a link in a store.
pub fn link_record(link: StoredLink) -> Write {
    let hash = hash(&link.raw);
    let head = link.head.as_ref().map(SignedHead::proof);
    record::link(&link.doc, link.seq, &Link { raw: link.raw, hash, head })
}

/// A hello that says nothing was heard.
pub fn hello_frame(mesh: MeshId, path: &[Object]) -> Vec<u8> {
    let path = path.iter().map(Object::to_bytes).collect();
    Frame::Hello(Hello { protocol: PROTOCOL, mesh, path, heard: false }).to_bytes()
}

/// A frame of new links up to a signed head.
pub fn links_frame(head: SignedHead, first_seq: u64, links: Vec<Vec<u8>>) -> Vec<u8> {
    Frame::Links { cause: Cause::New, head, first_seq, links }.to_bytes()
}

/// A link as a store holds it.
#[derive(Debug, Clone)]
pub struct StoredLink {
    /// Its document.
    pub doc: DocId,
    /// Its place there, from one.
    pub seq: u64,
    /// The author's signature, where one ends there.
    pub head: Option<SignedHead>,
    /// The change.
    pub raw: Vec<u8>,
}

/// Reads the link that a write stores, if it stores one.
pub fn stored_link(write: &Write) -> Option<StoredLink> {
    let Some(Stored::Link(doc, seq)) = record::parse_key(&write.key) else { return None };
    let link = record::parse_link(&write.key, &doc, seq, write.value.as_ref()?)?;
    let head = link.signed(&doc, seq);
    Some(StoredLink { doc, seq, head, raw: link.raw })
}

/// The hash of a link of a document that a fleet holds, where it counts.
pub fn counting_hash(fleet: &Fleet, doc: &DocId, seq: u64) -> Option<ChangeHash> {
    fleet.counting_hash(doc, seq)
}

/// A frame of objects.
pub fn objects_frame(objects: &[Object]) -> Vec<u8> {
    let items = objects.iter().map(|object| Item::Object(object.to_bytes())).collect();
    Frame::Items { cause: Cause::New, items }.to_bytes()
}

/// A frame of fork evidence, as bytes.
pub fn evidence_frame(evidence: Vec<u8>) -> Vec<u8> {
    Frame::Items { cause: Cause::New, items: vec![Item::Fork(evidence)] }.to_bytes()
}

/// Evidence that an author signed two histories from link `from` on, both sides given from there.
pub fn evidence(key: &SecretKey, mesh: MeshId, doc: &DocId, from: u64, sides: [Vec<Vec<u8>>; 2]) -> Vec<u8> {
    let [one, other] = sides.map(|links| {
        let last = links.last().map(Vec::as_slice).unwrap_or_default();
        Side { head: head(key, mesh, doc, from + links.len() as u64 - 1, last), links }
    });
    Evidence::new(from, one, other).to_bytes()
}

/// Lets an author's epochs that add up count for other than the usual many bytes, so that a test need not fill them.
pub fn set_share(fleet: &mut Fleet, share: usize) {
    fleet.set_share(share);
}

/// A request for links.
pub fn want_frame(doc: DocId, from_seq: u64) -> Vec<u8> {
    Frame::Want { doc, from_seq }.to_bytes()
}

/// A vector over everything of a scope, of documents with their last links.
pub fn vector_frame(scope: Scope, docs: Vec<(DocId, u64, ChangeHash)>) -> Vec<u8> {
    let docs = docs.into_iter().map(|(doc, seq, head)| Standing { doc, seq, head }).collect();
    Frame::Vector { scope, from: None, to: None, docs }.to_bytes()
}

/// A digest that fits nothing, of a scope.
pub fn digest_frame(scope: Scope) -> Vec<u8> {
    Frame::Digest { scope, digest: [0; 32] }.to_bytes()
}

/// Says which further cells the sender wants.
pub fn wants_frame(cells: Vec<CellPath>) -> Vec<u8> {
    Frame::Wants(cells).to_bytes()
}

/// A request for items.
pub fn want_items_frame(ids: Vec<ObjectId>) -> Vec<u8> {
    Frame::WantItems(ids).to_bytes()
}

/// A set of items over everything, in the order of ids.
pub fn set_frame(ids: Vec<ObjectId>) -> Vec<u8> {
    Frame::Set { from: None, to: None, ids }.to_bytes()
}

/// Whether a frame carries links.
pub fn is_links(bytes: &[u8]) -> bool {
    matches!(Frame::from_bytes(bytes), Ok(Frame::Links { .. }))
}

/// Signed bytes of a frame read back, for golden tests of what a node says.
pub fn is_frame(bytes: &[u8]) -> bool {
    Frame::from_bytes(bytes).is_ok_and(|frame| codec::encode(&frame) == bytes)
}

/// The view folded by one that remembers nothing, from everything that the fleet holds.
pub fn view_from_scratch(fleet: &Fleet, now: Timestamp) -> FleetView {
    FleetView::clone(&Fold::default().view(fleet.fold_input(now)))
}
