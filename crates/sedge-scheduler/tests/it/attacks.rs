//! Members that say what they like of themselves and others: the plan hears whom it must, and nobody else.

use std::collections::BTreeSet;
use std::time::Duration;

use sedge_scheduler::{Fit, Go, RolloutState, Unfit, choose, fit as fits};
use sedge_statement::{Generation, Role, SlotState};

use crate::fit::{profile, variant};
use crate::fleet::{Fleet, NOW, RELEASE, certificate, deployment, node, open, slot};

/// A canary and nine more, the canary first.
fn rollout(fleet: &mut Fleet) -> (sedge_statement::RolloutId, Vec<sedge_statement::NodeId>) {
    let wish = deployment(fleet, 1);
    let id = fleet.deploy(wish);
    let plan = fleet.plan();
    (id, plan.rollouts[&id].waves.iter().flat_map(|wave| wave.members.clone()).collect())
}

#[test]
fn lying_aggregator_that_says_everybody_is_done_opens_no_wave() {
    let mut fleet = Fleet::of(10);
    let mut aggregator = certificate(40);
    aggregator.roles = BTreeSet::from([Role::Aggregate, Role::Observe]);
    fleet.enrol(aggregator);
    let (id, members) = rollout(&mut fleet);
    let before = fleet.plan();
    // In its own name, and as reports of slots, which is how summaries are made.
    fleet.sign_soaked(id, node(40), SlotState::Committed, Duration::from_secs(86_400));
    for member in &members {
        fleet.say(id, *member, SlotState::Committed, Some(RELEASE));
    }
    let plan = fleet.plan();
    assert_eq!(open(&plan, id), [true, false]);
    assert_eq!(open(&plan, id), open(&before, id));
    for member in &members[1..] {
        assert!(matches!(plan.assignments[&(*member, slot())].go, Go::Wait(_)), "{member} starts");
    }
}

#[test]
fn forged_wave_evidence_by_nodes_that_are_no_witnesses_of_the_wave_opens_nothing() {
    let mut fleet = Fleet::of(10);
    let (id, members) = rollout(&mut fleet);
    // All of the second wave, and twenty that are in none.
    for other in members[1..].iter().copied().chain((100..120).map(node)) {
        fleet.sign(id, other, SlotState::Committed);
    }
    assert_eq!(open(&fleet.plan(), id), [true, false]);
    // What the canary itself signs does, once it has soaked.
    fleet.sign_soaked(id, members[0], SlotState::Committed, Duration::from_secs(1));
    assert_eq!(open(&fleet.plan(), id), [true, false]);
    fleet.sign(id, members[0], SlotState::Committed);
    assert_eq!(open(&fleet.plan(), id), [true, true]);
}

#[test]
fn forged_wave_evidence_of_failures_by_those_whose_wave_never_opened_halts_nothing() {
    let mut fleet = Fleet::of(10);
    let (id, members) = rollout(&mut fleet);
    for other in members[1..].iter().copied().chain((100..120).map(node)) {
        fleet.sign(id, other, SlotState::Failed);
    }
    let plan = fleet.plan();
    assert_ne!(plan.rollouts[&id].state, RolloutState::Halted);
    assert_eq!(plan.assignments[&(members[0], slot())].go, Go::Now);
}

#[test]
fn indefinite_freeze_past_start_by_lets_nobody_begin_and_takes_nothing_away() {
    let mut fleet = Fleet::of(3);
    let mut wish = deployment(&fleet, 1);
    wish.waves = vec![];
    wish.start_by = Some(NOW.plus(Duration::from_secs(60)));
    let id = fleet.deploy(wish);
    fleet.say(id, node(0), SlotState::Fetching, None);
    fleet.now = NOW.plus(Duration::from_secs(61));
    let plan = fleet.plan();
    assert_eq!(plan.assignments[&(node(0), slot())].go, Go::Now, "what has started goes on");
    for n in [1, 2] {
        let Go::Wait(why) = &plan.assignments[&(node(n), slot())].go else { panic!("node {n} starts") };
        assert!(why.to_string().contains("start"), "{why}");
    }
}

#[test]
fn self_declared_label_or_hardware_is_in_no_selector() {
    let mut fleet = Fleet::of(2);
    // What a node says of its slots and its machine is no part of what a selector sees; only certificates are.
    for selector in ["label.site=oslo", "arch=riscv64", "class=jetson-orin", "node=impostor", "cell=other/**"] {
        let mut wish = deployment(&fleet, 1);
        wish.selector = selector.parse().unwrap();
        let id = fleet.deploy(wish);
        fleet.say(id, node(0), SlotState::Committed, Some(RELEASE));
        fleet.sign(id, node(0), SlotState::Committed);
        let plan = fleet.plan();
        assert_eq!(plan.rollouts[&id].state, RolloutState::Failed, "{selector} matches nobody");
        assert!(plan.rollouts[&id].nodes.is_empty(), "{selector}");
    }
    let mut labelled = certificate(1);
    (labelled.serial, labelled.revision) = (9, 2);
    labelled.labels = [("site".parse().unwrap(), "oslo".parse().unwrap())].into();
    fleet.enrol(labelled);
    let mut wish = deployment(&fleet, 2);
    wish.selector = "label.site=oslo".parse().unwrap();
    let id = fleet.deploy(wish);
    assert_eq!(fleet.plan().rollouts[&id].nodes.keys().collect::<Vec<_>>(), [&node(1)]);
}

#[test]
fn fast_forward_recovery_a_first_deployment_under_new_roots_wins_over_any_before() {
    let mut fleet = Fleet::of(2);
    let mut stolen = deployment(&fleet, 1_000_000);
    stolen.waves = vec![];
    let mut anew = stolen.clone();
    anew.generation = Generation { epoch: 1, n: 1 };
    let (stolen, anew) = (fleet.deploy(stolen), fleet.deploy(anew));
    let plan = fleet.plan();
    for n in [0, 1] {
        let won = &plan.assignments[&(node(n), slot())];
        assert_eq!((won.rollout, won.superseded.contains(&stolen)), (anew, true));
    }
}

#[test]
fn wrong_software_for_the_device_names_all_that_speaks_against_it() {
    let (mut variant, profile) = (variant("model", 1 << 20), profile());
    assert!(fits(&variant, &profile).is_feasible());
    variant.requirements.architectures = ["aarch64".parse().unwrap()].into();
    variant.requirements.memory = sedge_statement::ByteSize(u64::MAX);
    let Fit::Unfit(against) = fits(&variant, &profile) else { panic!("it fits") };
    assert!(against.iter().any(|reason| matches!(reason, Unfit::Architecture { .. })), "{against:?}");
    assert!(against.iter().any(|reason| matches!(reason, Unfit::Memory { .. })), "{against:?}");
    assert!(choose(&[variant], &profile).is_err());
}
