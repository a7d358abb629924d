//! How a roster is cut, what is left at the deadline, and what becomes of a rollout that loses nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use sedge_scheduler::{Reason, RolloutState, explain};
use sedge_statement::{NodeId, Percent, ReleaseId, RolloutId, SlotState, WaveSize};
use uuid::Uuid;

use crate::fleet::{Fleet, NOW, RELEASE, by, deployment, node, open, render, slot};

fn share(n: u8) -> WaveSize {
    WaveSize::Share(Percent::try_from(n).unwrap())
}

fn named(nodes: &[u8]) -> WaveSize {
    WaveSize::Named(nodes.iter().copied().map(node).collect::<BTreeSet<_>>().try_into().unwrap())
}

fn members(fleet: &Fleet, rollout: RolloutId) -> Vec<Vec<NodeId>> {
    fleet.plan().rollouts[&rollout].waves.iter().map(|wave| wave.members.clone()).collect()
}

#[test]
fn shares_count_from_the_first_node_and_counts_from_whoever_is_left() {
    let cut = |robots: u8, waves: &[WaveSize]| {
        let mut fleet = Fleet::of(robots);
        let mut d = deployment(&fleet, 1);
        d.waves = waves.to_vec();
        let rollout = fleet.deploy(d);
        members(&fleet, rollout).iter().map(Vec::len).collect::<Vec<_>>()
    };
    let one = WaveSize::Count(1);
    assert_eq!(cut(20, &[one.clone(), share(25), share(100)]), [1, 4, 15]);
    assert_eq!(cut(5, &[one.clone(), share(25), share(100)]), [1, 1, 3], "a quarter of five is rounded up to two");
    assert_eq!(cut(4, &[one.clone(), share(25), share(50)]), [1, 1, 2], "a quarter was reached: no wave of nobody");
    assert_eq!(cut(10, &[share(50), share(20), one.clone()]), [5, 1, 4], "a share that falls adds nobody");
    assert_eq!(cut(3, &[share(1), WaveSize::Count(9)]), [1, 2]);
    assert_eq!(cut(100, &[share(10), one, share(20)]), [10, 1, 9, 80]);
    assert_eq!(cut(7, &[]), [7]);
    assert_eq!(cut(20, &[named(&[3, 17]), share(25)]), [2, 3, 15]);
    assert_eq!(cut(5, &[named(&[0, 1, 2, 3]), share(50), WaveSize::Count(1)]), [4, 1]);
}

#[test]
fn named_canaries_go_first_whatever_their_rank_and_in_no_other_wave() {
    let mut fleet = Fleet::of(6);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![named(&[4, 2]), WaveSize::Count(1)];
    let rollout = fleet.deploy(d.clone());
    let waves = members(&fleet, rollout);
    assert_eq!(waves[0].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([node(2), node(4)]));
    assert_eq!(waves.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 3]);

    d.command = Uuid::from_u128(9);
    d.waves = vec![WaveSize::Count(1), named(&[4, 2]), share(100)];
    let rollout = fleet.deploy(d);
    let waves = members(&fleet, rollout);
    assert_eq!(waves[1].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([node(2), node(4)]));
}

#[test]
fn where_no_named_canary_is_in_the_roster_nothing_opens() {
    let mut fleet = Fleet::of(3);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![named(&[77])];
    let rollout = fleet.deploy(d);
    let plan = fleet.plan();
    assert_eq!(plan.rollouts[&rollout].state, RolloutState::Stalled);
    assert_eq!(open(&plan, rollout), [true, false]);
}

#[test]
fn the_plan_of_a_deployment_is_the_one_it_will_have_whatever_its_id() {
    let mut fleet = Fleet::of(40);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![named(&[7]), WaveSize::Count(2), share(50)];
    let thought = fleet.deploy(d.clone());
    (d.command, d.created_at) = (Uuid::from_u128(4), NOW.plus(Duration::from_secs(9)));
    d.deadline = d.deadline.plus(Duration::from_secs(9));
    let published = fleet.deploy(d.clone());
    assert_ne!(thought, published);
    assert_eq!(members(&fleet, thought), members(&fleet, published));
    // Another generation, slot or release has canaries of its own.
    let mut others = vec![d.clone(), d.clone(), d.clone()];
    others[0].generation = others[0].generation.next();
    others[1].slot = "assistant".parse().unwrap();
    others[2].release = ReleaseId::from_bytes([0xBB; 32]);
    for other in others {
        let other = fleet.deploy(other);
        assert_ne!(members(&fleet, other), members(&fleet, published));
    }
}

#[test]
fn a_quorum_that_cannot_come_stalls_though_witnesses_are_silent() {
    let mut fleet = Fleet::of(6);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![WaveSize::Count(4)];
    d.gate.quorum = Percent::try_from(75).unwrap();
    d.gate.max_failed = 3;
    let rollout = fleet.deploy(d);
    let canaries = members(&fleet, rollout)[0].clone();
    fleet.sign(rollout, canaries[0], SlotState::Failed);
    assert_eq!(fleet.plan().rollouts[&rollout].state, RolloutState::Running, "three of four can still commit");
    fleet.sign(rollout, canaries[1], SlotState::RolledBack);
    let plan = fleet.plan();
    assert_eq!(plan.rollouts[&rollout].state, RolloutState::Stalled);
    assert!(!plan.rollouts[&rollout].over, "a witness may yet be excused by an authority");
    let ended = vec![plan.who(canaries[0]), plan.who(canaries[1])];
    assert_eq!(plan.rollouts[&rollout].reason, Some(Reason::Stalled { wave: 0, needed: 3, committed: 0, ended }));
}

#[test]
fn the_deadline_stalls_what_lacks_its_quorum_and_expires_what_only_lacks_nodes() {
    let mut fleet = Fleet::of(3);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let waves = members(&fleet, rollout);
    fleet.now = NOW.plus(Duration::from_secs(86_400));
    let plan = fleet.plan();
    let r = &plan.rollouts[&rollout];
    assert_eq!((r.state, r.over), (RolloutState::Stalled, true));
    let Some(Reason::NoQuorumInTime { wave: 0, needed: 1, committed: 0, silent, unreached, .. }) = &r.reason else {
        panic!("{:?}", r.reason)
    };
    assert_eq!((silent.len(), unreached.len()), (1, 3));
    assert!(plan.assignments.is_empty(), "nothing of it starts any more");

    fleet.sign(rollout, waves[0][0], SlotState::Committed);
    let plan = fleet.plan();
    let r = &plan.rollouts[&rollout];
    assert_eq!((r.state, r.over), (RolloutState::Expired, true));
    let Some(Reason::Unreached(nodes)) = &r.reason else { panic!("{:?}", r.reason) };
    assert_eq!(nodes.iter().map(|who| who.node).collect::<BTreeSet<_>>(), waves[1].iter().copied().collect());
}

/// A rollout on three nodes and a newer one on some of them; `done` committed to the first before.
fn lost(to: &[u8], done: &[u8]) -> (Fleet, RolloutId) {
    let mut fleet = Fleet::of(3);
    let newer = ReleaseId::from_bytes([0xBB; 32]);
    fleet.releases.insert(newer);
    let mut d = deployment(&fleet, 1);
    d.waves.clear();
    let first = fleet.deploy(d);
    for n in done {
        fleet.sign(first, node(*n), SlotState::Committed);
        fleet.say(first, node(*n), SlotState::Committed, Some(RELEASE));
    }
    for n in to {
        let mut d = deployment(&fleet, 2);
        d.selector = format!("node=robot-{n}").parse().unwrap();
        d.release = newer;
        fleet.deploy(d);
    }
    (fleet, first)
}

#[test]
fn a_rollout_that_lost_nodes_completes_by_those_that_are_still_its_own() {
    use RolloutState::{Completed, Running, Superseded};
    for (to, done, state, superseded) in [
        (&[][..], &[0, 1, 2][..], Completed, 0),
        (&[1, 2], &[0], Completed, 2),
        (&[2], &[0], Running, 1),
        (&[0, 1], &[0], Running, 1),
        (&[0, 1, 2], &[0], Superseded, 2),
        (&[0, 1, 2], &[0, 1, 2], Completed, 0),
        (&[0], &[0, 1, 2], Completed, 0),
    ] {
        let (mut fleet, rollout) = lost(to, done);
        let plan = fleet.plan();
        let r = &plan.rollouts[&rollout];
        assert_eq!((r.state, r.waves[0].superseded), (state, superseded), "lost {to:?}, done {done:?}");
        // What was completed or lost in time is not called expired when the time is over.
        fleet.now = NOW.plus(Duration::from_secs(86_400));
        for n in to {
            let newer = fleet.plan().assignments.get(&(node(*n), slot())).map(|a| a.rollout);
            assert!(newer != Some(rollout) || done.contains(n));
        }
    }
    // None of its own is left that committed: not a success.
    let (mut fleet, rollout) = lost(&[0, 1], &[0]);
    fleet.sign(rollout, node(2), SlotState::Rejected);
    assert_eq!(fleet.plan().rollouts[&rollout].state, Superseded);
}

#[test]
fn a_node_that_gets_its_slot_back_is_waited_for_again() {
    let (mut fleet, first) = lost(&[2], &[0, 1]);
    fleet.sign(first, node(2), SlotState::Superseded);
    assert_eq!(fleet.plan().rollouts[&first].state, RolloutState::Completed);
    let newer = *fleet.deployments.keys().find(|id| **id != first).unwrap();
    fleet.control(newer, sedge_scheduler::ControlState::Cancelled(by()));
    assert_eq!(fleet.plan().rollouts[&first].state, RolloutState::Running);
    fleet.say(first, node(2), SlotState::Fetching, None);
    let plan = fleet.plan();
    assert_eq!(plan.rollouts[&first].nodes[&node(2)].state, SlotState::Fetching);
}

#[test]
fn plans_of_named_canaries_shares_and_soak_say_why() {
    let mut fleet = Fleet::of(6);
    let mut d = deployment(&fleet, 1);
    d.waves = vec![named(&[1, 4]), share(50)];
    d.gate.quorum = Percent::try_from(50).unwrap();
    d.gate.max_failed = 1;
    let rollout = fleet.deploy(d);
    insta::assert_snapshot!("named canaries start", render(&fleet.plan()));
    fleet.sign_soaked(rollout, node(1), SlotState::Committed, Duration::from_secs(3));
    fleet.sign(rollout, node(4), SlotState::Failed);
    insta::assert_snapshot!("one soaks and one failed", render(&fleet.plan()));
    let mut stalled = fleet.clone();
    stalled.sign(rollout, node(1), SlotState::Superseded);
    insta::assert_snapshot!("stalled", render(&stalled.plan()));
    fleet.sign(rollout, node(1), SlotState::Committed);
    insta::assert_snapshot!("the next wave opens", render(&fleet.plan()));
    let second = members(&fleet, rollout)[1][0];
    let mut halted = fleet.clone();
    halted.sign(rollout, second, SlotState::RolledBack);
    insta::assert_snapshot!("one failure too many", render(&halted.plan()));
    fleet.control(rollout, sedge_scheduler::ControlState::Paused(by()));
    insta::assert_snapshot!("paused", render(&fleet.plan()));
    fleet.now = NOW.plus(Duration::from_secs(86_400));
    insta::assert_snapshot!("out of time", render(&fleet.plan()));
}

#[test]
fn the_chain_of_reasons_names_facts_and_fit() {
    let mut fleet = Fleet::of(2);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    let mut d = deployment(&fleet, 2);
    d.slot = "assistant".parse().unwrap();
    d.selector = "cell=globex/**,arch=x86_64".parse().unwrap();
    let elsewhere = fleet.deploy(d);
    let plan = fleet.plan();
    let profile = crate::fit::profile();
    let variants = [crate::fit::variant("small", 48 << 20)];
    let facts = sedge_scheduler::Facts {
        certificate: Some(&fleet.certificates[0]),
        profile: Some(&profile),
        variants: Some(&variants),
    };
    let chain = |rollout, facts| {
        explain(&plan, rollout, node(0), facts).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("a chain with facts", chain(rollout, facts));
    insta::assert_snapshot!("a chain of one that is not named", chain(elsewhere, facts));
    let big = [crate::fit::variant("large", 4800 << 20)];
    insta::assert_snapshot!(
        "a chain of one that is unfit",
        chain(rollout, sedge_scheduler::Facts { variants: Some(&big), ..facts })
    );
}
