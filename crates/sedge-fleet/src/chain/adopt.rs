//! Taking links into a chain: checked, tried, and only then adopted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, Change, ReadDoc, ScalarValue, Value};
use sedge_statement::ChangeHash;

use super::{Chain, Handover, Link, MAX_CHAIN_BYTES, MAX_LINKS};
use crate::precheck::{self, Expected, Refusal, Shape};
use crate::segment::Segment;

/// Why links that the author signed are not adopted. The author's fault, and the sender's too, since no honest node holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// A link is not one that an honest writer makes.
    #[error("link {seq}: {refusal}")]
    Link {
        /// Which.
        seq: u64,
        /// Why.
        refusal: Refusal,
    },
    /// More than an epoch may hold.
    #[error("more than {MAX_LINKS} links or {MAX_CHAIN_BYTES} bytes in one epoch")]
    TooLarge,
    /// Automerge refuses the links, or panics on them.
    #[error("does not apply")]
    DoesNotApply,
    /// The document with these links would not load again.
    #[error("does not load again")]
    DoesNotReload,
    /// The first link of a later epoch must name the epoch before.
    #[error("does not name the epoch before")]
    NoHandover,
}

/// How many links are adopted between two proofs that the whole document loads again.
const RELOAD_EVERY: u64 = 16;

impl Chain {
    /// Adopts the links of `segment` from position `skip` on, which must extend what is held, or changes nothing.
    pub(crate) fn adopt(&mut self, segment: Segment, skip: usize) -> Result<(), AdoptError> {
        let Segment { head, links } = segment;
        let fresh: Vec<Link> = links
            .into_iter()
            .skip(skip)
            .map(|(place, raw)| Link { raw, hash: place.hash, head: (place.seq == head.seq).then(|| head.clone()) })
            .collect();
        let bytes: usize = fresh.iter().map(|link| link.raw.len()).sum();
        if self.held() + fresh.len() as u64 > MAX_LINKS || self.bytes + bytes > MAX_CHAIN_BYTES {
            return Err(AdoptError::TooLarge);
        }
        let counting = self.cut.map_or(fresh.len(), |cut| {
            usize::try_from(cut.saturating_sub(self.held())).unwrap_or(usize::MAX).min(fresh.len())
        });
        // The last good state is in the links themselves. A copy of the document for every link would cost more than all checks together, so the
        // document itself is the scratch copy, and is made again from its links where the new ones fail.
        if let Err(refusal) = self.advance(&fresh[..counting]) {
            self.rebuild()?;
            return Err(refusal);
        }
        self.bytes += bytes;
        self.links.extend(fresh);
        Ok(())
    }

    /// Rebuilds a chain from links that this node adopted before, trusting its own disk as far as the hashes go.
    pub(crate) fn restore(&mut self, links: Vec<Link>) -> Result<(), AdoptError> {
        self.bytes = links.iter().map(|link| link.raw.len()).sum();
        self.links = links;
        self.rebuild()
    }

    /// Counts nothing from `from` on any more: a fork is proven there. Answers whether anything changed.
    pub(crate) fn cut_before(&mut self, from: u64) -> Result<bool, AdoptError> {
        let cut = from.saturating_sub(1);
        if self.cut.is_some_and(|known| known <= cut) {
            return Ok(false);
        }
        self.cut = Some(cut);
        let keep = if cut == 0 { 0 } else { self.next_head(cut).unwrap_or(self.held()) };
        self.links.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        self.bytes = self.links.iter().map(|link| link.raw.len()).sum();
        self.rebuild()?;
        Ok(true)
    }

    /// Moves document, shape and handover past the links; after an error they are unusable.
    fn advance(&mut self, links: &[Link]) -> Result<(), AdoptError> {
        let held = self.held();
        let mut shape = match self.shape.take() {
            Some(shape) => shape,
            None => self.shape().map_err(refused)?,
        };
        check_links(links, held, self.hash_at(held), &self.actor, &mut shape).map_err(refused)?;
        self.shape = Some(shape);
        let doc = std::mem::replace(&mut self.doc, Automerge::new());
        self.doc = try_links(doc, held, links)?;
        self.reading.take();
        if self.handover.is_none() && self.id.epoch > 0 && !links.is_empty() {
            self.handover = Some(read_handover(&self.doc)?);
        }
        Ok(())
    }

    /// The state that the next link is checked against, from what every link held says.
    pub(super) fn shape(&self) -> Result<Shape, (u64, Refusal)> {
        if let Some(shape) = &self.shape {
            return Ok(shape.clone());
        }
        let mut shape = Shape::default();
        let counting = usize::try_from(self.len()).unwrap_or(usize::MAX);
        check_links(&self.links[..counting], 0, None, &self.actor, &mut shape)?;
        Ok(shape)
    }

    fn rebuild(&mut self) -> Result<(), AdoptError> {
        let empty = Self::new(self.id.clone(), self.cut);
        (self.shape, self.handover) = (None, None);
        let counting = usize::try_from(self.len()).unwrap_or(usize::MAX);
        self.doc = apply_links(empty.doc, &self.links[..counting]).ok_or(AdoptError::DoesNotApply)?;
        self.reading.take();
        if self.id.epoch > 0 && counting > 0 {
            self.handover = Some(read_handover(&self.doc)?);
        }
        Ok(())
    }
}

fn refused((seq, refusal): (u64, Refusal)) -> AdoptError {
    AdoptError::Link { seq, refusal }
}

/// Checks links that follow `held` ones; answers which is refused, and why.
fn check_links(
    links: &[Link],
    held: u64,
    mut previous: Option<ChangeHash>,
    actor: &[u8],
    shape: &mut Shape,
) -> Result<(), (u64, Refusal)> {
    for (seq, link) in (held + 1..).zip(links) {
        let place =
            precheck::check(&link.raw, Expected { actor, seq, previous }, shape).map_err(|refusal| (seq, refusal))?;
        previous = Some(place.hash);
    }
    Ok(())
}

/// Applies links, and proves that the document survives being stored.
///
/// A stored document keeps operations, not changes; loading makes the changes again from the operations and compares hashes. So the new changes
/// are made again here, by the same code, and must be the bytes that came. At every [`RELOAD_EVERY`]th link and at the first the whole
/// document is stored and loaded instead, which costs as much as all its links and says more: the head that comes out of it is a hash over
/// every change made again.
fn try_links(doc: Automerge, held: u64, links: &[Link]) -> Result<Automerge, AdoptError> {
    let Some(last) = links.last() else { return Ok(doc) };
    let before = doc.get_heads();
    let doc = apply_links(doc, links).ok_or(AdoptError::DoesNotApply)?;
    let reload = held == 0 || held / RELOAD_EVERY != (held + links.len() as u64) / RELOAD_EVERY;
    let proof = catch_unwind(AssertUnwindSafe(|| {
        if reload {
            return reloads(&doc, last.hash);
        }
        let again = doc.get_changes(&before);
        again.len() == links.len() && again.iter().zip(links).all(|(again, link)| again.raw_bytes() == link.raw)
    }));
    if proof.unwrap_or(false) { Ok(doc) } else { Err(AdoptError::DoesNotReload) }
}

fn reloads(doc: &Automerge, head: ChangeHash) -> bool {
    Automerge::load(&doc.save_nocompress()).is_ok_and(|again| heads_are(&again, head))
}

fn apply_links(doc: Automerge, links: &[Link]) -> Option<Automerge> {
    let Some(last) = links.last() else { return Some(doc) };
    let applied = catch_unwind(AssertUnwindSafe(|| {
        let changes = links.iter().map(|link| Change::from_bytes(link.raw.clone()).ok()).collect::<Option<Vec<_>>>()?;
        let mut scratch = doc;
        scratch.apply_changes(changes).ok()?;
        heads_are(&scratch, last.hash).then_some(scratch)
    }));
    applied.ok().flatten()
}

fn heads_are(doc: &Automerge, hash: ChangeHash) -> bool {
    matches!(doc.get_heads().as_slice(), [head] if head.0 == *hash.as_bytes())
}

fn read_handover(doc: &Automerge) -> Result<Handover, AdoptError> {
    let scalar = |object: &automerge::ObjId, key: &str| match doc.get(object, key) {
        Ok(Some((Value::Scalar(scalar), _))) => Some(scalar.into_owned()),
        _ => None,
    };
    let number = |object: &automerge::ObjId, key: &str| match scalar(object, key) {
        Some(ScalarValue::Uint(n)) => Some(n),
        _ => None,
    };
    let read = || {
        let Ok(Some((Value::Object(automerge::ObjType::Map), previous))) = doc.get(automerge::ROOT, "previous") else {
            return None;
        };
        let seq = number(&previous, "seq")?;
        let head = match scalar(&previous, "head")? {
            ScalarValue::Bytes(bytes) if seq > 0 => Some(ChangeHash::from_bytes(bytes.try_into().ok()?)),
            ScalarValue::Null if seq == 0 => None,
            _ => return None,
        };
        let complete_after = number(&automerge::ROOT, "complete_after")?;
        (1..=MAX_LINKS).contains(&complete_after).then_some(Handover { head, seq, complete_after })
    };
    read().ok_or(AdoptError::NoHandover)
}
