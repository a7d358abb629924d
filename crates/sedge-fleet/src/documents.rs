//! Every document a node holds: which epochs there are, which count, and where forks cut them.
//!
//! What is kept is a function of what was offered, whatever the order and the paging, so that nodes that meet end with the same. Of `node`
//! documents it is the last whole epoch of each author in its cell; which cell that is, and so what is offered here at all, the fleet judges by
//! certificates. Epochs of the other kinds add up. Those of `authority` documents are one long chain: one begins only where the one before is full and
//! names its last head, and its author's share bounds a prefix of it. Those of `gate` documents stand each by itself, since evidence is only ever added; the lowest have the
//! share, and those that speak of nothing but rollouts long over are kept by nobody ([`settled`]). Of authors whose word is taken back it is what the revocation names.

mod kept;
mod offer;
mod proofs;
mod settled;
mod staged;
mod warm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sedge_statement::{DocId, DocKind, Kept, LastGood, MeshId, NodeId, ObjectId, RolloutId, Scope, Timestamp};

pub(crate) use self::offer::{Forked, Offered};
use self::proofs::Proofs;
use self::staged::Staged;
use self::warm::Warm;
use crate::chain::Chain;
use crate::fork::Evidence;
use crate::record::{self, Write};
use crate::view::Reading;

/// What the epochs of an author's `authority` document may count for, all together, bytes: see [`Chain::cost`].
const SHARE: usize = 64 << 20;

/// How many epochs of its `gate` document are kept of an author, the lowest: some 1,800 links of evidence on rollouts that are not long over, and
/// 32 MiB of what one has that is mad.
const MAX_GATE_EPOCHS: usize = 256;

/// All chains and all proven forks.
#[derive(Debug)]
pub(crate) struct Documents {
    chains: BTreeMap<DocId, Chain>,
    forks: Proofs,
    staged: Staged,
    warm: Warm,
    /// What counts of revoked authors.
    kept: BTreeMap<NodeId, Kept>,
    /// The rollouts on which no evidence is kept.
    settled: BTreeSet<RolloutId>,
    share: usize,
}

impl Default for Documents {
    fn default() -> Self {
        let (forks, staged, warm) = (Proofs::default(), Staged::default(), Warm::default());
        let (chains, kept, settled) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { chains, forks, staged, warm, kept, settled, share: SHARE }
    }
}

/// A document that the whole mesh holds. A `node` document of this scope is of an older store, or the least name of its author's.
pub(crate) fn doc_id(author: NodeId, kind: DocKind, epoch: u32) -> DocId {
    DocId { author, kind, scope: Scope::Mesh, epoch }
}

/// Whether what earlier epochs say still counts: statements of authorities, and evidence, which a later epoch could
/// otherwise leave out.
fn adds_up(kind: DocKind) -> bool {
    kind != DocKind::Node
}

/// The epoch that a document's must follow, where it must follow one.
pub(crate) fn predecessor(doc: &DocId) -> Option<DocId> {
    let epoch = doc.epoch.checked_sub(1).filter(|_| doc.kind == DocKind::Authority)?;
    Some(DocId { epoch, ..doc.clone() })
}

/// Whether a document of this kind may have this scope: a `node` document is its cell's, and only an older version made it the mesh's.
pub(crate) fn is_in_use(doc: &DocId) -> bool {
    doc.kind == DocKind::Node || doc.scope == Scope::Mesh
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

    /// Every document that is held, counting or not, in order.
    pub(crate) fn all_chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.values()
    }

    /// The evidence kept, by its id.
    pub(crate) fn forks(&self) -> impl Iterator<Item = (ObjectId, &[u8])> {
        self.forks.all()
    }

    /// The evidence kept, by the document that it is about.
    pub(crate) fn forks_by_document(&self) -> impl Iterator<Item = (&DocId, &[u8])> {
        self.forks.by_document()
    }

    /// The ids of the evidence that says something, each with the author that it is about. Of a revoked author it says nothing.
    pub(crate) fn forks_of(&self) -> impl Iterator<Item = (NodeId, ObjectId)> {
        self.forks.authors().filter(|(author, _)| !self.is_revoked(author))
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
        self.forks.cut_of(doc).filter(|_| !self.is_revoked(&doc.author))
    }

    pub(crate) fn is_forked(&self, doc: &DocId) -> bool {
        self.cut_of(doc).is_some()
    }

    /// The epoch after every one that is held, on its way, or known to be forked, in whatever scope: an author that moves cell counts on.
    pub(crate) fn next_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        let held = self.last(author, kind).map(|(doc, _)| doc.epoch);
        let forked = self.forks.epochs(author, kind).last().map(|doc| doc.epoch);
        held.max(forked).max(self.staged.last_epoch(author, kind)).map_or(0, |last| last.saturating_add(1))
    }

    /// The last link of an author's documents of a kind that the whole mesh holds that was made no later than `until`, by the author's clock; none where
    /// there is none.
    pub(crate) fn last_good(&self, author: NodeId, kind: DocKind, until: Timestamp) -> Option<LastGood> {
        self.epochs(&doc_id(author, kind, 0)).rev().find_map(|(doc, chain)| {
            let seq = chain.len_until(until);
            Some(LastGood { epoch: doc.epoch, seq, head: chain.hash_at(seq)? })
        })
    }

    /// Documents with a proven fork, and where it begins.
    pub(crate) fn forked(&self) -> impl Iterator<Item = (&DocId, u64)> {
        self.forks.forked().filter(|(doc, _)| !self.is_revoked(&doc.author))
    }

    /// The epochs that a document is one of, of its author, kind and scope, oldest first.
    fn epochs(&self, doc: &DocId) -> impl DoubleEndedIterator<Item = (&DocId, &Chain)> + use<'_> {
        let of = |epoch| DocId { epoch, ..doc.clone() };
        self.chains.range(of(0)..=of(u32::MAX))
    }

    /// An author's documents of a kind, in every scope.
    fn of_author(&self, author: NodeId, kind: DocKind) -> impl Iterator<Item = (&DocId, &Chain)> {
        let first = doc_id(author, kind, 0);
        self.chains.range(first..).take_while(move |(doc, _)| (doc.author, doc.kind) == (author, kind))
    }

    /// Past which epoch an author's documents of a kind do not count any more, because of forks.
    pub(crate) fn last_epoch(&self, author: NodeId, kind: DocKind) -> u32 {
        self.forks.last_epoch(author, kind)
    }

    /// The last epoch of an author's documents of a kind that counts, in whatever scope.
    pub(crate) fn current(&self, author: NodeId, kind: DocKind) -> Option<&Chain> {
        self.of_author(author, kind).map(|(_, chain)| chain).filter(|chain| counts(chain)).max_by_key(|c| c.id().epoch)
    }

    /// Whether a document of this author's in this scope is held and counts.
    pub(crate) fn has(&self, author: NodeId, kind: DocKind, scope: &Scope) -> bool {
        self.of_author(author, kind).any(|(doc, chain)| doc.scope == *scope && counts(chain))
    }

    /// The documents that the fold reads.
    pub(crate) fn readable(&self) -> Vec<(&DocId, Arc<Reading>)> {
        self.chains().map(|(doc, chain)| (doc, Arc::clone(chain.reading()))).collect()
    }

    /// Whether nothing of a document is taken: a whole later epoch replaced it, or forks end its author's documents before it, or at its start; or its
    /// author is revoked, and nothing is known of it that counts.
    pub(crate) fn is_over(&self, doc: &DocId) -> bool {
        if self.is_revoked(&doc.author) {
            return self.end_of(doc).is_none();
        }
        doc.epoch > self.last_epoch(doc.author, doc.kind)
            || self.cut_of(doc) == Some(0)
            || (!adds_up(doc.kind) && self.of_author(doc.author, doc.kind).any(|(by, chain)| replaces(by, chain, doc)))
    }

    /// An empty chain for a document, counted as far as forks and revocations let it.
    pub(crate) fn beginning(&self, doc: &DocId) -> Chain {
        if self.is_revoked(&doc.author) {
            return self.beginning_of_revoked(doc);
        }
        Chain::new(doc.clone(), self.cut_of(doc))
    }

    /// For how many bytes of its author's share a document may come to count.
    pub(crate) fn room(&self, doc: &DocId) -> usize {
        if !adds_up(doc.kind) {
            return usize::MAX;
        }
        let before = || self.epochs(doc).take_while(|(before, _)| before.epoch < doc.epoch);
        match doc.kind {
            DocKind::Gate if before().count() >= MAX_GATE_EPOCHS => 0,
            DocKind::Gate => usize::MAX,
            _ => self.share.saturating_sub(before().map(|(_, chain)| chain.cost()).sum()),
        }
    }

    /// Forgets the highest epochs of a `gate` document where one came before them: the lowest count, in whatever order they come.
    fn drop_past_share(&mut self, doc: &DocId) -> Vec<Write> {
        if doc.kind != DocKind::Gate {
            return Vec::new();
        }
        let past: Vec<DocId> = self.epochs(doc).skip(MAX_GATE_EPOCHS).map(|(past, _)| past.clone()).collect();
        past.iter().flat_map(|past| self.remove(past)).collect()
    }

    /// Adds a restored chain where it still counts, or is this node's own; all evidence must be here. Answers whether it does.
    pub(crate) fn restore(&mut self, mut chain: Chain, is_own: bool) -> bool {
        self.end_restored(&mut chain);
        let keep = !self.is_over(chain.id()) && (counts(&chain) || (is_own && chain.held() > 0));
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

    /// Forgets the documents that this one has replaced.
    pub(crate) fn drop_replaced(&mut self, doc: &DocId) -> Vec<Write> {
        let Some(by) = self.chains.get(doc).filter(|_| !adds_up(doc.kind)) else { return Vec::new() };
        let old = self.of_author(doc.author, doc.kind).map(|(old, _)| old).filter(|old| replaces(doc, by, old));
        let old: Vec<DocId> = old.cloned().collect();
        old.iter().flat_map(|old| self.remove(old)).collect()
    }

    /// Forgets the documents that are not to be kept; answers which records go with them.
    pub(crate) fn forget_but(&mut self, keep: &BTreeSet<DocId>) -> Vec<Write> {
        let gone: Vec<DocId> = self.chains.keys().filter(|doc| !keep.contains(doc)).cloned().collect();
        gone.iter().flat_map(|doc| self.remove(doc)).collect()
    }

    /// Every document held, counting or not.
    pub(crate) fn held(&self) -> impl Iterator<Item = &DocId> {
        self.chains.keys()
    }

    /// Forgets a chain; answers which records go with it.
    fn remove(&mut self, doc: &DocId) -> Vec<Write> {
        let Some(chain) = self.chains.remove(doc) else { return Vec::new() };
        chain.links_from(1).map(|(seq, _)| removal(record::link_key(doc, seq))).collect()
    }

    /// What this node would write next: the current end of its own documents of a kind.
    pub(crate) fn last(&self, author: NodeId, kind: DocKind) -> Option<(&DocId, &Chain)> {
        self.of_author(author, kind).max_by(|(a, _), (b, _)| (a.epoch, &a.scope).cmp(&(b.epoch, &b.scope)))
    }

    /// Opens evidence offered by anybody.
    pub(crate) fn open_evidence(bytes: &[u8], mesh: MeshId) -> Result<Evidence, crate::fork::EvidenceError> {
        Evidence::open(bytes, mesh)
    }
}

/// Whether one `node` document takes the place of another of its author: as a whole later epoch in the same cell, or as any in a cell where the other is
/// of an older store.
fn replaces(by: &DocId, chain: &Chain, old: &DocId) -> bool {
    let later = by.scope == old.scope && by.epoch > old.epoch;
    counts(chain) && (later || (old.scope == Scope::Mesh && by.scope != Scope::Mesh))
}

/// The records of a chain's links from `seq` on.
fn stored(chain: &Chain, seq: u64) -> Vec<Write> {
    chain.links_from(seq).map(|(seq, link)| record::link(chain.id(), seq, link)).collect()
}

fn removal(key: Vec<u8>) -> Write {
    Write { key, value: None }
}
