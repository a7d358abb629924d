//! Evidence that nobody keeps any more.
//!
//! An epoch of a `gate` document goes once every rollout that it speaks of is long over ([`Deployment::is_settled`](sedge_statement::Deployment::is_settled),
//! by proven time, to the hour), those before it went, and a later one is held: the last stays, so that its author goes on from there. Whoever holds the
//! same authorities' documents comes to the same, so nobody is offered for ever what others let go; who offers it still is not believed to have news.

use std::collections::BTreeSet;

use sedge_statement::{DocId, DocKind, NodeId, RolloutId};

use super::{Documents, counts, doc_id};
use crate::chain::Chain;
use crate::record::Write;

impl Documents {
    /// Keeps no evidence on these rollouts, where it is all that an epoch speaks of. Answers what is to be removed from the store.
    pub(crate) fn settle(&mut self, rollouts: BTreeSet<RolloutId>) -> Vec<Write> {
        if rollouts == self.settled {
            return Vec::new();
        }
        self.settled = rollouts;
        let gates = self.chains.keys().filter(|doc| doc.kind == DocKind::Gate);
        let authors: BTreeSet<NodeId> = gates.map(|doc| doc.author).collect();
        authors.into_iter().flat_map(|author| self.drop_settled(&doc_id(author, DocKind::Gate, 0))).collect()
    }

    /// Forgets the epochs of a `gate` document that nobody keeps.
    pub(super) fn drop_settled(&mut self, doc: &DocId) -> Vec<Write> {
        if doc.kind != DocKind::Gate {
            return Vec::new();
        }
        let last = self.epochs(doc).rev().find(|(_, chain)| counts(chain)).map_or(0, |(last, _)| last.epoch);
        let over = self.epochs(doc).take_while(|(epoch, chain)| epoch.epoch < last && self.is_over_for_long(chain));
        let over: Vec<DocId> = over.map(|(epoch, _)| epoch.clone()).collect();
        over.iter().flat_map(|epoch| self.remove(epoch)).collect()
    }

    /// Whether a chain that is not held is one that nobody keeps.
    pub(super) fn is_settled(&self, chain: &Chain) -> bool {
        let id = chain.id();
        let mut before = self.epochs(id).take_while(|(other, _)| other.epoch < id.epoch);
        let mut after = self.epochs(id).filter(|(other, chain)| other.epoch > id.epoch && counts(chain));
        id.kind == DocKind::Gate && self.is_over_for_long(chain) && before.next().is_none() && after.next().is_some()
    }

    fn is_over_for_long(&self, chain: &Chain) -> bool {
        counts(chain) && chain.reading().rollouts().all(|rollout| self.settled.contains(rollout))
    }
}
