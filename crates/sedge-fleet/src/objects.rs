//! The objects that stand alone, as a set by id.

use std::collections::BTreeMap;

use sedge_statement::{NodeId, Object, ObjectId, ObjectKind};

/// The most objects of one signer: an enroller of ten thousand nodes, with renewals.
const MAX_OF_SIGNER: usize = 1 << 15;
/// The most bytes of one signer's objects.
const MAX_BYTES_OF_SIGNER: usize = 32 << 20;
/// The most bytes of any other object than a certificate.
const MAX_OTHER_BYTES: usize = 16 << 10;
/// The most bytes of all objects of one signer that this version does not know: room for what a later one says, and not for a store of
/// somebody's own.
const MAX_UNKNOWN_OF_SIGNER: usize = 64 << 10;

/// Objects by id, with each signer's share counted.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    known: BTreeMap<ObjectId, Object>,
    shares: BTreeMap<NodeId, Share>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    count: usize,
    bytes: usize,
    /// Of these, in objects of kinds that this version does not know.
    unknown: usize,
}

impl Objects {
    pub(crate) fn get(&self, id: &ObjectId) -> Option<&Object> {
        self.known.get(id)
    }

    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.known.contains_key(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.known.iter()
    }

    /// Whether the signer may add `bytes` more.
    pub(crate) fn has_room(&self, object: &Object, bytes: usize) -> bool {
        let share = self.shares.get(&object.signer()).copied().unwrap_or_default();
        let small = object.kind() == ObjectKind::CERTIFICATE || bytes <= MAX_OTHER_BYTES;
        let few = is_known(object.kind()) || share.unknown + bytes <= MAX_UNKNOWN_OF_SIGNER;
        small && few && share.count < MAX_OF_SIGNER && share.bytes + bytes <= MAX_BYTES_OF_SIGNER
    }

    /// Adds an object that was checked.
    pub(crate) fn insert(&mut self, id: ObjectId, object: Object, bytes: usize) {
        let share = self.shares.entry(object.signer()).or_default();
        share.count += 1;
        share.bytes += bytes;
        if !is_known(object.kind()) {
            share.unknown += bytes;
        }
        self.known.insert(id, object);
    }
}

fn is_known(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::CERTIFICATE | ObjectKind::REVOCATION | ObjectKind::ROOTS)
}
