//! The objects that stand alone, as a set by id.
//!
//! A signer may have so much. What is void, since its signer's word was taken back, takes no room, and what a revocation names is kept past every bound.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{NodeId, Object, ObjectId, ObjectKind};

/// The most objects of one signer: an enroller of ten thousand nodes, with renewals.
const MAX_OF_SIGNER: usize = 1 << 15;
/// The most bytes of one signer's objects.
const MAX_BYTES_OF_SIGNER: usize = 32 << 20;
/// The most bytes of any other object than a certificate.
const MAX_OTHER_BYTES: usize = 16 << 10;
/// The most objects of one signer that this version does not know: room for what a later one says, and not for a store of
/// somebody's own. Those of the least ids are kept, so that all nodes keep the same.
const MAX_UNKNOWN_OF_SIGNER: usize = 8;

/// Objects by id, each with its size, and each signer's share counted.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    known: BTreeMap<ObjectId, (Object, usize)>,
    shares: BTreeMap<NodeId, Share>,
    /// What was said where only the signature could differ from one object to the next, and by which.
    said: BTreeMap<[u8; 32], ObjectId>,
    /// The objects that this version does not know, by signer.
    unknown: BTreeMap<NodeId, BTreeSet<ObjectId>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    count: usize,
    bytes: usize,
}

/// Whether there is room for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is.
    Free,
    /// There is once another one goes.
    InPlaceOf(ObjectId),
    /// Its signer said the same in an object that is held.
    Said,
    /// Its signer has as much as one signer may.
    None,
}

impl Objects {
    pub(crate) fn get(&self, id: &ObjectId) -> Option<&Object> {
        self.known.get(id).map(|(object, _)| object)
    }

    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.known.contains_key(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.known.iter().map(|(id, (object, _))| (id, object))
    }

    /// Whether this version knows what an object says.
    pub(crate) fn is_of_known_kind(object: &Object) -> bool {
        is_known(object.kind())
    }

    /// Whether the signer may add an object of so many bytes that is not held.
    pub(crate) fn room(&self, id: &ObjectId, object: &Object, bytes: usize) -> Room {
        let (kind, signer) = (object.kind(), object.signer());
        if kind != ObjectKind::CERTIFICATE && bytes > MAX_OTHER_BYTES {
            return Room::None;
        }
        if let Some(twin) = said_once(object).and_then(|said| self.said.get(&said)) {
            return if twin < id { Room::Said } else { Room::InPlaceOf(*twin) };
        }
        if !is_known(kind) {
            let last = self.unknown.get(&signer).filter(|all| all.len() >= MAX_UNKNOWN_OF_SIGNER);
            return match last.and_then(BTreeSet::last) {
                None => Room::Free,
                Some(last) if id < last => Room::InPlaceOf(*last),
                Some(_) => Room::None,
            };
        }
        let share = self.shares.get(&signer).copied().unwrap_or_default();
        let fits = share.count < MAX_OF_SIGNER && share.bytes + bytes <= MAX_BYTES_OF_SIGNER;
        if fits { Room::Free } else { Room::None }
    }

    /// Adds an object that was checked.
    pub(crate) fn insert(&mut self, id: ObjectId, object: Object, bytes: usize) {
        if let Some(said) = said_once(&object) {
            self.said.insert(said, id);
        }
        if is_known(object.kind()) {
            self.shares.entry(object.signer()).or_default().add(bytes);
        } else {
            self.unknown.entry(object.signer()).or_default().insert(id);
        }
        self.known.insert(id, (object, bytes));
    }

    /// Forgets an object; its share is free with the next [`Self::recount`].
    pub(crate) fn remove(&mut self, id: &ObjectId) {
        let Some((object, _)) = self.known.remove(id) else { return };
        if let Some(said) = said_once(&object) {
            self.said.remove(&said);
        }
        if let Some(unknown) = self.unknown.get_mut(&object.signer()) {
            unknown.remove(id);
        }
    }

    /// Counts each signer's share anew: what is not in effect takes no room.
    pub(crate) fn recount(&mut self, is_in_effect: impl Fn(&ObjectId, &Object) -> bool) {
        self.shares.clear();
        let counting =
            self.known.iter().filter(|(id, (object, _))| is_known(object.kind()) && is_in_effect(id, object));
        for (_, (object, bytes)) in counting {
            self.shares.entry(object.signer()).or_default().add(*bytes);
        }
    }
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }
}

fn is_known(kind: ObjectKind) -> bool {
    [ObjectKind::CERTIFICATE, ObjectKind::REVOCATION].contains(&kind) || is_said_once(kind)
}

/// Whether nothing names objects of a kind by their ids, so that one of those that say the same is enough.
fn is_said_once(kind: ObjectKind) -> bool {
    [ObjectKind::ROOTS, ObjectKind::ROLL, ObjectKind::ENTRY].contains(&kind)
}

fn said_once(object: &Object) -> Option<[u8; 32]> {
    is_said_once(object.kind()).then(|| object.statement())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sedge_statement::{Entry, MeshId, ObjectBody, SecretKey};
    use serde::{Deserialize, Serialize};

    use super::*;

    /// What a later version says.
    #[derive(Serialize, Deserialize)]
    struct Later(u64);

    impl ObjectBody for Later {
        const KIND: ObjectKind = ObjectKind(900);
        const MAX_BYTES: usize = 64;
    }

    fn later(n: u64) -> Object {
        Object::sign(&SecretKey::from_bytes(&[1; 32]), MeshId::from_bytes([7; 32]), &Later(n))
    }

    fn offer(objects: &mut Objects, object: Object) {
        let (id, bytes) = (object.id(), object.to_bytes().len());
        match objects.room(&id, &object, bytes) {
            _ if objects.contains(&id) => {}
            Room::Free => objects.insert(id, object, bytes),
            Room::InPlaceOf(other) => {
                objects.remove(&other);
                objects.insert(id, object, bytes);
            }
            Room::Said | Room::None => {}
        }
    }

    proptest! {
        #[test]
        fn of_what_a_later_version_says_every_order_leaves_the_same(
            (one, other) in prop::collection::vec(0..40u64, 1..40)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
        ) {
            let [kept, also] = [one, other].map(|order| {
                let mut objects = Objects::default();
                order.into_iter().for_each(|n| offer(&mut objects, later(n)));
                objects.iter().map(|(id, _)| *id).collect::<Vec<_>>()
            });
            prop_assert!(kept.len() <= MAX_UNKNOWN_OF_SIGNER);
            prop_assert_eq!(kept, also);
        }
    }

    #[test]
    fn the_same_word_under_another_signature_takes_no_room() {
        let key = SecretKey::from_bytes(&[1; 32]);
        let object = Object::sign(&key, MeshId::from_bytes([7; 32]), &Entry { issuer: key.node_id() });
        let mut bytes = object.to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        // Not verified here: another signature that holds takes the key and a program of one's own.
        let twin = Object::restore(&bytes, MeshId::from_bytes([7; 32])).unwrap();
        assert_ne!(object.id(), twin.id());
        let least = object.id().min(twin.id());
        for order in [[object.clone(), twin.clone()], [twin, object]] {
            let mut objects = Objects::default();
            order.into_iter().for_each(|object| offer(&mut objects, object));
            assert_eq!(objects.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [least]);
        }
    }

    #[test]
    fn what_is_void_takes_no_room() {
        let mut objects = Objects::default();
        let key = SecretKey::from_bytes(&[1; 32]);
        let object = Object::sign(&key, MeshId::from_bytes([7; 32]), &Entry { issuer: key.node_id() });
        let id = object.id();
        objects.insert(id, object.clone(), 200);
        objects.recount(|_, _| true);
        assert_eq!((objects.shares[&object.signer()].count, objects.shares[&object.signer()].bytes), (1, 200));
        objects.recount(|_, _| false);
        assert!(objects.shares.is_empty());
    }
}
