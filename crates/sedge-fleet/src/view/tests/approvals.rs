//! A mesh may ask that several authorities agree before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Approval, Approvals, Approved, Certificate, DocId, Object, Role, RootVersion};

use super::{Automerge, deployment, release, says, view_with};
use crate::membership::fixtures::{ROOT, at, certificate, genesis, id, key, members};
use crate::schema::Edit;
use crate::{FindingKind, FleetView, Membership, PublishedDeployment};

const AUTHOR: u8 = 2;
const SECOND: u8 = 3;
const NARROW: u8 = 4;
const ROBOT: u8 = 5;
const ENROLLER: u8 = 6;
const MADE: u8 = 7;
const ALSO_MADE: u8 = 8;
const OTHER_ROOT: u8 = 9;

/// Two of everything are asked for.
fn mesh_that_asks() -> Membership {
    mesh_of(&[ROOT])
}

fn mesh_of(roots: &[u8]) -> Membership {
    let both = [Role::Release, Role::Deploy];
    let enroller = [Role::Enroll, Role::Release, Role::Deploy];
    let roster: [(u8, Certificate); 9] = [
        (ROOT, certificate(ROOT, ROOT, 5, &enroller, "")),
        (ROOT, certificate(ROOT, OTHER_ROOT, 7, &both, "")),
        (ROOT, certificate(ROOT, ENROLLER, 6, &enroller, "")),
        (ENROLLER, certificate(ENROLLER, MADE, 1, &both, "")),
        (ENROLLER, certificate(ENROLLER, ALSO_MADE, 2, &both, "")),
        (ROOT, certificate(ROOT, AUTHOR, 1, &both, "")),
        (ROOT, certificate(ROOT, SECOND, 2, &both, "")),
        (ROOT, certificate(ROOT, NARROW, 3, &both, "acme/plant")),
        (ROOT, certificate(ROOT, ROBOT, 4, &[Role::Device], "acme")),
    ];
    let mut membership = members(&roster);
    let version = RootVersion {
        version: 1,
        previous: genesis().1.into(),
        roots: roots.iter().map(|n| id(*n)).collect(),
        threshold: u8::try_from(roots.len() / 2 + 1).unwrap(),
        approvals: Approvals { release: 2, deploy: 2 },
        leaving: BTreeMap::new(),
        at: at(1000),
    };
    for by in roots {
        membership.add_roots(&Object::sign(&key(*by), genesis().1, &version)).unwrap();
    }
    membership.settle();
    assert_eq!(membership.roots().version, 1);
    membership
}

/// The author's release and deployment, and what others say.
fn view_of(others: &[(DocId, Automerge)]) -> FleetView {
    let release = release("digits", 1);
    let edits = [Edit::PutDeployment(deployment(release.id(), 1)), Edit::PutRelease(release)];
    let documents: Vec<_> = std::iter::once(says(AUTHOR, &edits)).chain(others.iter().cloned()).collect();
    view_with(&mesh_that_asks(), &documents)
}

fn published(view: &FleetView) -> &PublishedDeployment {
    view.deployments.values().next().unwrap()
}

fn approves(n: u8) -> (DocId, Automerge) {
    let release = release("digits", 1).id();
    let rollout = deployment(release, 1).id();
    let of = [Approved::Release(release), Approved::Rollout(rollout)];
    says(n, &of.map(|of| Edit::PutApproval(Approval { of, at: at(2000) })))
}

#[test]
fn arbitrary_installation_by_one_of_two_authorities_waits_for_the_other() {
    let view = view_of(&[]);
    assert_eq!(published(&view).agreement.given, BTreeSet::from([id(AUTHOR)]));
    assert_eq!((published(&view).agreement.needed, published(&view).release_agreement.needed), (2, 2));
    assert!(!published(&view).is_approved());
    assert!(published(&view_of(&[approves(SECOND)])).is_approved());
}

#[test]
fn an_authors_approval_of_its_own_statement_adds_nothing() {
    let release = release("digits", 1);
    let deployment = deployment(release.id(), 1);
    let own = [Approved::Release(release.id()), Approved::Rollout(deployment.id())]
        .map(|of| Edit::PutApproval(Approval { of, at: at(2000) }));
    let edits: Vec<Edit> =
        [Edit::PutDeployment(deployment), Edit::PutRelease(release)].into_iter().chain(own).collect();
    let view = view_with(&mesh_that_asks(), &[says(AUTHOR, &edits)]);
    assert!(!published(&view).is_approved());
}

#[test]
fn an_approval_without_the_role_or_for_a_narrower_cell_counts_for_nothing() {
    let view = view_of(&[approves(NARROW)]);
    assert!(!published(&view).agreement.is_reached() && !published(&view).release_agreement.is_reached());
    let view = view_of(&[approves(ROBOT)]);
    assert!(!published(&view).is_approved());
    assert!(view.findings.iter().any(|f| (f.kind, f.about) == (FindingKind::NotAllowed, id(ROBOT))));
}

#[test]
fn one_approval_does_not_stand_for_the_other() {
    let release = release("digits", 1).id();
    let only = Edit::PutApproval(Approval { of: Approved::Release(release), at: at(2000) });
    let view = view_of(&[says(SECOND, &[only])]);
    assert!(published(&view).release_agreement.is_reached() && !published(&view).is_approved());
}

/// What one authority publishes and others approve, in a mesh of these roots.
fn published_by(roots: &[u8], author: u8, approvers: &[u8]) -> FleetView {
    let release = release("digits", 1);
    let edits = [Edit::PutDeployment(deployment(release.id(), 1)), Edit::PutRelease(release)];
    let documents: Vec<_> =
        std::iter::once(says(author, &edits)).chain(approvers.iter().map(|n| approves(*n))).collect();
    view_with(&mesh_of(roots), &documents)
}

#[test]
fn an_enroller_and_whomever_it_enrolled_agree_as_one() {
    let one = [ROOT];
    for (author, approvers) in [(ENROLLER, [MADE, ALSO_MADE]), (MADE, [ALSO_MADE, ENROLLER])] {
        let view = published_by(&one, author, &approvers);
        assert_eq!((published(&view).agreement.given.len(), published(&view).agreement.counted), (3, 1));
        assert!(!published(&view).is_approved());
        let and_another = [approvers.as_slice(), &[SECOND]].concat();
        assert!(published(&published_by(&one, author, &and_another)).is_approved());
    }
    assert!(published(&published_by(&one, SECOND, &[MADE])).is_approved());
}

#[test]
fn a_root_among_several_and_whomever_it_enrolled_agree_as_one() {
    assert!(published(&published_by(&[ROOT], ROOT, &[SECOND])).is_approved(), "one root alone decides anyway");
    let two = [ROOT, OTHER_ROOT];
    let view = published_by(&two, ROOT, &[SECOND]);
    assert_eq!(published(&view).agreement.counted, 1);
    assert_eq!(
        published(&published_by(&two, ROOT, &[SECOND, AUTHOR])).agreement.counted,
        2,
        "nobody takes another's away"
    );
}
