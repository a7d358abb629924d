//! The proven forks that are kept, and what they end.

use std::collections::BTreeMap;

use sedge_statement::{DocId, DocKind, NodeId, ObjectId, Scope};

use crate::fork::Evidence;

/// How many forked epochs of an author's documents of a kind count: past them nothing does. A `node` fork heals once.
fn kept(kind: DocKind) -> usize {
    match kind {
        DocKind::Node => 2,
        _ => 1,
    }
}

/// Where a document stands among those of its author and kind.
fn place(doc: &DocId) -> (u32, &Scope) {
    (doc.epoch, &doc.scope)
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

    /// The forked documents of an author of a kind, the least epoch first; of equal ones in the order of scopes.
    pub(super) fn epochs(&self, author: NodeId, kind: DocKind) -> Vec<&DocId> {
        let first = super::doc_id(author, kind, 0);
        let of_it = self.proven.range(first..).map(|(doc, _)| doc);
        let mut forked: Vec<&DocId> = of_it.take_while(|doc| (doc.author, doc.kind) == (author, kind)).collect();
        forked.sort_by(|a, b| place(a).cmp(&place(b)));
        forked
    }

    /// Past which epoch an author's documents of a kind do not count, because of forks. A move to another cell heals none.
    pub(super) fn last_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        self.last(author, kind).map_or(u32::MAX, |doc| doc.epoch)
    }

    /// The last forked document that counts, where there are as many as end an author's documents of a kind.
    fn last(&self, author: NodeId, kind: DocKind) -> Option<&DocId> {
        self.epochs(author, kind).get(kept(kind) - 1).copied()
    }

    /// Keeps evidence that ends more than what is known: lower in its document, or equally low and of a lesser id. Answers its id and those of
    /// the evidence that it makes needless.
    pub(super) fn keep(&mut self, evidence: &Evidence) -> Option<(ObjectId, Vec<ObjectId>)> {
        let doc = evidence.doc();
        let bytes = evidence.to_bytes();
        let (id, from) = (Evidence::id(&bytes), evidence.from);
        if self.last(doc.author, doc.kind).is_some_and(|last| place(doc) > place(last))
            || self.proven.get(doc).is_some_and(|known| (known.from, known.id) <= (from, id))
        {
            return None;
        }
        let lower = self.proven.insert(doc.clone(), Proven { id, from, bytes });
        let above: Vec<DocId> = self.epochs(doc.author, doc.kind).into_iter().skip(kept(doc.kind)).cloned().collect();
        let needless = lower.into_iter().chain(above.iter().filter_map(|doc| self.proven.remove(doc)));
        let needless: Vec<ObjectId> = needless.map(|proven| proven.id).collect();
        for id in &needless {
            self.docs.remove(id);
        }
        self.docs.insert(id, doc.clone());
        Some((id, needless))
    }
}
