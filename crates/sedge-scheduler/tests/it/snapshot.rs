//! Plans as people read them.

use sedge_scheduler::{Facts, explain};
use sedge_statement::SlotState;

use crate::fleet::{Fleet, deployment, render};

#[test]
fn a_plan_says_why() {
    let mut fleet = Fleet::of(4);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    insta::assert_snapshot!(render(&fleet.plan()), @r"
    rollout 3911621334: running
      wave 0 open: 0 of 1 committed, 0 failed, 1 pending (wave 0 is open: it waits for no other)
      wave 1 closed: 0 of 3 committed, 0 failed, 3 pending (wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2)
      robot-0 waiting: wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2
      robot-1 waiting: wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2
      robot-2 offered: nothing holds it back
      robot-3 waiting: wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2
    robot-0/detector <- 3911621334 wait: wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2
    robot-1/detector <- 3911621334 wait: wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2
    robot-2/detector <- 3911621334 now
    robot-3/detector <- 3911621334 wait: wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-2
    ");
    let canary = fleet.plan().rollouts[&rollout].waves[0].members[0];
    fleet.sign(rollout, canary, SlotState::Committed);
    insta::assert_snapshot!(render(&fleet.plan()), @r"
    rollout 3911621334: running
      wave 0 open: 1 of 1 committed, 0 failed, 0 pending (wave 0 is open: it waits for no other)
      wave 1 open: 0 of 3 committed, 0 failed, 3 pending (wave 1 is open: wave 0 needed 1 committed witness, has 1)
      robot-0 offered: nothing holds it back
      robot-1 offered: nothing holds it back
      robot-2 committed
      robot-3 offered: nothing holds it back
    robot-0/detector <- 3911621334 now
    robot-1/detector <- 3911621334 now
    robot-2/detector <- 3911621334 now
    robot-3/detector <- 3911621334 now
    ");
}

#[test]
fn the_chain_of_reasons_reads_as_sentences() {
    let mut fleet = Fleet::of(12);
    let mut late = crate::fleet::certificate(20);
    let rollout = fleet.deploy(deployment(&fleet, 1));
    late.serial = 13;
    fleet.enrol(late);
    let plan = fleet.plan();
    let waiting = plan.rollouts[&rollout].waves[1].members[1];
    let chain = |node| {
        let lines: Vec<String> =
            explain(&plan, rollout, node, Facts::default()).iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(chain(waiting), @r"
    matches cell=acme/**
    rank 3 of 12, wave 1, a witness
    wave 1 is closed: wave 0 needs 1 committed witness, has 0; waiting for robot-6
    ");
    insta::assert_snapshot!(chain(plan.rollouts[&rollout].waves[0].members[0]), @r"
    matches cell=acme/**
    rank 1 of 12, wave 0, a witness
    wave 0 is open: it waits for no other
    nothing holds it back
    ");
    insta::assert_snapshot!(chain(crate::fleet::node(20)), @r"
    matches cell=acme/**
    came after the deployment was made, so it follows the last wave
    the last wave is not open yet
    ");
    insta::assert_snapshot!(chain(crate::fleet::node(99)), @"no certificate names 6363636363");
}
