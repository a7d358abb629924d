//! The roots change by as many signatures as they ask for themselves, and one stolen root key changes nothing.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::{PublishError, RootsRefusal};
use sedge_statement::{
    Approvals, Certificate, Kept, KeptCertificates, NodeId, Object, Revocation, Role, Roll, RootVersion, RootsId,
};
use support::{Net, Node, START, certificate, id, key, mesh};

/// The root's certificates of nodes 0 to 3, as it issued them before.
fn before() -> Roll {
    Roll { certificates: (0..4).map(|n| Node::first_certificate(n).id()).collect() }
}

fn kept() -> Kept {
    Kept { certificates: KeptCertificates { last: 4, rolls: vec![before().id()] }, ..Kept::default() }
}

fn version(n: u32, previous: RootsId, roots: &[u8], threshold: u8, leaving: &[u8]) -> RootVersion {
    RootVersion {
        version: n,
        previous,
        roots: roots.iter().map(|n| id(*n)).collect(),
        threshold,
        approvals: Approvals::default(),
        leaving: leaving.iter().map(|n| (id(*n), kept())).collect(),
        at: START,
    }
}

fn signed(by: u8, version: &RootVersion) -> Object {
    Object::sign(&key(by), mesh(), version)
}

/// Four members of whom the first is the root, all connected.
fn net() -> Net {
    let mut net = Net::new((0..4).map(Node::member));
    for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        net.connect(a, b);
    }
    net.run(8);
    net
}

fn publish(net: &mut Net, by: u8, object: Object) {
    let effects = net.node(by).publish(object);
    net.carry(by, effects);
    net.settle();
}

/// Nodes 0, 1 and 2 are the roots, and two of them must agree.
fn with_three_roots() -> (Net, RootsId) {
    let mut net = net();
    let first = version(1, mesh().into(), &[0, 1, 2], 2, &[]);
    publish(&mut net, 0, signed(0, &first));
    assert_eq!(net.node(3).view().roots.version, 0, "two of the new ones must agree");
    assert_eq!(net.node(3).view().proposed.len(), 1);
    publish(&mut net, 1, signed(1, &first));
    net.run(8);
    (net, first.id())
}

fn keys(roots: &BTreeSet<NodeId>) -> Vec<u8> {
    (0..9).filter(|n| roots.contains(&id(*n))).collect()
}

#[test]
fn roots_change_when_enough_old_and_new_ones_agree() {
    let (mut net, first) = with_three_roots();
    for at in 0..4 {
        let roots = net.node(at).view().roots.clone();
        assert_eq!((roots.version, roots.id, roots.threshold, keys(&roots.keys)), (1, first, 2, vec![0, 1, 2]));
        assert!(net.node(at).view().proposed.is_empty());
    }
    net.node(3).restart();
    assert_eq!(net.node(3).view().roots.version, 1);
    net.assert_agreed();
}

#[test]
fn a_second_root_enrols_after_the_first_is_lost() {
    let (mut net, _) = with_three_roots();
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.disconnect(0, 3);
    let mut c: Certificate = certificate(7, &[Role::Device]).body().unwrap();
    (c.issuer, c.serial) = (id(1), 1);
    publish(&mut net, 1, Object::sign(&key(1), mesh(), &c));
    assert!(net.node(3).view().members.contains_key(&id(7)));
}

#[test]
fn one_stolen_root_key_neither_rotates_nor_revokes_a_root() {
    let (mut net, first) = with_three_roots();
    let alone = version(2, first, &[0], 1, &[1, 2]);
    publish(&mut net, 0, signed(0, &alone));
    let mine = version(2, first, &[0, 8, 9], 2, &[1, 2]);
    publish(&mut net, 0, signed(0, &mine));
    publish(&mut net, 0, signed(8, &mine));
    publish(&mut net, 0, signed(9, &mine));
    let revocation = Revocation { subject: id(1), kept: Kept::default(), reason: String::new(), at: START };
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &revocation));
    let view = net.node(3).view();
    assert_eq!((view.roots.version, keys(&view.roots.keys)), (1, vec![0, 1, 2]));
    assert!(view.revoked.is_empty() && view.members.contains_key(&id(1)));
}

#[test]
fn the_first_roots_key_stolen_later_takes_back_no_rotation() {
    let (mut net, first) = with_three_roots();
    let thief = (0..)
        .map(|n| RootVersion { at: START.plus(Duration::from_secs(n)), ..version(1, mesh().into(), &[9], 1, &[0]) });
    let rival = thief.into_iter().find(|v| v.id() < first).unwrap();
    for by in [0, 9] {
        let effects = net.node(3).fleet.publish(signed(by, &rival), START).unwrap();
        net.node(3).keep(&effects);
        net.carry(3, effects);
    }
    net.run(8);
    for at in 0..4 {
        assert_eq!(net.node(at).view().roots.id, first);
        net.node(at).restart();
        assert_eq!(net.node(at).view().roots.id, first, "nor after a restart");
    }
}

#[test]
fn one_root_of_three_revokes_nobody_that_another_enrolled() {
    let (mut net, _) = with_three_roots();
    let mut c: Certificate = certificate(7, &[Role::Device]).body().unwrap();
    (c.issuer, c.serial) = (id(1), 1);
    publish(&mut net, 1, Object::sign(&key(1), mesh(), &c));
    let revocation = Revocation { subject: id(7), kept: Kept::default(), reason: String::new(), at: START };
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &revocation));
    assert!(net.node(2).view().revoked.is_empty(), "though it alone was the root once");
}

#[test]
fn a_lost_root_is_rotated_out_and_only_what_was_kept_of_it_counts() {
    let (mut net, first) = with_three_roots();
    let next = version(2, first, &[1, 2, 3], 2, &[0]);
    publish(&mut net, 1, signed(1, &next));
    publish(&mut net, 2, signed(2, &next));
    publish(&mut net, 1, Object::sign(&key(1), mesh(), &before()));
    for at in 1..4 {
        let view = net.node(at).view();
        assert_eq!((view.roots.version, keys(&view.roots.keys)), (2, vec![1, 2, 3]));
        assert!(!view.members.contains_key(&id(0)), "it is no member any more");
        assert!((1..4).all(|n| view.members.contains_key(&id(n))), "those it enrolled before are");
    }
    let mut c: Certificate = certificate(7, &[Role::Deploy]).body().unwrap();
    c.serial = 5;
    let later = net.node(3).fleet.publish(Object::sign(&key(0), mesh(), &c), START);
    assert!(matches!(later.unwrap_err(), PublishError::Certificate(_)), "what it issues after is void");
    let back = version(3, next.id(), &[0, 1, 2, 3], 3, &[]);
    for by in 1..4 {
        publish(&mut net, by, signed(by, &back));
    }
    assert_eq!(net.node(3).view().roots.version, 2, "and its key never returns");
    net.run(8);
    net.assert_agreed_but(0);
}

#[test]
fn two_of_three_roots_revoke_a_node_that_the_third_enrolled() {
    let (mut net, _) = with_three_roots();
    let revocation = Revocation { subject: id(3), kept: Kept::default(), reason: "gone".into(), at: START };
    publish(&mut net, 1, Object::sign(&key(1), mesh(), &revocation));
    assert!(net.node(2).view().revoked.is_empty(), "it stands in no line above, and is one of two");
    assert_eq!(net.node(2).view().pending_revocations, [(revocation.clone(), BTreeSet::from([id(1)]))]);
    let other = Revocation { reason: "gone bad".into(), ..revocation.clone() };
    publish(&mut net, 2, Object::sign(&key(2), mesh(), &other));
    assert!(net.node(2).view().revoked.is_empty(), "they did not say the same");
    publish(&mut net, 2, Object::sign(&key(2), mesh(), &revocation));
    assert_eq!(net.node(0).view().revoked.keys().collect::<Vec<_>>(), [&id(3)]);
}

#[test]
fn versions_that_can_never_hold_are_refused() {
    let mut net = net();
    let mut of = |change: fn(&mut RootVersion)| {
        let mut bad = version(1, mesh().into(), &[0, 1, 2], 2, &[]);
        change(&mut bad);
        let refused = net.node(0).fleet.publish(signed(0, &bad), START).unwrap_err();
        assert!(matches!(refused, PublishError::Roots(RootsRefusal::Version(_))), "{refused}");
    };
    of(|v| v.threshold = 1);
    of(|v| v.threshold = 4);
    of(|v| v.roots.clear());
    of(|v| v.approvals.deploy = 0);
    of(|v| v.leaving = BTreeMap::from([(id(0), Kept::default())]));
}

#[test]
fn a_version_that_skips_forgets_a_root_or_follows_another_waits_for_ever() {
    let mut net = net();
    let skips = version(2, mesh().into(), &[0], 1, &[]);
    let forgets = version(1, mesh().into(), &[1], 1, &[]);
    let other = version(1, RootsId::from_bytes([1; 32]), &[0, 1, 2], 2, &[]);
    for bad in [skips, forgets, other] {
        for by in [0, 1, 2].into_iter().filter(|n| *n == 0 || bad.roots.contains(&id(*n))) {
            publish(&mut net, 0, signed(by, &bad));
        }
        assert_eq!(net.node(3).view().roots.version, 0);
    }
}

#[test]
fn a_member_proposes_no_roots() {
    let mut net = net();
    let mine = version(1, mesh().into(), &[0, 2, 3], 2, &[]);
    let refused = net.node(2).fleet.publish(signed(2, &mine), START).unwrap_err();
    assert_eq!(refused, PublishError::Roots(RootsRefusal::NotARoot));
}

#[test]
fn what_proves_a_node_stays_small_however_often_the_roots_change_and_whoever_signs_what() {
    let (mut net, mut previous) = with_three_roots();
    for n in 2..=40 {
        let mut next = version(n, previous, &[0, 1, 2], 2, &[]);
        next.approvals.deploy = u8::try_from(n).unwrap();
        previous = next.id();
        // Every root signs, one more than must.
        for by in 0..3 {
            publish(&mut net, by, signed(by, &next));
        }
    }
    let path = net.node(1).fleet.certificate_path(id(3));
    let bytes: usize = path.iter().map(|object| object.to_bytes().len()).sum();
    assert_eq!(path.len(), 1 + 2 + 39 * 2, "two roots serve for the old and the new ones");
    assert!(bytes <= 48 << 10, "{bytes} bytes");
    let mut newcomer = Node::stranger(3);
    for object in path.into_iter().rev() {
        newcomer.publish(object);
    }
    assert_eq!((newcomer.view().roots.version, newcomer.fleet.admit(id(3), START)), (40, true));
    println!("40 versions of three roots are proven in {bytes} bytes");
}
