//! Digests and vectors: finding out what either side lacks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{DocId, NodeId, ObjectId, Scope, Timestamp};

use super::links::ShareSpent;
use super::{Effect, Fleet, send};
use crate::frame::{Frame, Standing};

/// How many documents go into one vector frame: about 110 bytes each at the most.
const STANDINGS_PER_FRAME: usize = 8192;
/// How many ids go into one set frame, 32 bytes each.
const IDS_PER_FRAME: usize = 16384;
/// How many bytes are sent for one vector before the rest waits for the next.
const SEND_PER_VECTOR: usize = 4 << 20;
/// How much is asked for after one vector before the rest waits for the next.
const WANTS_PER_VECTOR: usize = 1024;

impl Fleet {
    pub(super) fn on_digest(
        &mut self,
        peer: NodeId,
        scope: Scope,
        digest: [u8; 32],
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.hear_of(&peer, &scope);
        // Who says a digest holds its scope, whatever is known of it here.
        if !self.holds(&scope) || digest == self.digest(&scope) {
            return;
        }
        // One side leads, or both would send everything twice. A digest to the leader only makes it look.
        if self.me > peer {
            return self.send_digest(peer, scope, out);
        }
        self.send_vector(peer, scope, now, out);
    }

    /// Sends a scope's documents, and of the whole mesh's the items, in pages that together leave no gap, so that what is in none is known to be
    /// absent.
    fn send_vector(&mut self, peer: NodeId, scope: Scope, now: Timestamp, out: &mut Vec<Effect>) {
        let ids = if scope == Scope::Mesh { Some(self.item_ids()) } else { None };
        let (docs, items) = (self.told(&scope).count(), ids.as_ref().map_or(0, Vec::len));
        if !self.peers.get_mut(&peer).is_some_and(|state| state.may_answer(110 * docs + 32 * items, now)) {
            return;
        }
        let docs: Vec<Standing> = self
            .told(&scope)
            .filter_map(|(doc, chain)| Some(Standing { doc: doc.clone(), seq: chain.len(), head: chain.head()? }))
            .collect();
        for (from, to, ids) in ids.into_iter().flat_map(|ids| pages(ids, IDS_PER_FRAME, |id| *id)) {
            send(peer, &Frame::Set { from, to, ids }, out);
        }
        for (from, to, docs) in pages(docs, STANDINGS_PER_FRAME, |standing| standing.doc.clone()) {
            send(peer, &Frame::Vector { scope: scope.clone(), from, to, docs }, out);
        }
    }

    pub(super) fn on_set(
        &mut self,
        peer: NodeId,
        from: Option<ObjectId>,
        to: Option<ObjectId>,
        ids: Vec<ObjectId>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if !is_page(&from, &to, ids.iter()) {
            return self.fault(peer, "a set out of order", out);
        }
        let ours = self.item_ids();
        let theirs: BTreeSet<ObjectId> = ids.into_iter().collect();
        let lacking: Vec<ObjectId> =
            ours.iter().filter(|id| within(*id, &from, &to) && !theirs.contains(id)).copied().collect();
        let mut wanted: Vec<ObjectId> = theirs.into_iter().filter(|id| ours.binary_search(id).is_err()).collect();
        let more = wanted.len() > IDS_PER_FRAME;
        wanted.truncate(IDS_PER_FRAME);
        self.answer_items(peer, &lacking, now, out);
        if !wanted.is_empty() {
            send(peer, &Frame::WantItems(wanted), out);
        }
        if more {
            self.go_on(peer, Scope::Mesh, out);
        }
    }

    pub(super) fn on_vector(
        &mut self,
        peer: NodeId,
        scope: Scope,
        (from, to): (Option<DocId>, Option<DocId>),
        docs: Vec<Standing>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if !is_page(&from, &to, docs.iter().map(|standing| &standing.doc)) {
            return self.fault(peer, "a vector out of order", out);
        }
        if docs.iter().any(|standing| standing.doc.scope != scope) {
            return self.fault(peer, "a vector of several scopes", out);
        }
        if !self.holds(&scope) {
            return;
        }
        self.hear_of(&peer, &scope);
        let theirs: BTreeMap<DocId, Standing> = docs.into_iter().map(|s| (s.doc.clone(), s)).collect();
        let mut sends: Vec<(DocId, u64)> = Vec::new();
        let mut wants: Vec<(DocId, u64)> = Vec::new();
        let mut ahead: BTreeMap<DocId, u64> = BTreeMap::new();
        for (doc, chain) in self.told(&scope).filter(|(doc, _)| within(*doc, &from, &to)) {
            match theirs.get(doc) {
                None => sends.push((doc.clone(), 1)),
                Some(their) if their.seq <= chain.len() && chain.hash_at(their.seq) != Some(their.head) => {
                    // Two histories: fetching theirs from the start finds where they part.
                    wants.push((doc.clone(), 1));
                }
                Some(their) if their.seq < chain.len() => sends.push((doc.clone(), their.seq + 1)),
                Some(_) => {}
            }
        }
        for standing in theirs.into_values() {
            let ours = self.documents.chain(&standing.doc);
            let len = ours.map_or(0, |chain| chain.len());
            // One that stands elsewhere by what is known here waits for its author's certificate. A newcomer's is on its way already, and here before its links.
            if self.is_elsewhere(&standing.doc) {
                continue;
            }
            let cut = self.documents.cut_of(&standing.doc).unwrap_or(u64::MAX);
            if standing.seq > len && len < cut && !self.documents.is_over(&standing.doc) {
                if ahead.len() < WANTS_PER_VECTOR {
                    ahead.insert(standing.doc.clone(), standing.seq);
                }
                wants.push((standing.doc, len + 1));
            }
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.ahead.retain(|doc, _| doc.scope != scope);
            state.ahead.extend(ahead);
        }
        let mut cut_short = wants.len() > WANTS_PER_VECTOR;
        for (doc, from_seq) in wants.into_iter().take(WANTS_PER_VECTOR) {
            send(peer, &Frame::Want { doc, from_seq }, out);
        }
        // Of a revoked author, each epoch says how the one before it ends.
        sends.sort_by_key(|(doc, _)| {
            self.membership.revoked(&doc.author).map(|_| (doc.author, doc.kind, Reverse(doc.epoch)))
        });
        let mut sent = 0;
        for (doc, from_seq) in sends {
            if sent > SEND_PER_VECTOR {
                cut_short = true;
                break;
            }
            match self.send_pages(peer, &doc, from_seq, now, out) {
                Ok(bytes) => sent += bytes,
                // The rest comes with the next digest, after this second.
                Err(ShareSpent) => break,
            }
        }
        if cut_short {
            self.go_on(peer, scope, out);
        }
    }

    /// Asks for another round, unless nothing changed here since the last one: then the peer takes or gives nothing, and the next tick is soon
    /// enough.
    fn go_on(&mut self, peer: NodeId, scope: Scope, out: &mut Vec<Effect>) {
        let digest = self.digest(&scope);
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.last_cut.insert(scope.clone(), digest) != Some(digest) {
            send(peer, &Frame::Digest { scope, digest }, out);
        }
    }
}

type Page<K, T> = (Option<K>, Option<K>, Vec<T>);

/// Cuts a sorted list into pages `[from, to)` that leave no gap; an empty list is one empty page over everything.
fn pages<K: Clone, T>(list: Vec<T>, size: usize, key: impl Fn(&T) -> K) -> Vec<Page<K, T>> {
    let mut pages: Vec<Page<K, T>> = vec![(None, None, Vec::new())];
    for item in list {
        let last = pages.last_mut().expect("there is always a page");
        if last.2.len() < size {
            last.2.push(item);
            continue;
        }
        let border = key(&item);
        last.1 = Some(border.clone());
        pages.push((Some(border), None, vec![item]));
    }
    pages
}

fn within<K: Ord>(key: &K, from: &Option<K>, to: &Option<K>) -> bool {
    from.as_ref().is_none_or(|from| key >= from) && to.as_ref().is_none_or(|to| key < to)
}

/// Whether keys rise strictly and lie where the page says.
fn is_page<'a, K: Ord + 'a>(from: &Option<K>, to: &Option<K>, keys: impl Iterator<Item = &'a K>) -> bool {
    let mut last = None;
    for key in keys {
        if !within(key, from, to) || last.is_some_and(|last| last >= key) {
            return false;
        }
        last = Some(key);
    }
    true
}
