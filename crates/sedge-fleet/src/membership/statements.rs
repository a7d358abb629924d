//! Taking in revocations and versions of the roots, and telling which objects take part in sync.
//!
//! What is kept is what would be taken in now: an object that lost its standing is hidden from sync, else nodes that heard of
//! things in different orders would offer each other for ever what the other refuses.

use std::collections::BTreeSet;

use sedge_statement::{
    NodeId, Object, ObjectError, ObjectId, ObjectKind, Revocation, Role, RootVersion, RootVersionError,
};

use super::{Membership, Proposal};

/// How many revocations of one node are kept of one signer: what is kept of it may be narrowed once found too wide.
const MAX_REVOCATIONS_OF_ONE: usize = 4;

/// Why a revocation is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationRefusal {
    /// The object is no revocation, or a damaged one. Drop it.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// Its reason or its list of what is kept is too long. Write it shorter.
    #[error("its reason or what it keeps is too long")]
    TooLong,
    /// Its signer has revoked that node often enough. Nothing more is to be said of it.
    #[error("its signer has revoked that node before, more than once")]
    TooMany,
    /// Its signer neither is a root nor ever held the right to enrol, or was revoked before it signed this. Have a root, or an issuer above
    /// the node, sign it.
    #[error("its signer may revoke nobody")]
    MayNotRevoke,
}

/// Why a version of the roots is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootsRefusal {
    /// The object is no version of the roots, or a damaged one. Drop it.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// What it says can never hold; propose another.
    #[error("{0}")]
    Version(#[from] RootVersionError),
    /// Its signer neither is a root nor becomes one by a version that a root proposed.
    #[error("its signer is no root, and no root proposed it as one")]
    NotARoot,
}

impl Membership {
    /// Keeps a revocation; it takes effect with the next [`Self::settle`].
    pub(crate) fn add_revocation(&mut self, object: &Object) -> Result<(), RevocationRefusal> {
        let revocation: Revocation = object.body()?;
        if !revocation.is_bounded() {
            return Err(RevocationRefusal::TooLong);
        }
        let id = object.id();
        if !self.may_revoke(&object.signer(), &id) {
            return Err(RevocationRefusal::MayNotRevoke);
        }
        let of_both =
            self.revocations.values().filter(|(by, r)| *by == object.signer() && r.subject == revocation.subject);
        if of_both.count() >= MAX_REVOCATIONS_OF_ONE && !self.revocations.contains_key(&id) {
            return Err(RevocationRefusal::TooMany);
        }
        self.put_revocation(id, object.signer(), revocation);
        Ok(())
    }

    /// Keeps a revocation without asking whether its signer may: for what was kept before.
    pub(crate) fn put_revocation(&mut self, id: ObjectId, signer: NodeId, revocation: Revocation) {
        self.revocations.insert(id, (signer, revocation));
        self.unsettled = true;
    }

    /// Keeps a root's signature under a version of the roots; it takes effect with the next [`Self::settle`].
    pub(crate) fn add_roots(&mut self, object: &Object) -> Result<(), RootsRefusal> {
        let version: RootVersion = object.body()?;
        version.check()?;
        if !self.may_sign_roots(&object.signer(), &version) {
            return Err(RootsRefusal::NotARoot);
        }
        self.put_roots(object.signer(), version);
        Ok(())
    }

    /// Keeps a signature under a version of the roots without asking whether its signer may.
    pub(crate) fn put_roots(&mut self, signer: NodeId, version: RootVersion) {
        let id = version.id();
        let proposal = self.proposals.entry(id).or_insert_with(|| Proposal { version, signers: BTreeSet::new() });
        proposal.signers.insert(signer);
        self.unsettled = true;
    }

    /// Whether an object has the standing to be kept, as things are now.
    pub(crate) fn is_in_effect(&self, id: &ObjectId, object: &Object) -> bool {
        match object.kind() {
            ObjectKind::CERTIFICATE => self.held.get(id).is_some_and(|held| held.depth.is_some()),
            ObjectKind::REVOCATION => self.may_revoke(&object.signer(), id),
            ObjectKind::ROOTS => object.body().is_ok_and(|version| self.may_sign_roots(&object.signer(), &version)),
            _ => true,
        }
    }

    /// Whether a revocation counts, alone or with others that say the same.
    pub(crate) fn revocation_counts(&self, id: &ObjectId) -> bool {
        self.revoked.counts(id)
    }

    /// The revocations of a node that are held, counting or not.
    pub(super) fn revocations_of(&self, node: &NodeId) -> impl Iterator<Item = &Revocation> {
        self.revocations.values().map(|(_, revocation)| revocation).filter(move |r| r.subject == *node)
    }

    /// Revocations of members that roots signed and that do not count yet, in order, with the roots that did.
    pub(crate) fn pending_revocations(&self) -> Vec<(Revocation, BTreeSet<NodeId>)> {
        let open = self.revocations.values().filter(|(signer, revocation)| {
            self.revoked.get(&revocation.subject).is_none() && self.history.current().keys.contains(signer)
        });
        let mut pending: Vec<(Revocation, BTreeSet<NodeId>)> = Vec::new();
        for (signer, revocation) in open {
            match pending.iter_mut().find(|(known, _)| known == revocation) {
                Some((_, signers)) => drop(signers.replace(*signer)),
                None => pending.push((revocation.clone(), BTreeSet::from([*signer]))),
            }
        }
        pending.sort_by_key(|(revocation, _)| (revocation.subject, revocation.at, revocation.reason.clone()));
        pending
    }

    fn may_revoke(&self, signer: &NodeId, id: &ObjectId) -> bool {
        let stands = self.revoked.get(signer).is_none_or(|kept| kept.revocations.contains(id));
        stands && (self.history.ever(signer) || self.valid_of(signer).any(|(_, c, _)| c.may(Role::Enroll)))
    }

    fn may_sign_roots(&self, signer: &NodeId, version: &RootVersion) -> bool {
        let proposed = self.proposals.get(&version.id());
        let by_root = proposed.is_some_and(|p| p.signers.iter().any(|signer| self.history.ever(signer)));
        self.history.ever(signer) || (by_root && version.roots.contains(signer))
    }
}
