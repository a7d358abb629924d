//! The objects that stand alone, as a set by id.

use std::collections::BTreeMap;

use sedge_statement::{NodeId, Object, ObjectId, ObjectKind};

/// The most objects of one signer: an enroller of ten thousand nodes, with renewals.
const MAX_OF_SIGNER: usize = 1 << 15;
/// The most bytes of one signer's objects.
const MAX_BYTES_OF_SIGNER: usize = 32 << 20;
/// The most bytes of an object whose kind this version does not know.
const MAX_UNKNOWN_BYTES: usize = 16 << 10;

/// Objects by id, with each signer's share counted.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    known: BTreeMap<ObjectId, Object>,
    shares: BTreeMap<NodeId, (usize, usize)>,
}

impl Objects {
    pub(crate) fn get(&self, id: &ObjectId) -> Option<&Object> {
        self.known.get(id)
    }

    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.known.contains_key(id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        self.known.keys()
    }

    /// Whether the signer may add `bytes` more.
    pub(crate) fn has_room(&self, object: &Object, bytes: usize) -> bool {
        let (count, total) = self.shares.get(&object.signer()).copied().unwrap_or_default();
        let small = object.kind() == ObjectKind::CERTIFICATE || bytes <= MAX_UNKNOWN_BYTES;
        small && count < MAX_OF_SIGNER && total + bytes <= MAX_BYTES_OF_SIGNER
    }

    /// Adds an object that was checked.
    pub(crate) fn insert(&mut self, id: ObjectId, object: Object, bytes: usize) {
        let share = self.shares.entry(object.signer()).or_default();
        *share = (share.0 + 1, share.1 + bytes);
        self.known.insert(id, object);
    }
}
