//! Every document a node holds: which epochs there are, which count, and where forks cut them.
//!
//! What is kept is a function of what was offered, whatever the order and the paging, so that nodes that meet end with the same. Of `node`
//! documents it is the last whole epoch of each author. Epochs of the other kinds add up: one begins only where the one before is full and
//! names its last head, so an author's epochs are one long chain, and its share bounds a prefix of it.

mod proofs;
mod staged;

use std::collections::BTreeMap;
use std::sync::Arc;

use sedge_statement::{DocId, DocKind, MeshId, NodeId, ObjectId, Scope};

use self::proofs::Proofs;
use self::staged::Staged;
use crate::chain::{AdoptError, Chain, Relation};
use crate::fork::{Evidence, Side};
use crate::precheck::MAX_LINK_COST;
use crate::record::{self, Write};
use crate::segment::Segment;
use crate::view::Reading;

/// What an author's epochs of a kind that add up may count for, all together, bytes: see [`Chain::cost`].
const SHARE: usize = 64 << 20;

/// What came of an offered segment.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Nothing new.
    Known,
    /// New links count.
    Adopted(Vec<Write>),
    /// The epoch is not whole yet, and counts with those to come.
    Staged,
    /// Links from this one on are missing before it.
    Missing(u64),
    /// The epoch before it is not here, or not all of it.
    Early,
    /// The epoch does not follow the one that is held.
    Unfollowed,
    /// A fork is proven here for the first time, or lower than before.
    Forked(Forked),
    /// The author wrote what is not accepted.
    Refused(AdoptError),
    /// The author has as much as one author may.
    OverQuota,
}

/// A fork just proven.
#[derive(Debug)]
pub(crate) struct Forked {
    pub(crate) id: ObjectId,
    pub(crate) writes: Vec<Write>,
}

/// All chains and all proven forks.
#[derive(Debug)]
pub(crate) struct Documents {
    chains: BTreeMap<DocId, Chain>,
    forks: Proofs,
    staged: Staged,
    share: usize,
}

impl Default for Documents {
    fn default() -> Self {
        Self { chains: BTreeMap::new(), forks: Proofs::default(), staged: Staged::default(), share: SHARE }
    }
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

/// Whether a chain is read and told to others.
fn counts(chain: &Chain) -> bool {
    chain.len() > 0 && (adds_up(chain.id().kind) || chain.is_complete())
}

impl Documents {
    pub(crate) fn chain(&self, doc: &DocId) -> Option<&Chain> {
        self.chains.get(doc)
    }

    /// Every document that counts.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&DocId, &Chain)> {
        self.chains.iter().filter(|(_, chain)| counts(chain))
    }

    /// The evidence kept, by its id.
    pub(crate) fn forks(&self) -> impl Iterator<Item = (ObjectId, &[u8])> {
        self.forks.all()
    }

    /// The evidence of an id.
    pub(crate) fn evidence(&self, id: &ObjectId) -> Option<&[u8]> {
        self.forks.get(id)
    }

    /// Whether exactly this evidence is kept.
    pub(crate) fn has_evidence(&self, bytes: &[u8]) -> bool {
        self.forks.get(&Evidence::id(bytes)).is_some()
    }

    /// How many links of a document count at most, where a fork is proven.
    pub(crate) fn cut_of(&self, doc: &DocId) -> Option<u64> {
        self.forks.cut_of(doc)
    }

    pub(crate) fn is_forked(&self, doc: &DocId) -> bool {
        self.forks.cut_of(doc).is_some()
    }

    /// The epoch after every one that is held or known to be forked.
    pub(crate) fn next_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        let held = self.last(author, kind).map(|(doc, _)| doc.epoch);
        let forked = self.forks.epochs(author, kind).next_back().map(|doc| doc.epoch);
        held.max(forked).map_or(0, |last| last.saturating_add(1))
    }

    /// Documents with a proven fork, and where it begins.
    pub(crate) fn forked(&self) -> impl Iterator<Item = (&DocId, u64)> {
        self.forks.forked()
    }

    /// An author's epochs of one kind, oldest first.
    fn epochs(&self, author: NodeId, kind: DocKind) -> impl DoubleEndedIterator<Item = (&DocId, &Chain)> {
        self.chains.range(doc_id(author, kind, 0)..=doc_id(author, kind, u32::MAX))
    }

    /// Past which epoch an author's documents of a kind do not count any more, because of forks.
    pub(crate) fn last_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        self.forks.last_epoch(author, kind)
    }

    /// The last epoch of an author's documents of a kind that counts.
    pub(crate) fn current(&self, author: NodeId, kind: DocKind) -> Option<&Chain> {
        self.epochs(author, kind).map(|(_, chain)| chain).rfind(|chain| counts(chain))
    }

    /// The documents that the fold reads.
    pub(crate) fn readable(&self) -> Vec<(&DocId, Arc<Reading>)> {
        self.chains().map(|(doc, chain)| (doc, Arc::clone(chain.reading()))).collect()
    }

    /// Whether nothing of a document is taken: a whole later epoch replaced it, or forks end its author's documents before it, or at its start.
    pub(crate) fn is_over(&self, doc: &DocId) -> bool {
        let current = || self.current(doc.author, doc.kind).map(|chain| chain.id().epoch);
        doc.epoch > self.last_epoch(doc.author, doc.kind)
            || self.cut_of(doc) == Some(0)
            || (!adds_up(doc.kind) && current().is_some_and(|current| current > doc.epoch))
    }

    /// For how many bytes of its author's share a document may come to count.
    pub(crate) fn room(&self, doc: &DocId) -> usize {
        if !adds_up(doc.kind) {
            return usize::MAX;
        }
        let before = self.epochs(doc.author, doc.kind).take_while(|(before, _)| before.epoch < doc.epoch);
        self.share.saturating_sub(before.map(|(_, chain)| chain.cost()).sum())
    }

    /// Takes a verified segment that a peer offered.
    pub(crate) fn offer(&mut self, peer: NodeId, segment: Segment) -> Offered {
        let id = segment.head.doc.clone();
        if self.is_over(&id) {
            return Offered::Known;
        }
        let (cut, room) = (self.cut_of(&id), self.room(&id));
        let Some(chain) = self.chains.get_mut(&id) else { return self.begin(peer, segment, room) };
        match chain.relation(&segment) {
            Relation::Known => Offered::Known,
            Relation::Gap(from) => Offered::Missing(from),
            Relation::PartsBefore => Offered::Missing(1),
            Relation::Parts(at) if cut.is_some_and(|cut| at > cut) => Offered::Known,
            Relation::Parts(at) => match chain.side(at) {
                Some(ours) => self.prove(at, ours, segment),
                None => Offered::Known,
            },
            Relation::Extends(_) if chain.cost() + MAX_LINK_COST > room => Offered::OverQuota,
            Relation::Extends(skip) => {
                let first_new = segment.links[skip].0.seq;
                if let Err(refusal) = chain.adopt(segment, skip, room) {
                    return Offered::Refused(refusal);
                }
                let mut writes = stored(chain, first_new);
                writes.extend(self.drop_replaced(&id));
                Offered::Adopted(writes)
            }
        }
    }

    /// Takes a segment of a document of which nothing is held.
    fn begin(&mut self, peer: NodeId, segment: Segment, room: usize) -> Offered {
        let id = segment.head.doc.clone();
        let before = id.epoch.checked_sub(1).filter(|_| adds_up(id.kind)).map(|epoch| DocId { epoch, ..id.clone() });
        let before = match before.map(|before| self.chains.get(&before)) {
            Some(None) => return Offered::Early,
            Some(Some(chain)) if !chain.is_full() => return Offered::Early,
            Some(Some(chain)) => Some((chain.len(), chain.head())),
            None => None,
        };
        if MAX_LINK_COST > room {
            return Offered::OverQuota;
        }
        let staged = self.staged.take(peer, &id);
        let mut chain = staged.unwrap_or_else(|| Chain::new(id.clone(), self.cut_of(&id)));
        let offered = match chain.relation(&segment) {
            Relation::Known => Offered::Known,
            Relation::Gap(from) => Offered::Missing(from),
            Relation::PartsBefore => Offered::Missing(1),
            Relation::Parts(at) => match chain.side(at) {
                Some(ours) => return self.prove(at, ours, segment),
                None => Offered::Known,
            },
            Relation::Extends(skip) => match chain.adopt(segment, skip, room) {
                Err(refusal) => return Offered::Refused(refusal),
                Ok(()) if before.is_some_and(|before| chain.handover().map(|h| (h.seq, h.head)) != Some(before)) => {
                    return Offered::Unfollowed;
                }
                Ok(()) if counts(&chain) => return Offered::Adopted(self.insert(chain)),
                Ok(()) => Offered::Staged,
            },
        };
        if chain.bytes() > 0 {
            self.staged.put(peer, chain);
        }
        offered
    }

    /// Keeps a whole new epoch: one that came, or one's own. Answers what is to be stored.
    pub(crate) fn insert(&mut self, chain: Chain) -> Vec<Write> {
        let id = chain.id().clone();
        let mut writes = stored(&chain, 1);
        self.chains.insert(id.clone(), chain);
        writes.extend(self.drop_replaced(&id));
        writes
    }

    fn prove(&mut self, at: u64, ours: Side, segment: Segment) -> Offered {
        let links = segment.links.into_iter().filter(|(place, _)| place.seq >= at).map(|(_, raw)| raw).collect();
        let evidence = Evidence::new(at, ours, Side { head: segment.head, links });
        match self.accept(evidence) {
            Ok(Some(forked)) => Offered::Forked(forked),
            Ok(None) => Offered::Known,
            Err(refusal) => Offered::Refused(refusal),
        }
    }

    /// Keeps evidence where it ends more than what is known, cuts its document there, and drops what no longer counts.
    pub(crate) fn accept(&mut self, evidence: Evidence) -> Result<Option<Forked>, AdoptError> {
        let (doc, from) = (evidence.doc().clone(), evidence.from);
        if doc.scope != Scope::Mesh {
            return Ok(None);
        }
        let Some((id, needless)) = self.forks.keep(&evidence) else { return Ok(None) };
        self.staged.forget_author(doc.author);
        let mut writes = Vec::new();
        if let Some(chain) = self.chains.get_mut(&doc) {
            let held = chain.held();
            chain.cut_before(from)?;
            writes.extend((chain.held() + 1..=held).map(|seq| removal(record::link_key(&doc, seq))));
        }
        let last = self.last_epoch(doc.author, doc.kind);
        let over = self.epochs(doc.author, doc.kind).filter(|(id, chain)| id.epoch > last || !counts(chain));
        for id in over.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            writes.extend(self.remove(&id));
        }
        writes.extend(needless.iter().map(|old| removal(record::fork_key(old))));
        writes.push(Write { key: record::fork_key(&id), value: Some(evidence.to_bytes()) });
        Ok(Some(Forked { id, writes }))
    }

    /// Adds a restored chain where it still counts, or is this node's own; all evidence must be here. Answers whether it does.
    pub(crate) fn restore(&mut self, chain: Chain, is_own: bool) -> bool {
        let keep = chain.len() > 0 && !self.is_over(chain.id()) && (is_own || counts(&chain));
        if keep {
            self.chains.insert(chain.id().clone(), chain);
        }
        keep
    }

    /// Forgets what a peer offered and has not told to its end.
    pub(crate) fn forget_peer(&mut self, peer: &NodeId) {
        self.staged.forget_peer(peer);
    }

    /// Sets another share than [`SHARE`], for tests.
    #[cfg(feature = "testing")]
    pub(crate) fn set_share(&mut self, share: usize) {
        self.share = share;
    }

    /// Forgets the epochs that a whole later one of `doc`'s kind has replaced.
    pub(crate) fn drop_replaced(&mut self, doc: &DocId) -> Vec<Write> {
        let Some(current) = self.current(doc.author, doc.kind).map(|chain| chain.id().epoch) else { return Vec::new() };
        if adds_up(doc.kind) {
            return Vec::new();
        }
        let old: Vec<DocId> =
            self.epochs(doc.author, doc.kind).map(|(id, _)| id.clone()).take_while(|id| id.epoch < current).collect();
        old.iter().flat_map(|old| self.remove(old)).collect()
    }

    /// Forgets a chain; answers which records go with it.
    fn remove(&mut self, doc: &DocId) -> Vec<Write> {
        let Some(chain) = self.chains.remove(doc) else { return Vec::new() };
        chain.links_from(1).map(|(seq, _)| removal(record::link_key(doc, seq))).collect()
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

/// The records of a chain's links from `seq` on.
fn stored(chain: &Chain, seq: u64) -> Vec<Write> {
    chain.links_from(seq).map(|(seq, link)| record::link(chain.id(), seq, link)).collect()
}

fn removal(key: Vec<u8>) -> Write {
    Write { key, value: None }
}
