//! How new what is held is, for whoever shows it or compares it with others; and what is too old to be held.

use std::collections::BTreeMap;

use sedge_statement::{DocKind, NodeId, Scope, Timestamp};

use super::{Effect, Fleet};

/// How coarse the time is by which evidence is let go, ms: nodes that hold the same come to the same between two of its steps.
const HOUR: u64 = 3_600_000;

impl Fleet {
    /// When the newest link of each authority's documents was made, by that authority's clock.
    pub fn authorities(&self) -> BTreeMap<NodeId, Timestamp> {
        let mut newest = BTreeMap::new();
        let spoken = self.documents.chains().filter(|(doc, _)| doc.kind == DocKind::Authority);
        for (doc, chain) in spoken.filter(|(doc, _)| self.is_known(&doc.author)) {
            if let Some(made) = chain.made_at() {
                let last = newest.entry(doc.author).or_insert(made);
                *last = made.max(*last);
            }
        }
        newest
    }

    /// The digest of each scope that is held: two nodes with equal ones hold the same there.
    pub fn digests(&mut self) -> BTreeMap<Scope, [u8; 32]> {
        let scopes = std::iter::once(Scope::Mesh).chain(self.held_cells().into_iter().map(Scope::Cell));
        scopes.map(|scope| (scope.clone(), self.digest(&scope))).collect()
    }

    /// Lets go of evidence on rollouts that are long over, by proven time.
    pub(super) fn forget_settled(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let view = self.view(now);
        let hour = view.verified.as_millis() / HOUR;
        let state = (hour, view.deployments.len());
        if std::mem::replace(&mut self.settled, state) == state {
            return;
        }
        let then = Timestamp::from_millis(hour * HOUR);
        let over = view.deployments.iter().filter(|(_, published)| published.deployment.is_settled(then));
        let writes = self.documents.settle(over.map(|(id, _)| *id).collect());
        if !writes.is_empty() {
            out.push(Effect::Persist(writes));
            self.changed(out);
        }
    }
}
