//! An author that writes links as an honest one does, and neither checks nor keeps anything: quick enough for years of them, and free to lie.

use automerge::{Automerge, AutomergeError, transaction::CommitOptions, transaction::Transaction};
use sedge_statement::{CellPath, ChangeHash, DocKind, MeshId, SecretKey, SignedHead, Timestamp};

use super::{StoredLink, doc_in, hash, links_frame};
use crate::chain::{Handover, Limits, put_handover};
use crate::precheck::MAX_LINK_BYTES;
use crate::schema::{Edit, apply, snapshot};
use crate::segment;

/// How many edits of carried-over state go into one link.
const EDITS_PER_LINK: usize = 64;

/// One document in the making, by nobody's rules but its own. Its links are really made by Automerge, chained and signed.
#[derive(Debug, Clone)]
pub struct Scribe {
    key: SecretKey,
    mesh: MeshId,
    doc: sedge_statement::DocId,
    state: Automerge,
    end: Option<(u64, ChangeHash)>,
    bytes: usize,
}

impl Scribe {
    /// The first document of a kind of an author in a cell, of no link yet.
    pub fn new(key: SecretKey, mesh: MeshId, kind: DocKind, cell: &CellPath) -> Self {
        let doc = doc_in(key.node_id(), kind, cell, 0);
        let state = empty(&doc);
        Self { key, mesh, doc, state, end: None, bytes: 0 }
    }

    /// The document.
    pub fn doc(&self) -> &sedge_statement::DocId {
        &self.doc
    }

    /// Sequence number and hash of the last link.
    pub fn end(&self) -> Option<(u64, ChangeHash)> {
        self.end
    }

    /// Writes what an honest author writes: one link, and before it those of the next epoch's beginning where this one is full.
    pub fn write(&mut self, now: Timestamp, edits: &[Edit]) -> Vec<StoredLink> {
        let most = Limits::of(self.doc.kind);
        let full = self.end.is_some_and(|(seq, _)| seq >= most.links) || self.bytes + MAX_LINK_BYTES > most.bytes;
        let mut links = if full { self.turn(now) } else { Vec::new() };
        links.extend(self.link(now, edits));
        links
    }

    /// One link more, whatever there is; none where the edits change nothing.
    pub fn link(&mut self, now: Timestamp, edits: &[Edit]) -> Option<StoredLink> {
        self.make(now, |doc| apply(doc, edits))
    }

    /// Begins the next epoch, of a `node` document with all that the present one says.
    pub fn turn(&mut self, now: Timestamp) -> Vec<StoredLink> {
        let state = if self.doc.kind == DocKind::Node { snapshot(&self.state) } else { Vec::new() };
        let complete_after = 1 + state.chunks(EDITS_PER_LINK).len() as u64;
        let mut links = Vec::from_iter(self.begin(now, complete_after));
        links.extend(state.chunks(EDITS_PER_LINK).filter_map(|edits| self.link(now, edits)));
        links
    }

    /// Begins the next epoch by its first link, which says that so many carry the state over, and leaves the rest to the caller.
    pub fn begin(&mut self, now: Timestamp, complete_after: u64) -> Option<StoredLink> {
        let handover =
            Handover { head: self.end.map(|(_, hash)| hash), seq: self.end.map_or(0, |(seq, _)| seq), complete_after };
        self.doc.epoch += 1;
        (self.state, self.end, self.bytes) = (empty(&self.doc), None, 0);
        self.make(now, |doc| put_handover(doc, handover))
    }

    fn make(
        &mut self,
        now: Timestamp,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Option<StoredLink> {
        let mut transaction = self.state.transaction();
        edit(&mut transaction).expect("Automerge takes every edit");
        let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
        transaction.commit_with(CommitOptions::default().with_time(seconds)).0?;
        let raw = self.state.get_last_local_change().expect("it was just committed").raw_bytes().to_vec();
        let (seq, hash) = (self.end.map_or(1, |(seq, _)| seq + 1), hash(&raw));
        let head = SignedHead::sign(&self.key, self.mesh, self.doc.clone(), seq, hash, now);
        self.end = Some((seq, hash));
        self.bytes += raw.len();
        Some(StoredLink { doc: self.doc.clone(), seq, head: Some(head), raw })
    }
}

impl StoredLink {
    /// The frame that tells the link as news, if its author signed it.
    pub fn frame(&self) -> Option<Vec<u8>> {
        Some(links_frame(self.head.clone()?, self.seq, vec![self.raw.clone()]))
    }
}

fn empty(doc: &sedge_statement::DocId) -> Automerge {
    Automerge::new().with_actor(automerge::ActorId::from(segment::actor(doc)))
}
