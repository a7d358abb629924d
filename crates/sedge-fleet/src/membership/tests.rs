//! Members are those whose path narrows from a root, in whatever order their certificates arrive.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sedge_statement::{Approvals, Certificate, Kept, Object, ObjectKind, Revocation, Role, RootVersion};

use super::fixtures::{ROOT, at, certificate, empty, genesis, id, key, members, signed};
use super::{CertificateRefusal, MAX_RENEWALS, Membership};

const ENROLLER: [Role; 3] = [Role::Enroll, Role::Deploy, Role::Device];

fn with_enroller() -> Membership {
    members(&[(ROOT, certificate(ROOT, 2, 1, &ENROLLER, "acme/plant"))])
}

#[test]
fn a_root_makes_a_member_and_the_member_makes_another() {
    let mut m = with_enroller();
    m.add(&signed(2, &certificate(2, 3, 1, &[Role::Device], "acme/plant/line"))).unwrap();
    assert!(m.is_member(&id(3), at(2000)));
    assert_eq!(m.path(&id(3)).len(), 2);
    let root_last = signed(ROOT, &certificate(ROOT, 2, 1, &ENROLLER, "acme/plant")).id();
    assert_eq!(m.path(&id(3)).last(), Some(&root_last));
}

#[test]
fn a_stranger_is_no_member() {
    assert!(!with_enroller().is_member(&id(9), at(2000)));
    assert!(with_enroller().path(&id(9)).is_empty());
}

/// What the mesh makes of a certificate that the enroller of `acme/plant` issues.
fn judged(change: impl FnOnce(&mut Certificate)) -> CertificateRefusal {
    let mut m = with_enroller();
    let mut c = certificate(2, 3, 1, &[Role::Device], "acme/plant/line");
    change(&mut c);
    m.add(&signed(2, &c)).unwrap();
    assert!(!m.is_member(&id(3), at(2000)));
    assert!(m.certificate(&id(3)).is_none() && m.path(&id(3)).is_empty());
    assert_eq!(m.valid().count(), 1);
    m.judge(&c).unwrap_err()
}

#[test]
fn delegation_widening_is_refused() {
    let wider = judged(|c| c.roles = [Role::Device, Role::Release].into());
    assert_eq!(wider, CertificateRefusal::WiderRole(Role::Release));
    assert_eq!(judged(|c| c.cell = "acme".parse().unwrap()), CertificateRefusal::WiderCell);
    assert_eq!(judged(|c| c.cell = "acme/plant-2".parse().unwrap()), CertificateRefusal::WiderCell);
    assert_eq!(judged(|c| c.not_before = at(999)), CertificateRefusal::WiderDates);
}

#[test]
fn delegation_widening_in_time_is_refused() {
    let mut above = certificate(ROOT, 2, 1, &ENROLLER, "acme");
    above.not_after = Some(at(5000));
    let m = members(&[(ROOT, above)]);
    let mut c = certificate(2, 3, 1, &[Role::Device], "acme");
    assert_eq!(m.judge(&c), Err(CertificateRefusal::WiderDates));
    c.not_after = Some(at(5001));
    assert_eq!(m.judge(&c), Err(CertificateRefusal::WiderDates));
    c.not_after = Some(at(5000));
    assert_eq!(m.judge(&c), Ok(()));
}

#[test]
fn a_member_without_the_role_enrols_nobody() {
    let mut m = members(&[(ROOT, certificate(ROOT, 2, 1, &[Role::Deploy], ""))]);
    let c = certificate(2, 3, 1, &[Role::Device], "");
    m.add(&signed(2, &c)).unwrap();
    assert!(!m.is_member(&id(3), at(2000)));
    assert_eq!(m.judge(&c), Err(CertificateRefusal::MayNotEnroll));
}

#[test]
fn only_a_root_gives_and_holds_the_root_role() {
    let mut m = members(&[(ROOT, certificate(ROOT, 2, 1, &Role::ALL[1..], ""))]);
    for (issuer, subject) in [(ROOT, 3), (2, 3), (2, ROOT)] {
        let c = certificate(issuer, subject, 9, &[Role::Root], "");
        m.add(&signed(issuer, &c)).unwrap();
        assert_eq!(m.judge(&c), Err(CertificateRefusal::RootRole));
        assert!(m.certificate(&id(subject)).is_none());
    }
    m.add(&signed(ROOT, &certificate(ROOT, ROOT, 2, &[Role::Root], ""))).unwrap();
    assert!(m.certificate(&id(ROOT)).unwrap().may(Role::Root));
}

#[test]
fn forged_author_of_a_certificate_is_refused() {
    let c = certificate(ROOT, 3, 1, &[Role::Deploy], "");
    assert_eq!(empty().add(&signed(3, &c)), Err(CertificateRefusal::NotSignedByIssuer));
}

#[test]
fn a_certificate_for_another_mesh_is_refused() {
    let mut other = genesis().0;
    other.nonce = [8; 16];
    let mesh = other.sign(&key(ROOT)).1;
    let object = Object::sign(&key(ROOT), mesh, &certificate(ROOT, 3, 1, &[Role::Device], ""));
    assert_eq!(empty().add(&object), Err(CertificateRefusal::OtherMesh(mesh)));
}

#[test]
fn a_certificate_that_can_never_hold_is_refused() {
    let mut c = certificate(ROOT, 3, 0, &[Role::Device], "");
    assert_eq!(empty().add(&signed(ROOT, &c)), Err(CertificateRefusal::ZeroSerial));
    (c.serial, c.not_after) = (1, Some(c.not_before));
    assert_eq!(empty().add(&signed(ROOT, &c)), Err(CertificateRefusal::NoTime));
    assert!(matches!(empty().add(&genesis().0.sign(&key(ROOT)).0), Err(CertificateRefusal::OtherMesh(_))));
}

#[test]
fn certificates_wait_for_their_issuers_whole_path() {
    let mut m = empty();
    m.add(&signed(3, &certificate(3, 4, 1, &[Role::Device], "acme"))).unwrap();
    m.add(&signed(2, &certificate(2, 3, 1, &[Role::Enroll], "acme"))).unwrap();
    assert_eq!((m.valid().count(), m.waiting().count()), (0, 2));
    m.add(&signed(ROOT, &certificate(ROOT, 2, 1, &[Role::Enroll], "acme"))).unwrap();
    assert_eq!((m.valid().count(), m.waiting().count()), (3, 0));
    assert_eq!(m.path(&id(4)).len(), 3);
}

#[test]
fn a_path_has_an_end() {
    let mut m = empty();
    for n in (1..=17).rev() {
        m.add(&signed(n, &certificate(n, n + 1, 1, &[Role::Enroll], ""))).unwrap();
    }
    assert_eq!((m.path(&id(17)).len(), m.path(&id(18)).len()), (16, 0));
    let one_more = certificate(17, 18, 1, &[Role::Enroll], "");
    assert_eq!(m.judge(&one_more), Err(CertificateRefusal::TooDeep));
}

#[test]
fn the_highest_revision_counts() {
    let mut moved = certificate(ROOT, 3, 2, &[Role::Device], "acme/b");
    moved.revision = 2;
    let first = certificate(ROOT, 3, 1, &[Role::Device], "acme/a");
    let m = members(&[(ROOT, moved.clone()), (ROOT, first)]);
    assert_eq!(m.certificate(&id(3)), Some(&moved));
    assert_eq!(m.valid().count(), 2);
}

#[test]
fn a_demoted_enroller_is_not_promoted_again_by_those_it_enrolled() {
    let mut m =
        members(&[(ROOT, certificate(ROOT, 2, 1, &ENROLLER, "acme")), (2, certificate(2, 3, 1, &ENROLLER, "acme"))]);
    let mut demoted = certificate(ROOT, 2, 2, &[Role::Device], "acme");
    demoted.revision = 2;
    m.add(&signed(ROOT, &demoted)).unwrap();
    for (issuer, serial) in [(2, 2), (3, 1)] {
        let mut again = certificate(issuer, 2, serial, &ENROLLER, "acme");
        again.revision = u32::MAX;
        m.add(&signed(issuer, &again)).unwrap();
    }
    assert_eq!(m.certificate(&id(2)), Some(&demoted));
}

#[test]
fn a_path_that_grows_shorter_counts_as_such() {
    let enroll = [Role::Enroll];
    let mut by_three = certificate(3, 4, 1, &enroll, "");
    by_three.revision = 5;
    let mut certificates = vec![
        (ROOT, certificate(ROOT, 2, 1, &enroll, "")),
        (2, certificate(2, 3, 1, &enroll, "")),
        (2, certificate(2, 4, 2, &enroll, "")),
        (3, by_three.clone()),
    ];
    assert_eq!(members(&certificates).certificate(&id(4)).unwrap().revision, 1, "the nearer issuer's counts");
    certificates.push((ROOT, certificate(ROOT, 3, 2, &enroll, "")));
    assert_eq!(members(&certificates).certificate(&id(4)), Some(&by_three), "both are as near now");
    certificates.reverse();
    assert_eq!(members(&certificates).certificate(&id(4)), Some(&by_three));
}

#[test]
fn one_issuer_renews_one_node_so_often_and_no_more() {
    let mut m = empty();
    for serial in 1..=MAX_RENEWALS as u64 {
        m.add(&signed(ROOT, &certificate(ROOT, 3, serial, &[Role::Device], ""))).unwrap();
    }
    let one_more = certificate(ROOT, 3, 999, &[Role::Device], "");
    assert_eq!(m.add(&signed(ROOT, &one_more)), Err(CertificateRefusal::NoRoom));
    m.add(&signed(ROOT, &certificate(ROOT, 4, 1000, &[Role::Device], ""))).unwrap();
}

#[test]
fn an_expired_node_still_syncs_and_one_of_the_future_does_not_yet() {
    let mut c = certificate(ROOT, 3, 1, &[Role::Device], "");
    (c.not_before, c.not_after) = (at(5000), Some(at(6000)));
    let m = members(&[(ROOT, c)]);
    assert!(!m.is_member(&id(3), at(4000)));
    assert!(m.is_member(&id(3), at(4990)), "an issuer's clock may run ahead");
    assert!(m.is_member(&id(3), at(9000)));
}

#[test]
fn the_frontier_ends_at_the_first_gap() {
    let mut m = empty();
    for serial in [1, 2, 4] {
        m.add(&signed(ROOT, &certificate(ROOT, 2 + serial, serial.into(), &[Role::Device], ""))).unwrap();
    }
    assert_eq!(m.frontier().0.get(&id(ROOT)), Some(&2));
    m.add(&signed(ROOT, &certificate(ROOT, 5, 3, &[Role::Device], ""))).unwrap();
    assert_eq!(m.frontier().0.get(&id(ROOT)), Some(&4));
    assert_eq!(m.frontier().0.len(), 1);
}

#[test]
fn equivocation_of_an_issuer_shows_both_certificates() {
    let one = certificate(ROOT, 3, 1, &[Role::Device], "a");
    let other = certificate(ROOT, 4, 1, &[Role::Device], "b");
    let m = members(&[(ROOT, one), (ROOT, other)]);
    assert_eq!(m.valid().count(), 2);
    assert_eq!(m.equivocating().collect::<Vec<_>>(), [(id(ROOT), 1)]);
}

/// A random certificate among six nodes: often valid, often too wide, often before its issuer's own.
fn any_certificate() -> impl Strategy<Value = (u8, Certificate)> {
    let cells = prop_oneof![Just(""), Just("a"), Just("a/b"), Just("c")];
    let roles = prop::sample::subsequence(&Role::ALL[1..], 1..=6);
    let dates = (1000u64..1003, prop::option::of(2000u64..2003));
    (1u8..=6, 1u8..=6, 1u64..6, 1u32..4, roles, cells, dates, any::<bool>()).prop_map(
        |(issuer, subject, serial, revision, mut roles, cell, (begin, end), enroll)| {
            if enroll && !roles.contains(&Role::Enroll) {
                roles.push(Role::Enroll);
            }
            let mut c = certificate(issuer, subject, serial, &roles, cell);
            (c.revision, c.not_before, c.not_after) = (revision, at(begin), end.map(at));
            (issuer, c)
        },
    )
}

/// All that a membership tells, for comparison.
fn told(m: &Membership) -> impl PartialEq + std::fmt::Debug + use<> {
    let nodes: Vec<_> = (1..=6).map(|n| (m.certificate(&id(n)).cloned(), m.path(&id(n)))).collect();
    let valid: Vec<_> = m.valid().map(|(id, c)| (*id, c.clone())).collect();
    let selectable: BTreeSet<_> = m.selectable().map(|(id, _)| *id).collect();
    let revoked: Vec<_> = m.all_revoked().map(|(node, kept)| (*node, kept.clone())).collect();
    let (roots, frontier) = (m.roots().clone(), m.frontier());
    let findings = (m.equivocating().collect::<Vec<_>>(), m.waiting().count());
    (nodes, valid, selectable, revoked, roots, frontier, findings)
}

/// Anything that makes a membership, signed by the node of that number.
fn any_statement() -> impl Strategy<Value = Object> {
    let certificate = any_certificate().prop_map(|(by, c)| signed(by, &c));
    let revocation = (1u8..=6, 1u8..=6, 0u64..6).prop_map(|(by, subject, certificates)| {
        let kept = Kept { certificates, ..Kept::default() };
        let revocation = Revocation { subject: id(subject), kept, reason: String::new(), at: at(1) };
        Object::sign(&key(by), genesis().1, &revocation)
    });
    let roots = (1u8..=3, prop::collection::btree_set(1u8..=3, 1..=3)).prop_map(|(by, roots)| {
        let threshold = u8::try_from(roots.len() / 2 + 1).unwrap();
        let leaving = [id(ROOT)].into_iter().filter(|_| !roots.contains(&ROOT)).map(|root| (root, Kept::default()));
        let version = RootVersion {
            version: 1,
            previous: genesis().1.into(),
            roots: roots.iter().map(|n| id(*n)).collect(),
            threshold,
            approvals: Approvals::default(),
            leaving: leaving.collect(),
            at: at(1),
        };
        Object::sign(&key(by), genesis().1, &version)
    });
    prop_oneof![6 => certificate, 3 => revocation, 1 => roots]
}

/// A membership of these, each taken in by itself.
fn of(statements: &[Object]) -> Membership {
    let mut m = empty();
    for object in statements {
        match object.kind() {
            ObjectKind::REVOCATION => m.put_revocation(object.id(), object.signer(), object.body().unwrap()),
            ObjectKind::ROOTS => m.put_roots(object.signer(), object.body().unwrap()),
            _ => m.insert(object).unwrap(),
        }
        m.settle();
    }
    m
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_of_certificates_gives_the_same_members(
        (first, second) in prop::collection::vec(any_certificate(), 1..14)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        prop_assert_eq!(told(&members(&first)), told(&members(&second)));
    }

    #[test]
    fn any_order_of_certificates_revocations_and_roots_gives_the_same_members(
        (first, second) in prop::collection::vec(any_statement(), 1..20)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        prop_assert_eq!(told(&of(&first)), told(&of(&second)));
    }

    #[test]
    fn every_path_narrows_down_from_a_root(all in prop::collection::vec(any_certificate(), 1..14)) {
        let m = members(&all);
        for n in 1..=6 {
            let path = m.path(&id(n));
            prop_assert_eq!(path.is_empty(), m.certificate(&id(n)).is_none());
            let of = |object| m.valid().find(|(id, _)| **id == object).unwrap().1;
            for pair in path.windows(2) {
                let (below, above) = (of(pair[0]), of(pair[1]));
                prop_assert_eq!(below.issuer, above.subject);
                prop_assert!(above.may(Role::Enroll) && above.cell.covers(&below.cell));
                let own = |r: &&Role| !matches!(r, Role::Device | Role::Observe);
                prop_assert!(below.roles.iter().filter(own).all(|r| above.may(*r)));
            }
            if let Some(last) = path.last() {
                prop_assert_eq!(of(*last).issuer, id(ROOT));
            }
        }
    }
}
