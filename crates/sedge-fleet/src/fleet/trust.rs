//! What proves a node, and what a revocation keeps of one.

use std::collections::BTreeMap;

use sedge_statement::{
    DocKind, Kept, KeptCertificates, NodeId, Object, ObjectId, ObjectKind, Revocation, Roll, RootVersion, RootsId,
    Timestamp,
};

use super::Fleet;
use crate::membership::Roots;

/// The most bytes of objects that prove a node: a hello and the answer to a newcomer are at most 64 KiB with all else that they say. Sixteen
/// certificates, and sixty changes of three roots.
const MAX_PATH_BYTES: usize = 48 << 10;

/// What is kept of a node, and the rolls that name its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remnant {
    /// What a revocation says.
    pub kept: Kept,
    /// To be published behind it.
    pub rolls: Vec<Roll>,
}

/// Why what a node said cannot all be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// Keep less: what it said up to an earlier time.
    #[error("{0} revocations that it signed are in effect, and one can keep {max}", max = Kept::MAX_REVOCATIONS)]
    Revocations(usize),
    /// Keep less: what it issued up to an earlier certificate.
    #[error("it issued {0} certificates, and one can keep {max}", max = Kept::MAX_ROLLS * Roll::MAX)]
    Certificates(usize),
}

impl Fleet {
    /// What a node said up to a time, by its own clock, as far as it is held here: what a revocation of it keeps. Of its certificates, which bear no
    /// time, all that are held without a gap, or those up to the serial `last`.
    ///
    /// # Errors
    /// See [`KeepError`].
    pub fn kept_of(&self, node: NodeId, until: Timestamp, last: Option<u64>) -> Result<Remnant, KeepError> {
        let (certificates, rolls) = self.kept_certificates(node, last.unwrap_or(u64::MAX))?;
        let kinds = [DocKind::Authority, DocKind::Gate];
        let last = |kind| Some((kind, self.documents.last_good(node, kind, until)?));
        let documents = kinds.into_iter().filter_map(last).collect();
        let signed = self.objects.iter().filter(|(id, object)| {
            let before = |object: &Object| object.body::<Revocation>().is_ok_and(|revocation| revocation.at <= until);
            object.signer() == node && before(object) && self.membership.is_in_effect(id, object)
        });
        // Those that take nothing back are kept while there is room: others may yet sign the same.
        let (counting, other): (Vec<ObjectId>, Vec<ObjectId>) =
            signed.map(|(id, _)| *id).partition(|id| self.membership.counts(id));
        if counting.len() > Kept::MAX_REVOCATIONS {
            return Err(KeepError::Revocations(counting.len()));
        }
        let revocations = counting.into_iter().chain(other).take(Kept::MAX_REVOCATIONS).collect();
        Ok(Remnant { kept: Kept { certificates, revocations, documents }, rolls })
    }

    fn kept_certificates(&self, node: NodeId, last: u64) -> Result<(KeptCertificates, Vec<Roll>), KeepError> {
        let mut issued = self.membership.issued(&node);
        issued.retain(|serial, _| *serial <= last);
        let last = issued.keys().last().copied().unwrap_or(0);
        let ids: Vec<ObjectId> = issued.into_values().flatten().collect();
        let rolls: Vec<Roll> =
            ids.chunks(Roll::MAX).map(|page| Roll { certificates: page.iter().copied().collect() }).collect();
        if rolls.len() > Kept::MAX_ROLLS {
            return Err(KeepError::Certificates(ids.len()));
        }
        Ok((KeptCertificates { last, rolls: rolls.iter().map(Roll::id).collect() }, rolls))
    }

    /// What proves a node to one who knows only the genesis: its certificate, those above it, and then the signatures under every version of
    /// the roots, each list backwards; empty where it has no certificate. Whoever takes them in from the last to the first can follow. In a mesh whose
    /// roots changed more often than there is room for, the first versions are left out, which members know.
    pub fn certificate_path(&self, node: NodeId) -> Vec<Object> {
        let path = self.membership.path(&node);
        let certificates = path.iter().filter_map(|id| self.objects.get(id).cloned());
        let proof = if path.is_empty() { Vec::new() } else { self.roots_proof() };
        let mut room = MAX_PATH_BYTES;
        let fits = |object: &Object| {
            let left = room.checked_sub(object.to_bytes().len() + 3);
            room = left.unwrap_or(room);
            left.is_some()
        };
        certificates.chain(proof.into_iter().rev()).take_while(fits).collect()
    }

    /// Signatures under every version of the roots after the genesis, in order, as many as it takes to follow; of one version those of the roots before
    /// it first.
    fn roots_proof(&self) -> Vec<Object> {
        if self.membership.roots().version == 0 {
            return Vec::new();
        }
        let mut signed: BTreeMap<RootsId, BTreeMap<NodeId, &Object>> = BTreeMap::new();
        for (_, object) in self.objects.iter().filter(|(_, object)| object.kind() == ObjectKind::ROOTS) {
            if let Ok(version) = object.body::<RootVersion>() {
                signed.entry(version.id()).or_default().insert(object.signer(), object);
            }
        }
        let steps = self.membership.versions().windows(2);
        let proofs = steps.filter_map(|step| Some(proof(&step[0], &step[1], signed.get(&step[1].id)?)));
        proofs.flatten().collect()
    }
}

/// As many signatures as both versions ask for; whoever is a root of both serves for both.
fn proof(old: &Roots, new: &Roots, signed: &BTreeMap<NodeId, &Object>) -> Vec<Object> {
    let mut by: Vec<(bool, bool, &NodeId, &Object)> = signed
        .iter()
        .map(|(signer, object)| (!old.keys.contains(signer), !new.keys.contains(signer), signer, *object))
        .collect();
    by.sort_by_key(|(not_old, not_new, signer, _)| (*not_old, *not_new, **signer));
    let (mut of_old, mut of_new) = (usize::from(old.threshold), usize::from(new.threshold));
    by.retain(|(not_old, not_new, ..)| {
        let needed = (!not_old && of_old > 0) || (!not_new && of_new > 0);
        if needed {
            of_old = of_old.saturating_sub(usize::from(!not_old));
            of_new = of_new.saturating_sub(usize::from(!not_new));
        }
        needed
    });
    by.into_iter().map(|(.., object)| object.clone()).collect()
}
