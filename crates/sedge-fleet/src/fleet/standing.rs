//! How new what is held is, for whoever shows it or compares it with others.

use std::collections::BTreeMap;

use sedge_statement::{DocKind, NodeId, Scope, Timestamp};

use super::Fleet;

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
}
