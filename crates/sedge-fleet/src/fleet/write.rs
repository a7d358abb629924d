//! Writing one's own documents.

use automerge::AutomergeError;
use sedge_statement::{DocId, DocKind, SecretKey, SignedHead, Timestamp};

use super::{Effect, Fleet, send_all};
use crate::chain::{AdoptError, Chain, DraftError, Handover, Limits, put_handover};
use crate::documents::Offered;
use crate::frame::Cause;
use crate::precheck::Refusal;
use crate::schema::{Edit, apply, snapshot};
use crate::segment::Segment;

/// How many edits a link of carried-over state begins with, before it is halved to fit.
const EDITS_PER_LINK: usize = 64;

/// Why one's own document is not written. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The key is not this node's: only its own documents are its to write.
    #[error("the key is another node's")]
    NotOurKey,
    /// An edit belongs in a document of another kind; write each kind apart.
    #[error("an edit belongs in a {wanted} document, not in a {kind} document")]
    OtherKind {
        /// Where it belongs.
        wanted: DocKind,
        /// Where it was to go.
        kind: DocKind,
    },
    /// Too much for one link; write fewer edits at once.
    #[error("the link {0}")]
    Link(#[from] Refusal),
    /// The state does not fit an epoch; remove what is no longer needed.
    #[error("the document's state does not fit one epoch")]
    StateTooLarge,
    /// Two histories of this document are signed with this key. A `node` document heals once by itself; otherwise the node needs a new
    /// certificate under a new key.
    #[error("two signed histories of the document exist")]
    Forked,
    /// This node has written as much as one author may. It needs a new certificate under a new key; for evidence there is room again once rollouts
    /// are long over.
    #[error("more than one author may have")]
    OverQuota,
    /// Automerge makes a link of these edits that it would not take or load again. Write other edits; this version cannot say these.
    #[error("the link {0}")]
    Refused(#[source] AdoptError),
    /// This node's key is revoked: nobody hears what it says. Join anew from an empty home, where that is wanted.
    #[error("this node's key is revoked")]
    Revoked,
    /// Automerge refuses the edits.
    #[error("automerge: {0}")]
    Automerge(#[source] AutomergeError),
    /// Automerge does not take what this node wrote before, and took then. Update it; this version cannot continue the document.
    #[error("automerge refuses this node's own document")]
    Unusable,
}

impl From<DraftError> for WriteError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Automerge(error) => Self::Automerge(error),
            DraftError::Refused(refusal) => Self::Link(refusal),
            DraftError::Unusable => Self::Unusable,
        }
    }
}

impl Fleet {
    /// Makes one change of one's own document of a kind, and begins its next epoch where this one is full or forked, or stands in a cell that this node
    /// has left: then even without any edit.
    ///
    /// After a start, give neighbours a moment to say what they hold of this node before the first write: a restored backup forks
    /// otherwise. Edits that change nothing write nothing.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write(
        &mut self,
        key: &SecretKey,
        kind: DocKind,
        now: Timestamp,
        edits: &[Edit],
    ) -> Result<Vec<Effect>, WriteError> {
        if key.node_id() != self.me {
            return Err(WriteError::NotOurKey);
        }
        if let Some(edit) = edits.iter().find(|edit| edit.kind() != kind) {
            return Err(WriteError::OtherKind { wanted: edit.kind(), kind });
        }
        // Nobody would hear it, and what it follows may count no more.
        if self.membership.revoked(&self.me).is_some() {
            return Err(WriteError::Revoked);
        }
        let (segments, writes) = match self.open_chain(kind) {
            Some((id, chain)) => {
                let Some(raw) = chain.draft(now, |doc| apply(doc, edits))? else { return Ok(Vec::new()) };
                let segment = sign(key, self.mesh, id, chain.len() + 1, raw, now);
                let writes = match self.documents.offer(self.me, segment.clone()) {
                    Offered::Adopted(writes) => writes,
                    Offered::OverQuota => return Err(WriteError::OverQuota),
                    Offered::Refused(refusal) => return Err(WriteError::Refused(refusal)),
                    // A link drafted on the end of a document extends it, unless what counts of it changed meanwhile.
                    _ => return Err(WriteError::Unusable),
                };
                (vec![segment], writes)
            }
            // The whole epoch is made and checked before anything of it is kept.
            None => match self.next_epoch(key, kind, now, edits)? {
                Builder { made, .. } if made.is_empty() => return Ok(Vec::new()),
                Builder { made, chain, .. } => {
                    let mut writes = self.documents.insert(chain);
                    writes.extend(self.forget_misplaced());
                    (made, writes)
                }
            },
        };
        let mut out = vec![Effect::Persist(writes)];
        let scope = self.own_scope(kind);
        for segment in segments {
            let frame = super::links::links_frame(Cause::New, segment.first().seq, &segment);
            send_all(self.holders(&scope, None), &frame, &mut out);
        }
        self.changed(&mut out);
        Ok(out)
    }

    /// The chain that takes the next link, if there is one with room.
    fn open_chain(&self, kind: DocKind) -> Option<(&DocId, &Chain)> {
        let scope = self.own_scope(kind);
        self.documents.last(self.me, kind).filter(|(id, chain)| {
            id.scope == scope
                && !self.documents.is_forked(id)
                && id.epoch.checked_add(1) == Some(self.documents.next_epoch(self.me, kind))
                && id.epoch <= self.documents.last_epoch(self.me, kind)
                && (kind != DocKind::Node || chain.is_complete())
                && !chain.is_full()
        })
    }

    /// The links of a new epoch: what it follows, of a `node` document the state so far, and the edits. What others say adds up over epochs.
    fn next_epoch<'a>(
        &self,
        key: &'a SecretKey,
        kind: DocKind,
        now: Timestamp,
        edits: &[Edit],
    ) -> Result<Builder<'a>, WriteError> {
        let epoch = self.documents.next_epoch(self.me, kind);
        if epoch > self.documents.last_epoch(self.me, kind) {
            return Err(WriteError::Forked);
        }
        let id = DocId { author: self.me, kind, scope: self.own_scope(kind), epoch };
        let (room, chain) = (self.documents.room(&id), Chain::new(id.clone(), None));
        let mut builder = Builder { key, mesh: self.mesh, now, room, chain, made: Vec::new() };
        if epoch == 0 {
            builder.link(|doc| apply(doc, edits))?;
            return Ok(builder);
        }
        let before = self.documents.current(self.me, kind);
        let replaced = before.filter(|_| kind == DocKind::Node);
        let state = replaced.map(|chain| snapshot(chain.content())).unwrap_or_default();
        let mut handover =
            Handover { head: before.and_then(Chain::head), seq: before.map_or(0, Chain::len), complete_after: 1 };
        // How many links the state takes is known only once they are made; the number itself stands in the first.
        builder.carry(handover, &state)?;
        handover.complete_after = builder.chain.len();
        let chain = Chain::new(id, None);
        let mut builder = Builder { chain, made: Vec::new(), ..builder };
        builder.carry(handover, &state)?;
        builder.link(|doc| apply(doc, edits))?;
        Ok(builder)
    }
}

/// Makes the links of a new chain one after another.
struct Builder<'a> {
    key: &'a SecretKey,
    mesh: sedge_statement::MeshId,
    now: Timestamp,
    /// For how much of the author's share the chain may count.
    room: usize,
    chain: Chain,
    made: Vec<Segment>,
}

impl Builder<'_> {
    /// The first link, and those that carry the state over.
    fn carry(&mut self, handover: Handover, state: &[Edit]) -> Result<(), WriteError> {
        self.link(|doc| put_handover(doc, handover))?;
        let mut stack: Vec<&[Edit]> = state.chunks(EDITS_PER_LINK).rev().collect();
        while let Some(edits) = stack.pop() {
            match self.link(|doc| apply(doc, edits)) {
                Err(WriteError::Link(_)) if edits.len() > 1 => {
                    let (first, second) = edits.split_at(edits.len() / 2);
                    stack.extend([second, first]);
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn link(
        &mut self,
        edit: impl FnOnce(&mut automerge::transaction::Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<(), WriteError> {
        // One link is left for the edits themselves.
        if self.chain.len() + 1 >= Limits::of(self.chain.id().kind).links {
            return Err(WriteError::StateTooLarge);
        }
        let Some(raw) = self.chain.draft(self.now, edit)? else { return Ok(()) };
        let segment = sign(self.key, self.mesh, self.chain.id(), self.chain.len() + 1, raw, self.now);
        self.chain.adopt(segment.clone(), 0, self.room).map_err(|refusal| match refusal {
            AdoptError::TooLarge => WriteError::StateTooLarge,
            AdoptError::NoRoom => WriteError::OverQuota,
            other => WriteError::Refused(other),
        })?;
        self.made.push(segment);
        Ok(())
    }
}

fn sign(
    key: &SecretKey,
    mesh: sedge_statement::MeshId,
    doc: &DocId,
    seq: u64,
    raw: Vec<u8>,
    now: Timestamp,
) -> Segment {
    let hash = crate::precheck::place(&raw, &crate::segment::actor(doc)).expect("the draft was checked").hash;
    let head = SignedHead::sign(key, mesh, doc.clone(), seq, hash, now);
    Segment::open(mesh, head, seq, vec![raw]).expect("a link just signed verifies")
}
