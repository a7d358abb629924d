//! Objects: any bytes as an envelope, and any body under a signature that holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sedge_statement::{
    Certificate, Entry, Genesis, MeshId, Object, ObjectBody, ObjectKind, Revocation, Roll, RootVersion, SecretKey,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple};

/// Bytes that encode as themselves, so that a hostile member's body can be signed.
struct Raw<const KIND: u16>(Vec<u8>);

impl<const KIND: u16> Serialize for Raw<KIND> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

impl<'de, const KIND: u16> Deserialize<'de> for Raw<KIND> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("is only written"))
    }
}

impl<const KIND: u16> ObjectBody for Raw<KIND> {
    const KIND: ObjectKind = ObjectKind(KIND);
    const MAX_BYTES: usize = Object::MAX_BYTES;
}

const GENESIS: u16 = ObjectKind::GENESIS.0;
const CERTIFICATE: u16 = ObjectKind::CERTIFICATE.0;
const REVOCATION: u16 = ObjectKind::REVOCATION.0;
const ROOTS: u16 = ObjectKind::ROOTS.0;
const ROLL: u16 = ObjectKind::ROLL.0;
const ENTRY: u16 = ObjectKind::ENTRY.0;

fuzz_target!(|bytes: &[u8]| {
    let mesh = MeshId::from_bytes([0; 32]);
    for envelope in [bytes, bytes.get(1..).unwrap_or_default()] {
        if let Ok(object) = Object::open(envelope, mesh) {
            assert_eq!(object.to_bytes(), envelope, "an accepted object has another encoding");
        }
    }

    let Some((kind, body)) = bytes.split_first() else { return };
    let key = SecretKey::from_bytes(&[7; 32]);
    let signed = match kind % 6 {
        0 => Object::sign(&key, mesh, &Raw::<GENESIS>(body.to_vec())),
        1 => Object::sign(&key, mesh, &Raw::<CERTIFICATE>(body.to_vec())),
        2 => Object::sign(&key, mesh, &Raw::<REVOCATION>(body.to_vec())),
        3 => Object::sign(&key, mesh, &Raw::<ROOTS>(body.to_vec())),
        4 => Object::sign(&key, mesh, &Raw::<ROLL>(body.to_vec())),
        _ => Object::sign(&key, mesh, &Raw::<ENTRY>(body.to_vec())),
    };
    let encoded = signed.to_bytes();
    let Ok(object) = Object::open(&encoded, mesh) else {
        assert!(encoded.len() > Object::MAX_BYTES, "a signature that holds was refused");
        return;
    };
    if let Ok(certificate) = object.body::<Certificate>() {
        let again = Object::sign(&key, mesh, &certificate);
        assert_eq!(again.to_bytes(), encoded, "a certificate has two encodings");
    }
    if let Ok(revocation) = object.body::<Revocation>() {
        let again = Object::sign(&key, mesh, &revocation);
        assert_eq!(again.to_bytes(), encoded, "a revocation has two encodings");
        assert_eq!(revocation.kept.and(&revocation.kept), revocation.kept);
    }
    if let Ok(version) = object.body::<RootVersion>() {
        let again = Object::sign(&key, mesh, &version);
        assert_eq!(again.to_bytes(), encoded, "a version of the roots has two encodings");
        if version.check().is_ok() {
            assert!(usize::from(version.threshold) * 2 > version.roots.len());
        }
    }
    if let Ok(roll) = object.body::<Roll>() {
        assert_eq!(Object::sign(&key, mesh, &roll).to_bytes(), encoded, "a roll has two encodings");
        assert!(roll.certificates.len() <= Roll::MAX);
    }
    if let Ok(entry) = object.body::<Entry>() {
        assert_eq!(Object::sign(&key, mesh, &entry).to_bytes(), encoded, "an entry has two encodings");
    }
    let own = MeshId::from_bytes(*object.id().as_bytes());
    if let Ok(genesis) = Genesis::open(&encoded, own) {
        assert!(genesis.roots.contains(&key.node_id()));
        assert!(usize::from(genesis.threshold) * 2 > genesis.roots.len());
    }
});
