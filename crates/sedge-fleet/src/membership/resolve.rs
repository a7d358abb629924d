//! Resolving certificates and revocations from the roots down.
//!
//! Level by level: all that hangs on a node is judged before anything below it, so whether it is revoked is settled before a word
//! of its own counts. The result is one for one set of objects, whatever the order they came in.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Certificate, NodeId, ObjectId};

use super::revoked::Revoked;
use super::roots::History;
use super::{MAX_DEPTH, Membership, rules};

/// For each node that has a path, whoever stands right above it.
type Parents = BTreeMap<NodeId, BTreeSet<NodeId>>;

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
            if !self.revocations.is_empty() {
                subjects
                    .iter()
                    .for_each(|subject| self.judge_subject(*subject, &subjects, depth, &roots, &mut parents));
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

    /// Judges a node at the level where it first has a path; before it, those of the level under whom it says that it entered the mesh.
    fn judge_subject(
        &mut self,
        subject: NodeId,
        level: &BTreeSet<NodeId>,
        depth: u32,
        roots: &BTreeSet<NodeId>,
        parents: &mut Parents,
    ) {
        if parents.contains_key(&subject) {
            return;
        }
        // Two that each say so of the other end here.
        parents.insert(subject, BTreeSet::new());
        let entered = self.entries.get(&subject).cloned().unwrap_or_default();
        for issuer in entered.intersection(level) {
            self.judge_subject(*issuer, level, depth, roots, parents);
        }
        let above = self.right_above(&subject, &entered, depth);
        let (mut ancestors, mut next) = (BTreeSet::new(), Vec::from_iter(above.iter().copied()));
        parents.insert(subject, above);
        while let Some(node) = next.pop() {
            if ancestors.insert(node) && !roots.contains(&node) {
                next.extend(parents.get(&node).into_iter().flatten());
            }
        }
        self.revoked.judge(subject, &ancestors, &self.revocations, &self.history);
    }

    /// Who stands right above a node: whom of its issuers it says that it entered under, else the issuers nearest to a root. One that is itself placed no
    /// deeper than the node is its issuer although its certificate for the node is of the next level, where a nearer issuer certified the node since.
    fn right_above(&self, subject: &NodeId, entered: &BTreeSet<NodeId>, depth: u32) -> BTreeSet<NodeId> {
        let of = self.by_subject.get(subject).into_iter().flatten();
        let all: Vec<_> = of.filter_map(|id| Some((id, self.held.get(id)?))).collect();
        let nearest: BTreeSet<NodeId> =
            all.iter().filter(|(_, held)| held.depth == Some(depth)).map(|(_, held)| held.certificate.issuer).collect();
        let next = all.iter().filter(|(id, held)| {
            let c = &held.certificate;
            held.depth.is_none()
                && c.issuer != *subject
                && self.keeps(id, c)
                && self.valid_of(&c.issuer).any(|(_, above, _)| rules::covers(above, c).is_ok())
        });
        let rightful: BTreeSet<NodeId> = next.map(|(_, held)| held.certificate.issuer).chain(nearest.clone()).collect();
        let entered: BTreeSet<NodeId> = entered.intersection(&rightful).copied().collect();
        if entered.is_empty() { nearest } else { entered }
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
                    && self.keeps(id, &held.certificate)
                    && self.root_role_holds(&held.certificate)
                    && covered(&held.certificate)
            })
        })
        .copied()
        .collect()
    }
}
