//! Epochs of `node` documents on their way: until one is whole it replaces nothing, is not stored, and is told to nobody.
//!
//! So what a node keeps of such documents is a function of what it was offered: of an author the last whole epoch. Halves, of which a hostile
//! author can make any number, stay with the peer that offers them, a few at a time, and push out only that peer's own.

use std::collections::{BTreeMap, VecDeque};

use sedge_statement::{DocId, DocKind, NodeId};

use crate::chain::Chain;

/// How many halves are kept of one peer: an honest one sends one document after another, with news of others in between.
const MAX_OF_PEER: usize = 2;

/// Halves of epochs, by who offered them.
#[derive(Debug, Default)]
pub(super) struct Staged {
    of: BTreeMap<NodeId, VecDeque<Chain>>,
}

impl Staged {
    /// Takes out what a peer offered of a document before.
    pub(super) fn take(&mut self, peer: NodeId, doc: &DocId) -> Option<Chain> {
        let chains = self.of.get_mut(&peer)?;
        let at = chains.iter().position(|chain| chain.id() == doc)?;
        chains.remove(at)
    }

    /// Keeps what a peer offered so far; the oldest of too many goes.
    pub(super) fn put(&mut self, peer: NodeId, chain: Chain) {
        let chains = self.of.entry(peer).or_default();
        chains.push_back(chain);
        if chains.len() > MAX_OF_PEER {
            chains.pop_front();
        }
    }

    /// The last epoch of which a half is here.
    pub(super) fn last_epoch(&self, author: NodeId, kind: DocKind) -> Option<u32> {
        let of_it = |doc: &DocId| (doc.author, doc.kind) == (author, kind);
        self.of.values().flatten().map(Chain::id).filter(|doc| of_it(doc)).map(|doc| doc.epoch).max()
    }

    /// Forgets what a peer offered.
    pub(super) fn forget_peer(&mut self, peer: &NodeId) {
        self.of.remove(peer);
    }

    /// Forgets what was offered of an author, of which something was found out.
    pub(super) fn forget_author(&mut self, author: NodeId) {
        for chains in self.of.values_mut() {
            chains.retain(|chain| chain.id().author != author);
        }
    }
}
