//! What several must agree on counts each of them once.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Approvals, Kept, NodeId, Object, Revocation, RootVersion, codec};

use crate::statements::{four, revoked, say, signed, three_roots, tried, version};
use crate::support::{START, id, key, mesh};

#[test]
fn threshold_of_the_roots_counts_one_key_once_however_often_it_signs() {
    let (mut net, now) = three_roots();
    let next = version(2, now, &[0, 1, 2, 3], 3, &[]);
    for carrier in [0, 1, 2, 3, 0] {
        // The same signature from everybody is still one.
        let _ = tried(&mut net, carrier, signed(0, &next));
    }
    assert_eq!(net.node(3).view().roots.version, 1);
    let waiting = net.node(3).view().proposed.clone();
    assert_eq!(waiting.iter().map(|p| p.signers.clone()).collect::<Vec<_>>(), [BTreeSet::from([id(0)])]);
}

#[test]
fn threshold_with_a_key_that_is_listed_twice_cannot_even_be_said() {
    // As bytes, for the type holds each key once.
    let twice: Vec<NodeId> = vec![id(0), id(0)];
    let leaving = BTreeMap::<NodeId, Kept>::new();
    let version = version(1, mesh().into(), &[0], 1, &[]);
    let bytes = codec::encode(&(1u32, version.previous, twice, 2u8, Approvals::default(), leaving.clone(), START));
    assert!(codec::decode::<RootVersion>(&bytes, 1 << 10).is_err());
    let once = codec::encode(&(1u32, version.previous, vec![id(0)], 1u8, Approvals::default(), leaving, START));
    assert_eq!(codec::decode::<RootVersion>(&once, 1 << 10), Ok(version));
}

#[test]
fn threshold_of_the_roots_takes_no_signature_of_those_who_are_none() {
    let (mut net, now) = three_roots();
    let next = version(2, now, &[0, 1, 2, 3], 3, &[]);
    say(&mut net, 0, signed(0, &next));
    // One that becomes a root by it, and one that nobody named.
    say(&mut net, 3, signed(3, &next));
    assert!(tried(&mut net, 1, signed(7, &next)).is_err());
    assert_eq!(net.node(3).view().roots.version, 1, "one of the old ones is too few");
}

#[test]
fn threshold_that_was_raised_binds_the_next_change() {
    let (mut net, now) = three_roots();
    let all = version(2, now, &[0, 1, 2], 3, &[]);
    for by in 0..3 {
        say(&mut net, by, signed(by, &all));
    }
    assert_eq!(net.node(3).view().roots.threshold, 3);
    let back = version(3, all.id(), &[0, 1, 2], 2, &[]);
    for by in 0..2 {
        say(&mut net, by, signed(by, &back));
    }
    assert_eq!(net.node(3).view().roots.version, 2, "two agree where three must");
    say(&mut net, 2, signed(2, &back));
    assert_eq!(net.node(3).view().roots.version, 3);
}

#[test]
fn threshold_of_a_revocation_counts_a_root_once_and_one_body_only() {
    let (mut net, _) = three_roots();
    say(&mut net, 1, revoked(1, 3));
    for n in 0..3 {
        let other = Revocation { subject: id(3), kept: Kept::default(), reason: format!("{n}"), at: START };
        say(&mut net, 1, Object::sign(&key(1), mesh(), &other));
    }
    for carrier in [0, 2, 3] {
        let _ = tried(&mut net, carrier, revoked(1, 3));
    }
    assert!(net.node(2).view().revoked.is_empty(), "one root said it, four times");
    say(&mut net, 2, revoked(2, 3));
    assert!(net.node(0).view().revoked.contains_key(&id(3)));
}

#[test]
fn threshold_of_one_needs_no_other_and_two_of_two_need_both() {
    let mut net = four();
    let both = version(1, mesh().into(), &[0, 1], 2, &[]);
    say(&mut net, 0, signed(0, &both));
    assert_eq!(net.node(3).view().roots.version, 0, "the one that comes must agree too");
    say(&mut net, 1, signed(1, &both));
    assert_eq!(net.node(3).view().roots.version, 1);
}
