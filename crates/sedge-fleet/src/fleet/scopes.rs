//! Which documents a node holds: what the whole mesh holds, and the `node` documents of its own cell and of cells that it wants for a while.
//!
//! A `node` document counts only in the cell that its author's certificate names. Certificates are known mesh-wide, so every holder judges alike;
//! while one is on its way, a document that it would move waits with whoever has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{CellPath, DocId, DocKind, NodeId, Scope, Timestamp};

use super::{Effect, Fleet, send};
use crate::frame::{Frame, MAX_WANTED};

/// How long a cell is held after it was last wanted: a person who looks again within minutes waits for nothing, and a laptop that watched a
/// rollout carries what it does not look at no longer than that.
const WANTED_FOR: Duration = Duration::from_secs(600);

/// Cells beside its own that this node wants.
#[derive(Debug, Default)]
pub(super) struct Wants(BTreeMap<CellPath, Want>);

#[derive(Debug)]
struct Want {
    /// When it was last wanted.
    at: Timestamp,
    /// Whether a node of that cell has said what there is.
    heard: bool,
}

impl Wants {
    /// Wants cells, of which those that were wanted longest ago go where they are too many. Answers whether others are wanted than before.
    fn add(&mut self, cells: impl IntoIterator<Item = CellPath>, now: Timestamp) -> bool {
        let before: Vec<CellPath> = self.0.keys().cloned().collect();
        for cell in cells.into_iter().take(MAX_WANTED) {
            self.0.entry(cell).or_insert(Want { at: now, heard: false }).at = now;
            if self.0.len() > MAX_WANTED
                && let Some(oldest) = self.0.iter().min_by_key(|(_, want)| want.at).map(|(cell, _)| cell.clone())
            {
                self.0.remove(&oldest);
            }
        }
        !self.0.keys().eq(&before)
    }

    /// Forgets what was not wanted for long; answers whether that is anything. A clock that was set back must not make it last for ever.
    fn lapse(&mut self, now: Timestamp) -> bool {
        let before = self.0.len();
        self.0.retain(|_, want| now.since(want.at) < WANTED_FOR && want.at <= now.plus(WANTED_FOR));
        self.0.len() < before
    }
}

impl Fleet {
    /// Holds the documents of these cells too, for ten minutes from now; of more than [`MAX_WANTED`] those that were wanted last.
    pub fn want(&mut self, cells: impl IntoIterator<Item = CellPath>, now: Timestamp) -> Vec<Effect> {
        let mut out = self.clear_debris();
        let own = self.own_cell();
        if self.wants.add(cells.into_iter().filter(|cell| *cell != own), now) {
            self.tell_wants(&mut out);
            self.regroup(&mut out);
            self.changed(&mut out);
        }
        out
    }

    /// The cells beside its own whose documents this node wants now: it should be connected with somebody there.
    pub fn wanted_cells(&self) -> BTreeSet<CellPath> {
        self.wants.0.keys().cloned().collect()
    }

    /// This node's cell; the root where it has no certificate yet.
    pub(super) fn own_cell(&self) -> CellPath {
        self.cell_of(&self.me).cloned().unwrap_or_default()
    }

    /// The cells whose documents are held here.
    pub(super) fn held_cells(&self) -> BTreeSet<CellPath> {
        let mut cells = self.wanted_cells();
        cells.insert(self.own_cell());
        cells
    }

    /// The cells of which what is held here is all there is, as far as this node can know: its own, and those that a node of theirs told of.
    pub(super) fn known_cells(&self) -> BTreeSet<CellPath> {
        let heard = self.wants.0.iter().filter(|(_, want)| want.heard).map(|(cell, _)| cell.clone());
        heard.chain([self.own_cell()]).collect()
    }

    /// Notes that a peer said what there is of a scope.
    pub(super) fn hear_of(&mut self, peer: &NodeId, scope: &Scope) {
        let Scope::Cell(cell) = scope else { return };
        let is_there = self.cell_of(peer) == Some(cell);
        if let Some(want) = self.wants.0.get_mut(cell).filter(|want| is_there && !want.heard) {
            want.heard = true;
            self.unfolded = true;
        }
    }

    /// The scope that this node's own documents of a kind belong in.
    pub(super) fn own_scope(&self, kind: DocKind) -> Scope {
        if kind == DocKind::Node { Scope::Cell(self.own_cell()) } else { Scope::Mesh }
    }

    /// Whether documents of a scope are held here.
    pub(super) fn holds(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Mesh => true,
            Scope::Cell(cell) => {
                let own = self.cell_of(&self.me).map_or_else(|| cell.parent().is_none(), |own| own == cell);
                own || self.wants.0.contains_key(cell)
            }
        }
    }

    /// Whether a document stands where its kind and its author's certificate have it.
    pub(super) fn is_placed(&self, doc: &DocId) -> bool {
        match (&doc.scope, doc.kind) {
            (Scope::Cell(cell), DocKind::Node) => self.cell_of(&doc.author) == Some(cell),
            (Scope::Cell(_), _) | (Scope::Mesh, DocKind::Node) => false,
            (Scope::Mesh, _) => true,
        }
    }

    /// Whether a document stands where neither its kind nor any certificate known of its author has it.
    pub(super) fn is_elsewhere(&self, doc: &DocId) -> bool {
        let is_new = doc.kind == DocKind::Node && doc.scope != Scope::Mesh && self.cell_of(&doc.author).is_none();
        !is_new && !self.is_placed(doc)
    }

    /// The scopes that a peer and this node both hold.
    pub(super) fn shared(&self, peer: &NodeId) -> Vec<Scope> {
        let cells = self.held_cells().into_iter().map(Scope::Cell);
        std::iter::once(Scope::Mesh).chain(cells).filter(|scope| self.peer_holds(peer, scope)).collect()
    }

    /// Whether a peer holds a scope, by its certificate and its word.
    fn peer_holds(&self, peer: &NodeId, scope: &Scope) -> bool {
        let Scope::Cell(cell) = scope else { return true };
        self.cell_of(peer) == Some(cell) || self.peers.get(peer).is_some_and(|state| state.wants(cell))
    }

    /// The peers that are members and hold a scope, but one.
    pub(super) fn holders(&self, scope: &Scope, but: Option<NodeId>) -> Vec<NodeId> {
        let mut others = self.others(but);
        others.retain(|peer| self.peer_holds(peer, scope));
        others
    }

    /// A peer says which further cells it wants.
    pub(super) fn on_wants(&mut self, peer: NodeId, cells: Vec<CellPath>, now: Timestamp, out: &mut Vec<Effect>) {
        if cells.len() > MAX_WANTED {
            return self.fault(peer, "wants more cells than anybody may", out);
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let new = state.set_wants(cells.into_iter().collect(), now);
        for scope in new.into_iter().map(Scope::Cell).filter(|scope| self.holds(scope)).collect::<Vec<_>>() {
            // A digest to the leader only makes it look.
            self.send_digest(peer, scope, out);
        }
    }

    /// Says to every peer which further cells this node wants.
    fn tell_wants(&self, out: &mut Vec<Effect>) {
        self.others(None).into_iter().for_each(|peer| self.send_wants(peer, out));
    }

    /// Says to a peer which further cells this node wants.
    pub(super) fn send_wants(&self, peer: NodeId, out: &mut Vec<Effect>) {
        send(peer, &Frame::Wants(self.wants.0.keys().cloned().collect()), out);
    }

    /// Says so again with every digest, where there are any.
    pub(super) fn repeat_wants(&self, peer: NodeId, out: &mut Vec<Effect>) {
        if !self.wants.0.is_empty() {
            self.send_wants(peer, out);
        }
    }

    /// Lets go of what is not wanted any more, here and by peers.
    pub(super) fn lapse_wants(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        self.peers.values_mut().for_each(|peer| peer.forget_old_wants(now));
        if self.wants.lapse(now) {
            self.tell_wants(out);
            self.regroup(out);
            self.changed(out);
        }
    }

    /// Forgets `node` documents that are not to be held any more: of cells that are not held, and of authors that moved to another.
    pub(super) fn regroup(&mut self, out: &mut Vec<Effect>) {
        let writes = self.forget_misplaced();
        if !writes.is_empty() {
            out.push(Effect::Persist(writes));
            self.changed(out);
        }
    }

    /// As [`Self::regroup`]; answers what to remove from the store.
    pub(super) fn forget_misplaced(&mut self) -> Vec<crate::Write> {
        let (held, own) = (self.held_cells(), Scope::Cell(self.own_cell()));
        let replaced = self.documents.has(self.me, DocKind::Node, &own);
        let is_kept = |doc: &&DocId| {
            if doc.kind != DocKind::Node {
                return true;
            }
            // What this node writes next carries on from its last, wherever that stands.
            if doc.author == self.me {
                return doc.scope == own || !replaced;
            }
            let cell = self.cell_of(&doc.author);
            match &doc.scope {
                Scope::Cell(of) => held.contains(of) && cell.is_none_or(|cell| cell == of),
                // Its author's next epoch is told only in its cell.
                Scope::Mesh => cell.is_none_or(|cell| held.contains(cell)),
            }
        };
        let keep: BTreeSet<DocId> = self.documents.held().filter(is_kept).cloned().collect();
        self.documents.forget_but(&keep)
    }

    fn cell_of(&self, node: &NodeId) -> Option<&CellPath> {
        self.membership.certificate(node).map(|certificate| &certificate.cell)
    }
}
