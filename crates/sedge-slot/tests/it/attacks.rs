//! What a slot makes of statements that were signed by whoever may, and meant ill or came too late.

use sedge_slot::{Effect, Event, Outcome, SlotMachine};
use sedge_statement::{Action, Downgrade, Generation, SlotState};

use crate::fixture::{HOUR, NOW, bring, done, offer, offered, serving, slot, waits, words};

/// The record that a machine wrote last.
fn journal(effects: &[Effect]) -> Vec<u8> {
    let written =
        effects.iter().rev().find_map(|e| if let Effect::Journal(bytes) = e { Some(bytes.clone()) } else { None });
    written.unwrap()
}

#[test]
fn rollback_to_an_old_version_by_statements_said_again_is_rejected_before_and_after_a_restart() {
    let mut machine = slot();
    bring(&mut machine, &offer(1), SlotState::Committed);
    let record = journal(&bring(&mut machine, &offer(5), SlotState::Committed));
    let mut reopened = SlotMachine::open(&record).unwrap();
    reopened.handle(Event::Restarted, NOW);
    for machine in [&mut machine, &mut reopened] {
        // The old deployment itself, the same with leave to go down, and a new one of the old release.
        let old = offer(4);
        let allowed = sedge_slot::Offer { downgrade: Downgrade::Allow, ..offer(3) };
        let dressed = sedge_slot::Offer { release_generation: Generation { epoch: 0, n: 1 }, ..offer(9) };
        for replayed in [old, allowed, dressed] {
            let effects = machine.handle(offered(&replayed), NOW);
            assert!(words(&effects).contains("report(rejected)"), "{}", words(&effects));
            assert!(!words(&effects).contains("fit"), "nothing of it is looked at");
        }
        assert_eq!(machine.serving().unwrap().rollout, offer(5).rollout);
    }
}

#[test]
fn rollback_to_an_old_version_is_barred_before_the_new_one_answers() {
    let mut machine = slot();
    bring(&mut machine, &offer(1), SlotState::Committed);
    // A crash between the floor's writing and the activation: the way back is closed already.
    let record = journal(&bring(&mut machine, &offer(5), SlotState::Activating));
    let reopened = SlotMachine::open(&record).unwrap();
    assert_eq!(reopened.journal().floor.deployment, offer(5).deployment_generation);
}

#[test]
fn indefinite_freeze_of_an_update_past_its_start_by_starts_nothing_and_stops_nothing() {
    let mut machine = serving();
    let stale = offer(2);
    let late = stale.start_by.unwrap();
    let effects = machine.handle(offered(&stale), late);
    assert!(words(&effects).contains("report(expired)") && !words(&effects).contains("fit"), "{}", words(&effects));
    assert_eq!(machine.serving().unwrap().rollout, offer(1).rollout);
    // One that was heard of in time, and held back until then.
    let mut machine = serving();
    machine.handle(waits(&stale, "the wave is closed"), NOW);
    machine.handle(done(&stale, Outcome::Fit(Ok(()))), NOW);
    let effects = machine.handle(offered(&stale), late.plus(HOUR));
    let effects = [effects, machine.handle(Event::Tick, late.plus(HOUR))].concat();
    assert!(!words(&effects).contains("fetch"), "{}", words(&effects));
    assert_eq!(machine.state(), Some(SlotState::Expired));
    assert_eq!(machine.report().unwrap().sha256, offer(1).sha256(), "what serves goes on");
}

#[test]
fn mix_and_match_of_some_files_is_no_update_and_only_a_whole_one_activates() {
    for broken in
        [Outcome::Fetched(Err("one of two files".into())), Outcome::Verified(Err("of another release".into()))]
    {
        let mut machine = serving();
        let before = if matches!(broken, Outcome::Fetched(_)) { SlotState::Fetching } else { SlotState::Verifying };
        bring(&mut machine, &offer(2), before);
        let effects = machine.handle(done(&offer(2), broken), NOW);
        assert!(!words(&effects).contains("activate") && !words(&effects).contains("test"), "{}", words(&effects));
        assert_eq!(machine.state(), Some(SlotState::Failed));
        assert_eq!(machine.report().unwrap().sha256, offer(1).sha256());
    }
    // Nor does an answer that is about another rollout carry this one on.
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Verifying);
    assert_eq!(machine.handle(done(&offer(3), Outcome::Verified(Ok(()))), NOW), []);
    assert_eq!(machine.state(), Some(SlotState::Verifying));
    let empty = sedge_slot::Offer { files: vec![], ..offer(4) };
    assert!(words(&slot().handle(offered(&empty), NOW)).contains("report(rejected)"));
}

#[test]
fn fast_forward_recovery_under_a_new_version_of_the_roots_is_above_every_floor() {
    let mut machine = slot();
    let far = |epoch, n| sedge_slot::Offer {
        deployment_generation: Generation { epoch, n },
        release_generation: Generation { epoch, n },
        ..offer(u8::try_from(epoch + 1).unwrap())
    };
    bring(&mut machine, &far(0, u64::MAX), SlotState::Committed);
    bring(&mut machine, &far(1, 1), SlotState::Committed);
    assert_eq!(machine.journal().floor.deployment, Generation { epoch: 1, n: 1 });
}

#[test]
fn wrong_software_for_the_device_is_never_fetched() {
    let mut machine = serving();
    machine.handle(offered(&offer(2)), NOW);
    let effects = machine.handle(done(&offer(2), Outcome::Fit(Err("it is built for aarch64".into()))), NOW);
    assert_eq!(words(&effects), "journal report(rejected) gate(rejected)");
    let staged = sedge_slot::Offer { action: Action::StageOnly, ..offer(3) };
    machine.handle(offered(&staged), NOW);
    let effects = machine.handle(done(&staged, Outcome::Fit(Err("too large".into()))), NOW);
    assert!(!words(&effects).contains("fetch"));
    assert_eq!(machine.report().unwrap().sha256, offer(1).sha256());
}
