//! Taking links into a chain: checked, tried, and only then adopted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use automerge::{Automerge, Change};
use sedge_statement::ChangeHash;

use super::{Chain, Handover, Limits, Link, MAX_LINKS};
use crate::precheck::{self, Expected, MAX_LINK_COST, Refusal, Shape};
use crate::schema::{COMPLETE_AFTER, Content, Node, PREVIOUS};
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
    #[error("more links, bytes or memory than one epoch may have")]
    TooLarge,
    /// More than its author may have, all epochs together.
    #[error("more than one author may have")]
    NoRoom,
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

/// With which links the whole document is proven to load again: each is four times the one before, so that all these proofs together load
/// a third more links than the document has.
const RELOADED_AT: [u64; 3] = [16, 64, 256];

/// A document is loaded whole while at most so many times as many links are held as come: loading costs a link about a quarter of what
/// applying and proving it costs.
const LOADED_FROM: usize = 3;

impl Chain {
    /// Adopts the links of `segment` from position `skip` on, which must extend what is held, or changes nothing. The document may come to
    /// count for `room` bytes of its author's share.
    pub(crate) fn adopt(&mut self, segment: Segment, skip: usize, room: usize) -> Result<(), AdoptError> {
        let fresh: Vec<Link> = segment.into_links().skip(skip).collect();
        let bytes: usize = fresh.iter().map(|link| link.raw.len()).sum();
        let most = Limits::of(self.id.kind);
        if self.held() + fresh.len() as u64 > most.links || self.bytes + bytes > most.bytes {
            return Err(AdoptError::TooLarge);
        }
        let counting = self.bound().map_or(fresh.len(), |bound| {
            usize::try_from(bound.saturating_sub(self.held())).unwrap_or(usize::MAX).min(fresh.len())
        });
        // The last good state is in the links themselves. A copy of the document for every link would cost more than all checks together, so the
        // document itself is the scratch copy, and is made again from its links where the new ones fail. So is the shape.
        if let Err(refusal) = self.advance(&fresh[..counting], room) {
            self.rebuild()?;
            return Err(refusal);
        }
        self.bytes += bytes;
        self.links.extend(fresh);
        self.seal();
        Ok(())
    }

    /// Rebuilds a chain from links that this node adopted before. They are checked as if they came; only Automerge, which had them then, is left
    /// out; and links past the cut are not checked, as they were not when they came.
    pub(crate) fn restore(&mut self, links: Vec<Link>) -> Result<(), AdoptError> {
        self.links = links;
        self.forget_past_cut();
        self.rebuild()
    }

    /// Counts nothing from `from` on any more: a fork is proven there.
    pub(crate) fn cut_before(&mut self, from: u64) -> Result<(), AdoptError> {
        let cut = from.saturating_sub(1);
        if self.cut.is_some_and(|known| known <= cut) {
            return Ok(());
        }
        self.cut = Some(cut);
        self.forget_past_cut();
        self.rebuild()
    }

    /// Keeps of the links past the cut only those up to the head that proves the links before it.
    fn forget_past_cut(&mut self) {
        if let Some(cut) = self.cut {
            let keep = if cut == 0 { 0 } else { self.next_head(cut).unwrap_or(self.held()) };
            self.links.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        }
        self.bytes = self.links.iter().map(|link| link.raw.len()).sum();
    }

    /// Counts no more links than `limit`, or as many as there are again. Those past it stay, in case what revoked their author is itself
    /// taken back; where they then prove to be none that can be taken, they go.
    pub(crate) fn limit(&mut self, limit: Option<u64>) {
        let (narrower, before) = (self.limit, self.len());
        self.limit = limit;
        if self.len() == before || self.rebuild().is_ok() {
            return;
        }
        // They came past a limit, and so were not checked when they came.
        self.limit = narrower;
        let keep = if before == 0 { 0 } else { self.next_head(before).unwrap_or(before) };
        self.links.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        self.bytes = self.links.iter().map(|link| link.raw.len()).sum();
        let _ = self.rebuild();
    }

    /// Moves document, shape and handover past the links; after an error they are unusable.
    fn advance(&mut self, links: &[Link], room: usize) -> Result<(), AdoptError> {
        let held = self.held();
        let (mut previous, mut bytes) = (self.hash_at(held), self.bytes);
        for (seq, link) in (held + 1..).zip(links) {
            // Asked of each link, so that what is taken does not hang on how many came at once.
            if self.is_full_with(seq - 1, bytes) {
                return Err(AdoptError::TooLarge);
            }
            if self.shape.cost() + MAX_LINK_COST > room {
                return Err(AdoptError::NoRoom);
            }
            self.check(seq, previous, link)?;
            previous = Some(link.hash);
            bytes += link.raw.len();
        }
        self.doc = OnceLock::from(self.try_links(links)?);
        self.reading.take();
        Ok(())
    }

    /// Checks a link that follows those before it, and moves shape and handover past it.
    ///
    /// What the epoch follows is read right behind its first link: later ones may come with it or not, and must not tell otherwise.
    fn check(&mut self, seq: u64, previous: Option<ChangeHash>, link: &Link) -> Result<(), AdoptError> {
        let expected = Expected { actor: &self.actor, seq, previous };
        precheck::check(&link.raw, expected, &mut self.shape).map_err(|refusal| AdoptError::Link { seq, refusal })?;
        if self.shape.cost() > Limits::of(self.id.kind).cost {
            return Err(AdoptError::TooLarge);
        }
        if seq == 1 && self.id.epoch > 0 {
            self.handover = Some(read_handover(&self.shape).ok_or(AdoptError::NoHandover)?);
        }
        Ok(())
    }

    /// The Automerge document with links that follow those that count, proven to load again. Takes the one without them.
    ///
    /// Where the links are many beside those before, the whole document is loaded, which is proof in itself. Where they are few, or it does not load,
    /// they are applied to the document that is there.
    pub(super) fn try_links(&mut self, links: &[Link]) -> Result<Automerge, AdoptError> {
        let held = self.counting();
        if links.len() * LOADED_FROM >= held.len()
            && let Some(doc) = load_links(held, links, &self.actor)
        {
            return Ok(doc);
        }
        self.automerge()?;
        let doc = self.doc.take().expect("it was just made");
        apply_proven(doc, self.held(), links)
    }

    /// The Automerge document of the links that count.
    pub(crate) fn automerge(&self) -> Result<&Automerge, AdoptError> {
        if self.doc.get().is_none() {
            let links = self.counting();
            let doc = load_links(links, &[], &self.actor).or_else(|| apply_links(Automerge::new(), links));
            let _ = self.doc.set(doc.ok_or(AdoptError::DoesNotApply)?);
        }
        Ok(self.doc.get().expect("it was just made"))
    }

    fn counting(&self) -> &[Link] {
        &self.links[..usize::try_from(self.len()).unwrap_or(usize::MAX)]
    }

    fn rebuild(&mut self) -> Result<(), AdoptError> {
        (self.shape, self.handover) = (Shape::default(), None);
        self.doc.take();
        self.reading.take();
        let counting = usize::try_from(self.len()).unwrap_or(usize::MAX);
        let links = std::mem::take(&mut self.links);
        let mut previous = None;
        let checked = (1..).zip(&links[..counting]).try_for_each(|(seq, link)| {
            let before = previous.replace(link.hash);
            self.check(seq, before, link)
        });
        self.links = links;
        checked?;
        self.seal();
        Ok(())
    }
}

/// Loads the whole document as Automerge would have saved it; none where it does not come out with the head of the last link, which
/// may as well be the fault of how the document was written: then the links have yet to be applied.
pub(super) fn load_links(held: &[Link], links: &[Link], actor: &[u8]) -> Option<Automerge> {
    let last = links.last().or(held.last())?.hash;
    let saved = precheck::document(held.iter().chain(links).map(|link| link.raw.as_slice()), actor, last).ok()?;
    let loaded = catch_unwind(AssertUnwindSafe(|| Automerge::load(&saved).ok().filter(|doc| heads_are(doc, last))));
    loaded.ok().flatten()
}

/// Applies links, and proves that the document survives being stored.
///
/// A stored document keeps operations, not changes; loading makes the changes again from the operations and compares hashes. So the new changes
/// are made again here, by the same code, and must be the bytes that came. At the links [`RELOADED_AT`] the whole document is stored and loaded
/// instead, which costs as much as all its links and says more: the head that comes out of it is a hash over every change made again.
fn apply_proven(doc: Automerge, held: u64, links: &[Link]) -> Result<Automerge, AdoptError> {
    let Some(last) = links.last() else { return Ok(doc) };
    let before = doc.get_heads();
    let doc = apply_links(doc, links).ok_or(AdoptError::DoesNotApply)?;
    let reload = RELOADED_AT.iter().any(|at| (held + 1..=held + links.len() as u64).contains(at));
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

fn read_handover(doc: &impl Content) -> Option<Handover> {
    let Ok(Some(Node::Map(previous))) = doc.get(&doc.root(), PREVIOUS) else { return None };
    let Ok(Some(Node::Unsigned(seq))) = doc.get(&previous, "seq") else { return None };
    let head = match doc.get(&previous, "head") {
        Ok(Some(Node::Bytes(bytes))) if seq > 0 => Some(ChangeHash::from_bytes(bytes.as_ref().try_into().ok()?)),
        Ok(Some(Node::Null)) if seq == 0 => None,
        _ => return None,
    };
    let Ok(Some(Node::Unsigned(complete_after))) = doc.get(&doc.root(), COMPLETE_AFTER) else { return None };
    (1..=MAX_LINKS).contains(&complete_after).then_some(Handover { head, seq, complete_after })
}
