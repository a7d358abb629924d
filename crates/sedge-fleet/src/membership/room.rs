//! Which certificates there is room for, and which of a revoked issuer's are kept.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Certificate, Kept, NodeId, ObjectId};

use super::{Held, Membership};

/// The most certificates in effect that no root issued: several for each of ten thousand nodes, and 30 MB at the most common size. Those of
/// roots are bounded by what one signer may publish, so that enrollers gone mad cannot keep a root from answering. Past it the void ones are
/// forgotten.
const MAX_CERTIFICATES: usize = 1 << 16;
/// The most certificates of one issuer for one node: a new label every week for two years. Each is looked at for each that
/// the node issues itself.
pub(super) const MAX_RENEWALS: usize = 128;

impl Membership {
    /// Forgets the certificates that are void, once there are more than are to be kept; answers which.
    pub(crate) fn shed(&mut self) -> Vec<ObjectId> {
        if self.held.len() <= MAX_CERTIFICATES {
            return Vec::new();
        }
        let void: Vec<ObjectId> =
            self.held.iter().filter(|(_, held)| held.depth.is_none()).map(|(id, _)| *id).collect();
        for id in &void {
            let Some(Held { certificate, .. }) = self.held.remove(id) else { continue };
            forget(&mut self.by_subject, &certificate.subject, id);
            forget(&mut self.by_issuer, &certificate.issuer, id);
        }
        void
    }

    /// Whether one more certificate is taken. What a revocation names always is, and what is void takes no room: so however a hostile issuer filled
    /// its share, in whatever order its certificates came, nodes hold the same of it once it is revoked.
    pub(super) fn has_room(&self, id: &ObjectId, certificate: &Certificate) -> bool {
        if self.revoked.get(&certificate.issuer).is_some_and(|kept| self.names(kept, id) == Some(true)) {
            return true;
        }
        let of_both = self.by_subject.get(&certificate.subject).into_iter().flatten();
        let of_both = of_both
            .filter_map(|id| self.held.get(id))
            .filter(|held| held.certificate.issuer == certificate.issuer && (held.depth.is_some() || self.unsettled));
        let all = self.counting < MAX_CERTIFICATES || self.history.ever(&certificate.issuer);
        all && of_both.count() < MAX_RENEWALS
    }

    /// Whether a certificate still counts for its issuer, where that is revoked. A roll that is on its way voids nothing: those whom the
    /// issuer enrolled rightly would be cut off until it is here.
    pub(super) fn keeps(&self, id: &ObjectId, certificate: &Certificate) -> bool {
        let Some(kept) = self.revoked.get(&certificate.issuer) else { return true };
        certificate.serial <= kept.certificates.last && self.names(kept, id).unwrap_or(true)
    }

    /// Whether the rolls of what is kept name a certificate; none while one of them is missing.
    pub(super) fn names(&self, kept: &Kept, id: &ObjectId) -> Option<bool> {
        let rolls: Option<Vec<_>> = kept.certificates.rolls.iter().map(|roll| self.rolls.get(roll)).collect();
        rolls.map(|rolls| rolls.iter().any(|roll| roll.contains(id)))
    }
}

/// Takes an id out of one of the sets, and the set out with its last.
fn forget(sets: &mut BTreeMap<NodeId, BTreeSet<ObjectId>>, node: &NodeId, id: &ObjectId) {
    let Some(set) = sets.get_mut(node) else { return };
    set.remove(id);
    if set.is_empty() {
        sets.remove(node);
    }
}
