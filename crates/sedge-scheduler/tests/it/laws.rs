//! What holds for every fleet.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sedge_scheduler::{ControlState, Go, MAX_WITNESSES, RolloutState};
use sedge_statement::{GateReport, NodeId, Percent, RolloutId, SlotState, WaveSize};

use crate::fleet::{Fleet, by, certificate, deployment, node, render};

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
    waves: Vec<(u8, u8)>,
    quorum: u8,
    max_failed: u32,
    reports: Vec<(u8, usize, u64)>,
    says: Vec<(u8, usize)>,
    control: usize,
    second: bool,
}

fn any_setup() -> impl Strategy<Value = Setup> {
    let waves = prop::collection::vec((0u8..3, 0u8..40), 0..5);
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

/// A size of any kind, sensible or not: readers bear what authors write.
fn size(kind: u8, n: u8) -> WaveSize {
    match kind {
        0 => WaveSize::Count(u32::from(n % 6)),
        1 => WaveSize::Share(Percent::try_from(1 + n * 2).unwrap()),
        _ => WaveSize::Named([node(n), node(n / 2)].into_iter().collect::<BTreeSet<_>>().try_into().unwrap()),
    }
}

fn build(setup: &Setup) -> (Fleet, RolloutId) {
    let mut fleet = Fleet::of(setup.robots);
    let mut d = deployment(&fleet, 1);
    d.waves = setup.waves.iter().map(|(kind, n)| size(*kind, *n)).collect();
    d.gate.quorum = Percent::try_from(setup.quorum).unwrap();
    d.gate.max_failed = setup.max_failed;
    let rollout = fleet.deploy(d);
    let controls = [ControlState::Paused(by()), ControlState::Cancelled(by()), ControlState::Halted(by())];
    fleet.control(rollout, controls.get(setup.control).cloned().unwrap_or_default());
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
        let named = setup.waves.iter().filter(|(kind, _)| *kind == 2).count();
        let empty = plan.rollouts[&rollout].waves.iter().filter(|wave| wave.members.is_empty()).count();
        prop_assert!(empty <= named, "only a wave of named nodes is kept where it is empty");
        for wave in &plan.rollouts[&rollout].waves {
            let q = &wave.quorum;
            let lists = [&q.committed, &q.soaking, &q.excused, &q.ended, &q.silent];
            let mut judged: Vec<NodeId> = lists.into_iter().flatten().copied().collect();
            let mut witnesses = wave.members[..wave.witnesses].to_vec();
            judged.sort_unstable();
            witnesses.sort_unstable();
            prop_assert_eq!(judged, witnesses);
        }
        let late: BTreeSet<NodeId> = plan.rollouts[&rollout].late.iter().flat_map(|w| w.members.clone()).collect();
        prop_assert_eq!(late, (setup.robots..setup.robots + setup.late).map(node).collect::<BTreeSet<_>>());
    }

    #[test]
    fn no_wave_opens_without_the_quorum_of_the_one_before(setup in any_setup()) {
        let (fleet, rollout) = build(&setup);
        let plan = fleet.plan();
        let r = &plan.rollouts[&rollout];
        for pair in r.waves.windows(2) {
            if pair[1].gate.is_open() && r.state != RolloutState::Completed {
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
        let done = |p: &sedge_scheduler::Plan| p.rollouts[&rollout].state == RolloutState::Completed;
        if !done(&a) && !done(&b) {
            prop_assert_eq!(crate::fleet::open(&a, rollout), crate::fleet::open(&b, rollout));
        }
    }

    #[test]
    fn a_halt_is_absorbing_whatever_witnesses_say_later(
        setup in any_setup(),
        later in prop::collection::vec((0u8..30, 0usize..8, 0u64..60), 1..30),
    ) {
        let (mut fleet, rollout) = build(&setup);
        let mut halted = false;
        for (n, state, soaked) in later {
            // What the fold hands in: a node's first failing report, else its last.
            let held = fleet.gates.get(&rollout).and_then(|reports| reports.get(&node(n)));
            if held.is_none_or(|report| !report.state.is_failure()) {
                fleet.sign_soaked(rollout, node(n), STATES[state], Duration::from_secs(soaked));
            }
            let state = fleet.plan().rollouts[&rollout].state;
            prop_assert!(!halted || state == RolloutState::Halted, "{state}");
            halted = state == RolloutState::Halted;
        }
    }

    #[test]
    fn a_rollout_is_stalled_exactly_where_no_report_that_can_come_opens_its_wave(
        reports in prop::collection::vec(0usize..5, 1..7),
        quorum in 1u8..=100,
    ) {
        let mut fleet = Fleet::of(8);
        let mut d = deployment(&fleet, 1);
        d.waves = vec![WaveSize::Count(u32::try_from(reports.len()).unwrap())];
        d.gate.quorum = Percent::try_from(quorum).unwrap();
        d.gate.max_failed = 9;
        let rollout = fleet.deploy(d);
        let canaries = fleet.plan().rollouts[&rollout].waves[0].members.clone();
        let mut undecided = Vec::new();
        for (node, report) in canaries.iter().zip(&reports) {
            match report {
                0 => undecided.push(*node),
                1 => fleet.sign(rollout, *node, SlotState::Committed),
                2 => fleet.sign(rollout, *node, SlotState::Rejected),
                3 => fleet.sign(rollout, *node, SlotState::Failed),
                _ => fleet.sign_soaked(rollout, *node, SlotState::Committed, Duration::ZERO),
            }
        }
        let soaking: Vec<NodeId> = canaries.iter().zip(&reports).filter(|(_, r)| **r == 4).map(|(n, _)| *n).collect();
        soaking.iter().for_each(|node| assert!(!undecided.contains(node)));
        let state = fleet.plan().rollouts[&rollout].state;
        // Every way in which the silent may still report, as digits to the base of three.
        let ways = 3usize.pow(u32::try_from(undecided.len()).unwrap());
        let opens = (0..ways).any(|way| {
            let mut then = fleet.clone();
            soaking.iter().for_each(|node| then.sign(rollout, *node, SlotState::Committed));
            for (i, node) in undecided.iter().enumerate() {
                let state = [SlotState::Committed, SlotState::Rejected, SlotState::Failed];
                then.sign(rollout, *node, state[way / 3usize.pow(u32::try_from(i).unwrap()) % 3]);
            }
            crate::fleet::open(&then.plan(), rollout)[1]
        });
        prop_assert_eq!(state == RolloutState::Stalled, !opens, "{}", state);
    }
}
