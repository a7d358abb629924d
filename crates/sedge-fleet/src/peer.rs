//! What is remembered of a connected peer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{CellPath, ChangeHash, DocId, NodeId, Scope, Timestamp};

/// How often a digest is said, on average.
const DIGEST_EVERY: Duration = Duration::from_secs(5);
/// By how much that varies, so that a mesh that started at once does not speak at once.
const JITTER_MILLIS: u64 = 1000;
/// How many malformed frames are borne of a connection.
const MAX_FAULTS: u32 = 16;
/// How much is answered to one peer's requests in a second, bytes: more than a link carries, less than hurts.
const ANSWERS_PER_SECOND: usize = 32 << 20;

/// How long a peer may take to send the links before those it offered. An honest one answers at once; a slow radio in seconds.
const WITHHELD_AFTER: Duration = Duration::from_secs(12);
/// How often a peer is asked before it counts as keeping them back: an answer may be lost with the path it came by.
const ASKED_OFTEN: u8 = 2;
/// How many gaps are remembered of a peer.
const MAX_GAPS: usize = 64;
/// How long a peer's word that it wants further cells holds: it says so with every digest, so several of them would have to be lost.
const WANTS_HOLD: Duration = Duration::from_secs(60);

/// Links that were asked for because later ones were offered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    since: Timestamp,
    /// From which link on.
    pub(crate) from_seq: u64,
    /// What was offered.
    pub(crate) head: (u64, ChangeHash),
    asked: u8,
}

/// A peer that is connected.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Whether its hello was heard, and proved it a member.
    pub(crate) heard: bool,
    /// Whether it is revoked, and told so: it is closed with the next tick, so that what it was told arrives.
    pub(crate) dismissed: bool,
    /// When the next digest is due.
    due: Timestamp,
    /// Whether the digest is due because there is news: then it is said even to the one who leads.
    pub(crate) news: bool,
    round: u64,
    faults: u32,
    window: (u64, usize),
    /// This node's digest of a scope when sending was last cut short, so that a peer which takes nothing is not sent the same for ever.
    pub(crate) last_cut: BTreeMap<Scope, [u8; 32]>,
    /// The cells beside its own that it wants, and when it last said so.
    wants: BTreeSet<CellPath>,
    wanted_at: Timestamp,
    /// How many links it said it has of documents of which this node had fewer, when it last said so. Its word only: for display.
    pub(crate) ahead: BTreeMap<DocId, u64>,
    /// Documents of which it offered links whose forerunners are not here.
    gaps: BTreeMap<DocId, Gap>,
}

impl Peer {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            heard: false,
            dismissed: false,
            due: now,
            news: false,
            round: 0,
            faults: 0,
            window: (0, 0),
            last_cut: BTreeMap::new(),
            wants: BTreeSet::new(),
            wanted_at: now,
            ahead: BTreeMap::new(),
            gaps: BTreeMap::new(),
        }
    }

    /// Whether a digest is due; if so, sets when the next is.
    pub(crate) fn is_due(&mut self, me: &NodeId, peer: &NodeId, now: Timestamp) -> bool {
        // A clock that was set back must not silence sync.
        let far = now.plus(2 * DIGEST_EVERY);
        if now < self.due && self.due <= far {
            return false;
        }
        self.round += 1;
        let seed = [me.as_bytes().as_slice(), peer.as_bytes(), &self.round.to_le_bytes()].concat();
        let bytes = blake3::derive_key("sedge digest jitter 1", &seed);
        let random = u64::from_le_bytes(*bytes.first_chunk().expect("a digest is longer"));
        let spread = Duration::from_millis(random % (2 * JITTER_MILLIS + 1));
        self.due = now.plus(DIGEST_EVERY - Duration::from_millis(JITTER_MILLIS) + spread);
        true
    }

    /// Makes the next digest due at once.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        self.news = true;
        self.due = self.due.min(now);
    }

    /// Whether it wants the documents of a cell that is not its own.
    pub(crate) fn wants(&self, cell: &CellPath) -> bool {
        self.wants.contains(cell)
    }

    /// Takes its word for which further cells it wants; answers those that are new.
    pub(crate) fn set_wants(&mut self, wants: BTreeSet<CellPath>, now: Timestamp) -> Vec<CellPath> {
        self.wanted_at = now;
        let before = std::mem::replace(&mut self.wants, wants);
        self.wants.difference(&before).cloned().collect()
    }

    /// Forgets what it wants where it has not said so for long.
    pub(crate) fn forget_old_wants(&mut self, now: Timestamp) {
        if now.since(self.wanted_at) >= WANTS_HOLD || self.wanted_at > now.plus(WANTS_HOLD) {
            self.wants.clear();
        }
    }

    /// Notes that links before those up to `head` were asked for.
    pub(crate) fn asked_before(&mut self, doc: DocId, from_seq: u64, head: (u64, ChangeHash), now: Timestamp) {
        if self.gaps.len() < MAX_GAPS || self.gaps.contains_key(&doc) {
            self.gaps.entry(doc).or_insert(Gap { since: now, from_seq, head, asked: 1 });
        }
    }

    /// Notes that links of a document came which could be judged.
    pub(crate) fn closed_gap(&mut self, doc: &DocId) {
        self.gaps.remove(doc);
    }

    /// The gaps that were left open too long, to be judged again. They are forgotten unless they are put back.
    pub(crate) fn overdue_gaps(&mut self, now: Timestamp) -> Vec<(DocId, Gap)> {
        let late = |since: Timestamp| now.since(since) >= WITHHELD_AFTER || since > now.plus(WITHHELD_AFTER);
        self.gaps.extract_if(.., |_, gap| late(gap.since)).collect()
    }

    /// Waits for a gap once more, after asking again; true where it was asked for often enough.
    pub(crate) fn wait_again(&mut self, doc: DocId, gap: Gap, now: Timestamp) -> bool {
        if gap.asked >= ASKED_OFTEN {
            return true;
        }
        self.gaps.insert(doc, Gap { since: now, asked: gap.asked + 1, ..gap });
        false
    }

    /// Counts a fault; true where that was one too many.
    pub(crate) fn fault(&mut self) -> bool {
        self.faults += 1;
        self.faults > MAX_FAULTS
    }

    /// Whether `bytes` more may be answered to it in this second.
    pub(crate) fn may_answer(&mut self, bytes: usize, now: Timestamp) -> bool {
        let second = now.as_millis() / 1000;
        if self.window.0 != second {
            self.window = (second, 0);
        }
        self.window.1 += bytes;
        self.window.1 <= ANSWERS_PER_SECOND
    }
}
