//! Who belongs to the mesh, and what each member may say: certificates and their paths to a root.
//!
//! Goals: the same certificates give the same members whatever the order they came in; a chain only narrows; nobody
//! outside a node's own line of issuers takes anything from it. Non-goals: revocation, and time beyond the dates that the
//! certificates themselves carry.
//!
//! A certificate is valid where a genesis root issued it, or where *some* valid certificate of its issuer covers
//! it (roles, cell and dates). That rule only ever adds, so it has one result for one set. Its *depth* is how many
//! certificates the shortest such path has. Of one subject's valid certificates the one nearest to the root counts, and among
//! equally near ones the highest revision: else a node demoted by a root could have itself promoted again by
//! whomever it had enrolled, and an enroller could take a root's own node over by counting higher.

#[cfg(test)]
pub(crate) mod fixtures;
mod rules;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use sedge_statement::{CellPath, Certificate, Frontier, Genesis, MeshId, NodeId, Object, ObjectId, Role, Timestamp};

pub use rules::CertificateRefusal;

/// The most certificates kept in all: several for each of ten thousand nodes, and 30 MB at the most common size.
const MAX_CERTIFICATES: usize = 1 << 16;
/// The most certificates kept whose path is missing or does not cover them. Paths travel root first, so few ever wait; a
/// refused one comes again with the next sync.
const MAX_WAITING: usize = 4096;
/// The most of those from one issuer, so that one broken enroller cannot take all the room.
const MAX_WAITING_EACH: usize = 256;
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

/// The certificates of one mesh.
#[derive(Debug, Clone)]
pub struct Membership {
    genesis: Genesis,
    mesh: MeshId,
    held: BTreeMap<ObjectId, Held>,
    by_subject: BTreeMap<NodeId, BTreeSet<ObjectId>>,
    by_issuer: BTreeMap<NodeId, BTreeSet<ObjectId>>,
    waiting: BTreeMap<NodeId, usize>,
    revision: u64,
}

impl Membership {
    /// A mesh without any certificate.
    pub fn new(genesis: Genesis, mesh: MeshId) -> Self {
        Self {
            genesis,
            mesh,
            held: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            by_issuer: BTreeMap::new(),
            waiting: BTreeMap::new(),
            revision: 0,
        }
    }

    /// Adds a certificate, in any order; one held already changes nothing.
    ///
    /// One whose issuer is unknown, or known but with too little to give, is kept aside: it takes effect once a
    /// certificate that covers it arrives. [`Self::judge`] tells such a one from one in effect.
    ///
    /// # Errors
    /// Where the certificate can never hold, or the room for those kept aside is full; see [`CertificateRefusal`].
    pub fn add(&mut self, object: &Object) -> Result<(), CertificateRefusal> {
        if object.mesh() != self.mesh {
            return Err(CertificateRefusal::OtherMesh(object.mesh()));
        }
        let certificate: Certificate = object.body()?;
        if object.signer() != certificate.issuer {
            return Err(CertificateRefusal::NotSignedByIssuer);
        }
        rules::check_alone(&certificate, &self.genesis)?;
        let id = object.id();
        if self.held.contains_key(&id) {
            return Ok(());
        }
        if self.held.len() >= MAX_CERTIFICATES {
            return Err(CertificateRefusal::NoRoom);
        }
        let depth = self.depth_of(&certificate);
        if depth.is_none() {
            self.reserve_waiting(certificate.issuer)?;
        }
        self.revision += 1;
        let subject = certificate.subject;
        self.by_subject.entry(subject).or_default().insert(id);
        self.by_issuer.entry(certificate.issuer).or_default().insert(id);
        self.held.insert(id, Held { certificate, depth });
        if depth.is_some() {
            self.settle_below(subject);
        }
        Ok(())
    }

    /// Whether a certificate would be in effect with what is held now, whether or not it is held itself.
    ///
    /// # Errors
    /// What it lacks.
    pub fn judge(&self, certificate: &Certificate) -> Result<(), CertificateRefusal> {
        rules::check_alone(certificate, &self.genesis)?;
        if self.genesis.roots.contains(&certificate.issuer) {
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

    /// Whether a node may connect, sync and fetch: it holds a valid certificate whose first date has come.
    ///
    /// The last date does not matter here. Authority ends with it, not membership: a node that was out of reach
    /// while it expired must still be able to fetch its next certificate.
    pub fn is_member(&self, node: &NodeId, now: Timestamp) -> bool {
        self.certificate(node).is_some_and(|c| c.not_before <= now.plus(CLOCK_SKEW))
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

    /// How far each issuer's certificates are held and in effect without a gap.
    pub fn frontier(&self) -> Frontier {
        let mut frontier = BTreeMap::new();
        for (issuer, serials) in self.serials() {
            let last = serials.keys().zip(1u64..).take_while(|(serial, n)| *serial == n).count();
            if last > 0 {
                frontier.insert(issuer, last as u64);
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
        if self.genesis.roots.contains(&certificate.issuer) {
            return Some(1);
        }
        let above =
            self.valid_of(&certificate.issuer).filter(|(_, above, _)| rules::covers(above, certificate).is_ok());
        above.map(|(_, _, depth)| depth + 1).min().filter(|depth| *depth <= MAX_DEPTH)
    }

    /// Looks again at what a node issued, and at what those issued in turn, after its own path became known or shorter.
    /// Depths only ever fall, so this ends.
    fn settle_below(&mut self, subject: NodeId) {
        let mut changed = vec![subject];
        while let Some(issuer) = changed.pop() {
            for id in self.by_issuer.get(&issuer).cloned().unwrap_or_default() {
                let Some(held) = self.held.get(&id) else { continue };
                let depth = self.depth_of(&held.certificate);
                if depth.is_none() || held.depth.is_some_and(|old| depth >= Some(old)) {
                    continue;
                }
                if let Some(held) = self.held.get_mut(&id) {
                    if held.depth.is_none() {
                        release_waiting(&mut self.waiting, issuer);
                    }
                    held.depth = depth;
                    changed.push(held.certificate.subject);
                }
            }
        }
    }

    fn reserve_waiting(&mut self, issuer: NodeId) -> Result<(), CertificateRefusal> {
        let all: usize = self.waiting.values().sum();
        let of_issuer = self.waiting.get(&issuer).copied().unwrap_or(0);
        if all >= MAX_WAITING || of_issuer >= MAX_WAITING_EACH {
            return Err(CertificateRefusal::NoRoom);
        }
        self.waiting.insert(issuer, of_issuer + 1);
        Ok(())
    }
}

fn release_waiting(waiting: &mut BTreeMap<NodeId, usize>, issuer: NodeId) {
    if let Some(count) = waiting.get_mut(&issuer) {
        *count -= 1;
        if *count == 0 {
            waiting.remove(&issuer);
        }
    }
}
