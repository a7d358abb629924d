//! Which revocations count, and what they leave of a node.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Kept, NodeId, ObjectId, Revocation};

use super::roots::History;

/// Every revocation that is held, by its id, with who signed it. Whether it counts is another matter.
pub(super) type Revocations = BTreeMap<ObjectId, (NodeId, Revocation)>;

/// Nodes whose word is taken back, and what of it still counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Revoked {
    kept: BTreeMap<NodeId, Kept>,
    /// The revocations that count.
    counting: BTreeSet<ObjectId>,
}

impl Revoked {
    /// Roots that left are revoked by the version without them.
    pub(super) fn of_roots(history: &History) -> Self {
        Self { kept: history.left().clone(), counting: BTreeSet::new() }
    }

    pub(super) fn get(&self, node: &NodeId) -> Option<&Kept> {
        self.kept.get(node)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Kept)> {
        self.kept.iter()
    }

    /// Whether a revocation counts.
    pub(super) fn counts(&self, id: &ObjectId) -> bool {
        self.counting.contains(id)
    }

    /// Judges the revocations of a node whose ancestors are judged already.
    pub(super) fn judge(
        &mut self,
        node: NodeId,
        ancestors: &BTreeSet<NodeId>,
        revocations: &Revocations,
        history: &History,
    ) {
        // A root leaves by a version of the roots, which says what is kept of it once and for all.
        if history.ever(&node) {
            return;
        }
        let about: Vec<_> = revocations.iter().filter(|(_, (_, revocation))| revocation.subject == node).collect();
        // Whose word is taken back takes back nothing more, but what it took back before still is.
        let stands = |id: &ObjectId, signer: &NodeId| self.kept.get(signer).is_none_or(|k| k.revocations.contains(id));
        let standing: Vec<_> = about.into_iter().filter(|(id, (signer, _))| stands(id, signer)).collect();
        let agreed = |revocation: &Revocation| {
            // Of the roots that count now, and of earlier ones what these left of their word.
            let roots = history.current();
            let is_root = |signer: &NodeId| roots.keys.contains(signer) || history.left().contains_key(signer);
            let same = standing.iter().filter(|(_, (_, other))| other == revocation).map(|(_, (signer, _))| signer);
            let signers: BTreeSet<&NodeId> = same.filter(|signer| is_root(signer)).collect();
            signers.len() >= usize::from(roots.threshold)
        };
        let counting = standing.iter().filter(|(_, (by, revocation))| ancestors.contains(by) || agreed(revocation));
        let counting: Vec<(ObjectId, &Kept)> = counting.map(|(id, (_, revocation))| (**id, &revocation.kept)).collect();
        self.counting.extend(counting.iter().map(|(id, _)| *id));
        let kept = counting.into_iter().map(|(_, kept)| kept.clone()).reduce(|all, kept| all.and(&kept));
        if let Some(kept) = kept {
            self.kept.insert(node, kept);
        }
    }
}
