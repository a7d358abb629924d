//! Who belongs to the mesh, and what each member may say: the roots, certificates and their paths to a root, and revocations.
//!
//! Goals: the same objects give the same members whatever the order they came in; a chain only narrows; nobody
//! outside a node's own line of issuers takes anything from it. Non-goals: time beyond the dates that the certificates themselves
//! carry.
//!
//! A certificate is valid where a root issued it, or where *some* valid certificate of its issuer covers it (roles, cell and dates),
//! and where its issuer, if revoked, is known to have issued it: what revoked it names it. Its *depth* is how many
//! certificates the shortest such path has. Of one subject's valid certificates the one nearest to the root counts, and among
//! equally near ones the highest revision: else a node demoted by a root could have itself promoted again by
//! whomever it had enrolled, and an enroller could take a root's own node over by counting higher. Of a root's certificates those count that it gave
//! itself, whatever other roots certify: one root demotes no other.
//!
//! A revoked node's certificates stay valid for what it said up to its last good links; it is no member any more. A revocation holds for the
//! key, for ever: whoever owned it enrols anew under another.
//!
//! *Who stands above a node*, and so may revoke it, is not who certified it last. Of two issuers that both certify a node, equally near a root, the
//! objects do not tell which did so first: no time is trusted, and revisions are what issuers say. Were it the one whose certificate counts, the
//! other could certify the node again under a higher revision, and so make a revocation of its own count and undo the first one's. Hence:
//!
//! - All issuers of certificates nearest to a root stand above the node, and whoever stands above them. Adding objects only adds to them, so no
//!   certificate undoes a revocation.
//! - Where the node itself said under which of them it entered the mesh ([`sedge_statement::Entry`]), only those do. The node's key alone says so, and
//!   it says so before it is given its certificate: so a certificate that somebody else issues makes no revocation, and whoever holds the node's key
//!   can only add to those above it, never take away the one that enrolled it.
//!
//! What is left to trust: an issuer whose cell covers the node, and that is nearer to a root by two levels or more than the one under which it
//! entered, stands above it though it is not in its line; and a node that never said under whom it entered, since it joined by a file and is
//! hostile, or joined before there was such a word, can be revoked by every issuer as near that certifies it.

#[cfg(test)]
pub(crate) mod fixtures;
mod resolve;
mod revoked;
mod room;
mod roots;
mod rules;
mod statements;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use sedge_statement::{
    CellPath, Certificate, Frontier, Genesis, Kept, MeshId, NodeId, Object, ObjectId, Role, RollId, RootsId, Timestamp,
};

use revoked::{Revocations, Revoked};
use roots::History;

pub use roots::{Proposal, Roots};
pub use rules::CertificateRefusal;
pub use statements::{EntryRefusal, RevocationRefusal, RollRefusal, RootsRefusal};

/// The most certificates on one path. Cells have eight levels; twice that still fits a hello.
const MAX_DEPTH: u32 = 16;
/// How far a certificate's first date may lie ahead of our clock: an issuer's clock may run ahead, and a newcomer
/// connects within the second.
const CLOCK_SKEW: Duration = Duration::from_secs(10 * 60);

/// One certificate with what is known of its path.
#[derive(Debug, Clone)]
struct Held {
    certificate: Certificate,
    /// Certificates on the shortest path up to a root's, this one included; none while it waits for one.
    depth: Option<u32>,
}

/// The roots, certificates and revocations of one mesh.
#[derive(Debug, Clone)]
pub struct Membership {
    genesis: Genesis,
    mesh: MeshId,
    held: BTreeMap<ObjectId, Held>,
    by_subject: BTreeMap<NodeId, BTreeSet<ObjectId>>,
    by_issuer: BTreeMap<NodeId, BTreeSet<ObjectId>>,
    /// Versions of the roots by what they say, agreed or not.
    proposals: BTreeMap<RootsId, Proposal>,
    revocations: Revocations,
    /// The certificates that revocations keep, by the names of the rolls.
    rolls: BTreeMap<RollId, BTreeSet<ObjectId>>,
    /// Under whom each node says that it entered the mesh.
    entries: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// Which version of the roots was followed as which, for ever.
    adopted: BTreeMap<u32, RootsId>,
    /// Of these, which are not in the store yet.
    unrecorded: Vec<(u32, RootsId)>,
    /// The roots as agreed, and who is revoked: made from all the above.
    history: History,
    revoked: Revoked,
    /// How many certificates are in effect, or were added since the last judgement.
    counting: usize,
    /// Whether something was added that others hang on, so that all must be judged anew.
    unsettled: bool,
    revision: u64,
}

impl Membership {
    /// A mesh without any certificate.
    pub fn new(genesis: Genesis, mesh: MeshId) -> Self {
        let history = History::new(&genesis, mesh);
        Self {
            genesis,
            mesh,
            held: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            by_issuer: BTreeMap::new(),
            proposals: BTreeMap::new(),
            revocations: BTreeMap::new(),
            rolls: BTreeMap::new(),
            entries: BTreeMap::new(),
            adopted: BTreeMap::new(),
            unrecorded: Vec::new(),
            history,
            revoked: Revoked::default(),
            counting: 0,
            unsettled: false,
            revision: 0,
        }
    }

    /// Adds a certificate, in any order; one held already changes nothing.
    ///
    /// One whose issuer is unknown, or known but with too little to give, is kept aside: it takes effect once a
    /// certificate that covers it arrives. [`Self::judge`] tells such a one from one in effect.
    ///
    /// # Errors
    /// Where the certificate can never hold, or there is no room for it; see [`CertificateRefusal`].
    pub fn add(&mut self, object: &Object) -> Result<(), CertificateRefusal> {
        self.insert(object)?;
        self.settle();
        Ok(())
    }

    /// Adds a certificate that takes full effect with the next [`Self::settle`].
    pub(crate) fn insert(&mut self, object: &Object) -> Result<(), CertificateRefusal> {
        let (id, certificate) = self.check(object)?;
        if self.held.contains_key(&id) || self.has_room(&id, &certificate) {
            self.put(id, certificate);
            return Ok(());
        }
        Err(CertificateRefusal::NoRoom)
    }

    /// Adds a certificate that was held before: there was room for it then.
    pub(crate) fn restore(&mut self, object: &Object) -> Result<(), CertificateRefusal> {
        let (id, certificate) = self.check(object)?;
        self.put(id, certificate);
        Ok(())
    }

    fn check(&self, object: &Object) -> Result<(ObjectId, Certificate), CertificateRefusal> {
        if object.mesh() != self.mesh {
            return Err(CertificateRefusal::OtherMesh(object.mesh()));
        }
        let certificate: Certificate = object.body()?;
        if object.signer() != certificate.issuer {
            return Err(CertificateRefusal::NotSignedByIssuer);
        }
        rules::check_alone(&certificate)?;
        Ok((object.id(), certificate))
    }

    fn put(&mut self, id: ObjectId, certificate: Certificate) {
        if self.held.contains_key(&id) {
            return;
        }
        let subject = certificate.subject;
        // Nothing hangs on a node that issued nothing, and nothing about it is in question where nobody revoked it.
        let alone = !self.by_issuer.contains_key(&subject) && self.revocations_of(&subject).next().is_none();
        let depth = if alone { self.depth_of(&id, &certificate) } else { None };
        self.unsettled |= !alone;
        self.revision += 1;
        self.counting += 1;
        self.by_subject.entry(subject).or_default().insert(id);
        self.by_issuer.entry(certificate.issuer).or_default().insert(id);
        self.held.insert(id, Held { certificate, depth });
    }

    /// Remembers which version of the roots was followed as which.
    pub(crate) fn remember_adopted(&mut self, version: u32, id: RootsId) {
        self.adopted.insert(version, id);
    }

    /// Versions of the roots that were followed for the first time, to be stored.
    pub(crate) fn take_adopted(&mut self) -> Vec<(u32, RootsId)> {
        std::mem::take(&mut self.unrecorded)
    }

    /// Brings everything added into effect. What hangs together is judged once, however much of it came. Answers whether anything was.
    pub(crate) fn settle(&mut self) -> bool {
        let unsettled = std::mem::take(&mut self.unsettled);
        if unsettled {
            self.resolve();
            self.counting = self.held.values().filter(|held| held.depth.is_some()).count();
            self.revision += 1;
        }
        unsettled
    }

    /// Whether a certificate would be in effect with what is held now, whether or not it is held itself.
    ///
    /// # Errors
    /// What it lacks.
    pub fn judge(&self, id: &ObjectId, certificate: &Certificate) -> Result<(), CertificateRefusal> {
        rules::check_alone(certificate)?;
        if !self.root_role_holds(certificate) {
            return Err(CertificateRefusal::RootRole);
        }
        if !self.keeps(id, certificate) {
            return Err(CertificateRefusal::RevokedIssuer);
        }
        if self.history.ever(&certificate.issuer) {
            return Ok(());
        }
        let mut refusal = CertificateRefusal::UnknownIssuer;
        for (_, above, depth) in self.valid_of(&certificate.issuer) {
            match rules::covers(above, certificate) {
                Ok(()) if depth < MAX_DEPTH => return Ok(()),
                Ok(()) => refusal = CertificateRefusal::TooDeep,
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// The certificate of a node that counts: the nearest to a root, of a root one that it gave itself, then of the highest revision, then of the
    /// greatest id.
    pub fn certificate(&self, node: &NodeId) -> Option<&Certificate> {
        self.current(node).map(|(_, certificate, _)| certificate)
    }

    /// Whether a node may connect, sync and fetch: it holds a valid certificate whose first date has come, and is not revoked.
    ///
    /// The last date does not matter here. Authority ends with it, not membership: a node that was out of reach
    /// while it expired must still be able to fetch its next certificate.
    pub fn is_member(&self, node: &NodeId, now: Timestamp) -> bool {
        self.revoked.get(node).is_none() && self.certificate(node).is_some_and(|c| c.not_before <= now.plus(CLOCK_SKEW))
    }

    /// The roots that count now.
    pub fn roots(&self) -> &Roots {
        self.history.current()
    }

    /// Every version of the roots that was agreed, the genesis first.
    pub(crate) fn versions(&self) -> &[Roots] {
        self.history.versions()
    }

    /// Versions of the roots that would follow the present one, once enough roots have signed; of each root the one that it signed last, by its
    /// own word, so that no root can bury what another proposed.
    pub fn proposed(&self) -> impl Iterator<Item = &Proposal> {
        let mut open: BTreeSet<RootsId> = BTreeSet::new();
        for root in &self.history.current().keys {
            let of_it = self
                .proposals
                .iter()
                .filter(|(_, proposal)| proposal.signers.contains(root) && self.history.follows(&proposal.version));
            open.extend(of_it.max_by_key(|(id, proposal)| (proposal.version.at, **id)).map(|(id, _)| *id));
        }
        self.proposals.iter().filter(move |(id, _)| open.contains(id)).map(|(_, proposal)| proposal)
    }

    /// Whether a key is, or once was, a root's.
    pub(crate) fn was_ever_root(&self, node: &NodeId) -> bool {
        self.history.ever(node)
    }

    /// What still counts of a node that is revoked; none where it is not.
    pub fn revoked(&self, node: &NodeId) -> Option<&Kept> {
        self.revoked.get(node)
    }

    /// Every revoked node, with what still counts of it.
    pub(crate) fn all_revoked(&self) -> impl Iterator<Item = (&NodeId, &Kept)> {
        self.revoked.iter()
    }

    /// Counts changes, for those who remember what they made of the membership: whatever changes it counts one.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The time around `now` in which exactly the same nodes are members as long as no certificate is added.
    pub(crate) fn steady_around(&self, now: Timestamp) -> Range<Timestamp> {
        let mut steady = Timestamp::from_millis(0)..Timestamp::from_millis(u64::MAX);
        for certificate in self.by_subject.keys().filter_map(|node| self.certificate(node)) {
            let skew = u64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(u64::MAX);
            let begins = Timestamp::from_millis(certificate.not_before.as_millis().saturating_sub(skew));
            if begins <= now {
                steady.start = steady.start.max(begins);
            } else {
                steady.end = steady.end.min(begins);
            }
        }
        steady
    }

    /// Whether a node's certificate stands in `cell` or above it.
    pub(crate) fn covers(&self, node: &NodeId, cell: &CellPath) -> bool {
        self.certificate(node).is_some_and(|c| c.cell.covers(cell))
    }

    /// Whether some certificate of the node gave it `role` at `at`. A renewed certificate begins later than what was said
    /// under the one before, and must not silence that.
    pub(crate) fn held_role(&self, node: &NodeId, role: Role, at: Timestamp) -> bool {
        let begun = |c: &Certificate| c.not_before <= at.plus(CLOCK_SKEW) && c.not_after.is_none_or(|end| at < end);
        self.valid_of(node).any(|(_, c, _)| c.may(role) && begun(c))
    }

    /// Whether a node held a role at `at` by which it speaks for others.
    pub(crate) fn is_authority(&self, node: &NodeId, at: Timestamp) -> bool {
        [Role::Root, Role::Enroll, Role::Release, Role::Deploy].into_iter().any(|role| self.held_role(node, role, at))
    }

    /// The certificates that prove a node, its own first, a root's last; empty where it has none.
    pub fn path(&self, node: &NodeId) -> Vec<ObjectId> {
        let mut path = Vec::new();
        let mut next = self.current(node);
        while let Some((id, certificate, depth)) = next {
            path.push(*id);
            // Depth falls by one with each step, so the walk ends even where two nodes have certified each other.
            next = self
                .valid_of(&certificate.issuer)
                .filter(|(_, above, d)| *d + 1 == depth && rules::covers(above, certificate).is_ok())
                .max_by_key(|(id, above, _)| (above.revision, *id));
        }
        path
    }

    /// The node below the roots that a node hangs on, and the root that certified that one: of a root both are the root itself. Whoever hangs on one
    /// hand may all be that one's making.
    pub(crate) fn hand(&self, node: &NodeId) -> Option<(NodeId, NodeId)> {
        let last = self.path(node).pop()?;
        self.held.get(&last).map(|held| (held.certificate.subject, held.certificate.issuer))
    }

    /// Of an issuer's certificates in effect those that are held without a gap, by serial.
    pub(crate) fn issued(&self, issuer: &NodeId) -> BTreeMap<u64, BTreeSet<ObjectId>> {
        let mut issued: BTreeMap<u64, BTreeSet<ObjectId>> = BTreeMap::new();
        for id in self.by_issuer.get(issuer).into_iter().flatten() {
            if let Some(held) = self.held.get(id).filter(|held| held.depth.is_some()) {
                issued.entry(held.certificate.serial).or_default().insert(*id);
            }
        }
        let whole = issued.keys().zip(1u64..).take_while(|(serial, n)| *serial == n).count() as u64;
        issued.retain(|serial, _| *serial <= whole);
        issued
    }

    /// Every certificate in effect, those included that a newer one of their subject has replaced.
    pub fn valid(&self) -> impl Iterator<Item = (&ObjectId, &Certificate)> {
        self.held.iter().filter(|(_, held)| held.depth.is_some()).map(|(id, held)| (id, &held.certificate))
    }

    /// The certificates that selectors are resolved over: of each node that is not revoked those nearest to a root, replaced ones among
    /// them. One from further away never counts, so it must not draw a node anywhere; nor does one that another root gave a root.
    pub(crate) fn selectable(&self) -> impl Iterator<Item = (&ObjectId, &Certificate)> {
        let nodes = self.by_subject.keys().filter(|node| self.revoked.get(node).is_none());
        nodes.flat_map(move |node| {
            let nearest = self.valid_of(node).map(|(_, c, depth)| self.nearness(c, depth)).max();
            let all = self.valid_of(node);
            all.filter(move |(_, c, depth)| Some(self.nearness(c, *depth)) == nearest).map(|(id, c, _)| (id, c))
        })
    }

    /// How far each issuer's certificates are held and in effect without a gap. Of a revoked issuer no more will ever count than up to its
    /// last good serial, so with those it is complete.
    pub fn frontier(&self) -> Frontier {
        let mut frontier = BTreeMap::new();
        for (issuer, serials) in self.serials() {
            let last = serials.keys().zip(1u64..).take_while(|(serial, n)| *serial == n).count() as u64;
            let complete = self.revoked.get(&issuer).is_some_and(|kept| last >= kept.certificates.last);
            if last > 0 {
                frontier.insert(issuer, if complete { u64::MAX } else { last });
            }
        }
        Frontier(frontier)
    }

    /// Issuers that gave one serial to two different certificates, each with the least such serial.
    pub(crate) fn equivocating(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.serials().into_iter().filter_map(|(issuer, serials)| {
            let twice = serials.into_iter().find(|(_, count)| *count > 1)?;
            Some((issuer, twice.0))
        })
    }

    /// Certificates kept aside, each with what it lacks.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&Certificate, CertificateRefusal)> {
        self.held
            .iter()
            .filter(|(_, held)| held.depth.is_none())
            .filter_map(|(id, held)| Some((&held.certificate, self.judge(id, &held.certificate).err()?)))
    }

    fn serials(&self) -> BTreeMap<NodeId, BTreeMap<u64, usize>> {
        let mut serials: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (_, certificate) in self.valid() {
            *serials.entry(certificate.issuer).or_default().entry(certificate.serial).or_insert(0) += 1;
        }
        serials
    }

    fn current(&self, node: &NodeId) -> Option<(&ObjectId, &Certificate, u32)> {
        self.valid_of(node).max_by_key(|(id, c, depth)| (self.nearness(c, *depth), c.revision, *id))
    }

    /// How near to a root a certificate stands; nearest of all one that a root gave itself.
    fn nearness(&self, certificate: &Certificate, depth: u32) -> (Reverse<u32>, bool) {
        let own = certificate.issuer == certificate.subject && self.history.ever(&certificate.subject);
        (Reverse(depth), own)
    }

    fn valid_of(&self, node: &NodeId) -> impl Iterator<Item = (&ObjectId, &Certificate, u32)> {
        self.by_subject.get(node).into_iter().flatten().filter_map(|id| {
            let held = self.held.get(id)?;
            Some((id, &held.certificate, held.depth?))
        })
    }

    fn depth_of(&self, id: &ObjectId, certificate: &Certificate) -> Option<u32> {
        if !self.keeps(id, certificate) || !self.root_role_holds(certificate) {
            return None;
        }
        if self.history.ever(&certificate.issuer) {
            return Some(1);
        }
        let above =
            self.valid_of(&certificate.issuer).filter(|(_, above, _)| rules::covers(above, certificate).is_ok());
        above.map(|(_, _, depth)| depth + 1).min().filter(|depth| *depth <= MAX_DEPTH)
    }

    /// Whether a certificate does not give the root role, or between keys that are roots.
    fn root_role_holds(&self, certificate: &Certificate) -> bool {
        !certificate.may(Role::Root)
            || (self.history.ever(&certificate.issuer) && self.history.ever(&certificate.subject))
    }
}
