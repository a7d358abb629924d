//! One document: the chain of its author's links, what they say, and the Automerge document that they make.
//!
//! What is read comes from the [`Shape`] that the check of links keeps. Automerge is what links are written with, and what proves that other
//! programs can read them: each new link must survive it before it is adopted. Links that this node adopted before are not
//! given to it again until their document takes the next one, so a node that starts does not pay for what does not change.

mod adopt;
mod draft;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use automerge::Automerge;
use sedge_statement::{ChangeHash, DocId, DocKind, HeadProof, SignedHead, Timestamp};

use crate::fork::Side;
use crate::precheck::{self, MAX_LINK_BYTES, MAX_LINK_COST, Shape};
use crate::schema::Content;
use crate::segment::{self, MAX_SEGMENT_BYTES, Segment};
use crate::view::Reading;

pub use adopt::AdoptError;
pub(crate) use draft::{DraftError, put_handover};

/// The most links of one epoch.
pub const MAX_LINKS: u64 = 256;
/// The most links of one epoch of a `gate` document. Few, because evidence on rollouts that are long over goes by whole epochs.
pub const MAX_GATE_LINKS: u64 = 8;
/// The most bytes of one epoch's links; past it the author begins the next.
pub const MAX_CHAIN_BYTES: usize = 4 << 20;

/// The most that the links of one epoch may be counted as in memory, bytes; see [`Shape::cost`]. What an honest writer puts into
/// [`MAX_LINKS`] links and [`MAX_CHAIN_BYTES`] stays below.
pub(crate) const MAX_CHAIN_COST: usize = 24 << 20;

/// What an epoch may hold, by the kind of its document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) links: u64,
    pub(crate) bytes: usize,
    /// See [`Shape::cost`].
    pub(crate) cost: usize,
}

impl Limits {
    pub(crate) fn of(kind: DocKind) -> Self {
        match kind {
            DocKind::Gate => Self { links: MAX_GATE_LINKS, bytes: 2 * MAX_LINK_BYTES, cost: 2 * MAX_LINK_COST },
            _ => Self { links: MAX_LINKS, bytes: MAX_CHAIN_BYTES, cost: MAX_CHAIN_COST },
        }
    }
}

/// One change, and what proves the head that its author signed there, if it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) raw: Vec<u8>,
    pub(crate) hash: ChangeHash,
    pub(crate) head: Option<HeadProof>,
}

impl Link {
    /// The head that its author signed at this link, `seq` of the document.
    pub(crate) fn signed(&self, doc: &DocId, seq: u64) -> Option<SignedHead> {
        Some(SignedHead::from_proof(doc.clone(), seq, self.hash, self.head.as_ref()?))
    }
}

/// How an offered segment stands to what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Nothing new.
    Known,
    /// Links before it are missing, from this one on.
    Gap(u64),
    /// Its links from this position in it on are new.
    Extends(usize),
    /// It parts from what is held at this sequence number.
    Parts(u64),
    /// It parts from what is held somewhere before it begins.
    PartsBefore,
}

/// What a later epoch's first link says of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handover {
    /// The final head of the epoch before.
    pub(crate) head: Option<ChangeHash>,
    /// How many links that epoch had.
    pub(crate) seq: u64,
    /// How many links of this epoch carry the whole state over.
    pub(crate) complete_after: u64,
}

/// A document's chain. Shape and Automerge document stand at the last link before the lowest proven fork.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    id: DocId,
    actor: [u8; 16],
    /// Every link held. After a fork those past the cut stay only as far as the next head, which proves those before.
    links: Vec<Link>,
    bytes: usize,
    cut: Option<u64>,
    /// How many links count of a revoked author; forks cut nothing off these.
    limit: Option<u64>,
    handover: Option<Handover>,
    /// What the document says, and what the next link is checked against; of one that is [sealed](Chain::seal), nothing but its cost and time.
    shape: Shape,
    /// Made of the links when first needed.
    doc: OnceLock<Automerge>,
    /// What is read of it, once somebody has asked.
    reading: OnceLock<Arc<Reading>>,
}

impl Chain {
    /// An empty chain, counted up to `cut` where a fork is proven.
    pub(crate) fn new(id: DocId, cut: Option<u64>) -> Self {
        let actor = segment::actor(&id);
        let (shape, doc, reading) = (Shape::default(), OnceLock::new(), OnceLock::new());
        Self { id, actor, links: Vec::new(), bytes: 0, cut, limit: None, handover: None, shape, doc, reading }
    }

    pub(crate) fn id(&self) -> &DocId {
        &self.id
    }

    /// How many links count.
    pub(crate) fn len(&self) -> u64 {
        self.held().min(self.bound().unwrap_or(u64::MAX))
    }

    /// After how many links none counts, for a fork or because the author is revoked.
    fn bound(&self) -> Option<u64> {
        self.limit.or(self.cut)
    }

    /// When the last link that counts was made, by its author's clock; to the second.
    pub(crate) fn made_at(&self) -> Option<Timestamp> {
        (self.len() > 0).then(|| self.shape.made_at())
    }

    /// How many links count up to the first that was made after `until`, by their author's clock.
    pub(crate) fn len_until(&self, until: Timestamp) -> u64 {
        let within = |link: &&Link| precheck::made_at(&link.raw).is_some_and(|made| made <= until);
        self.links.iter().take(usize::try_from(self.len()).unwrap_or(usize::MAX)).take_while(within).count() as u64
    }

    /// How many links are held, counting or not.
    pub(crate) fn held(&self) -> u64 {
        self.links.len() as u64
    }

    /// Bytes of all links held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the links that count are counted as against their author's share, bytes.
    pub(crate) fn cost(&self) -> usize {
        self.shape.cost()
    }

    /// Whether the epoch takes no more: then, and only then, the next may follow it.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full_with(self.len(), self.bytes)
    }

    fn is_full_with(&self, links: u64, bytes: usize) -> bool {
        let most = Limits::of(self.id.kind);
        links >= most.links || bytes + MAX_LINK_BYTES > most.bytes || self.cost() + MAX_LINK_COST > most.cost
    }

    /// The last hash that counts.
    pub(crate) fn head(&self) -> Option<ChangeHash> {
        self.hash_at(self.len())
    }

    /// The hash of the link `seq`, if held.
    pub(crate) fn hash_at(&self, seq: u64) -> Option<ChangeHash> {
        self.link(seq).map(|link| link.hash)
    }

    pub(crate) fn link(&self, seq: u64) -> Option<&Link> {
        self.links.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// The links from `seq` on, for storing.
    pub(crate) fn links_from(&self, seq: u64) -> impl Iterator<Item = (u64, &Link)> {
        (1u64..).zip(&self.links).filter(move |(at, _)| *at >= seq)
    }

    /// What the document says, whose next epoch carries it over: a `node` document.
    pub(crate) fn content(&self) -> &impl Content {
        &self.shape
    }

    /// What is read of the document.
    pub(crate) fn reading(&self) -> &Arc<Reading> {
        self.reading.get_or_init(|| Arc::new(Reading::of(&self.id, &self.shape)))
    }

    /// Reads what an epoch says that takes no more links and will not be asked again, and keeps no more than that of it beside the links.
    pub(crate) fn seal(&mut self) {
        if self.id.kind != DocKind::Node && self.is_full() && self.held() == self.len() {
            self.reading();
            self.shape.seal();
            self.rest();
        }
    }

    /// Drops Automerge's value, which is made again of the links when it is next needed.
    pub(crate) fn rest(&mut self) {
        self.doc.take();
    }

    /// What this epoch says of the one before.
    pub(crate) fn handover(&self) -> Option<Handover> {
        self.handover
    }

    /// Whether the whole state is here, so that readers may use this epoch.
    pub(crate) fn is_complete(&self) -> bool {
        self.len() >= self.handover.map_or(1, |handover| handover.complete_after)
    }

    /// How a segment stands to what is held.
    pub(crate) fn relation(&self, segment: &Segment) -> Relation {
        let first = segment.first();
        if first.seq > self.held() + 1 {
            return Relation::Gap(self.held() + 1);
        }
        if segment.previous() != self.hash_at(first.seq - 1) {
            return Relation::PartsBefore;
        }
        for (i, (place, _)) in segment.links.iter().enumerate() {
            match self.hash_at(place.seq) {
                Some(ours) if ours == place.hash => {}
                Some(_) => return Relation::Parts(place.seq),
                None if self.bound().is_some_and(|bound| self.held() >= bound) => return Relation::Known,
                None => return Relation::Extends(i),
            }
        }
        Relation::Known
    }

    /// The links from `seq` up to the first head that covers it: the shortest that proves them.
    pub(crate) fn side(&self, seq: u64) -> Option<Side> {
        let end = self.next_head(seq)?;
        Some(self.stretch(seq, end))
    }

    /// Up to which link, and in how many bytes, a page from `seq` on goes: as many links as fit under one head within the limit; none where
    /// there is nothing to send.
    pub(crate) fn page(&self, seq: u64) -> Option<(u64, usize)> {
        if seq == 0 || seq > self.len() {
            return None;
        }
        let mut end = self.next_head(seq)?;
        let mut bytes: usize = self.links_from(seq).take_while(|(at, _)| *at <= end).map(|(_, l)| l.raw.len()).sum();
        while end < self.len() {
            let Some(next) = self.next_head(end + 1) else { break };
            let more =
                self.links_from(end + 1).take_while(|(at, _)| *at <= next).map(|(_, l)| l.raw.len()).sum::<usize>();
            if bytes + more > MAX_SEGMENT_BYTES {
                break;
            }
            (end, bytes) = (next, bytes + more);
        }
        Some((end, bytes))
    }

    fn next_head(&self, seq: u64) -> Option<u64> {
        self.links_from(seq).find(|(_, link)| link.head.is_some()).map(|(at, _)| at)
    }

    /// The links from `seq` up to `end`, at which there is a head.
    pub(crate) fn stretch(&self, seq: u64, end: u64) -> Side {
        let head = self.link(end).and_then(|link| link.signed(&self.id, end)).expect("stretches end at a head");
        let links = self.links_from(seq).take_while(|(at, _)| *at <= end).map(|(_, link)| link.raw.clone()).collect();
        Side { head, links }
    }
}
