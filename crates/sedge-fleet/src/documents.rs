//! Every document a node holds: which epochs there are, which one counts, and where forks cut them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sedge_statement::{DocId, DocKind, Kept, LastGood, MeshId, NodeId, ObjectId, Scope, Timestamp};

use crate::chain::{AdoptError, Chain, Relation};
use crate::fork::{Evidence, Side};
use crate::record::{self, Write};
use crate::segment::Segment;
use crate::view::Reading;

/// The most epochs held of an author's documents of a kind whose epochs add up; the others are replaced by the next.
const MAX_ADDED_EPOCHS: usize = 1024;
/// The most epochs held of an author's other documents: the one that counts, and those on their way.
const MAX_EPOCHS: usize = 4;
/// The most bytes of links held of one author, all documents together.
pub(crate) const MAX_AUTHOR_BYTES: usize = 64 << 20;

/// What came of an offered segment.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Nothing new.
    Known,
    /// New links count.
    Adopted(Vec<Write>),
    /// Links from this one on are missing before it.
    Missing(u64),
    /// A fork is proven here for the first time, or lower than before.
    Forked(Forked),
    /// The author wrote what is not accepted.
    Refused(AdoptError),
    /// The author has more than one author may.
    OverQuota,
}

/// A fork just proven.
#[derive(Debug)]
pub(crate) struct Forked {
    pub(crate) id: ObjectId,
    pub(crate) writes: Vec<Write>,
}

/// Evidence that is kept: the lowest of its document.
#[derive(Debug)]
struct Proven {
    id: ObjectId,
    from: u64,
    bytes: Vec<u8>,
}

/// All chains and all proven forks.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    chains: BTreeMap<DocId, Chain>,
    forks: BTreeMap<DocId, Proven>,
    /// What counts of revoked authors.
    kept: BTreeMap<NodeId, Kept>,
}

/// The first version replicates every document to every node, and has one scope.
pub(crate) fn doc_id(author: NodeId, kind: DocKind, epoch: u32) -> DocId {
    DocId { author, kind, scope: Scope::Mesh, epoch }
}

/// Whether what earlier epochs say still counts: statements of authorities, and evidence, which a later epoch could
/// otherwise leave out.
fn adds_up(kind: DocKind) -> bool {
    kind != DocKind::Node
}

/// How many links of a document count where its author is revoked.
fn limit_of(kept: &BTreeMap<NodeId, Kept>, doc: &DocId) -> Option<u64> {
    let last = kept.get(&doc.author)?.documents.get(&doc.kind);
    match last.map(|last| (doc.epoch.cmp(&last.epoch), last.seq)) {
        Some((Ordering::Less, _)) => None,
        Some((Ordering::Equal, seq)) => Some(seq),
        Some((Ordering::Greater, _)) | None => Some(0),
    }
}

impl Documents {
    pub(crate) fn chain(&self, doc: &DocId) -> Option<&Chain> {
        self.chains.get(doc)
    }

    /// Every document that has a link that counts.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&DocId, &Chain)> {
        self.chains.iter().filter(|(_, chain)| chain.len() > 0)
    }

    /// The evidence kept, by its id.
    pub(crate) fn forks(&self) -> impl Iterator<Item = (ObjectId, &[u8])> {
        self.forks.values().map(|proven| (proven.id, proven.bytes.as_slice()))
    }

    /// Whether exactly this evidence is kept.
    pub(crate) fn has_evidence(&self, bytes: &[u8]) -> bool {
        self.forks.values().any(|proven| proven.bytes == bytes)
    }

    /// How many links of a document count at most, where a fork is proven.
    pub(crate) fn cut_of(&self, doc: &DocId) -> Option<u64> {
        self.forks.get(doc).map(|proven| proven.from - 1)
    }

    pub(crate) fn is_forked(&self, doc: &DocId) -> bool {
        self.forks.contains_key(doc)
    }

    /// The epoch after every one that is held or known to be forked.
    pub(crate) fn next_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        let all = doc_id(author, kind, 0)..=doc_id(author, kind, u32::MAX);
        let held = self.chains.range(all.clone()).next_back().map(|(doc, _)| doc.epoch);
        let forked = self.forks.range(all).next_back().map(|(doc, _)| doc.epoch);
        held.max(forked).map_or(0, |last| last.saturating_add(1))
    }

    /// Counts of revoked authors only what was kept of them.
    pub(crate) fn limit<'a>(&mut self, revoked: impl Iterator<Item = (&'a NodeId, &'a Kept)>) {
        let kept: BTreeMap<NodeId, Kept> = revoked.map(|(node, kept)| (*node, kept.clone())).collect();
        if kept == self.kept {
            return;
        }
        let before = std::mem::replace(&mut self.kept, kept);
        let affected: BTreeSet<NodeId> = before.keys().chain(self.kept.keys()).copied().collect();
        for (doc, chain) in self.chains.iter_mut().filter(|(doc, _)| affected.contains(&doc.author)) {
            // Every link that counts now was checked when it came, so this cannot fail.
            let _ = chain.limit(limit_of(&self.kept, doc));
        }
    }

    /// The last link of an author's documents of a kind that was made no later than `until`, by the author's clock; none where there is none.
    pub(crate) fn last_good(&self, author: NodeId, kind: DocKind, until: Timestamp) -> Option<LastGood> {
        let mut epochs = self.epochs(author, kind).rev().map(|(doc, chain)| (doc.epoch, chain.len_until(until)));
        epochs.find(|(_, seq)| *seq > 0).map(|(epoch, seq)| LastGood { epoch, seq })
    }

    /// Documents with a proven fork, and where it begins.
    pub(crate) fn forked(&self) -> impl Iterator<Item = (&DocId, u64)> {
        self.forks.iter().map(|(doc, proven)| (doc, proven.from))
    }

    /// An author's epochs of one kind, oldest first.
    pub(crate) fn epochs(&self, author: NodeId, kind: DocKind) -> impl DoubleEndedIterator<Item = (&DocId, &Chain)> {
        self.chains.range(doc_id(author, kind, 0)..=doc_id(author, kind, u32::MAX))
    }

    /// Past which epoch an author's documents of a kind do not count any more, because of forks. A `node` fork heals once.
    pub(crate) fn last_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        let mut forks = self.forks.range(doc_id(author, kind, 0)..=doc_id(author, kind, u32::MAX));
        let healed = usize::from(kind == DocKind::Node);
        forks.nth(healed).map_or(u32::MAX, |(doc, _)| doc.epoch)
    }

    /// The epoch of an author's documents of a kind that readers use: the last one that is complete.
    pub(crate) fn current(&self, author: NodeId, kind: DocKind) -> Option<&DocId> {
        let last = self.last_epoch(author, kind);
        let mut counting = self.epochs(author, kind).filter(|(doc, _)| doc.epoch <= last);
        if !adds_up(kind) {
            return counting.rfind(|(_, chain)| chain.is_complete()).map(|(doc, _)| doc);
        }
        // The epochs are kept, so each must follow from the one before it, as far as that one is held.
        let mut current: Option<(&DocId, &Chain)> = None;
        for (doc, chain) in counting {
            let follows = current.is_none_or(|(before, held)| {
                before.epoch.checked_add(1) != Some(doc.epoch)
                    || chain.handover().is_some_and(|h| h.seq == held.len() && h.head == held.head())
            });
            if !follows {
                break;
            }
            if chain.is_complete() {
                current = Some((doc, chain));
            }
        }
        current.map(|(doc, _)| doc)
    }

    /// The documents that the fold reads: the current epoch of each, and the earlier ones where they add up.
    pub(crate) fn readable(&self) -> Vec<(&DocId, Arc<Reading>)> {
        let counts = |doc: &DocId| match self.current(doc.author, doc.kind) {
            Some(current) if adds_up(doc.kind) => doc.epoch <= current.epoch,
            Some(current) => doc == current,
            None => false,
        };
        let counting = self.chains().filter(|(doc, _)| counts(doc));
        counting.map(|(doc, chain)| (doc, Arc::clone(chain.reading()))).collect()
    }

    /// Whether the document is an epoch that a complete later one has replaced.
    pub(crate) fn is_replaced(&self, doc: &DocId) -> bool {
        !adds_up(doc.kind) && self.current(doc.author, doc.kind).is_some_and(|current| current.epoch > doc.epoch)
    }

    /// Takes a verified segment.
    pub(crate) fn offer(&mut self, segment: Segment) -> Offered {
        let id = segment.head.doc.clone();
        if self.is_replaced(&id) {
            return Offered::Known;
        }
        if !self.chains.contains_key(&id) && !self.has_room(&id) {
            return Offered::OverQuota;
        }
        let cut = self.forks.get(&id).map(|proven| proven.from - 1);
        let limit = limit_of(&self.kept, &id);
        if cut == Some(0) || limit == Some(0) {
            return Offered::Known;
        }
        let chain = self.chains.entry(id.clone()).or_insert_with(|| Chain::new(id.clone(), cut));
        let _ = chain.limit(limit);
        match chain.relation(&segment) {
            Relation::Known => Offered::Known,
            Relation::Gap(from) => self.missing(&id, from),
            Relation::PartsBefore => self.missing(&id, 1),
            Relation::Parts(at) if cut.is_some_and(|cut| at > cut) => Offered::Known,
            Relation::Parts(at) => self.prove(at, segment),
            Relation::Extends(skip) => self.extend(&id, segment, skip),
        }
    }

    fn missing(&mut self, id: &DocId, from: u64) -> Offered {
        self.forget_empty(id);
        Offered::Missing(from)
    }

    fn forget_empty(&mut self, id: &DocId) {
        if self.chains.get(id).is_some_and(|chain| chain.bytes() == 0) {
            self.chains.remove(id);
        }
    }

    fn extend(&mut self, id: &DocId, segment: Segment, skip: usize) -> Offered {
        let author_bytes = self.bytes_of(id.author);
        let chain = self.chains.get_mut(id).expect("the caller made sure of it");
        let fresh: usize = segment.links[skip..].iter().map(|(_, raw)| raw.len()).sum();
        if author_bytes + fresh > MAX_AUTHOR_BYTES {
            self.forget_empty(id);
            return Offered::OverQuota;
        }
        let first_new = segment.links[skip].0.seq;
        if let Err(refusal) = chain.adopt(segment, skip) {
            self.forget_empty(id);
            return Offered::Refused(refusal);
        }
        let mut writes: Vec<Write> =
            chain.links_from(first_new).map(|(seq, link)| record::link(id, seq, link)).collect();
        writes.extend(self.drop_replaced(id));
        Offered::Adopted(writes)
    }

    fn prove(&mut self, at: u64, segment: Segment) -> Offered {
        let id = segment.head.doc.clone();
        let Some(ours) = self.chains.get(&id).and_then(|chain| chain.side(at)) else { return Offered::Known };
        let links = segment.links.into_iter().filter(|(place, _)| place.seq >= at).map(|(_, raw)| raw).collect();
        let evidence = Evidence::new(at, ours, Side { head: segment.head, links });
        match self.accept(evidence) {
            Ok(Some(forked)) => Offered::Forked(forked),
            Ok(None) => Offered::Known,
            Err(refusal) => Offered::Refused(refusal),
        }
    }

    /// Keeps evidence where it is the lowest of its document, or equally low and of a lesser id, and cuts the document there.
    pub(crate) fn accept(&mut self, evidence: Evidence) -> Result<Option<Forked>, AdoptError> {
        let doc = evidence.doc().clone();
        let bytes = evidence.to_bytes();
        let (id, from) = (Evidence::id(&bytes), evidence.from);
        if self.forks.get(&doc).is_some_and(|known| (known.from, known.id) <= (from, id)) {
            return Ok(None);
        }
        let mut writes = Vec::new();
        if let Some(chain) = self.chains.get_mut(&doc) {
            let held: Vec<u64> = chain.links_from(1).map(|(seq, _)| seq).collect();
            chain.cut_before(from)?;
            let kept = chain.links_from(1).count();
            writes
                .extend(held.into_iter().skip(kept).map(|seq| Write { key: record::link_key(&doc, seq), value: None }));
        }
        self.forget_empty(&doc);
        writes.push(Write { key: record::fork_key(&id), value: Some(bytes.clone()) });
        if let Some(old) = self.forks.insert(doc.clone(), Proven { id, from, bytes }) {
            writes.push(Write { key: record::fork_key(&old.id), value: None });
        }
        Ok(Some(Forked { id, writes }))
    }

    /// Adds a restored chain; no fork is cut yet.
    pub(crate) fn restore(&mut self, doc: DocId, chain: Chain) {
        self.chains.insert(doc, chain);
    }

    /// Forgets the epochs that a complete later one of `doc`'s kind has replaced.
    fn drop_replaced(&mut self, doc: &DocId) -> Vec<Write> {
        let epochs: Vec<DocId> = self.epochs(doc.author, doc.kind).map(|(id, _)| id.clone()).collect();
        let mut writes = Vec::new();
        for old in epochs {
            if !self.is_replaced(&old) {
                continue;
            }
            if let Some(chain) = self.chains.remove(&old) {
                let keys = chain.links_from(1).map(|(seq, _)| record::link_key(&old, seq));
                writes.extend(keys.map(|key| Write { key, value: None }));
            }
        }
        writes
    }

    /// Bytes of links held of an author, all documents together.
    fn bytes_of(&self, author: NodeId) -> usize {
        // Ids order by author first, and no id is less than that of its first kind's first epoch.
        let from = doc_id(author, DocKind::Authority, 0);
        self.chains.range(from..).take_while(|(doc, _)| doc.author == author).map(|(_, chain)| chain.bytes()).sum()
    }

    fn has_room(&self, doc: &DocId) -> bool {
        let max = if adds_up(doc.kind) { MAX_ADDED_EPOCHS } else { MAX_EPOCHS };
        self.epochs(doc.author, doc.kind).count() < max
    }

    /// What this node would write next: the current end of its own documents of a kind.
    pub(crate) fn last(&self, author: NodeId, kind: DocKind) -> Option<(&DocId, &Chain)> {
        self.epochs(author, kind).next_back()
    }

    /// Opens evidence offered by anybody.
    pub(crate) fn open_evidence(bytes: &[u8], mesh: MeshId) -> Result<Evidence, crate::fork::EvidenceError> {
        Evidence::open(bytes, mesh)
    }
}
