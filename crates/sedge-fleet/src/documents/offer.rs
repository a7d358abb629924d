//! Taking in what peers offer: links of what is held, beginnings of what is not, and evidence.

use sedge_statement::{DocId, NodeId, ObjectId, Timestamp};

use super::{Documents, counts, is_in_use, predecessor, removal, stored};
use crate::chain::{AdoptError, Chain, Relation};
use crate::fork::{Evidence, Side};
use crate::precheck::MAX_LINK_COST;
use crate::record::{self, Write};
use crate::segment::Segment;

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

impl Documents {
    /// Takes a verified segment that a peer offered.
    pub(crate) fn offer(&mut self, peer: NodeId, segment: Segment) -> Offered {
        let id = segment.head.doc.clone();
        if self.is_over(&id) {
            return Offered::Known;
        }
        if let Some(end) = self.end_of(&id) {
            return self.offer_of_revoked(peer, segment, end);
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
                self.warm(&id);
                Offered::Adopted(writes)
            }
        }
    }

    /// Takes a segment of a document of which nothing is held.
    fn begin(&mut self, peer: NodeId, segment: Segment, room: usize) -> Offered {
        let id = segment.head.doc.clone();
        let before = match predecessor(&id).map(|before| self.chains.get(&before)) {
            Some(None) => return Offered::Early,
            Some(Some(chain)) if !chain.is_full() => return Offered::Early,
            Some(Some(chain)) => Some((chain.len(), chain.head())),
            None => None,
        };
        if MAX_LINK_COST > room {
            return Offered::OverQuota;
        }
        let staged = self.staged.take(peer, &id);
        let mut chain = staged.unwrap_or_else(|| self.beginning(&id));
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
                // One that speaks of something else further on comes whole that way.
                Ok(()) if counts(&chain) && !self.is_settled(&chain) => return Offered::Adopted(self.insert(chain)),
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
        writes.extend(self.drop_past_share(&id));
        writes.extend(self.drop_settled(&id));
        self.warm(&id);
        writes
    }

    /// Notes that time passes, and lets documents rest that took no link for long.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        for doc in self.warm.pass(now) {
            if let Some(chain) = self.chains.get_mut(&doc) {
                chain.rest();
            }
        }
    }

    /// Notes that a document took a link, and lets another rest where too many have not.
    fn warm(&mut self, doc: &DocId) {
        let rests = self.warm.touch(doc);
        if let Some(chain) = rests.and_then(|doc| self.chains.get_mut(&doc)) {
            chain.rest();
        }
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
        if !is_in_use(&doc) {
            return Ok(None);
        }
        let Some((id, needless)) = self.forks.keep(&evidence) else { return Ok(None) };
        let mut writes: Vec<Write> = needless.iter().map(|old| removal(record::fork_key(old))).collect();
        writes.push(Write { key: record::fork_key(&id), value: Some(evidence.to_bytes()) });
        if self.is_revoked(&doc.author) {
            return Ok(Some(Forked { id, writes }));
        }
        self.staged.forget_author(doc.author);
        if let Some(chain) = self.chains.get_mut(&doc) {
            let held = chain.held();
            chain.cut_before(from)?;
            writes.extend((chain.held() + 1..=held).map(|seq| removal(record::link_key(&doc, seq))));
        }
        let last = self.last_epoch(doc.author, doc.kind);
        let of_author = self.of_author(doc.author, doc.kind);
        let over = of_author.filter(|(id, chain)| id.epoch > last || (**id == doc && !counts(chain)));
        for id in over.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            writes.extend(self.remove(&id));
        }
        Ok(Some(Forked { id, writes }))
    }
}
