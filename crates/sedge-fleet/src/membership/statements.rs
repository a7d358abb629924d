//! Taking in revocations and versions of the roots, and telling which objects take part in sync.
//!
//! What is kept is what would be taken in now: an object that lost its standing is hidden from sync, else nodes that heard of
//! things in different orders would offer each other for ever what the other refuses.
//!
//! What was taken in is never pushed out by what comes later, although nodes that a signer past its bounds spoke to in different orders then hold different
//! parts of what it said. A rule that keeps the least, or the latest, would let whoever holds a key push out, and so undo, what its owner said
//! before. They agree again once that signer is revoked: what the revocation names is taken in past every bound, and the rest is void.

use std::collections::BTreeSet;

use sedge_statement::{
    Entry, NodeId, Object, ObjectError, ObjectId, ObjectKind, Revocation, Role, Roll, RollId, RootVersion,
    RootVersionError,
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

/// Why a roll is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollRefusal {
    /// The object is no roll, or a damaged one. Drop it.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// Nothing that is known keeps what it names. Publish the revocation first.
    #[error("no revocation names it")]
    NotNamed,
}

/// Why a node's word of how it entered the mesh is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryRefusal {
    /// The object says nothing of the kind, or is damaged. Drop it.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// No certificate of that issuer for the signer is in effect. Publish that first.
    #[error("names an issuer that did not certify its signer")]
    NotEnrolled,
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
        let named = self.revoked.get(&object.signer()).is_some_and(|kept| kept.revocations.contains(&id));
        let of_both = self.revocations.iter().filter(|(id, (by, r))| {
            *by == object.signer() && r.subject == revocation.subject && self.may_revoke(by, id)
        });
        if !named && of_both.count() >= MAX_REVOCATIONS_OF_ONE && !self.revocations.contains_key(&id) {
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

    /// Keeps a roll that something names; it takes effect with the next [`Self::settle`].
    pub(crate) fn add_roll(&mut self, object: &Object) -> Result<(), RollRefusal> {
        let roll: Roll = object.body()?;
        if !self.is_named(&roll.id()) {
            return Err(RollRefusal::NotNamed);
        }
        self.put_roll(roll);
        Ok(())
    }

    /// Keeps a roll without asking whether anything names it.
    pub(crate) fn put_roll(&mut self, roll: Roll) {
        self.unsettled |= self.rolls.insert(roll.id(), roll.certificates).is_none();
    }

    /// Keeps a node's word of who enrolled it; it takes effect with the next [`Self::settle`].
    pub(crate) fn add_entry(&mut self, object: &Object) -> Result<(), EntryRefusal> {
        let entry: Entry = object.body()?;
        if !self.is_enrolled(&object.signer(), &entry) {
            return Err(EntryRefusal::NotEnrolled);
        }
        self.put_entry(object.signer(), entry);
        Ok(())
    }

    /// Keeps a node's word of who enrolled it without asking whether it did.
    pub(crate) fn put_entry(&mut self, node: NodeId, entry: Entry) {
        let is_new = self.entries.entry(node).or_default().insert(entry.issuer);
        // It only says who may revoke the node and those below it.
        let asked = !self.revocations.is_empty()
            && (self.by_issuer.contains_key(&node) || self.revocations_of(&node).next().is_some());
        self.unsettled |= is_new && asked;
    }

    /// Whether an object has the standing to be kept, as things are now.
    pub(crate) fn is_in_effect(&self, id: &ObjectId, object: &Object) -> bool {
        match object.kind() {
            ObjectKind::CERTIFICATE => self.held.get(id).is_some_and(|held| held.depth.is_some()),
            ObjectKind::REVOCATION => self.may_revoke(&object.signer(), id),
            ObjectKind::ROOTS => object.body().is_ok_and(|version| self.may_sign_roots(&object.signer(), &version)),
            ObjectKind::ROLL => object.body::<Roll>().is_ok_and(|roll| self.is_named(&roll.id())),
            ObjectKind::ENTRY => object.body().is_ok_and(|entry| self.is_enrolled(&object.signer(), &entry)),
            _ => true,
        }
    }

    /// Whether what revoked an object's signer names the object: then it is kept whatever else its signer said.
    pub(crate) fn is_kept_by_name(&self, id: &ObjectId, object: &Object) -> bool {
        let Some(kept) = self.revoked.get(&object.signer()) else { return false };
        match object.kind() {
            ObjectKind::CERTIFICATE => self.names(kept, id) == Some(true),
            ObjectKind::REVOCATION => kept.revocations.contains(id),
            _ => false,
        }
    }

    /// Whether a revocation counts.
    pub(crate) fn counts(&self, id: &ObjectId) -> bool {
        self.revoked.counts(id)
    }

    /// The revocations of a node that are held, counting or not.
    pub(super) fn revocations_of(&self, node: &NodeId) -> impl Iterator<Item = &Revocation> {
        self.revocations.values().map(|(_, revocation)| revocation).filter(move |r| r.subject == *node)
    }

    /// Revocations that roots signed, that do not count yet and would change something, in order, with the roots that did.
    pub(crate) fn pending_revocations(&self) -> Vec<(Revocation, BTreeSet<NodeId>)> {
        let narrows = |r: &Revocation| self.revoked.get(&r.subject).is_none_or(|kept| kept.and(&r.kept) != *kept);
        let open = self.revocations.iter().filter(|(id, (signer, revocation))| {
            self.history.current().keys.contains(signer)
                && !self.revoked.counts(id)
                && !self.history.ever(&revocation.subject)
                && narrows(revocation)
        });
        let open = open.map(|(_, signed)| signed);
        let mut pending: Vec<(Revocation, BTreeSet<NodeId>)> = Vec::new();
        for (signer, revocation) in open {
            match pending.iter_mut().find(|(known, _)| known == revocation) {
                Some((_, signers)) => drop(signers.replace(*signer)),
                None => pending.push((revocation.clone(), BTreeSet::from([*signer]))),
            }
        }
        pending.sort_by_key(|(revocation, _)| (revocation.subject, revocation.at, revocation.id()));
        pending
    }

    /// Whether a revocation or version of the roots with any standing names a roll.
    fn is_named(&self, roll: &RollId) -> bool {
        let by_revocation = self.revocations.iter().any(|(id, (signer, revocation))| {
            revocation.kept.certificates.rolls.contains(roll) && self.may_revoke(signer, id)
        });
        by_revocation
            || self.proposals.values().any(|Proposal { version, signers }| {
                version.leaving.values().any(|kept| kept.certificates.rolls.contains(roll))
                    && signers.iter().any(|signer| self.history.ever(signer))
            })
    }

    fn is_enrolled(&self, node: &NodeId, entry: &Entry) -> bool {
        self.valid_of(node).any(|(_, certificate, _)| certificate.issuer == entry.issuer)
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
