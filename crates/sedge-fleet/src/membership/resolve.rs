//! Resolving certificates and revocations from the roots down.
//!
//! Level by level: all that hangs on a node is judged before anything below it, so whether it is revoked is settled before a word
//! of its own counts. The result is one for one set of objects, whatever the order they came in.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Certificate, NodeId, ObjectId};

use super::revoked::Revoked;
use super::roots::History;
use super::{MAX_DEPTH, Membership, rules};

/// For each node that has a path, who issued the certificate of its that counts.
type Parents = BTreeMap<NodeId, NodeId>;

impl Membership {
    /// Judges everything that is held anew.
    pub(super) fn resolve(&mut self) {
        self.history = History::follow(&self.genesis, self.mesh, &self.proposals, &self.adopted);
        for roots in self.history.versions().iter().skip(1) {
            if self.adopted.insert(roots.version, roots.id).is_none() {
                self.unrecorded.push((roots.version, roots.id));
            }
        }
        self.revoked = Revoked::of_roots(&self.history);
        for held in self.held.values_mut() {
            held.depth = None;
        }
        let mut parents = Parents::new();
        let roots: BTreeSet<NodeId> = self.history.versions().iter().flat_map(|roots| &roots.keys).copied().collect();
        let mut level: Vec<ObjectId> = roots.iter().flat_map(|root| self.issued_below(root, None)).collect();
        for depth in 1..=MAX_DEPTH {
            if level.is_empty() {
                break;
            }
            let subjects = self.place(&level, depth);
            for subject in &subjects {
                self.judge_subject(*subject, depth, &roots, &mut parents);
            }
            level = subjects.iter().flat_map(|subject| self.issued_below(subject, Some(depth))).collect();
        }
    }

    /// Gives the certificates of one level their depth; answers whose they are.
    fn place(&mut self, level: &[ObjectId], depth: u32) -> BTreeSet<NodeId> {
        let mut subjects = BTreeSet::new();
        for id in level {
            if let Some(held) = self.held.get_mut(id) {
                held.depth = Some(depth);
                subjects.insert(held.certificate.subject);
            }
        }
        subjects
    }

    /// Judges a node at the level where it first has a path.
    fn judge_subject(&mut self, subject: NodeId, depth: u32, roots: &BTreeSet<NodeId>, parents: &mut Parents) {
        if parents.contains_key(&subject) || self.revocations.is_empty() {
            return;
        }
        let current = self.current(&subject).filter(|(_, _, found)| *found == depth);
        let Some(issuer) = current.map(|(_, certificate, _)| certificate.issuer) else { return };
        parents.insert(subject, issuer);
        let mut ancestors = BTreeSet::from([issuer]);
        let mut above = issuer;
        while !roots.contains(&above)
            && let Some(next) = parents.get(&above)
            && ancestors.insert(*next)
        {
            above = *next;
        }
        self.revoked.judge(subject, &ancestors, &self.revocations, &self.history);
    }

    /// The certificates without a depth that a node issued and that count: as a root, or covered by one of its own at `depth`.
    fn issued_below(&self, issuer: &NodeId, depth: Option<u32>) -> Vec<ObjectId> {
        let own: Vec<&Certificate> =
            self.valid_of(issuer).filter(|(_, _, found)| Some(*found) == depth).map(|(_, c, _)| c).collect();
        let covered = |c: &Certificate| depth.is_none() || own.iter().any(|above| rules::covers(above, c).is_ok());
        let ids = self.by_issuer.get(issuer).into_iter().flatten();
        ids.filter(|id| {
            self.held.get(id).is_some_and(|held| {
                held.depth.is_none()
                    && self.revoked.keeps_certificate(issuer, held.certificate.serial)
                    && self.root_role_holds(&held.certificate)
                    && covered(&held.certificate)
            })
        })
        .copied()
        .collect()
    }
}
