//! Which revocations count, and what they leave of a node.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Kept, NodeId, ObjectId, Revocation};

use super::roots::History;

/// Every revocation that is held, by its id, with who signed it. Whether it counts is another matter.
pub(super) type Revocations = BTreeMap<ObjectId, (NodeId, Revocation)>;

/// Nodes whose word is taken back, and what of it still counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Revoked(BTreeMap<NodeId, Kept>);

impl Revoked {
    /// Roots that left are revoked by the version without them.
    pub(super) fn of_roots(history: &History) -> Self {
        Self(history.left().clone())
    }

    pub(super) fn get(&self, node: &NodeId) -> Option<&Kept> {
        self.0.get(node)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Kept)> {
        self.0.iter()
    }

    /// Whether a certificate with this serial still counts for its issuer.
    pub(super) fn keeps_certificate(&self, issuer: &NodeId, serial: u64) -> bool {
        self.0.get(issuer).is_none_or(|kept| serial <= kept.certificates)
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
        let stands = |id: &ObjectId, signer: &NodeId| self.0.get(signer).is_none_or(|k| k.revocations.contains(id));
        let standing: Vec<_> = about.into_iter().filter(|(id, (signer, _))| stands(id, signer)).collect();
        let agreed = |revocation: &Revocation| {
            let signers = standing.iter().filter(|(_, (_, other))| other == revocation).map(|(_, (signer, _))| signer);
            let signers: BTreeSet<&NodeId> = signers.collect();
            // Of the roots that count now: a key of earlier ones has no more say than these leave it.
            let roots = history.current();
            signers.iter().filter(|signer| roots.keys.contains(signer)).count() >= usize::from(roots.threshold)
        };
        let counting = standing.iter().filter(|(_, (by, revocation))| ancestors.contains(by) || agreed(revocation));
        let kept = counting.map(|(_, (_, revocation))| revocation.kept.clone()).reduce(|all, kept| all.and(&kept));
        if let Some(kept) = kept {
            self.0.insert(node, kept);
        }
    }
}
