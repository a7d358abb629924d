//! The proven forks that are kept, and what they end.

use std::collections::BTreeMap;

use sedge_statement::{DocId, DocKind, NodeId, ObjectId};

use super::doc_id;
use crate::fork::Evidence;

/// How many forked epochs of an author's documents of a kind count: past them nothing does. A `node` fork heals once.
fn kept(kind: DocKind) -> usize {
    match kind {
        DocKind::Node => 2,
        _ => 1,
    }
}

/// Evidence that is kept: the lowest of its document.
#[derive(Debug)]
struct Proven {
    id: ObjectId,
    from: u64,
    bytes: Vec<u8>,
}

/// Evidence of the lowest forked epochs of each author's documents of a kind: what came in which order makes no difference, and what an author
/// forks above them nobody keeps.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    proven: BTreeMap<DocId, Proven>,
    docs: BTreeMap<ObjectId, DocId>,
}

impl Proofs {
    /// All of it, by id.
    pub(super) fn all(&self) -> impl Iterator<Item = (ObjectId, &[u8])> {
        self.proven.values().map(|proven| (proven.id, proven.bytes.as_slice()))
    }

    /// All of it, by the document that it is about, in order.
    pub(super) fn by_document(&self) -> impl Iterator<Item = (&DocId, &[u8])> {
        self.proven.iter().map(|(doc, proven)| (doc, proven.bytes.as_slice()))
    }

    /// The ids of all of it, each with the author that it is about.
    pub(super) fn authors(&self) -> impl Iterator<Item = (NodeId, ObjectId)> {
        self.proven.iter().map(|(doc, proven)| (doc.author, proven.id))
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&[u8]> {
        self.proven.get(self.docs.get(id)?).map(|proven| proven.bytes.as_slice())
    }

    /// The forked documents, and where each parts.
    pub(super) fn forked(&self) -> impl Iterator<Item = (&DocId, u64)> {
        self.proven.iter().map(|(doc, proven)| (doc, proven.from))
    }

    /// How many links of a document count at most, where a fork is proven.
    pub(super) fn cut_of(&self, doc: &DocId) -> Option<u64> {
        self.proven.get(doc).map(|proven| proven.from - 1)
    }

    /// The forked epochs of an author's documents of a kind, oldest first.
    pub(super) fn epochs(&self, author: NodeId, kind: DocKind) -> impl DoubleEndedIterator<Item = &DocId> {
        self.proven.range(doc_id(author, kind, 0)..=doc_id(author, kind, u32::MAX)).map(|(doc, _)| doc)
    }

    /// Past which epoch an author's documents of a kind do not count, because of forks.
    pub(super) fn last_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        self.epochs(author, kind).nth(kept(kind) - 1).map_or(u32::MAX, |doc| doc.epoch)
    }

    /// Keeps evidence that ends more than what is known: lower in its document, or equally low and of a lesser id. Answers its id and those of
    /// the evidence that it makes needless.
    pub(super) fn keep(&mut self, evidence: &Evidence) -> Option<(ObjectId, Vec<ObjectId>)> {
        let doc = evidence.doc();
        let bytes = evidence.to_bytes();
        let (id, from) = (Evidence::id(&bytes), evidence.from);
        if doc.epoch > self.last_epoch(doc.author, doc.kind)
            || self.proven.get(doc).is_some_and(|known| (known.from, known.id) <= (from, id))
        {
            return None;
        }
        let lower = self.proven.insert(doc.clone(), Proven { id, from, bytes });
        let last = self.last_epoch(doc.author, doc.kind);
        let above: Vec<DocId> = self.epochs(doc.author, doc.kind).filter(|doc| doc.epoch > last).cloned().collect();
        let needless = lower.into_iter().chain(above.iter().filter_map(|doc| self.proven.remove(doc)));
        let needless: Vec<ObjectId> = needless.map(|proven| proven.id).collect();
        for id in &needless {
            self.docs.remove(id);
        }
        self.docs.insert(id, doc.clone());
        Some((id, needless))
    }
}
