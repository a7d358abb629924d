//! Who wins a slot.

use sedge_scheduler::{ControlState, RolloutState};
use sedge_statement::{ReleaseId, SlotState};

use crate::fleet::{Fleet, RELEASE, by, deployment, node, slot};

const NEWER: ReleaseId = ReleaseId::from_bytes([0xBB; 32]);

/// Two deployments for the same nodes, the second newer and of another release.
fn two() -> (Fleet, sedge_statement::RolloutId, sedge_statement::RolloutId) {
    let mut fleet = Fleet::of(3);
    fleet.releases.insert(NEWER);
    let first = fleet.deploy(deployment(&fleet, 1));
    let mut d = deployment(&fleet, 2);
    d.release = NEWER;
    d.waves.clear();
    let second = fleet.deploy(d);
    (fleet, first, second)
}

#[test]
fn the_higher_generation_wins_and_the_loser_is_superseded() {
    let (fleet, first, second) = two();
    let plan = fleet.plan();
    for n in 0..3 {
        let assignment = &plan.assignments[&(node(n), slot())];
        assert_eq!((assignment.rollout, assignment.superseded.as_slice()), (second, &[first][..]));
        assert_eq!(plan.rollouts[&first].nodes[&node(n)].state, SlotState::Superseded);
    }
    assert_eq!(plan.rollouts[&first].state, RolloutState::Superseded);
}

#[test]
fn a_rollout_that_is_superseded_on_its_way_never_counts_as_completed() {
    let (mut fleet, first, _) = two();
    fleet.sign(first, node(0), SlotState::Committed);
    assert_eq!(fleet.plan().rollouts[&first].state, RolloutState::Superseded, "one of three is not all");
    fleet.sign(first, node(1), SlotState::Committed);
    fleet.sign(first, node(2), SlotState::Committed);
    assert_eq!(fleet.plan().rollouts[&first].state, RolloutState::Completed, "what was reached before stays reached");
}

#[test]
fn of_equal_generations_the_greater_id_wins() {
    let mut fleet = Fleet::of(2);
    let ids = [1, 2, 3].map(|n| {
        let mut d = deployment(&fleet, 7);
        d.command = uuid::Uuid::from_u128(n);
        fleet.deploy(d)
    });
    let plan = fleet.plan();
    assert_eq!(plan.assignments[&(node(0), slot())].rollout, ids.into_iter().max().unwrap());
}

#[test]
fn a_cancelled_rollout_gives_the_slot_back_where_it_is_not_active() {
    let (mut fleet, first, second) = two();
    fleet.say(second, node(0), SlotState::Committed, Some(NEWER));
    fleet.say(second, node(1), SlotState::Fetching, Some(RELEASE));
    for control in [ControlState::Cancelled(by()), ControlState::Halted(by())] {
        fleet.control(second, control);
        let plan = fleet.plan();
        assert_eq!(plan.assignments[&(node(0), slot())].rollout, second);
        assert_eq!(plan.assignments[&(node(1), slot())].rollout, first);
        assert_eq!(plan.assignments[&(node(2), slot())].rollout, first);
    }
}

#[test]
fn after_a_halt_by_failures_each_node_keeps_what_it_serves() {
    let (mut fleet, first, second) = two();
    fleet.say(second, node(0), SlotState::Committed, Some(NEWER));
    fleet.sign(second, node(1), SlotState::RolledBack);
    fleet.say(second, node(1), SlotState::RolledBack, Some(RELEASE));
    let plan = fleet.plan();
    assert_eq!(plan.rollouts[&second].state, RolloutState::Halted);
    assert_eq!(plan.assignments[&(node(0), slot())].rollout, second, "what is active stays");
    assert_eq!(plan.assignments[&(node(1), slot())].rollout, first);
    assert_eq!(plan.assignments[&(node(2), slot())].rollout, first);
}

#[test]
fn rollouts_for_other_slots_do_not_meet() {
    let mut fleet = Fleet::of(1);
    let first = fleet.deploy(deployment(&fleet, 1));
    let mut d = deployment(&fleet, 2);
    d.slot = "assistant".parse().unwrap();
    let second = fleet.deploy(d.clone());
    let plan = fleet.plan();
    assert_eq!(plan.assignments[&(node(0), slot())].rollout, first);
    assert_eq!(plan.assignments[&(node(0), d.slot)].rollout, second);
}
