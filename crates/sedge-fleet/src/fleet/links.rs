//! Links that come, and links that are asked for.

use sedge_statement::{DocId, DocKind, NodeId, Scope, SignedHead, Timestamp};

use super::{Effect, Fleet, send, send_all};
use crate::documents::{Forked, Offered};
use crate::fork::Side;
use crate::frame::{Cause, Frame, Item};
use crate::segment::Segment;
use crate::{Finding, FindingKind};

impl Fleet {
    #[expect(clippy::too_many_arguments, reason = "the fields of one frame")]
    pub(super) fn on_links(
        &mut self,
        peer: NodeId,
        cause: Cause,
        head: SignedHead,
        first_seq: u64,
        links: Vec<Vec<u8>>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let doc = head.doc.clone();
        if (doc.scope == Scope::Mesh) == (doc.kind == DocKind::Node) {
            return self.fault(peer, "a document of a scope that its kind has not", out);
        }
        // The peer has not heard yet that this node wants that cell no more, or is in another.
        if !self.holds(&doc.scope) {
            return;
        }
        // Told before any signature is checked: in a mesh every link arrives from several neighbours.
        let counting = self.documents.chain(&doc).filter(|chain| chain.len() > 0);
        let held = counting.and_then(|chain| chain.hash_at(head.seq));
        if held == Some(head.head) {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.closed_gap(&doc);
            }
            return;
        }
        if !self.is_known(&doc.author) || !self.is_placed(&doc) {
            // Links of one who is new, or moved to another cell, outrun its certificate now and then. It is no finding, which anybody could then fill with ids made up, but a
            // reason to look soon.
            if let Some(state) = self.peers.get_mut(&peer) {
                state.hurry(now);
            }
            return;
        }
        let offer = (head.seq, head.head);
        let segment = match Segment::open(self.mesh, head, first_seq, links) {
            Ok(segment) => segment,
            Err(error) => return self.fault(peer, format_args!("links: {error}"), out),
        };
        let others = if cause == Cause::New { self.holders(&doc.scope, Some(peer)) } else { Vec::new() };
        let forward = (!others.is_empty()).then(|| links_frame(Cause::New, first_seq, &segment));
        let offered = self.documents.offer(peer, segment);
        if let Some(state) = self.peers.get_mut(&peer) {
            match &offered {
                Offered::Missing(from_seq) => state.asked_before(doc.clone(), *from_seq, offer, now),
                _ => state.closed_gap(&doc),
            }
        }
        match offered {
            Offered::Known | Offered::Staged => {}
            // What came before it is on its way, or was lost: it comes again with this.
            Offered::Early => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.hurry(now);
                }
            }
            // Its author's fault alone: who holds another end of the epoch before took it in good faith.
            Offered::Unfollowed => {
                let detail = "an epoch that does not follow the end of the one before";
                self.note(Finding::new(FindingKind::BadChange, doc.author, Some(doc), detail), out);
            }
            Offered::Adopted(writes) => {
                out.push(Effect::Persist(writes));
                match cause {
                    Cause::New => forward.into_iter().for_each(|frame| send_all(others.iter().copied(), &frame, out)),
                    Cause::CatchUp => self.hurry_others(peer, now),
                }
                self.changed(out);
            }
            Offered::Missing(from_seq) => send(peer, &Frame::Want { doc, from_seq }, out),
            Offered::Forked(forked) => self.announce_fork(forked, None, out),
            Offered::Refused(refusal) => {
                self.note(Finding::new(FindingKind::BadChange, doc.author, Some(doc), refusal), out);
                // No honest node holds it, so whoever sends it is counted too.
                self.fault(peer, "passed on a change that no honest node accepts", out);
            }
            Offered::OverQuota => {
                let detail = "more than one author may have";
                self.note(Finding::new(FindingKind::OverQuota, doc.author, Some(doc), detail), out);
            }
        }
    }

    /// Asks again for links that were kept back, and names who keeps them back for good.
    pub(super) fn judge_gaps(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let overdue: Vec<_> = self.peers.iter_mut().map(|(id, peer)| (*id, peer.overdue_gaps(now))).collect();
        for (peer, gaps) in overdue {
            for (doc, gap) in gaps {
                let (seq, head) = gap.head;
                // Another neighbour may have brought them meanwhile.
                if self.documents.chain(&doc).and_then(|chain| chain.hash_at(seq)) == Some(head) {
                    continue;
                }
                let Some(state) = self.peers.get_mut(&peer) else { continue };
                if state.wait_again(doc.clone(), gap, now) {
                    let detail = format_args!("offers links and not those before, from link {} on", gap.from_seq);
                    self.note(Finding::new(FindingKind::Withheld, peer, Some(doc), detail), out);
                } else {
                    send(peer, &Frame::Want { doc, from_seq: gap.from_seq }, out);
                }
            }
        }
    }

    /// Stores and passes on evidence just accepted.
    pub(super) fn announce_fork(&mut self, forked: Forked, from: Option<NodeId>, out: &mut Vec<Effect>) {
        let Forked { id, writes } = forked;
        out.push(Effect::Persist(writes));
        if let Some(bytes) = self.documents.evidence(&id) {
            let frame = Frame::Items { cause: Cause::New, items: vec![Item::Fork(bytes.to_vec())] };
            send_all(self.others(from), &frame, out);
        }
        self.changed(out);
    }

    /// Sends all links of a document from `from_seq` on, as long as the peer's share lasts; answers how many bytes that was.
    pub(super) fn send_pages(
        &mut self,
        peer: NodeId,
        doc: &DocId,
        mut from_seq: u64,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<usize, ShareSpent> {
        let (Some(chain), Some(state)) = (self.documents.chain(doc), self.peers.get_mut(&peer)) else { return Ok(0) };
        let mut sent = 0;
        // Nothing is copied before it is known that it may be sent.
        while let Some((end, bytes)) = chain.page(from_seq) {
            if !state.may_answer(bytes, now) {
                return Err(ShareSpent);
            }
            let Side { head, links } = chain.stretch(from_seq, end);
            send(peer, &Frame::Links { cause: Cause::CatchUp, head, first_seq: from_seq, links }, out);
            (from_seq, sent) = (end + 1, sent + bytes);
        }
        Ok(sent)
    }
}

/// A peer has been answered as much as it may be in this second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShareSpent;

/// The frame that carries a segment.
pub(super) fn links_frame(cause: Cause, first_seq: u64, segment: &Segment) -> Frame {
    let links = segment.links.iter().map(|(_, raw)| raw.clone()).collect();
    Frame::Links { cause, head: segment.head.clone(), first_seq, links }
}
