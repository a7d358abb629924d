//! Who may say what follows from paths to a root, whatever else points at whom; and whoever is revoked is so for good.

use sedge_fleet::{CertificateRefusal, CloseReason, PublishError};
use sedge_statement::{Object, Role};

use crate::statements::{certified, four, issued, revoked, say, signed, three_roots, tried, version};
use crate::support::{Net, id};

const ENROLLER: [Role; 2] = [Role::Enroll, Role::Device];

fn refused(net: &mut Net, object: Object) -> CertificateRefusal {
    match tried(net, 1, object) {
        Err(PublishError::Certificate(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn members(net: &mut Net, at: u8) -> Vec<u8> {
    let view = net.node(at).view();
    (0..=40).filter(|n| view.members.contains_key(&id(*n))).collect()
}

#[test]
fn delegation_graph_that_is_a_circle_holds_nobody_up() {
    let mut net = four();
    // Without a root above, it is nothing.
    assert_eq!(refused(&mut net, issued(6, 5, 1, &ENROLLER, |_| {})), CertificateRefusal::UnknownIssuer);
    assert_eq!(refused(&mut net, issued(5, 6, 1, &ENROLLER, |_| {})), CertificateRefusal::UnknownIssuer);
    // With one it is what hangs on that root.
    say(&mut net, 0, certified(5, &ENROLLER, |c| c.serial = 30));
    say(&mut net, 1, issued(5, 6, 1, &ENROLLER, |_| {}));
    say(&mut net, 1, issued(6, 5, 1, &ENROLLER, |c| c.revision = u32::MAX));
    assert_eq!(members(&mut net, 3), [0, 1, 2, 3, 5, 6]);
    say(&mut net, 0, revoked(0, 5));
    assert_eq!(members(&mut net, 3), [0, 1, 2, 3], "each vouched for the other, and no root for either");
    net.run(8);
    net.assert_agreed();
}

#[test]
fn delegation_graph_with_two_ways_to_a_root_stands_on_the_other_when_one_falls() {
    let mut net = four();
    for (n, serial) in [(5, 30), (6, 31)] {
        say(&mut net, 0, certified(n, &ENROLLER, |c| c.serial = serial));
        say(&mut net, 1, issued(n, 7, 1, &[Role::Device], |_| {}));
    }
    assert!(members(&mut net, 3).contains(&7));
    say(&mut net, 0, revoked(0, 5));
    for at in 0..4 {
        assert_eq!(members(&mut net, at), [0, 1, 2, 3, 6, 7]);
    }
    net.run(8);
    net.assert_agreed();
}

#[test]
fn delegation_graph_with_two_ways_to_a_root_adds_no_rights_together() {
    let mut net = four();
    for (n, serial, role) in [(5, 30, Role::Release), (6, 31, Role::Deploy)] {
        say(&mut net, 0, certified(n, &[Role::Enroll, role], |c| c.serial = serial));
        say(&mut net, 1, issued(n, 7, 1, &[role, Role::Device], |_| {}));
        assert_eq!(
            refused(&mut net, issued(n, 8, 2, &[Role::Release, Role::Deploy], |_| {})),
            CertificateRefusal::WiderRole(if role == Role::Release { Role::Deploy } else { Role::Release })
        );
    }
    let view = net.node(3).view();
    let seven = &view.members[&id(7)];
    assert!(seven.may(Role::Release) != seven.may(Role::Deploy), "one certificate counts, not both: {seven:?}");
}

#[test]
fn delegation_graph_of_sixteen_levels_holds_and_one_of_seventeen_does_not() {
    let mut net = four();
    say(&mut net, 0, certified(10, &ENROLLER, |c| c.serial = 30));
    for n in 11..=25 {
        say(&mut net, 1, issued(n - 1, n, 1, &ENROLLER, |_| {}));
    }
    assert_eq!(members(&mut net, 3).last(), Some(&25));
    assert_eq!(refused(&mut net, issued(25, 26, 1, &[Role::Device], |_| {})), CertificateRefusal::TooDeep);
    // A root that revokes the first takes all of them along.
    say(&mut net, 0, revoked(0, 10));
    assert_eq!(members(&mut net, 3), [0, 1, 2, 3]);
}

#[test]
fn delegation_graph_narrows_at_each_step_and_nobody_reaches_sideways() {
    let mut net = four();
    say(&mut net, 0, certified(5, &ENROLLER, |c| (c.serial, c.cell) = (30, "acme/plant-7".parse().unwrap())));
    for cell in ["acme", "acme/plant-70", "acme/plant-8", "other", ""] {
        let object = issued(5, 6, 1, &[Role::Device], |c| c.cell = cell.parse().unwrap());
        assert_eq!(refused(&mut net, object), CertificateRefusal::WiderCell, "{cell}");
    }
    say(&mut net, 1, issued(5, 6, 1, &ENROLLER, |c| c.cell = "acme/plant-7/line-2".parse().unwrap()));
    let up = issued(6, 7, 1, &[Role::Device], |c| c.cell = "acme/plant-7".parse().unwrap());
    assert_eq!(refused(&mut net, up), CertificateRefusal::WiderCell);
}

#[test]
fn delegation_widening_of_an_enrollers_own_rights_is_none() {
    let mut net = four();
    say(&mut net, 0, certified(5, &ENROLLER, |c| (c.serial, c.cell) = (30, "acme/plant-7".parse().unwrap())));
    let plant = "acme/plant-7".parse().unwrap();
    let more = issued(5, 5, 1, &[Role::Enroll, Role::Deploy], |c| (c.revision, c.cell) = (9, plant));
    assert_eq!(refused(&mut net, more), CertificateRefusal::WiderRole(Role::Deploy));
    let root = issued(5, 5, 1, &[Role::Root], |c| c.revision = 9);
    assert_eq!(refused(&mut net, root), CertificateRefusal::RootRole);
    assert!(!net.node(3).view().members[&id(5)].may(Role::Deploy));
}

#[test]
fn a_revoked_key_that_is_certified_again_by_anybody_stays_out() {
    let mut net = four();
    say(&mut net, 0, certified(5, &ENROLLER, |c| c.serial = 30));
    say(&mut net, 0, revoked(0, 3));
    say(&mut net, 0, certified(3, &[Role::Device], |c| (c.serial, c.revision) = (70, 9)));
    say(&mut net, 1, issued(5, 3, 1, &[Role::Device], |c| c.revision = 99));
    for at in [0, 1, 2] {
        assert!(!members(&mut net, at).contains(&3), "as node {at} sees it");
        net.node(at).restart();
        assert!(!members(&mut net, at).contains(&3), "nor after a start");
    }
    net.connect(1, 3);
    net.run(2);
    assert!(net.closed.iter().any(|(by, of, why)| (*by, *of, *why) == (1, 3, CloseReason::Revoked)));
}

#[test]
fn a_revoked_key_that_left_the_roots_is_neither_root_nor_member_again() {
    let (mut net, one) = three_roots();
    let two = version(2, one, &[0, 2, 3], 2, &[1]);
    for by in [0, 2, 3] {
        say(&mut net, by, signed(by, &two));
    }
    assert!(net.node(3).view().revoked.contains_key(&id(1)));
    let back = version(3, two.id(), &[0, 1, 2, 3], 3, &[]);
    for by in [0, 2, 3, 1] {
        let _ = tried(&mut net, 2, signed(by, &back));
    }
    say(&mut net, 2, certified(1, &[Role::Device], |c| (c.serial, c.revision) = (90, 99)));
    for at in [0, 2, 3] {
        let view = net.node(at).view();
        assert_eq!(view.roots.version, 2);
        assert!(view.members.contains_key(&id(3)) && !view.members.contains_key(&id(1)));
    }
}
