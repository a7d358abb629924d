//! Who belongs to the mesh, and what each member may say: the roots, certificates and their paths to a root, and revocations.
//!
//! Goals: the same objects give the same members whatever the order they came in; a chain only narrows; nobody
//! outside a node's own line of issuers takes anything from it. Non-goals: time beyond the dates that the certificates themselves
//! carry.
//!
//! A certificate is valid where a root issued it, or where *some* valid certificate of its issuer covers it (roles, cell and dates),
//! and where its issuer, if revoked, issued it before its last good serial. Its *depth* is how many
//! certificates the shortest such path has. Of one subject's valid certificates the one nearest to the root counts, and among
//! equally near ones the highest revision: else a node demoted by a root could have itself promoted again by
//! whomever it had enrolled, and an enroller could take a root's own node over by counting higher.
//!
//! A revoked node's certificates stay valid for what it said up to its last good links; it is no member any more. A revocation holds for the
//! key, for ever: whoever owned it enrols anew under another.

#[cfg(test)]
pub(crate) mod fixtures;
mod resolve;
mod revoked;
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
    CellPath, Certificate, Frontier, Genesis, Kept, MeshId, NodeId, Object, ObjectId, Role, RootsId, Timestamp,
};

use revoked::{Revocations, Revoked};
use roots::History;

pub use roots::{Proposal, Roots};
pub use rules::CertificateRefusal;
pub use statements::{RevocationRefusal, RootsRefusal};

/// The most certificates kept that no root issued: several for each of ten thousand nodes, and 30 MB at the most common size. Those of
/// roots are bounded by what one signer may publish, so that enrollers gone mad cannot keep a root from answering.
const MAX_CERTIFICATES: usize = 1 << 16;
/// The most certificates of one issuer for one node: a new label every week for two years. Each is looked at for each that
/// the node issues itself.
const MAX_RENEWALS: usize = 128;
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
    /// Which version of the roots was followed as which, for ever.
    adopted: BTreeMap<u32, RootsId>,
    /// Of these, which are not in the store yet.
    unrecorded: Vec<(u32, RootsId)>,
    /// The roots as agreed, and who is revoked: made from all the above.
    history: History,
    revoked: Revoked,
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
            adopted: BTreeMap::new(),
            unrecorded: Vec::new(),
            history,
            revoked: Revoked::default(),
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
        if object.mesh() != self.mesh {
            return Err(CertificateRefusal::OtherMesh(object.mesh()));
        }
        let certificate: Certificate = object.body()?;
        if object.signer() != certificate.issuer {
            return Err(CertificateRefusal::NotSignedByIssuer);
        }
        rules::check_alone(&certificate)?;
        let id = object.id();
        if self.held.contains_key(&id) {
            return Ok(());
        }
        if !self.has_room(&certificate) {
            return Err(CertificateRefusal::NoRoom);
        }
        let subject = certificate.subject;
        // Nothing hangs on a node that issued nothing, and nothing about it is in question where nobody revoked it.
        let alone = !self.by_issuer.contains_key(&subject) && self.revocations_of(&subject).next().is_none();
        let depth = if alone { self.depth_of(&certificate) } else { None };
        self.unsettled |= !alone;
        self.revision += 1;
        self.by_subject.entry(subject).or_default().insert(id);
        self.by_issuer.entry(certificate.issuer).or_default().insert(id);
        self.held.insert(id, Held { certificate, depth });
        Ok(())
    }

    /// Remembers which version of the roots was followed as which.
    pub(crate) fn remember_adopted(&mut self, version: u32, id: RootsId) {
        self.adopted.insert(version, id);
    }

    /// Versions of the roots that were followed for the first time, to be stored.
    pub(crate) fn take_adopted(&mut self) -> Vec<(u32, RootsId)> {
        std::mem::take(&mut self.unrecorded)
    }

    /// Brings everything added into effect. What hangs together is judged once, however much of it came.
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.unsettled) {
            self.resolve();
            self.revision += 1;
        }
    }

    /// Whether a certificate would be in effect with what is held now, whether or not it is held itself.
    ///
    /// # Errors
    /// What it lacks.
    pub fn judge(&self, certificate: &Certificate) -> Result<(), CertificateRefusal> {
        rules::check_alone(certificate)?;
        if !self.root_role_holds(certificate) {
            return Err(CertificateRefusal::RootRole);
        }
        if !self.revoked.keeps_certificate(&certificate.issuer, certificate.serial) {
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

    /// The certificate of a node that counts: the nearest to a root, then of the highest revision, then of the greatest id.
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

    /// The version before an agreed one; none where it is not agreed, or is the genesis.
    pub(crate) fn roots_before(&self, id: &RootsId) -> Option<&Roots> {
        let pair = self.history.versions().windows(2).find(|pair| pair[1].id == *id)?;
        pair.first()
    }

    /// Every version of the roots that was followed after the genesis, in order.
    pub(crate) fn followed(&self) -> impl Iterator<Item = (u32, RootsId)> {
        self.history.versions().iter().skip(1).map(|roots| (roots.version, roots.id))
    }

    /// Versions of the roots that would follow the present one, once enough roots have signed.
    pub fn proposed(&self) -> impl Iterator<Item = &Proposal> {
        self.proposals.values().filter(|proposal| self.history.follows(&proposal.version))
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

    /// Every certificate in effect, those included that a newer one of their subject has replaced.
    pub fn valid(&self) -> impl Iterator<Item = (&ObjectId, &Certificate)> {
        self.held.iter().filter(|(_, held)| held.depth.is_some()).map(|(id, held)| (id, &held.certificate))
    }

    /// The certificates that selectors are resolved over: of each node that is not revoked those nearest to a root, replaced ones among
    /// them. One from further away never counts, so it must not draw a node anywhere.
    pub(crate) fn selectable(&self) -> impl Iterator<Item = (&ObjectId, &Certificate)> {
        let nodes = self.by_subject.keys().filter(|node| self.revoked.get(node).is_none());
        nodes.flat_map(|node| {
            let nearest = self.valid_of(node).map(|(_, _, depth)| depth).min();
            self.valid_of(node).filter(move |(_, _, depth)| Some(*depth) == nearest).map(|(id, c, _)| (id, c))
        })
    }

    /// How far each issuer's certificates are held and in effect without a gap. Of a revoked issuer no more will ever count than up to its
    /// last good serial, so with those it is complete.
    pub fn frontier(&self) -> Frontier {
        let mut frontier = BTreeMap::new();
        for (issuer, serials) in self.serials() {
            let last = serials.keys().zip(1u64..).take_while(|(serial, n)| *serial == n).count() as u64;
            let complete = self.revoked.get(&issuer).is_some_and(|kept| last >= kept.certificates);
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
            .values()
            .filter(|held| held.depth.is_none())
            .filter_map(|held| Some((&held.certificate, self.judge(&held.certificate).err()?)))
    }

    fn serials(&self) -> BTreeMap<NodeId, BTreeMap<u64, usize>> {
        let mut serials: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (_, certificate) in self.valid() {
            *serials.entry(certificate.issuer).or_default().entry(certificate.serial).or_insert(0) += 1;
        }
        serials
    }

    fn current(&self, node: &NodeId) -> Option<(&ObjectId, &Certificate, u32)> {
        self.valid_of(node).max_by_key(|(id, certificate, depth)| (Reverse(*depth), certificate.revision, *id))
    }

    fn valid_of(&self, node: &NodeId) -> impl Iterator<Item = (&ObjectId, &Certificate, u32)> {
        self.by_subject.get(node).into_iter().flatten().filter_map(|id| {
            let held = self.held.get(id)?;
            Some((id, &held.certificate, held.depth?))
        })
    }

    fn depth_of(&self, certificate: &Certificate) -> Option<u32> {
        let counts = self.revoked.keeps_certificate(&certificate.issuer, certificate.serial);
        if !counts || !self.root_role_holds(certificate) {
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

    fn has_room(&self, certificate: &Certificate) -> bool {
        let of_both = self.by_subject.get(&certificate.subject).into_iter().flatten();
        let of_both =
            of_both.filter(|id| self.held.get(id).is_some_and(|h| h.certificate.issuer == certificate.issuer));
        let all = self.held.len() < MAX_CERTIFICATES || self.history.ever(&certificate.issuer);
        all && of_both.count() < MAX_RENEWALS
    }
}
