//! Every event in every state.

use sedge_slot::{Event, Outcome, Withdrawal};
use sedge_statement::SlotState;

use crate::fixture::{NOW, bring, done, offer, offered, serving, waits, words};

const STATES: [SlotState; 18] = [
    SlotState::Offered,
    SlotState::Waiting,
    SlotState::Fetching,
    SlotState::Paused,
    SlotState::Verifying,
    SlotState::Staged,
    SlotState::Testing,
    SlotState::Activating,
    SlotState::Probation,
    SlotState::Committed,
    SlotState::Rejected,
    SlotState::Failed,
    SlotState::Cancelled,
    SlotState::Superseded,
    SlotState::Expired,
    SlotState::RollingBack,
    SlotState::RolledBack,
    SlotState::RollbackFailed,
];

fn events() -> Vec<(&'static str, Event)> {
    let (two, three) = (offer(2), offer(3));
    let rollout = two.rollout;
    let mut events = vec![
        ("offered again", offered(&two)),
        ("told to wait", waits(&two, "wave 1 is closed")),
        ("offered a newer", offered(&three)),
        ("resumed", Event::Resumed { rollout }),
        ("cancelled", Event::Withdrawn { rollout, why: Withdrawal::Cancelled }),
        ("superseded", Event::Withdrawn { rollout, why: Withdrawal::Superseded }),
        ("unhealthy", Event::Unhealthy { rollout, reason: "crashed".into() }),
        ("tick", Event::Tick),
        ("restarted", Event::Restarted),
    ];
    let outcomes = [
        ("fit", Outcome::Fit(Ok(()))),
        ("unfit", Outcome::Fit(Err("too large".into()))),
        ("fetched", Outcome::Fetched(Ok(()))),
        ("not fetched", Outcome::Fetched(Err("no holder".into()))),
        ("verified", Outcome::Verified(Ok(()))),
        ("not verified", Outcome::Verified(Err("wrong digest".into()))),
        ("tested", Outcome::Tested(Ok(()))),
        ("not tested", Outcome::Tested(Err("wrong answer".into()))),
        ("activated", Outcome::Activated(Ok(()))),
        ("not activated", Outcome::Activated(Err("broken".into()))),
        ("rolled back", Outcome::RolledBack(Ok(()))),
        ("not rolled back", Outcome::RolledBack(Err("stuck".into()))),
    ];
    events.extend(outcomes.map(|(word, outcome)| (word, done(&two, outcome))));
    events
}

#[test]
fn every_transition_is_as_the_table_says() {
    let mut table = String::new();
    for state in STATES {
        for (word, event) in events() {
            let mut machine = serving();
            bring(&mut machine, &offer(2), state);
            let effects = machine.handle(event, NOW);
            if !effects.is_empty() {
                let now = machine.state().unwrap();
                table += &format!("{state} + {word} -> {now}: {}\n", words(&effects));
            }
        }
    }
    insta::assert_snapshot!(table, @r"
    offered + told to wait -> offered: journal
    offered + offered a newer -> offered: journal stop gate(superseded) fit report(offered)
    offered + cancelled -> cancelled: journal stop report(cancelled) gate(cancelled)
    offered + superseded -> superseded: journal stop report(superseded) gate(superseded)
    offered + restarted -> offered: journal serve fit report(offered)
    offered + fit -> fetching: journal fetch report(fetching)
    offered + unfit -> rejected: journal report(rejected) gate(rejected)
    waiting + offered again -> fetching: journal fetch report(fetching)
    waiting + offered a newer -> offered: journal gate(superseded) fit report(offered)
    waiting + resumed -> fetching: journal fetch report(fetching)
    waiting + cancelled -> cancelled: journal report(cancelled) gate(cancelled)
    waiting + superseded -> superseded: journal report(superseded) gate(superseded)
    waiting + restarted -> waiting: serve report(waiting)
    fetching + told to wait -> paused: journal stop report(paused)
    fetching + offered a newer -> offered: journal stop gate(superseded) fit report(offered)
    fetching + cancelled -> cancelled: journal stop report(cancelled) gate(cancelled)
    fetching + superseded -> superseded: journal stop report(superseded) gate(superseded)
    fetching + restarted -> fetching: journal serve fetch report(fetching)
    fetching + fetched -> verifying: journal verify report(verifying)
    fetching + not fetched -> failed: journal report(failed) gate(failed)
    paused + offered again -> fetching: journal fetch report(fetching)
    paused + offered a newer -> offered: journal gate(superseded) fit report(offered)
    paused + resumed -> fetching: journal fetch report(fetching)
    paused + cancelled -> cancelled: journal report(cancelled) gate(cancelled)
    paused + superseded -> superseded: journal report(superseded) gate(superseded)
    paused + restarted -> paused: serve report(paused)
    verifying + told to wait -> verifying: journal
    verifying + offered a newer -> offered: journal stop gate(superseded) fit report(offered)
    verifying + cancelled -> cancelled: journal stop report(cancelled) gate(cancelled)
    verifying + superseded -> superseded: journal stop report(superseded) gate(superseded)
    verifying + restarted -> verifying: journal serve verify report(verifying)
    verifying + verified -> testing: journal test report(testing)
    verifying + not verified -> failed: journal report(failed) gate(failed)
    staged + offered again -> testing: journal test report(testing)
    staged + offered a newer -> offered: journal gate(superseded) fit report(offered)
    staged + resumed -> testing: journal test report(testing)
    staged + cancelled -> cancelled: journal report(cancelled) gate(cancelled)
    staged + superseded -> superseded: journal report(superseded) gate(superseded)
    staged + restarted -> staged: serve report(staged)
    testing + told to wait -> testing: journal
    testing + offered a newer -> offered: journal stop gate(superseded) fit report(offered)
    testing + cancelled -> cancelled: journal stop report(cancelled) gate(cancelled)
    testing + superseded -> superseded: journal stop report(superseded) gate(superseded)
    testing + restarted -> testing: journal serve test report(testing)
    testing + tested -> activating: journal floor activate report(activating)
    testing + not tested -> failed: journal report(failed) gate(failed)
    activating + told to wait -> activating: journal
    activating + cancelled -> activating: journal refused
    activating + restarted -> activating: journal serve activate report(activating)
    activating + activated -> probation: journal report(probation)
    activating + not activated -> rolling-back: journal roll-back report(rolling-back)
    probation + told to wait -> probation: journal
    probation + cancelled -> probation: journal refused
    probation + unhealthy -> rolling-back: journal roll-back report(rolling-back)
    probation + restarted -> activating: journal serve activate report(activating)
    committed + offered a newer -> offered: journal fit report(offered)
    committed + cancelled -> committed: journal refused
    committed + unhealthy -> committed: report(committed)
    committed + restarted -> committed: serve report(committed)
    rejected + offered a newer -> offered: journal fit report(offered)
    rejected + restarted -> rejected: serve report(rejected)
    failed + offered a newer -> offered: journal fit report(offered)
    failed + restarted -> failed: serve report(failed)
    cancelled + offered a newer -> offered: journal fit report(offered)
    cancelled + restarted -> cancelled: serve report(cancelled)
    superseded + offered again -> offered: journal fit report(offered)
    superseded + told to wait -> offered: journal fit report(offered)
    superseded + offered a newer -> offered: journal fit report(offered)
    superseded + restarted -> superseded: serve report(superseded)
    expired + offered a newer -> offered: journal fit report(offered)
    expired + restarted -> expired: serve report(expired)
    rolling-back + told to wait -> rolling-back: journal
    rolling-back + cancelled -> rolling-back: journal refused
    rolling-back + restarted -> rolling-back: journal roll-back report(rolling-back)
    rolling-back + rolled back -> rolled-back: journal report(rolled-back) gate(rolled-back)
    rolling-back + not rolled back -> rollback-failed: journal report(rollback-failed) gate(rollback-failed)
    rolled-back + offered a newer -> offered: journal fit report(offered)
    rolled-back + restarted -> rolled-back: serve report(rolled-back)
    rollback-failed + offered a newer -> offered: journal fit report(offered)
    rollback-failed + restarted -> rollback-failed: serve report(rollback-failed)
    ");
}
