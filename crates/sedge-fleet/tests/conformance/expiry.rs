//! What a role says ends with the certificate that gave it, and begins with it.

use sedge_fleet::{CertificateRefusal, Edit, FindingKind, PublishError};
use sedge_statement::{Approval, Approved, Certificate, ControlAction, Role};

use crate::statements::{DAY, certified, control, deployment, first, four, issued, release, say, tried, writes};
use crate::support::{Net, Node, START, certificate, id};

/// The end of the certificate that node 4 has, which is the root's neighbour.
const END: sedge_statement::Timestamp = START;

/// Four members, and a fifth whose certificate ends after a day, or begins after one.
fn with_fifth(change: impl FnOnce(&mut Certificate)) -> Net {
    let mut net = four();
    let mut fifth = Node::stranger(4);
    fifth.publish(certificate(0, &Role::ALL));
    fifth.publish(certified(4, &[Role::Release, Role::Deploy], change));
    net.nodes.insert(4, fifth);
    net.connect(0, 4);
    net.run(8);
    net
}

fn ends(certificate: &mut Certificate) {
    certificate.not_after = Some(END.plus(DAY));
}

/// Whether somebody else refused something of the fifth.
fn is_named(net: &mut Net) -> bool {
    net.node(3).view().findings.iter().any(|f| (f.kind, f.about) == (FindingKind::NotAllowed, id(4)))
}

#[test]
fn expiry_of_a_releaser_silences_what_it_publishes_after_and_nothing_before() {
    let mut net = with_fifth(ends);
    let (before, after) = (release("before", END), release("after", END.plus(DAY)));
    writes(&mut net, 4, &[Edit::PutRelease(before.clone()), Edit::PutRelease(after)]);
    assert_eq!(net.node(3).view().releases.keys().collect::<Vec<_>>(), [&before.id()]);
    assert!(is_named(&mut net));
}

#[test]
fn expiry_of_a_deployer_silences_deployments_controls_and_approvals() {
    let mut net = with_fifth(ends);
    let model = release("digits", START);
    let (early, late) = (deployment(model.id(), first(1), END), deployment(model.id(), first(2), END.plus(DAY)));
    let honest = deployment(model.id(), first(3), START);
    writes(&mut net, 1, &[Edit::PutRelease(model), Edit::PutDeployment(honest.clone())]);
    writes(&mut net, 4, &[Edit::PutDeployment(early.clone()), Edit::PutDeployment(late.clone())]);
    let approval = Approval { of: Approved::Rollout(honest.id()), at: END.plus(DAY) };
    let halt = control(honest.id(), ControlAction::Halt, 1, END.plus(2 * DAY));
    writes(&mut net, 4, &[halt, Edit::PutApproval(approval)]);
    let view = net.node(3).view();
    assert!(view.deployments.contains_key(&early.id()) && !view.deployments.contains_key(&late.id()));
    let spared = &view.deployments[&honest.id()];
    assert_eq!(spared.control.to_string(), "running");
    assert!(!spared.agreement.given.contains(&id(4)));
    assert!(is_named(&mut net));
}

#[test]
fn not_yet_valid_certificate_of_an_authority_says_nothing_before_its_first_date() {
    let mut net = with_fifth(|c| c.not_before = START.plus(DAY));
    let (early, due) = (release("early", START), release("due", START.plus(DAY)));
    net.now = START.plus(2 * DAY);
    net.connect(0, 4);
    net.run(8);
    writes(&mut net, 4, &[Edit::PutRelease(early), Edit::PutRelease(due.clone())]);
    let view = net.node(3).fleet.view(START.plus(2 * DAY));
    assert_eq!(view.releases.keys().collect::<Vec<_>>(), [&due.id()]);
    // Nor is it a member before: what it says is kept, and heard by nobody.
    assert!(net.node(3).fleet.admit(id(4), START.plus(DAY)));
    assert!(!net.node(3).fleet.admit(id(9), START.plus(DAY)));
}

#[test]
fn expired_certificate_of_an_authority_that_is_renewed_speaks_again() {
    let mut net = with_fifth(ends);
    let after = release("after", END.plus(2 * DAY));
    writes(&mut net, 4, &[Edit::PutRelease(after.clone())]);
    assert!(net.node(3).view().releases.is_empty());
    let renewed = certified(4, &[Role::Release, Role::Deploy], |c| {
        (c.serial, c.revision, c.not_before, c.not_after) = (50, 2, END.plus(DAY), Some(END.plus(9 * DAY)));
    });
    say(&mut net, 0, renewed);
    assert_eq!(net.node(3).fleet.view(END.plus(3 * DAY)).releases.keys().collect::<Vec<_>>(), [&after.id()]);
}

#[test]
fn expiry_of_an_enroller_bounds_whatever_it_issues() {
    let mut net = four();
    say(&mut net, 0, certified(5, &[Role::Enroll, Role::Device], ends));
    let wide = issued(5, 6, 1, &[Role::Device], |_| {});
    let later = issued(5, 6, 1, &[Role::Device], |c| c.not_after = Some(END.plus(2 * DAY)));
    for object in [wide, later] {
        let refused = tried(&mut net, 1, object).unwrap_err();
        assert_eq!(refused, PublishError::Certificate(CertificateRefusal::WiderDates));
    }
    say(&mut net, 1, issued(5, 6, 1, &[Role::Device], ends));
    assert!(net.node(3).view().members.contains_key(&id(6)));
}

#[test]
fn expiry_of_a_device_leaves_it_its_membership_and_so_its_next_certificate() {
    let mut net = with_fifth(ends);
    net.now = END.plus(30 * DAY);
    net.run(8);
    let now = net.now;
    assert!(net.node(0).fleet.admit(id(4), now));
    let renewed = certified(4, &[Role::Device], |c| (c.serial, c.revision) = (51, 2));
    say(&mut net, 1, renewed);
    net.run(8);
    assert_eq!(net.node(4).fleet.view(now).members[&id(4)].revision, 2, "it came over its own connection");
}
