//! What the machine promises, one story each.

use std::time::Duration;

use sedge_slot::{Effect, Event, Go, Outcome, SlotMachine, Withdrawal, limits};
use sedge_statement::{Action, Downgrade, Generation, SlotReport, SlotState};

use crate::fixture::{HOUR, NOW, bring, done, offer, offered, serving, slot, waits, words};

fn report(effects: &[Effect]) -> &SlotReport {
    effects.iter().rev().find_map(|e| if let Effect::Report(r) = e { Some(r) } else { None }).expect("a report")
}

#[test]
fn the_floor_is_on_disk_before_the_model_is_activated() {
    let mut machine = serving();
    let effects = bring(&mut machine, &offer(2), SlotState::Activating);
    assert_eq!(words(&effects), "journal floor activate report(activating)");
}

#[test]
fn a_failed_probe_keeps_the_old_model_and_its_words_pass_through() {
    let mut machine = serving();
    let effects = bring(&mut machine, &offer(2), SlotState::Failed);
    assert_eq!(report(&effects).reason.as_deref(), Some("wrong answer"));
    assert_eq!(report(&effects).sha256, offer(1).sha256());
    assert_eq!(machine.serving().unwrap().rollout, offer(1).rollout);
}

#[test]
fn a_reason_longer_than_a_report_bears_is_cut_at_a_character() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Testing);
    let long = "ö".repeat(SlotReport::MAX_REASON);
    let effects = machine.handle(done(&offer(2), Outcome::Tested(Err(long.into()))), NOW);
    assert_eq!(report(&effects).reason.as_ref().unwrap().len(), SlotReport::MAX_REASON);
}

#[test]
fn failing_in_probation_goes_back_to_what_served() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Probation);
    let two = offer(2).rollout;
    assert_eq!(machine.report().unwrap().sha256, offer(2).sha256());
    let effects = machine.handle(Event::Unhealthy { rollout: two, reason: "crashed".into() }, NOW);
    assert_eq!(words(&effects), "journal roll-back report(rolling-back)");
    assert_eq!(report(&effects).sha256, None, "neither is known to answer");
    let effects = machine.handle(done(&offer(2), Outcome::RolledBack(Ok(()))), NOW);
    assert_eq!(words(&effects), "journal report(rolled-back) gate(rolled-back)");
    assert_eq!(report(&effects).sha256, offer(1).sha256());
    assert_eq!(report(&effects).reason.as_deref(), Some("crashed"));
}

#[test]
fn going_back_to_nothing_says_that_nothing_serves() {
    let mut machine = slot();
    let effects = bring(&mut machine, &offer(1), SlotState::RolledBack);
    assert_eq!(report(&effects).sha256, None);
    assert_eq!(
        report(&effects).reason.as_deref(),
        Some("nothing serves, for there was no model to go back to: broken")
    );
}

#[test]
fn a_downgrade_is_rejected_unless_the_deployment_allows_it() {
    let mut machine = slot();
    bring(&mut machine, &offer(5), SlotState::Committed);
    let mut older = offer(6);
    older.release_generation = Generation { epoch: 0, n: 2 };
    let effects = machine.handle(offered(&older), NOW);
    assert_eq!(words(&effects), "journal report(rejected) gate(rejected)");
    assert!(report(&effects).reason.as_ref().unwrap().contains("--allow-downgrade"));

    let mut allowed = offer(7);
    allowed.release_generation = older.release_generation;
    allowed.downgrade = Downgrade::Allow;
    bring(&mut machine, &allowed, SlotState::Committed);
    assert_eq!(machine.journal().floor.releases[&allowed.model].n, 2);
    assert_eq!(machine.journal().floor.deployment.n, 7);
}

#[test]
fn an_older_deployment_is_rejected_even_if_it_allows_a_downgrade() {
    let mut machine = slot();
    bring(&mut machine, &offer(5), SlotState::Committed);
    let mut replayed = offer(4);
    replayed.downgrade = Downgrade::Allow;
    let effects = machine.handle(offered(&replayed), NOW);
    assert_eq!(words(&effects), "journal report(rejected) gate(rejected)");
}

#[test]
fn generations_of_another_model_say_nothing() {
    let mut machine = slot();
    bring(&mut machine, &offer(5), SlotState::Committed);
    let mut other = offer(6);
    other.model = "faces".parse().unwrap();
    other.release_generation = Generation { epoch: 0, n: 1 };
    bring(&mut machine, &other, SlotState::Committed);
    assert_eq!(machine.journal().floor.releases.len(), 2);
}

#[test]
fn a_cancel_that_comes_too_late_is_refused_once_and_aloud() {
    let two = offer(2).rollout;
    for state in [SlotState::Activating, SlotState::Probation, SlotState::Committed] {
        let mut machine = serving();
        bring(&mut machine, &offer(2), state);
        let cancel = Event::Withdrawn { rollout: two, why: Withdrawal::Cancelled };
        assert_eq!(words(&machine.handle(cancel.clone(), NOW)), "journal refused", "{state}");
        assert_eq!(words(&machine.handle(cancel, NOW)), "", "{state}");
        assert_eq!(machine.state(), Some(state));
    }
}

#[test]
fn a_newer_offer_waits_for_probation_to_end() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Probation);
    assert_eq!(machine.handle(offered(&offer(3)), NOW), []);
    let effects = machine.handle(Event::Tick, NOW.plus(offer(2).probation));
    assert_eq!(words(&effects), "journal commit report(committed) gate(committed) journal fit report(offered)");
    assert_eq!(machine.update().unwrap().offer, offer(3));
    assert_eq!(machine.serving().unwrap().rollout, offer(2).rollout);
}

#[test]
fn a_newer_offer_supersedes_one_that_is_not_yet_active() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Fetching);
    let effects = machine.handle(offered(&offer(3)), NOW);
    assert_eq!(words(&effects), "journal stop gate(superseded) fit report(offered)");
    // The fetch of the old one may still end; it is not the new one's.
    assert_eq!(machine.handle(done(&offer(2), Outcome::Fetched(Ok(()))), NOW), []);
}

#[test]
fn offering_again_what_ended_starts_nothing() {
    for state in [SlotState::Failed, SlotState::RolledBack, SlotState::RollbackFailed, SlotState::Rejected] {
        let mut machine = serving();
        bring(&mut machine, &offer(2), state);
        assert_eq!(machine.handle(offered(&offer(2)), NOW), [], "{state}");
        machine.handle(offered(&offer(3)), NOW);
        machine.handle(offered(&offer(2)), NOW);
        assert_eq!(machine.state(), Some(SlotState::Superseded), "{state}");
        assert_eq!(machine.serving().unwrap().rollout, offer(1).rollout);
    }
}

#[test]
fn what_was_superseded_may_come_back() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Superseded);
    machine.handle(offered(&offer(2)), NOW);
    assert_eq!(machine.state(), Some(SlotState::Offered));
}

#[test]
fn stage_only_ends_staged_and_says_so_to_the_gate() {
    let mut machine = serving();
    let mut staged = offer(2);
    staged.action = Action::StageOnly;
    bring(&mut machine, &staged, SlotState::Verifying);
    let effects = machine.handle(done(&staged, Outcome::Verified(Ok(()))), NOW);
    assert_eq!(words(&effects), "journal report(staged) gate(staged)");
    assert_eq!(report(&effects).sha256, offer(1).sha256());
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.handle(offered(&staged), NOW), []);
}

#[test]
fn a_pause_stops_the_fetch_and_a_resume_goes_on() {
    let mut machine = serving();
    let effects = bring(&mut machine, &offer(2), SlotState::Paused);
    assert_eq!(words(&effects), "journal stop report(paused)");
    let effects = machine.handle(Event::Resumed { rollout: offer(2).rollout }, NOW);
    assert_eq!(words(&effects), "journal fetch report(fetching)");
}

#[test]
fn a_wave_that_closes_while_the_model_is_tried_stops_it_before_it_takes_over() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Testing);
    assert_eq!(words(&machine.handle(waits(&offer(2), "paused"), NOW)), "journal");
    let effects = machine.handle(done(&offer(2), Outcome::Tested(Ok(()))), NOW);
    assert_eq!(words(&effects), "journal report(staged)");
    assert_eq!(words(&machine.handle(offered(&offer(2)), NOW)), "journal test report(testing)");
}

#[test]
fn past_start_by_nothing_starts_and_nothing_running_stops() {
    let late = NOW.plus(13 * HOUR);
    let mut machine = serving();
    assert_eq!(words(&machine.handle(offered(&offer(2)), late)), "journal report(expired) gate(expired)");
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Fetching);
    assert_eq!(machine.handle(Event::Tick, late), []);
    assert_eq!(words(&machine.handle(Event::Tick, NOW.plus(24 * HOUR))), "journal stop report(expired) gate(expired)");
}

#[test]
fn the_soak_is_reported_once_and_counts_serving_only() {
    let mut machine = serving();
    let one = offer(1);
    let committed = NOW.plus(one.probation);
    assert_eq!(machine.deadline(), Some(committed.plus(one.soak)));
    machine.handle(Event::Unhealthy { rollout: one.rollout, reason: "hung".into() }, committed);
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.report().unwrap().sha256, None);
    let again = committed.plus(HOUR);
    machine.handle(Event::Healthy { rollout: one.rollout }, again);
    let over = again.plus(one.soak);
    let effects = machine.handle(Event::Tick, over);
    assert_eq!(words(&effects), "journal gate(committed)");
    let Some(Effect::Gate(gate)) = effects.last() else { panic!("no gate report") };
    assert_eq!((gate.soaked, gate.sha256), (one.soak, one.sha256()));
    assert_eq!(machine.handle(Event::Tick, over.plus(HOUR)), []);
}

#[test]
fn a_restart_tries_an_activation_once_more_and_then_goes_back() {
    for state in [SlotState::Activating, SlotState::Probation] {
        let mut machine = serving();
        bring(&mut machine, &offer(2), state);
        let mut machine = SlotMachine::open(&machine.journal().to_bytes()).unwrap();
        let effects = machine.handle(Event::Restarted, NOW);
        assert_eq!(words(&effects), "journal serve activate report(activating)");
        assert_eq!(report(&effects).sha256, None, "nothing answers yet");
        machine.handle(done(&offer(2), Outcome::Activated(Ok(()))), NOW);
        let mut machine = SlotMachine::open(&machine.journal().to_bytes()).unwrap();
        let effects = machine.handle(Event::Restarted, NOW);
        assert_eq!(words(&effects), "journal roll-back report(rolling-back)");
    }
}

#[test]
fn a_restart_resumes_what_had_not_taken_over() {
    let resumed = |state| {
        let mut machine = serving();
        bring(&mut machine, &offer(2), state);
        let mut machine = SlotMachine::open(&machine.journal().to_bytes()).unwrap();
        words(&machine.handle(Event::Restarted, NOW))
    };
    assert_eq!(resumed(SlotState::Offered), "journal serve fit report(offered)");
    assert_eq!(resumed(SlotState::Fetching), "journal serve fetch report(fetching)");
    assert_eq!(resumed(SlotState::Verifying), "journal serve verify report(verifying)");
    assert_eq!(resumed(SlotState::Testing), "journal serve test report(testing)");
    assert_eq!(resumed(SlotState::Paused), "serve report(paused)");
    assert_eq!(resumed(SlotState::Committed), "serve report(committed)");
}

#[test]
fn a_trial_that_ends_the_process_each_time_is_given_up() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Testing);
    for _ in 1..limits::TRIES {
        machine.handle(Event::Restarted, NOW);
        assert_eq!(machine.state(), Some(SlotState::Testing));
    }
    let effects = machine.handle(Event::Restarted, NOW);
    assert_eq!(words(&effects), "journal serve report(failed) gate(failed)");
}

#[test]
fn a_step_that_never_answers_is_over_at_its_deadline() {
    for (state, limit, end) in [
        (SlotState::Offered, limits::FIT, SlotState::Failed),
        (SlotState::Verifying, limits::VERIFY, SlotState::Failed),
        (SlotState::Testing, limits::TEST, SlotState::Failed),
        (SlotState::Activating, limits::ACTIVATE, SlotState::RollingBack),
        (SlotState::RollingBack, limits::ROLL_BACK, SlotState::RollbackFailed),
    ] {
        let mut machine = serving();
        bring(&mut machine, &offer(2), state);
        assert_eq!(machine.deadline(), Some(NOW.plus(limit)), "{state}");
        assert_eq!(machine.handle(Event::Tick, NOW.plus(limit - Duration::from_millis(1))), [], "{state}");
        machine.handle(Event::Tick, NOW.plus(limit));
        assert_eq!(machine.state(), Some(end), "{state}");
    }
}

#[test]
fn a_closed_wave_lets_the_fit_be_checked_and_no_more() {
    let mut machine = serving();
    machine.handle(waits(&offer(2), "wave 1 is closed"), NOW);
    let effects = machine.handle(done(&offer(2), Outcome::Fit(Ok(()))), NOW);
    assert_eq!(words(&effects), "journal report(waiting)");
    assert_eq!(report(&effects).reason.as_deref(), Some("wave 1 is closed"));
    assert_eq!(machine.update().unwrap().go, Go::Wait("wave 1 is closed".into()));
}
