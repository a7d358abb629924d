//! What counts of authors whose word is taken back.
//!
//! A revocation names the last link that counts by its hash. A chain of such an author counts only where it holds that very link, and up to it; of the
//! epochs before, each has to end with the link that the next one says it follows. So what counts is fixed by the revocation alone, whatever
//! histories were signed with the key before or after, and in whatever order they came: forks cut nothing off it, and a chain that does not reach
//! the link is neither read nor told. What a node holds of another history stays aside, until the right one came whole or the revocation is
//! itself void.
//!
//! It is fetched from the last epoch down, since each tells how the one before it ends. Until a chain reaches its link it stays with the peer that
//! offers it, like a half-told epoch.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{ChangeHash, DocId, DocKind, Kept, NodeId};

use super::{Documents, MAX_GATE_EPOCHS, Offered, adds_up, counts, doc_id, predecessor, removal};
use crate::chain::{Chain, Relation};
use crate::precheck::MAX_LINK_COST;
use crate::record::{self, Write};
use crate::segment::Segment;

/// The last link of a document that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    seq: u64,
    head: ChangeHash,
}

impl End {
    /// How many links of a chain count.
    fn limit(self, chain: &Chain) -> u64 {
        if chain.hash_at(self.seq) == Some(self.head) { self.seq } else { 0 }
    }
}

impl Documents {
    /// Counts of revoked authors only what was kept of them. Answers what is to be stored.
    pub(crate) fn limit<'a>(&mut self, revoked: impl Iterator<Item = (&'a NodeId, &'a Kept)>) -> Vec<Write> {
        let kept: BTreeMap<NodeId, Kept> = revoked.map(|(node, kept)| (*node, kept.clone())).collect();
        if kept == self.kept {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.kept, kept);
        let is_other = |author: &&NodeId| before.get(*author) != self.kept.get(*author);
        let affected: BTreeSet<NodeId> = before.keys().chain(self.kept.keys()).filter(is_other).copied().collect();
        let mut writes = Vec::new();
        for author in affected {
            self.staged.forget_author(author);
            if self.is_revoked(&author) { self.end(author) } else { writes.extend(self.free(author)) }
        }
        writes
    }

    pub(super) fn is_revoked(&self, author: &NodeId) -> bool {
        self.kept.contains_key(author)
    }

    /// Where a revoked author's document ends; none where nothing of it counts, or where the epoch behind it, which says so, is not here.
    pub(super) fn end_of(&self, doc: &DocId) -> Option<End> {
        let last = self.kept.get(&doc.author)?.documents.get(&doc.kind)?;
        match doc.epoch.cmp(&last.epoch) {
            Ordering::Equal if last.seq > 0 => Some(End { seq: last.seq, head: last.head }),
            Ordering::Less if adds_up(doc.kind) => {
                let next = DocId { epoch: doc.epoch + 1, ..doc.clone() };
                let handover = self.chains.get(&next).filter(|chain| counts(chain))?.handover()?;
                Some(End { seq: handover.seq, head: handover.head? })
            }
            _ => None,
        }
    }

    /// An empty chain for a revoked author's document, to take as many links as may count.
    pub(super) fn beginning_of_revoked(&self, doc: &DocId) -> Chain {
        let mut chain = Chain::new(doc.clone(), None);
        chain.limit(Some(self.end_of(doc).map_or(0, |end| end.seq)));
        chain
    }

    /// Counts nothing of a restored chain that does not reach its end.
    pub(crate) fn end_restored(&self, chain: &mut Chain) {
        if self.is_revoked(&chain.id().author) {
            let limit = self.end_of(chain.id()).map_or(0, |end| end.limit(chain));
            chain.limit(Some(limit));
        }
    }

    /// Takes a verified segment of a revoked author's document.
    pub(super) fn offer_of_revoked(&mut self, peer: NodeId, segment: Segment, end: End) -> Offered {
        let id = segment.head.doc.clone();
        if self.chains.get(&id).is_some_and(counts) {
            return Offered::Known;
        }
        let room = self.room_of_revoked(&id);
        if MAX_LINK_COST > room {
            return Offered::OverQuota;
        }
        let staged = self.staged.take(peer, &id);
        let mut chain = staged.unwrap_or_else(|| self.beginning_of_revoked(&id));
        if matches!(chain.relation(&segment), Relation::Parts(_) | Relation::PartsBefore) {
            // The peer has another history now than it offered before.
            chain = self.beginning_of_revoked(&id);
        }
        let offered = match chain.relation(&segment) {
            Relation::Known => Offered::Known,
            Relation::Gap(from) => Offered::Missing(from),
            Relation::Parts(_) | Relation::PartsBefore => Offered::Missing(1),
            Relation::Extends(skip) => match chain.adopt(segment, skip, room) {
                Err(refusal) => return Offered::Refused(refusal),
                Ok(()) if chain.held() < end.seq => Offered::Staged,
                Ok(()) if self.is_settled(&chain) => return Offered::Known,
                Ok(()) if end.limit(&chain) > 0 => return Offered::Adopted(self.replace(chain)),
                // Another history than the one that is kept. Who holds it has not heard of the revocation.
                Ok(()) => return Offered::Known,
            },
        };
        if chain.bytes() > 0 {
            self.staged.put(peer, chain);
        }
        offered
    }

    /// Puts the chain that is kept in the place of what was held.
    fn replace(&mut self, chain: Chain) -> Vec<Write> {
        let (id, held) = (chain.id().clone(), chain.held());
        let before = self.chains.get(&id).map_or(0, Chain::held);
        let mut writes: Vec<Write> = (held + 1..=before).map(|seq| removal(record::link_key(&id, seq))).collect();
        writes.extend(self.insert(chain));
        self.end(id.author);
        writes
    }

    /// For how much of its author's share a chain may count: of the epochs behind it, all that count.
    fn room_of_revoked(&self, doc: &DocId) -> usize {
        let (mut behind, mut cost) = (0, 0);
        for (_, chain) in self.epochs(doc).filter(|(other, chain)| other.epoch > doc.epoch && counts(chain)) {
            (behind, cost) = (behind + 1, cost + chain.cost());
        }
        if doc.kind == DocKind::Gate && behind >= MAX_GATE_EPOCHS { 0 } else { self.share.saturating_sub(cost) }
    }

    /// Counts of a revoked author's chains those that reach their end, the later epochs first.
    fn end(&mut self, author: NodeId) {
        for id in self.of(author).into_iter().rev() {
            let end = self.end_of(&id);
            if let Some(chain) = self.chains.get_mut(&id) {
                let limit = end.map_or(0, |end| end.limit(chain));
                chain.limit(Some(limit));
            }
        }
    }

    /// Counts an author's chains as those of any other: what revoked it counts no more.
    fn free(&mut self, author: NodeId) -> Vec<Write> {
        let mut writes = Vec::new();
        for id in self.of(author) {
            let Some(mut chain) = self.chains.remove(&id) else { continue };
            let held = chain.held();
            chain.limit(None);
            let cut = self.forks.cut_of(&id).map_or(Ok(()), |cut| chain.cut_before(cut + 1));
            let keep = cut.is_ok()
                && id.epoch <= self.forks.last_epoch(author, id.kind)
                && counts(&chain)
                && self.follows(&chain);
            let kept = if keep { chain.held() } else { 0 };
            writes.extend((kept + 1..=held).map(|seq| removal(record::link_key(&id, seq))));
            if keep {
                self.chains.insert(id, chain);
            }
        }
        writes
    }

    /// Whether the epoch before a chain is here, full, and ends as the chain says.
    fn follows(&self, chain: &Chain) -> bool {
        let id = chain.id();
        let Some(before) = predecessor(id) else { return true };
        let before = self.chains.get(&before).filter(|before| before.is_full());
        let ends = |handover: crate::chain::Handover| {
            before.is_some_and(|before| (handover.seq, handover.head) == (before.len(), before.head()))
        };
        chain.handover().is_some_and(ends)
    }

    /// An author's documents, in order.
    fn of(&self, author: NodeId) -> Vec<DocId> {
        let all = self.chains.range(doc_id(author, DocKind::Authority, 0)..).map(|(doc, _)| doc);
        all.take_while(|doc| doc.author == author).cloned().collect()
    }
}
