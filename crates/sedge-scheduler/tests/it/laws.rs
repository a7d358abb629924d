//! What holds for every fleet.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sedge_scheduler::{ControlState, Go, MAX_WITNESSES};
use sedge_statement::{GateReport, NodeId, Percent, RolloutId, SlotState, WaveSize};

use crate::fleet::{Fleet, certificate, deployment, node, render};

const STATES: [SlotState; 8] = [
    SlotState::Committed,
    SlotState::Committed,
    SlotState::Committed,
    SlotState::Failed,
    SlotState::RolledBack,
    SlotState::Rejected,
    SlotState::Superseded,
    SlotState::Expired,
];

#[derive(Debug, Clone)]
struct Setup {
    robots: u8,
    late: u8,
    waves: Vec<u32>,
    quorum: u8,
    max_failed: u32,
    reports: Vec<(u8, usize, u64)>,
    says: Vec<(u8, usize)>,
    control: usize,
    second: bool,
}

fn any_setup() -> impl Strategy<Value = Setup> {
    let waves = prop::collection::vec(0u32..6, 0..5);
    let reports = prop::collection::vec((0u8..30, 0usize..8, 0u64..60), 0..40);
    let says = prop::collection::vec((0u8..30, 0usize..8), 0..10);
    (0u8..30, 0u8..3, waves, 1u8..=100, 0u32..4, reports, says, 0usize..8, any::<bool>()).prop_map(
        |(robots, late, waves, quorum, max_failed, reports, says, control, second)| Setup {
            robots,
            late,
            waves,
            quorum,
            max_failed,
            reports,
            says,
            control,
            second,
        },
    )
}

fn build(setup: &Setup) -> (Fleet, RolloutId) {
    let mut fleet = Fleet::of(setup.robots);
    let mut d = deployment(&fleet, 1);
    d.waves = setup.waves.iter().map(|n| WaveSize::Count(*n)).collect();
    d.gate.quorum = Percent::try_from(setup.quorum).unwrap();
    d.gate.max_failed = setup.max_failed;
    let rollout = fleet.deploy(d);
    let controls = [ControlState::Paused, ControlState::Cancelled, ControlState::Halted];
    fleet.control(rollout, controls.get(setup.control).copied().unwrap_or_default());
    for n in 0..setup.late {
        fleet.enrol(certificate(setup.robots + n));
    }
    if setup.second {
        let mut d = deployment(&fleet, 2);
        d.selector = "node=robot-1".parse().unwrap();
        fleet.deploy(d);
    }
    for (n, state, soaked) in &setup.reports {
        fleet.sign_soaked(rollout, node(*n), STATES[*state], Duration::from_secs(*soaked));
    }
    for (n, state) in &setup.says {
        fleet.say(rollout, node(*n), STATES[*state], None);
    }
    (fleet, rollout)
}

/// How many witnesses of a wave committed and soaked, and how many were not excused.
fn tally(fleet: &Fleet, rollout: RolloutId, members: &[NodeId]) -> (usize, usize) {
    let witnesses = &members[..members.len().min(MAX_WITNESSES)];
    let report = |node: &NodeId| -> Option<&GateReport> { fleet.gates.get(&rollout)?.get(node) };
    let good = |r: &GateReport| r.state == SlotState::Committed && r.soaked >= Duration::from_secs(30);
    let excused = witnesses.iter().filter(|n| report(n).is_some_and(|r| r.state == SlotState::Rejected)).count();
    (witnesses.iter().filter(|n| report(n).is_some_and(good)).count(), witnesses.len() - excused)
}

proptest! {
    #[test]
    fn the_plan_does_not_depend_on_the_order_of_certificates(setup in any_setup(), turn in 0usize..40) {
        let (fleet, _) = build(&setup);
        let mut other = fleet.clone();
        other.certificates.reverse();
        let turn = turn % other.certificates.len().max(1);
        other.certificates.rotate_left(turn);
        prop_assert_eq!(fleet.plan(), other.plan());
        prop_assert_eq!(render(&fleet.plan()).into_bytes(), render(&other.plan()).into_bytes());
    }

    #[test]
    fn waves_partition_the_roster(setup in any_setup()) {
        let (fleet, rollout) = build(&setup);
        let plan = fleet.plan();
        let members: Vec<NodeId> = plan.rollouts[&rollout].waves.iter().flat_map(|w| w.members.clone()).collect();
        let set: BTreeSet<NodeId> = members.iter().copied().collect();
        prop_assert_eq!(set.len(), members.len());
        prop_assert_eq!(set, (0..setup.robots).map(node).collect::<BTreeSet<_>>());
        prop_assert!(plan.rollouts[&rollout].waves.iter().all(|wave| !wave.members.is_empty()));
        let late: BTreeSet<NodeId> = plan.rollouts[&rollout].late.iter().flat_map(|w| w.members.clone()).collect();
        prop_assert_eq!(late, (setup.robots..setup.robots + setup.late).map(node).collect::<BTreeSet<_>>());
    }

    #[test]
    fn no_wave_opens_without_the_quorum_of_the_one_before(setup in any_setup()) {
        let (fleet, rollout) = build(&setup);
        let plan = fleet.plan();
        let r = &plan.rollouts[&rollout];
        for pair in r.waves.windows(2) {
            if pair[1].gate.is_open() && r.state != sedge_scheduler::RolloutState::Completed {
                prop_assert!(pair[0].gate.is_open());
                let (good, judged) = tally(&fleet, rollout, &pair[0].members);
                prop_assert!(good >= 1);
                prop_assert!(good * 100 >= judged * usize::from(setup.quorum));
            }
        }
        for wave in &r.waves {
            for member in &wave.members {
                let assignment = plan.assignments.get(&(*member, crate::fleet::slot()));
                if assignment.is_some_and(|a| a.rollout == rollout && a.go == Go::Now) && !wave.gate.is_open() {
                    // Only a node that is active already may go on in a wave that is closed: nothing is left to start.
                    let signed = fleet.gates.get(&rollout).and_then(|reports| reports.get(member));
                    let signed = signed.is_some_and(|report| report.state == SlotState::Committed);
                    let said = fleet.slots.get(&(*member, crate::fleet::slot()));
                    let said = said.is_some_and(|report| report.state == SlotState::Committed);
                    prop_assert!(signed || said);
                }
            }
        }
    }

    #[test]
    fn one_more_failure_never_opens_a_wave(setup in any_setup(), failing in 0u8..30) {
        let (fleet, rollout) = build(&setup);
        let mut worse = fleet.clone();
        worse.sign(rollout, node(failing), SlotState::Failed);
        let (before, after) = (fleet.plan(), worse.plan());
        let pairs = before.rollouts[&rollout].waves.iter().zip(&after.rollouts[&rollout].waves);
        let excused = |f: &Fleet| f.gates.get(&rollout).and_then(|g| g.get(&node(failing))).map(|r| r.state);
        for (before, after) in pairs {
            prop_assert!(before.gate.is_open() || !after.gate.is_open(), "was {:?}", excused(&fleet));
        }
    }

    #[test]
    fn what_nodes_say_of_their_slots_opens_no_wave(setup in any_setup()) {
        let (fleet, rollout) = build(&setup);
        let mut silent = fleet.clone();
        silent.slots.clear();
        let (a, b) = (fleet.plan(), silent.plan());
        let done = |p: &sedge_scheduler::Plan| p.rollouts[&rollout].state == sedge_scheduler::RolloutState::Completed;
        if !done(&a) && !done(&b) {
            prop_assert_eq!(crate::fleet::open(&a, rollout), crate::fleet::open(&b, rollout));
        }
    }
}
