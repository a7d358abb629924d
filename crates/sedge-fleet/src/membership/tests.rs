//! Members are those whose path narrows from a root, in whatever order their certificates arrive.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sedge_statement::{
    Approvals, Certificate, Entry, Kept, KeptCertificates, NodeId, Object, ObjectId, ObjectKind, Revocation, Role,
    Roll, RootVersion,
};

use super::fixtures::{ROOT, at, certificate, empty, genesis, id, key, members, signed};
use super::room::MAX_RENEWALS;
use super::{CertificateRefusal, Membership};

const ENROLLER: [Role; 3] = [Role::Enroll, Role::Deploy, Role::Device];

/// What is made of a certificate, whatever its signature.
fn judge(m: &Membership, certificate: &Certificate) -> Result<(), CertificateRefusal> {
    m.judge(&ObjectId::from_bytes([0; 32]), certificate)
}

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
    judge(&m, &c).unwrap_err()
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
    assert_eq!(judge(&m, &c), Err(CertificateRefusal::WiderDates));
    c.not_after = Some(at(5001));
    assert_eq!(judge(&m, &c), Err(CertificateRefusal::WiderDates));
    c.not_after = Some(at(5000));
    assert_eq!(judge(&m, &c), Ok(()));
}

#[test]
fn a_member_without_the_role_enrols_nobody() {
    let mut m = members(&[(ROOT, certificate(ROOT, 2, 1, &[Role::Deploy], ""))]);
    let c = certificate(2, 3, 1, &[Role::Device], "");
    m.add(&signed(2, &c)).unwrap();
    assert!(!m.is_member(&id(3), at(2000)));
    assert_eq!(judge(&m, &c), Err(CertificateRefusal::MayNotEnroll));
}

#[test]
fn only_a_root_gives_and_holds_the_root_role() {
    let mut m = members(&[(ROOT, certificate(ROOT, 2, 1, &Role::ALL[1..], ""))]);
    for (issuer, subject) in [(ROOT, 3), (2, 3), (2, ROOT)] {
        let c = certificate(issuer, subject, 9, &[Role::Root], "");
        m.add(&signed(issuer, &c)).unwrap();
        assert_eq!(judge(&m, &c), Err(CertificateRefusal::RootRole));
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
    assert_eq!(judge(&m, &one_more), Err(CertificateRefusal::TooDeep));
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

/// Anything that makes a membership; what a revocation keeps is named once all certificates are there.
#[derive(Debug, Clone)]
enum Drafted {
    Said(Box<Object>),
    Revocation { by: u8, subject: u8, last: u64, named: bool },
}

fn any_statement() -> impl Strategy<Value = Drafted> {
    let said = |object| Drafted::Said(Box::new(object));
    let certificate = any_certificate().prop_map(move |(by, c)| said(signed(by, &c)));
    let revocation = (1u8..=6, 1u8..=6, 0u64..6, any::<bool>())
        .prop_map(|(by, subject, last, named)| Drafted::Revocation { by, subject, last, named });
    let entry = (1u8..=6, 1u8..=6)
        .prop_map(move |(by, issuer)| said(Object::sign(&key(by), genesis().1, &Entry { issuer: id(issuer) })));
    let roots = (1u8..=3, prop::collection::btree_set(1u8..=3, 1..=3)).prop_map(move |(by, roots)| {
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
        said(Object::sign(&key(by), genesis().1, &version))
    });
    prop_oneof![6 => certificate, 3 => revocation, 2 => entry, 1 => roots]
}

/// The statements as objects, and a roll of every second certificate.
fn signed_all(drafted: &[Drafted]) -> Vec<Object> {
    let said = drafted.iter().filter_map(|draft| match draft {
        Drafted::Said(object) if object.kind() == ObjectKind::CERTIFICATE => Some(object.id()),
        _ => None,
    });
    let roll = Roll { certificates: said.step_by(2).collect() };
    let mut all = vec![Object::sign(&key(ROOT), genesis().1, &roll)];
    all.extend(drafted.iter().map(|draft| match draft {
        Drafted::Said(object) => object.as_ref().clone(),
        Drafted::Revocation { by, subject, last, named } => {
            let rolls = if *named { vec![roll.id()] } else { Vec::new() };
            let kept = Kept { certificates: KeptCertificates { last: *last, rolls }, ..Kept::default() };
            let revocation = Revocation { subject: id(*subject), kept, reason: String::new(), at: at(1) };
            Object::sign(&key(*by), genesis().1, &revocation)
        }
    }));
    all
}

/// A membership of these, each taken in by itself.
fn of(statements: &[Object]) -> Membership {
    let mut m = empty();
    for object in statements {
        match object.kind() {
            ObjectKind::REVOCATION => m.put_revocation(object.id(), object.signer(), object.body().unwrap()),
            ObjectKind::ROOTS => m.put_roots(object.signer(), object.body().unwrap()),
            ObjectKind::ROLL => m.put_roll(object.body().unwrap()),
            ObjectKind::ENTRY => m.put_entry(object.signer(), object.body().unwrap()),
            _ => m.insert(object).unwrap(),
        }
        m.settle();
    }
    m
}

fn revoked_in(statements: &[Object]) -> BTreeSet<NodeId> {
    of(statements).all_revoked().map(|(node, _)| *node).collect()
}

fn revokes(by: u8, subject: u8) -> Object {
    let revocation = Revocation { subject: id(subject), kept: Kept::default(), reason: String::new(), at: at(1) };
    Object::sign(&key(by), genesis().1, &revocation)
}

/// Enrollers 2 and 3 of one cell, and a device that 2 enrolled and 3 certifies again, later by its own word.
fn taken_over() -> Vec<Object> {
    let mut again = certificate(3, 4, 1, &[Role::Device], "acme/plant");
    again.revision = u32::MAX;
    vec![
        signed(ROOT, &certificate(ROOT, 2, 1, &ENROLLER, "acme")),
        signed(ROOT, &certificate(ROOT, 3, 2, &ENROLLER, "acme")),
        signed(2, &certificate(2, 4, 1, &[Role::Device], "acme/plant")),
        signed(3, &again),
    ]
}

#[test]
fn whoever_certifies_a_node_again_undoes_no_revocation_of_the_one_that_enrolled_it() {
    let mut all = taken_over();
    all.push(revokes(2, 4));
    assert_eq!(of(&taken_over()).certificate(&id(4)).unwrap().issuer, id(3), "its certificate counts");
    assert_eq!(revoked_in(&all), BTreeSet::from([id(4)]));
    // Nor where the thief of the node's key says that it entered under the other one too.
    for under in [2, 3] {
        all.push(Object::sign(&key(4), genesis().1, &Entry { issuer: id(under) }));
    }
    assert_eq!(revoked_in(&all), BTreeSet::from([id(4)]));
}

#[test]
fn whoever_certifies_a_node_again_revokes_it_not_where_the_node_said_who_enrolled_it() {
    let mut all = taken_over();
    all.push(Object::sign(&key(4), genesis().1, &Entry { issuer: id(2) }));
    all.push(revokes(3, 4));
    assert!(revoked_in(&all).is_empty());
    all.push(revokes(2, 4));
    assert_eq!(revoked_in(&all), BTreeSet::from([id(4)]));
    let only_above: Vec<Object> = taken_over().into_iter().chain([all[4].clone(), revokes(ROOT, 4)]).collect();
    assert_eq!(revoked_in(&only_above), BTreeSet::from([id(4)]), "who stands above the enroller stands above it");
}

#[test]
fn a_root_that_certifies_whom_an_enroller_of_another_enrolled_neither_undoes_nor_makes_a_revocation() {
    let mut all = three_roots();
    let mut taken = certificate(1, 5, 9, &[Role::Device], "acme");
    taken.revision = u32::MAX;
    all.push(signed(2, &certificate(2, 4, 2, &ENROLLER, "acme")));
    all.push(signed(4, &certificate(4, 5, 1, &[Role::Device], "acme")));
    all.push(Object::sign(&key(5), genesis().1, &Entry { issuer: id(4) }));
    all.push(signed(1, &taken));
    assert_eq!(of(&all).certificate(&id(5)).unwrap().issuer, id(1));
    all.push(revokes(1, 5));
    assert!(revoked_in(&all).is_empty());
    let by_enroller: Vec<Object> = all.iter().cloned().chain([revokes(4, 5)]).collect();
    assert_eq!(revoked_in(&by_enroller), BTreeSet::from([id(5)]));
    let by_root_above: Vec<Object> = all.iter().cloned().chain([revokes(2, 5)]).collect();
    assert_eq!(revoked_in(&by_root_above), BTreeSet::from([id(5)]));
    let by_root = |object: &Object| (object.signer(), object.kind()) == (id(1), ObjectKind::REVOCATION);
    let enroller_too = by_enroller.into_iter().filter(|object| !by_root(object)).chain([revokes(2, 4)]);
    let revoked = revoked_in(&enroller_too.collect::<Vec<_>>());
    assert_eq!(revoked, BTreeSet::from([id(4)]), "whose word was taken back, and this not kept");
}

#[test]
fn an_entry_under_somebody_who_never_certified_its_node_is_refused() {
    let mut m = of(&taken_over());
    let entry = |issuer: u8| Object::sign(&key(4), genesis().1, &Entry { issuer: id(issuer) });
    assert!(m.add_entry(&entry(ROOT)).is_err());
    assert!(m.add_entry(&entry(2)).is_ok());
}

/// Nodes 1, 2 and 3 are roots, two of whom must agree.
fn three_roots() -> Vec<Object> {
    let version = RootVersion {
        version: 1,
        previous: genesis().1.into(),
        roots: [1, 2, 3].map(id).into(),
        threshold: 2,
        approvals: Approvals::default(),
        leaving: Default::default(),
        at: at(1),
    };
    let mut all: Vec<Object> = [1, 2].iter().map(|by| Object::sign(&key(*by), genesis().1, &version)).collect();
    all.extend([1, 2, 3].map(|n| signed(n, &certificate(n, n, 1, &Role::ALL, ""))));
    all
}

#[test]
fn one_root_demotes_no_other() {
    let mut all = three_roots();
    let mut demoted = certificate(1, 2, 2, &[Role::Device], "acme/far");
    demoted.revision = u32::MAX;
    all.push(signed(1, &demoted));
    let m = of(&all);
    assert!(m.certificate(&id(2)).unwrap().may(Role::Root));
    assert!(m.selectable().all(|(_, c)| c.subject != id(2) || c.issuer == id(2)), "nor does it move it");
}

#[test]
fn what_two_roots_revoked_stays_revoked_once_one_of_them_has_left_and_that_was_kept() {
    let mut all = three_roots();
    all.push(signed(3, &certificate(3, 4, 2, &[Role::Device], "")));
    let by = [1, 2].map(|by| revokes(by, 4));
    all.extend(by.clone());
    assert_eq!(revoked_in(&all), BTreeSet::from([id(4)]));
    let leaves = |revocations: BTreeSet<ObjectId>| {
        let next = RootVersion {
            version: 2,
            previous: all[0].body::<RootVersion>().unwrap().id(),
            roots: [2, 3].map(id).into(),
            threshold: 2,
            approvals: Approvals::default(),
            leaving: [(id(1), Kept { revocations, ..Kept::default() })].into(),
            at: at(2),
        };
        all.iter().cloned().chain([2, 3].map(|by| Object::sign(&key(by), genesis().1, &next))).collect::<Vec<_>>()
    };
    assert_eq!(revoked_in(&leaves([by[0].id()].into())), BTreeSet::from([id(1), id(4)]));
    assert_eq!(revoked_in(&leaves(BTreeSet::new())), BTreeSet::from([id(1)]), "what was not kept of it is void");
}

#[test]
fn a_root_that_proposes_a_thousand_versions_buries_none_of_anothers() {
    let propose = |by: u8, seconds: u64| {
        let version = RootVersion {
            version: 2,
            previous: three_roots()[0].body::<RootVersion>().unwrap().id(),
            roots: [1, 2, 3, by].map(id).into(),
            threshold: 3,
            approvals: Approvals::default(),
            leaving: Default::default(),
            at: at(seconds),
        };
        Object::sign(&key(by), genesis().1, &version)
    };
    let mut all = three_roots();
    all.push(propose(2, 5));
    all.extend((10..200).map(|n| propose(1, n)));
    let m = of(&all);
    let open: Vec<_> = m.proposed().map(|p| (p.version.at, p.signers.clone())).collect();
    assert_eq!(open.len(), 2, "one of each root");
    assert!(open.contains(&(at(199), [id(1)].into())) && open.contains(&(at(5), [id(2)].into())));
}

#[test]
fn what_is_void_takes_no_room_and_what_a_revocation_names_is_taken_past_every_bound() {
    let mut m = of(&[signed(ROOT, &certificate(ROOT, 2, 1, &ENROLLER, ""))]);
    let nth = |serial| signed(2, &certificate(2, 3, serial, &[Role::Device], ""));
    for serial in 1..=MAX_RENEWALS as u64 {
        m.add(&nth(serial)).unwrap();
    }
    let late = nth(MAX_RENEWALS as u64 + 1);
    assert_eq!(m.add(&late), Err(CertificateRefusal::NoRoom));
    let roll = Roll { certificates: [late.id()].into() };
    let certificates = KeptCertificates { last: MAX_RENEWALS as u64 + 1, rolls: vec![roll.id()] };
    let kept = Kept { certificates, ..Kept::default() };
    let revocation = Revocation { subject: id(2), kept, reason: String::new(), at: at(1) };
    m.put_revocation(ObjectId::from_bytes([1; 32]), id(ROOT), revocation);
    m.put_roll(roll);
    m.settle();
    assert_eq!(m.add(&late), Ok(()));
    let counting: Vec<ObjectId> = m.valid().filter(|(_, c)| c.issuer == id(2)).map(|(id, _)| *id).collect();
    assert_eq!(counting, [late.id()]);
}

#[test]
fn a_certificate_under_a_serial_that_was_kept_is_void_where_no_roll_names_it() {
    let one = signed(2, &certificate(2, 3, 1, &[Role::Device], ""));
    let twin = signed(2, &certificate(2, 4, 1, &[Role::Device], ""));
    let roll = Roll { certificates: [one.id()].into() };
    let certificates = KeptCertificates { last: 1, rolls: vec![roll.id()] };
    let kept = Kept { certificates, ..Kept::default() };
    let revocation = Revocation { subject: id(2), kept, reason: String::new(), at: at(1) };
    let mut m = of(&[
        signed(ROOT, &certificate(ROOT, 2, 1, &ENROLLER, "")),
        Object::sign(&key(ROOT), genesis().1, &revocation),
    ]);
    m.add(&one).unwrap();
    m.add(&twin).unwrap();
    assert!(m.certificate(&id(3)).is_some(), "a roll on its way cuts nobody off");
    m.put_roll(roll);
    m.settle();
    assert!(m.certificate(&id(3)).is_some() && m.certificate(&id(4)).is_none());
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
            .prop_map(|drafted| signed_all(&drafted))
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        prop_assert_eq!(told(&of(&first)), told(&of(&second)));
    }

    #[test]
    fn no_certificate_and_no_entry_of_others_undoes_a_revocation(
        drafted in prop::collection::vec(any_statement(), 1..16),
        more in prop::collection::vec((2u8..=6, 0u8..3), 1..6),
    ) {
        let before = signed_all(&drafted);
        let m = of(&before);
        let revoked: BTreeSet<NodeId> = m.all_revoked().map(|(node, _)| *node).collect();
        // Only equally near issuers: whoever stands nearer to a root stands above.
        let again = more.iter().filter_map(|(n, deeper)| {
            let path = m.path(&id(*n));
            let counts = m.certificate(&id(*n)).filter(|_| path.len() > 1)?;
            let by = (2u8..=6).filter(|by| {
                m.path(&id(*by)).len() + 1 == path.len() && m.revoked(&id(*by)).is_none()
            });
            let by = by.cycle().nth(usize::from(*deeper)).filter(|by| by != n)?;
            Some(signed(by, &Certificate { issuer: id(by), revision: u32::MAX, serial: 77, ..counts.clone() }))
        });
        let after: Vec<Object> = before.iter().cloned().chain(again).collect();
        let still = of(&after);
        let now: BTreeSet<NodeId> = still.all_revoked().map(|(node, _)| *node).collect();
        // Whom the others' own word reaches by that takes nothing back any more; the entries are there against it.
        prop_assert!(now.is_superset(&revoked) || !revoked.is_superset(&now));
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
