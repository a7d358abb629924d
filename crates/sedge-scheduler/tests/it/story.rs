//! What opens a wave, and what ends a rollout.

use std::time::Duration;

use sedge_scheduler::{Approvals, ControlState, Go, Reason, RolloutState, WaveGate};
use sedge_statement::{Action, Deployment, Percent, Role, SlotState, WaveSize};

use crate::fleet::{Fleet, NOW, by, certificate, deployment, gate, node, open, slot};

#[test]
fn the_canary_starts_at_once_and_the_rest_waits_for_its_soak() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let plan = fleet.plan();
    assert_eq!(open(&plan, rollout), [true, false]);
    let canary = plan.rollouts[&rollout].waves[0].members[0];
    let second = plan.rollouts[&rollout].waves[1].members[0];
    assert_eq!(plan.assignments[&(canary, slot())].go, Go::Now);
    assert!(matches!(plan.assignments[&(second, slot())].go, Go::Wait(Reason::NoQuorum { .. })));

    fleet.sign_soaked(rollout, canary, SlotState::Committed, Duration::from_secs(29));
    let plan = fleet.plan();
    assert_eq!(open(&plan, rollout), [true, false]);
    let WaveGate::Closed(Reason::NoQuorum { soaking, waiting_for, .. }) = gate(&plan, rollout, 1) else { panic!() };
    assert_eq!((soaking.len(), waiting_for.len()), (1, 0));

    fleet.sign(rollout, canary, SlotState::Committed);
    let plan = fleet.plan();
    assert_eq!(open(&plan, rollout), [true, true]);
    assert_eq!(plan.assignments[&(second, slot())].go, Go::Now);
}

#[test]
fn a_failed_canary_halts_the_rollout_and_frees_the_others() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let canary = fleet.plan().rollouts[&rollout].waves[0].members[0];
    fleet.sign(rollout, canary, SlotState::RolledBack);
    let plan = fleet.plan();
    assert_eq!(plan.rollouts[&rollout].state, RolloutState::Halted);
    assert_eq!(open(&plan, rollout), [false, false]);
    assert!(plan.assignments.is_empty(), "each node keeps what it serves");
}

#[test]
fn a_failure_in_a_wave_that_is_closed_halts_nothing() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let second = fleet.plan().rollouts[&rollout].waves[1].members[0];
    fleet.sign(rollout, second, SlotState::Failed);
    assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Running);
}

#[test]
fn a_witness_that_takes_its_word_back_does_not_undo_a_halt() {
    let mut fleet = Fleet::of(5);
    let mut d = deployment(&fleet, 1);
    d.gate.max_failed = 1;
    let rollout = fleet.deploy(d);
    let plan = fleet.plan();
    let waves = plan.rollouts[&rollout].waves.clone();
    fleet.sign(rollout, waves[0].members[0], SlotState::Committed);
    fleet.sign(rollout, waves[1].members[0], SlotState::Failed);
    fleet.sign(rollout, waves[1].members[1], SlotState::Failed);
    assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Halted);
    for state in [SlotState::Failed, SlotState::Rejected, SlotState::Superseded] {
        fleet.sign(rollout, waves[0].members[0], state);
        assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Halted, "{state}");
    }
}

#[test]
fn failures_that_are_borne_do_not_halt_and_one_more_does() {
    let mut fleet = Fleet::of(5);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![WaveSize::Count(4)];
    d.gate.max_failed = 1;
    d.gate.quorum = Percent::try_from(50).unwrap();
    let rollout = fleet.deploy(d);
    let wave = fleet.plan().rollouts[&rollout].waves[0].members.clone();
    fleet.sign(rollout, wave[0], SlotState::Failed);
    fleet.sign(rollout, wave[1], SlotState::Committed);
    fleet.sign(rollout, wave[2], SlotState::Committed);
    assert_eq!(open(&fleet.plan(), rollout), [true, true]);
    fleet.sign(rollout, wave[3], SlotState::Failed);
    assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Halted);
}

#[test]
fn a_wave_of_nodes_that_are_all_unfit_never_opens_the_next() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let canary = fleet.plan().rollouts[&rollout].waves[0].members[0];
    fleet.sign(rollout, canary, SlotState::Rejected);
    let plan = fleet.plan();
    assert_eq!(open(&plan, rollout), [true, false]);
    assert_eq!(plan.rollouts[&rollout].state, RolloutState::Stalled);
    assert_eq!(
        plan.rollouts[&rollout].reason,
        Some(Reason::Stalled { wave: 0, needed: 1, committed: 0, ended: vec![] })
    );
}

#[test]
fn an_unfit_node_is_excused_from_the_quorum() {
    let mut fleet = Fleet::of(4);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![WaveSize::Count(2)];
    let rollout = fleet.deploy(d);
    let wave = fleet.plan().rollouts[&rollout].waves[0].members.clone();
    fleet.sign(rollout, wave[0], SlotState::Rejected);
    fleet.sign(rollout, wave[1], SlotState::Committed);
    assert_eq!(open(&fleet.plan(), rollout), [true, true]);
}

#[test]
fn a_selector_that_names_nobody_fails() {
    let mut fleet = Fleet::of(3);
    let mut d = deployment(&fleet, 1);
    d.selector = "cell=nowhere".parse().unwrap();
    let rollout = fleet.deploy(d);
    let plan = fleet.plan();
    assert_eq!(plan.rollouts[&rollout].state, RolloutState::Failed);
    assert!(matches!(plan.rollouts[&rollout].reason, Some(Reason::NoTarget(_))));
}

#[test]
fn a_node_without_the_role_device_is_not_named() {
    let mut fleet = Fleet::of(2);
    let mut observer = certificate(2);
    observer.roles = [Role::Observe].into();
    fleet.enrol(observer);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    assert!(!fleet.plan().rollouts[&rollout].nodes.contains_key(&node(2)));
}

#[test]
fn the_newest_certificate_at_the_frontier_counts() {
    let mut fleet = Fleet::of(2);
    let mut moved = certificate(1);
    (moved.serial, moved.revision) = (3, 2);
    moved.cell = "globex".parse().unwrap();
    fleet.enrol(moved);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    assert!(!fleet.plan().rollouts[&rollout].nodes.contains_key(&node(1)));
}

#[test]
fn nothing_starts_while_certificates_are_missing() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    fleet.certificates.pop();
    fleet.frontier.0.values_mut().for_each(|last| *last -= 1);
    let plan = fleet.plan();
    assert!(plan.rollouts[&rollout].waves.is_empty());
    assert!(matches!(plan.rollouts[&rollout].reason, Some(Reason::RosterIncomplete { have: 2, need: 3, .. })));
    assert_eq!(plan.assignments.len(), 2);
    let waits = |go: &Go| matches!(go, Go::Wait(Reason::RosterIncomplete { .. }));
    assert!(plan.assignments.values().all(|assignment| waits(&assignment.go)));
}

#[test]
fn nothing_starts_while_the_release_is_unknown_or_the_rollout_is_held() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let releases = std::mem::take(&mut fleet.releases);
    let held = |fleet: &Fleet| {
        let plan = fleet.plan();
        assert_eq!(open(&plan, rollout), [false, false]);
        assert!(plan.assignments.values().all(|assignment| assignment.go != Go::Now));
        plan.rollouts[&rollout].state
    };
    assert_eq!(held(&fleet), RolloutState::Running);
    fleet.releases = releases;
    fleet.control(rollout, ControlState::Paused(by()));
    assert_eq!(held(&fleet), RolloutState::Paused);
    fleet.control(rollout, ControlState::AwaitingApproval(Approvals { deployment: (1, 2), release: (1, 1) }));
    assert_eq!(held(&fleet), RolloutState::AwaitingApproval);
    fleet.control(rollout, ControlState::Cancelled(by()));
    assert_eq!(held(&fleet), RolloutState::Cancelled);
    fleet.control(rollout, ControlState::Halted(by()));
    assert_eq!(held(&fleet), RolloutState::Halted);
}

#[test]
fn late_nodes_follow_the_last_wave() {
    let mut fleet = Fleet::of(2);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    fleet.enrol(certificate(2));
    let late = |fleet: &Fleet| fleet.plan().assignments[&(node(2), slot())].go.clone();
    assert_eq!(late(&fleet), Go::Wait(Reason::LastWaveClosed));
    let canary = fleet.plan().rollouts[&rollout].waves[0].members[0];
    fleet.sign(rollout, canary, SlotState::Committed);
    assert_eq!(late(&fleet), Go::Now);
}

#[test]
fn past_start_by_a_node_that_has_started_goes_on() {
    let mut fleet = Fleet::of(2);
    let mut d = deployment(&fleet, 1);
    d.waves.clear();
    d.start_by = Some(NOW);
    let rollout = fleet.deploy(d);
    fleet.say(rollout, node(0), SlotState::Fetching, None);
    fleet.say(rollout, node(1), SlotState::Waiting, None);
    let plan = fleet.plan();
    assert_eq!(plan.assignments[&(node(0), slot())].go, Go::Now);
    assert_eq!(plan.assignments[&(node(1), slot())].go, Go::Wait(Reason::StartByPassed(NOW)));
}

#[test]
fn a_rollout_completes_when_all_are_done_and_expires_with_the_names_of_the_others() {
    let mut fleet = Fleet::of(2);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let canary = fleet.plan().rollouts[&rollout].waves[0].members[0];
    let other = fleet.plan().rollouts[&rollout].waves[1].members[0];
    fleet.sign(rollout, canary, SlotState::Committed);
    let mut expired = fleet.clone();
    expired.now = NOW.plus(Duration::from_secs(86_400));
    let plan = expired.plan();
    assert_eq!(plan.rollouts[&rollout].state, RolloutState::Expired);
    assert_eq!(plan.rollouts[&rollout].reason, Some(Reason::Unreached(vec![plan.who(other)])));
    // Only the node that committed keeps following it.
    assert_eq!(plan.assignments.keys().map(|(node, _)| *node).collect::<Vec<_>>(), [canary]);

    fleet.sign(rollout, other, SlotState::Committed);
    assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Completed);
    fleet.now = expired.now;
    assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Completed);
}

#[test]
fn a_rollout_long_over_says_no_more_than_that_and_nodes_keep_what_they_serve() {
    let mut fleet = Fleet::of(2);
    let d = deployment(&fleet, 1);
    let deadline = d.deadline;
    let rollout = fleet.deploy(d);
    fleet.sign(rollout, node(0), SlotState::Committed);
    fleet.say(rollout, node(1), SlotState::Committed, None);
    fleet.now = deadline.plus(Deployment::EVIDENCE_KEPT);
    // Whether any of the evidence is still here makes no difference.
    for evidence in [true, false] {
        if !evidence {
            fleet.gates.clear();
        }
        let plan = fleet.plan();
        let of = &plan.rollouts[&rollout];
        assert_eq!((of.state, &of.reason), (RolloutState::Expired, &Some(Reason::LongOver(deadline))));
        assert!(of.over && of.waves.is_empty());
        assert_eq!(plan.assignments[&(node(1), slot())].go, Go::Now, "what is served stays");
    }
    assert!(!fleet.plan().is_witness(rollout, node(1)), "nobody asks for evidence on it");
}

#[test]
fn staging_counts_as_success_where_no_more_was_asked_and_nowhere_else() {
    let mut fleet = Fleet::of(2);
    let mut d = deployment(&fleet, 1);
    d.action = Action::StageOnly;
    let stage = fleet.deploy(d);
    let activate = fleet.deploy(deployment(&fleet, 2));
    for rollout in [stage, activate] {
        let canary = fleet.plan().rollouts[&rollout].waves[0].members[0];
        fleet.sign_soaked(rollout, canary, SlotState::Staged, Duration::ZERO);
    }
    assert_eq!(open(&fleet.plan(), stage), [true, true]);
    assert_eq!(open(&fleet.plan(), activate), [true, false]);
}

#[test]
fn sixty_four_witnesses_speak_for_a_large_wave() {
    let mut fleet = Fleet::of(100);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![WaveSize::Count(90)];
    let rollout = fleet.deploy(d);
    let members = fleet.plan().rollouts[&rollout].waves[0].members.clone();
    assert_eq!(fleet.plan().rollouts[&rollout].waves[0].witnesses, 64);
    for node in &members[..63] {
        fleet.sign(rollout, *node, SlotState::Committed);
    }
    for node in &members[64..] {
        fleet.sign(rollout, *node, SlotState::Committed);
    }
    assert_eq!(open(&fleet.plan(), rollout), [true, false]);
    fleet.sign(rollout, members[63], SlotState::Committed);
    let plan = fleet.plan();
    assert_eq!(open(&plan, rollout), [true, true]);
    assert!(plan.is_witness(rollout, members[63]) && !plan.is_witness(rollout, members[64]));
}
