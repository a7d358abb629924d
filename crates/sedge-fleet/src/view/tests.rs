//! The fold takes in what its authors may say, in any order, and says why it leaves out the rest.

mod approvals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use automerge::{Automerge, AutomergeError};
use proptest::prelude::*;
use sedge_statement::{
    Blake3, Certificate, Control, ControlAction, DocId, DocKind, GateReport, Generation, Role, RolloutId, Scope,
    Sha256, SlotReport, SlotState,
};

use super::fixtures::{deployment, profile, release};
use super::{ControlState, FleetView, Fold, FoldInput, Reading};
use crate::membership::fixtures::{ROOT, at, certificate, genesis, id, members};
use crate::schema::{self, Edit};
use crate::{Finding, FindingKind, Membership};

const OPERATOR: u8 = 2;
const ROBOT: u8 = 3;

fn roster() -> Vec<(u8, Certificate)> {
    vec![
        (ROOT, certificate(ROOT, OPERATOR, 1, &[Role::Release, Role::Deploy], "")),
        (ROOT, certificate(ROOT, ROBOT, 2, &[Role::Device], "acme")),
    ]
}

fn doc(author: u8, kind: DocKind, epoch: u32, edits: &[Edit]) -> (DocId, Automerge) {
    let mut doc = Automerge::new();
    doc.transact::<_, _, AutomergeError>(|tx| schema::apply(tx, edits)).unwrap();
    (DocId { author: id(author), kind, scope: Scope::Mesh, epoch }, doc)
}

fn says(author: u8, edits: &[Edit]) -> (DocId, Automerge) {
    doc(author, edits[0].kind(), 0, edits)
}

fn view_of(roster: &[(u8, Certificate)], documents: &[(DocId, Automerge)]) -> FleetView {
    view_with(&members(roster), documents)
}

fn view_with(membership: &Membership, documents: &[(DocId, Automerge)]) -> FleetView {
    let (genesis, mesh) = genesis();
    let documents = documents.iter().map(|(id, doc)| (id, Arc::new(Reading::of(id, doc)))).collect();
    let input = FoldInput {
        mesh,
        genesis: &genesis,
        membership,
        held: Default::default(),
        documents,
        findings: vec![],
        verified: at(0),
        now: at(3000),
    };
    FleetView::clone(&Fold::default().view(input))
}

fn kinds(view: &FleetView) -> Vec<(FindingKind, sedge_statement::NodeId)> {
    view.findings.iter().map(|f| (f.kind, f.about)).collect()
}

fn slot(state: SlotState) -> SlotReport {
    let serving = release("digits", 1).id();
    SlotReport {
        slot: "detector".parse().unwrap(),
        rollout: Some(deployment(serving, 1).id()),
        state,
        reason: None,
        since: at(2500),
        serving: Some(serving),
        sha256: Some(Sha256::of(b"weights")),
    }
}

fn gate(rollout: RolloutId) -> GateReport {
    let sha256 = Some(Sha256::of(b"weights"));
    GateReport {
        rollout,
        state: SlotState::Committed,
        reason: None,
        sha256,
        soaked: Duration::from_secs(3),
        at: at(2600),
    }
}

fn control(rollout: RolloutId, action: ControlAction, count: u32) -> Edit {
    Edit::PutControl(Control { rollout, action, count, reason: format!("{action} {count}"), at: at(2200) })
}

/// A mesh where an operator has published, deployed and paused, and a robot answers.
fn small() -> Vec<(DocId, Automerge)> {
    let release = release("digits", 1);
    let deployment = deployment(release.id(), 1);
    let rollout = deployment.id();
    vec![
        says(
            OPERATOR,
            &[Edit::PutRelease(release), Edit::PutDeployment(deployment), control(rollout, ControlAction::Pause, 1)],
        ),
        says(
            ROBOT,
            &[
                Edit::PutProfile(profile(1)),
                Edit::PutSlot(slot(SlotState::Committed)),
                Edit::PutArtifact { blake3: Blake3::of(b"weights"), size: 7 },
            ],
        ),
        says(ROBOT, &[Edit::PutGate(gate(rollout))]),
    ]
}

#[test]
fn what_members_say_is_in_the_view() {
    let view = view_of(&roster(), &small());
    assert_eq!((view.members.len(), view.certificates.len(), view.releases.len()), (2, 2, 1));
    let published = view.deployments.values().next().unwrap();
    assert!(
        matches!(&published.control, ControlState::Paused(by) if by.author == id(OPERATOR) && by.reason == "pause 1")
    );
    assert_eq!(view.slots[&(id(ROBOT), "detector".parse().unwrap())], slot(SlotState::Committed));
    assert_eq!(view.profiles[&id(ROBOT)], profile(1));
    assert!(view.holders[&Blake3::of(b"weights")].contains(&id(ROBOT)));
    assert_eq!(view.gates.values().next().unwrap()[&id(ROBOT)].state, SlotState::Committed);
    assert!(view.findings.is_empty(), "{:?}", view.findings);
}

#[test]
fn a_small_views_digest_never_changes() {
    let digest = view_of(&roster(), &small()).digest();
    assert_eq!(
        blake3::Hash::from_bytes(digest).to_hex().as_str(),
        "36ffef289f06229a619d1d410483981d7ae9d7efd312c05dc12a4923132e7d53"
    );
}

fn proposal() -> crate::Proposal {
    let version = sedge_statement::RootVersion {
        version: 1,
        previous: genesis().1.into(),
        roots: [id(9)].into(),
        threshold: 1,
        approvals: Default::default(),
        leaving: BTreeMap::new(),
        at: at(1),
    };
    crate::Proposal { version, signers: BTreeSet::new() }
}

fn revocation() -> sedge_statement::Revocation {
    sedge_statement::Revocation { subject: id(9), kept: Default::default(), reason: String::new(), at: at(1) }
}

#[test]
fn the_digest_covers_every_field_but_findings() {
    let view = view_of(&roster(), &small());
    let changes: [fn(&mut FleetView); 20] = [
        |v| v.mesh = sedge_statement::MeshId::from_bytes([0; 32]),
        |v| v.genesis.threshold = 2,
        |v| v.certificates.truncate(1),
        |v| v.members.clear(),
        |v| v.frontier.0.clear(),
        |v| v.releases.values_mut().for_each(|r| r.publisher = id(9)),
        |v| v.deployments.values_mut().for_each(|d| d.control = ControlState::Running),
        |v| v.slots.values_mut().for_each(|s| s.reason = Some(String::new())),
        |v| v.profiles.values_mut().for_each(|p| p.cores += 1),
        |v| v.holders.clear(),
        |v| v.gates.values_mut().for_each(|g| g.values_mut().for_each(|r| r.soaked = Duration::ZERO)),
        |v| v.deployments.values_mut().for_each(|d| d.author = id(9)),
        |v| v.roots.id = sedge_statement::RootsId::from_bytes([0; 32]),
        |v| drop(v.revoked.insert(id(9), crate::RevokedNode { name: None, kept: Default::default() })),
        |v| v.pending_revocations.push((revocation(), BTreeSet::new())),
        |v| v.verified = at(9),
        |v| v.deployments.values_mut().for_each(|d| d.agreement.given.clear()),
        |v| v.deployments.values_mut().for_each(|d| d.agreement.counted += 1),
        |v| v.deployments.values_mut().for_each(|d| d.release_agreement.needed += 1),
        |v| v.proposed.push(proposal()),
    ];
    for change in changes {
        let mut changed = view.clone();
        change(&mut changed);
        assert_ne!(changed.digest(), view.digest());
    }
    let mut noted = view.clone();
    noted.findings.push(Finding::new(FindingKind::Fork, id(9), None, "two heads"));
    assert_eq!(noted.digest(), view.digest());
}

#[test]
fn arbitrary_installation_without_the_deploy_role_is_ignored() {
    let release = release("digits", 1);
    let edits = [Edit::PutDeployment(deployment(release.id(), 1)), Edit::PutRelease(release)];
    let robot = view_of(&roster(), &[says(ROBOT, &edits)]);
    assert!(robot.deployments.is_empty() && robot.releases.is_empty());
    assert_eq!(kinds(&robot), [(FindingKind::NotAllowed, id(ROBOT))]);

    for (role, releases, deployments) in [(Role::Release, 1, 0), (Role::Deploy, 0, 1)] {
        let roster = [(ROOT, certificate(ROOT, OPERATOR, 1, &[role], ""))];
        let view = view_of(&roster, &[says(OPERATOR, &edits)]);
        assert_eq!((view.releases.len(), view.deployments.len()), (releases, deployments));
        assert!(kinds(&view).contains(&(FindingKind::NotAllowed, id(OPERATOR))));
    }
}

#[test]
fn arbitrary_installation_outside_the_authors_cell_is_ignored() {
    let roster = [(ROOT, certificate(ROOT, OPERATOR, 1, &[Role::Release, Role::Deploy], "acme/plant-7"))];
    let release = release("digits", 1);
    for (selector, kept) in [
        ("cell=acme/plant-7/**", 1),
        ("cell=acme/plant-7/line-2", 1),
        ("cell=acme/plant-7,arch=aarch64", 1),
        ("cell=acme/**", 0),
        ("cell=acme/plant-70", 0),
        ("node=robot-1", 0),
        ("cell=**", 0),
    ] {
        let mut wish = deployment(release.id(), 1);
        wish.selector = selector.parse().unwrap();
        let edits = [Edit::PutRelease(release.clone()), Edit::PutDeployment(wish)];
        let view = view_of(&roster, &[says(OPERATOR, &edits)]);
        assert_eq!(view.deployments.len(), kept, "{selector}");
        assert_eq!(view.findings.len(), 1 - kept, "{selector}");
    }
}

#[test]
fn arbitrary_installation_of_a_release_published_for_a_narrower_cell_is_ignored() {
    let mut roster = roster();
    roster.push((ROOT, certificate(ROOT, 4, 3, &[Role::Release], "acme")));
    let release = release("digits", 1);
    let narrow = says(4, &[Edit::PutRelease(release.clone())]);
    let wish = says(OPERATOR, &[Edit::PutDeployment(deployment(release.id(), 1))]);
    let view = view_of(&roster, &[narrow.clone(), wish.clone()]);
    assert!(view.deployments.is_empty());
    assert_eq!(kinds(&view), [(FindingKind::NotAllowed, id(OPERATOR))]);

    // Once somebody of the whole mesh publishes the same release, it may go anywhere.
    roster.push((ROOT, certificate(ROOT, 5, 4, &[Role::Release], "")));
    let view = view_of(&roster, &[narrow, wish, says(5, &[Edit::PutRelease(release)])]);
    assert_eq!(view.deployments.len(), 1);
    assert_eq!(view.releases.values().next().unwrap().publisher, id(5));
}

#[test]
fn a_deployment_of_a_release_not_held_waits_and_says_so() {
    let wish = deployment(release("digits", 1).id(), 1);
    let view = view_of(&roster(), &[says(OPERATOR, &[Edit::PutDeployment(wish)])]);
    assert_eq!(view.deployments.len(), 1);
    assert_eq!(kinds(&view), [(FindingKind::UnknownRelease, id(OPERATOR))]);
}

#[test]
fn fast_forward_of_a_generation_is_ignored() {
    let release = release("digits", 1);
    let wish = |epoch, n| {
        let mut wish = deployment(release.id(), n);
        wish.generation = Generation { epoch, n };
        Edit::PutDeployment(wish)
    };
    let edits =
        [Edit::PutRelease(release.clone()), wish(0, 5), wish(0, 1_000_005), wish(0, 2_000_006), wish(0, u64::MAX)];
    let view = view_of(&roster(), &[says(OPERATOR, &edits)]);
    let kept: Vec<_> = view.deployments.values().map(|d| d.deployment.generation.n).collect();
    assert_eq!(kept.iter().sum::<u64>(), 1_000_010, "{kept:?}");
    assert_eq!(kinds(&view), [(FindingKind::GenerationJump, id(OPERATOR))]);

    let view = view_of(&roster(), &[says(OPERATOR, &[wish(1, 1)])]);
    assert!(view.deployments.is_empty(), "no root version but the genesis exists");
}

#[test]
fn an_expired_certificate_of_an_authority_is_inert() {
    let mut old = certificate(ROOT, OPERATOR, 1, &[Role::Release, Role::Deploy], "");
    old.not_after = Some(at(2000));
    let release = release("digits", 1);
    let mut before = deployment(release.id(), 1);
    before.created_at = at(1999);
    let after = deployment(release.id(), 2);
    let said = [says(OPERATOR, &[Edit::PutDeployment(before.clone()), Edit::PutDeployment(after)])];
    let view = view_of(&[(ROOT, old.clone())], &said);
    assert_eq!(view.deployments.keys().collect::<Vec<_>>(), [&before.id()]);
    assert!(kinds(&view).contains(&(FindingKind::NotAllowed, id(OPERATOR))));

    // A renewed certificate speaks again, and does not silence what was said under the old one.
    let mut renewed = certificate(ROOT, OPERATOR, 2, &[Role::Release, Role::Deploy], "");
    (renewed.revision, renewed.not_before) = (2, at(2000));
    assert_eq!(view_of(&[(ROOT, old), (ROOT, renewed)], &said).deployments.len(), 2);
}

#[test]
fn a_strangers_document_is_ignored() {
    let view = view_of(&roster(), &[says(9, &[Edit::PutSlot(slot(SlotState::Committed))])]);
    assert!(view.slots.is_empty());
    assert_eq!(kinds(&view), [(FindingKind::NotAMember, id(9))]);
}

#[test]
fn a_halt_holds_over_everything_and_a_cancel_over_the_rest() {
    let release = release("digits", 1);
    let wish = deployment(release.id(), 1);
    let state = |controls: &[(ControlAction, u32)]| {
        let mut edits = vec![Edit::PutRelease(release.clone()), Edit::PutDeployment(wish.clone())];
        edits.extend(controls.iter().map(|(action, count)| control(wish.id(), *action, *count)));
        let view = view_of(&roster(), &[says(OPERATOR, &edits)]);
        view.deployments[&wish.id()].control.to_string()
    };
    use ControlAction::{Cancel, Halt, Pause, Resume};
    assert_eq!(state(&[]), "running");
    assert_eq!(state(&[(Pause, 1)]), "paused");
    assert_eq!(state(&[(Pause, 1), (Resume, 2)]), "running");
    assert_eq!(state(&[(Pause, 3), (Resume, 2)]), "paused");
    assert_eq!(state(&[(Cancel, 1), (Resume, 2)]), "cancelled");
    assert_eq!(state(&[(Halt, 1), (Cancel, 2), (Resume, 3)]), "halted");
}

#[test]
fn the_first_of_several_halts_and_the_least_of_several_authors_are_named() {
    let mut roster = roster();
    roster.push((ROOT, certificate(ROOT, 4, 3, &[Role::Deploy], "")));
    let wish = deployment(release("digits", 1).id(), 1);
    let halts = |author, count| {
        let edits = [Edit::PutDeployment(wish.clone()), control(wish.id(), ControlAction::Halt, count)];
        says(author, &edits)
    };
    let view = view_of(&roster, &[halts(4, 1), halts(OPERATOR, 2)]);
    let published = &view.deployments[&wish.id()];
    assert_eq!(published.author, id(4).min(id(OPERATOR)));
    assert!(matches!(&published.control, ControlState::Halted(by) if by.author == id(4) && by.reason == "halt 1"));
}

#[test]
fn a_control_by_an_authority_of_another_cell_is_powerless() {
    let mut roster = roster();
    roster.push((ROOT, certificate(ROOT, 4, 3, &[Role::Deploy], "acme")));
    let mut documents = small();
    let rollout = deployment(release("digits", 1).id(), 1).id();
    documents.push(says(4, &[control(rollout, ControlAction::Halt, 9)]));
    let view = view_of(&roster, &documents);
    assert!(matches!(view.deployments[&rollout].control, ControlState::Paused(_)));
    assert_eq!(kinds(&view), [(FindingKind::NotAllowed, id(4))]);
}

#[test]
fn the_last_epoch_of_a_node_replaces_those_before_in_whatever_scope() {
    let (moved, new) = doc(ROBOT, DocKind::Node, 1, &[Edit::PutSlot(slot(SlotState::Staged))]);
    let cell = Scope::Cell("acme".parse().unwrap());
    let old = doc(
        ROBOT,
        DocKind::Node,
        0,
        &[Edit::PutSlot(slot(SlotState::Committed)), Edit::PutArtifact { blake3: Blake3::of(b"weights"), size: 7 }],
    );
    for moved in [moved.clone(), DocId { scope: cell, ..moved }] {
        let view = view_of(&roster(), &[(moved, new.clone()), old.clone()]);
        assert_eq!(view.slots.values().next().unwrap().state, SlotState::Staged);
        assert!(view.holders.is_empty());
    }
}

#[test]
fn epochs_of_an_authority_add_up() {
    let first = doc(OPERATOR, DocKind::Authority, 0, &[Edit::PutRelease(release("digits", 1))]);
    let second = doc(OPERATOR, DocKind::Authority, 1, &[Edit::PutRelease(release("digits", 2))]);
    assert_eq!(view_of(&roster(), &[second, first]).releases.len(), 2);
}

#[test]
fn a_failure_that_was_signed_stays_whatever_is_said_later_or_in_a_later_epoch() {
    let rollout = RolloutId::from_bytes([5; 32]);
    let failed = GateReport { state: SlotState::RolledBack, ..gate(rollout) };
    let says = |epoch, reports: &[&GateReport]| {
        let edits: Vec<Edit> = reports.iter().map(|report| Edit::PutGate((*report).clone())).collect();
        doc(ROBOT, DocKind::Gate, epoch, &edits)
    };
    let held = |documents: &[(DocId, Automerge)]| view_of(&roster(), documents).gates[&rollout][&id(ROBOT)].state;
    let good = gate(rollout);
    assert_eq!(held(&[says(0, &[&failed]), says(1, &[&good])]), SlotState::RolledBack);
    assert_eq!(held(&[says(1, &[&good, &failed]), says(0, &[&good])]), SlotState::RolledBack);
    assert_eq!(held(&[says(0, &[&GateReport { state: SlotState::Superseded, ..gate(rollout) }, &good])]), good.state);
}

#[test]
fn unreadable_entries_leave_a_finding_with_their_count() {
    let mut robot = Automerge::new();
    robot
        .transact::<_, _, AutomergeError>(|tx| {
            use automerge::transaction::Transactable;
            let slots = tx.put_object(automerge::ROOT, "slots", automerge::ObjType::Map)?;
            tx.put(&slots, "one", 1)?;
            tx.put(&slots, "two", 2)
        })
        .unwrap();
    let id = DocId { author: id(ROBOT), kind: DocKind::Node, scope: Scope::Mesh, epoch: 0 };
    let view = view_of(&roster(), &[(id.clone(), robot)]);
    let finding = view.findings.first().unwrap();
    assert_eq!((finding.kind, finding.count, finding.doc.as_ref()), (FindingKind::Unreadable, 2, Some(&id)));
    assert_eq!(finding.detail, "slots has a value of the wrong type");
}

#[test]
fn an_equivocating_issuer_leaves_a_finding() {
    let mut roster = roster();
    roster.push((ROOT, certificate(ROOT, 5, 1, &[Role::Device], "")));
    assert_eq!(kinds(&view_of(&roster, &[])), [(FindingKind::BadCertificate, id(ROOT))]);
}

/// Documents of authors with and without the right to them, agreeing and not.
fn many() -> Vec<(DocId, Automerge)> {
    let mut documents = small();
    let rollout = deployment(release("digits", 1).id(), 1).id();
    for author in [4u8, 5, 6] {
        let n = u64::from(author);
        documents.push(says(
            author,
            &[
                Edit::PutRelease(release("digits", 1)),
                Edit::PutRelease(release("words", n)),
                Edit::PutDeployment(deployment(release("digits", 1).id(), 1)),
                Edit::PutDeployment(deployment(release("words", n).id(), n)),
                control(rollout, if author == 5 { ControlAction::Cancel } else { ControlAction::Resume }, 7),
            ],
        ));
        documents.push(says(author, &[Edit::PutArtifact { blake3: Blake3::of(b"weights"), size: 7 }]));
        documents.push(doc(author, DocKind::Node, 1, &[Edit::PutSlot(slot(SlotState::Fetching))]));
    }
    documents
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_of_documents_gives_the_same_view(shuffled in Just(many()).prop_shuffle()) {
        let mut roster = roster();
        roster.push((ROOT, certificate(ROOT, 4, 3, &[Role::Release], "acme")));
        roster.push((ROOT, certificate(ROOT, 5, 4, &[Role::Release, Role::Deploy], "")));
        let (view, again) = (view_of(&roster, &many()), view_of(&roster, &shuffled));
        prop_assert_eq!(&view, &again);
        prop_assert_eq!(view.digest(), again.digest());
        prop_assert!(!view.findings.is_empty() && view.deployments.len() > 1);
    }
}
