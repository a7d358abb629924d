//! A small mesh for tests: keys by number, a genesis of one root, and certificates to vary.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Certificate, Genesis, MeshId, NodeId, Object, Role, SecretKey, Timestamp};

use super::Membership;

/// The number of the root's key.
pub(crate) const ROOT: u8 = 1;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(crate) fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

pub(crate) fn id(n: u8) -> NodeId {
    key(n).node_id()
}

pub(crate) fn genesis() -> (Genesis, MeshId) {
    let genesis = Genesis {
        name: "acme".parse().unwrap(),
        roots: BTreeSet::from([id(ROOT)]),
        threshold: 1,
        nonce: [7; 16],
        created_at: at(1000),
    };
    let mesh = genesis.sign(&key(ROOT)).1;
    (genesis, mesh)
}

pub(crate) fn empty() -> Membership {
    let (genesis, mesh) = genesis();
    Membership::new(genesis, mesh)
}

/// A certificate of `issuer` for `subject` from 1000 s on, without an end.
pub(crate) fn certificate(issuer: u8, subject: u8, serial: u64, roles: &[Role], cell: &str) -> Certificate {
    Certificate {
        subject: id(subject),
        name: format!("node-{subject}").parse().unwrap(),
        roles: roles.iter().copied().collect(),
        cell: cell.parse().unwrap(),
        labels: BTreeMap::new(),
        architecture: "x86_64".parse().unwrap(),
        class: "x86-server".parse().unwrap(),
        issuer: id(issuer),
        serial,
        revision: 1,
        not_before: at(1000),
        not_after: None,
    }
}

/// Signs with the key numbered `by`.
pub(crate) fn signed(by: u8, certificate: &Certificate) -> Object {
    Object::sign(&key(by), genesis().1, certificate)
}

/// A membership of these certificates, each `(number of the issuer's key, certificate)`.
pub(crate) fn members(certificates: &[(u8, Certificate)]) -> Membership {
    let mut membership = empty();
    for (issuer, certificate) in certificates {
        membership.add(&signed(*issuer, certificate)).unwrap();
    }
    membership
}
