//! What holds whatever happens.

use proptest::prelude::*;
use sedge_slot::{Effect, Event, Go, Journal, Offer, Outcome, SlotMachine, Update, Withdrawal};
use sedge_statement::{Action, RolloutId, SlotState, Timestamp};
use std::time::Duration;

use crate::fixture::{NOW, offer, serving, slot};

fn any_offer() -> impl Strategy<Value = Offer> {
    (1u8..6, any::<bool>(), 0u64..3).prop_map(|(n, stage, probation)| {
        let mut offer = offer(n);
        if stage && n % 2 == 0 {
            offer.action = Action::StageOnly;
        }
        offer.probation = Duration::from_secs(probation);
        offer
    })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let result = || prop::bool::weighted(0.8).prop_map(|ok| if ok { Ok(()) } else { Err("no".into()) });
    prop_oneof![
        result().prop_map(Outcome::Fit),
        result().prop_map(Outcome::Fetched),
        result().prop_map(Outcome::Verified),
        result().prop_map(Outcome::Tested),
        result().prop_map(Outcome::Activated),
        result().prop_map(Outcome::RolledBack),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let rollout = || (1u8..6).prop_map(|n| RolloutId::from_bytes([n; 32]));
    let why = prop_oneof![Just(Withdrawal::Cancelled), Just(Withdrawal::Halted), Just(Withdrawal::Superseded)];
    let go = prop_oneof![3 => Just(Go::Now), 1 => Just(Go::Wait("hold".into()))];
    prop_oneof![
        3 => (any_offer(), go).prop_map(|(offer, go)| Event::Offered { offer: Box::new(offer), go }),
        1 => (rollout(), why).prop_map(|(rollout, why)| Event::Withdrawn { rollout, why }),
        1 => rollout().prop_map(|rollout| Event::Paused { rollout, reason: "paused".into() }),
        1 => rollout().prop_map(|rollout| Event::Resumed { rollout }),
        8 => (rollout(), any_outcome()).prop_map(|(rollout, outcome)| Event::Finished { rollout, outcome }),
        1 => rollout().prop_map(|rollout| Event::Healthy { rollout }),
        1 => rollout().prop_map(|rollout| Event::Unhealthy { rollout, reason: "ill".into() }),
        2 => Just(Event::Tick),
        1 => Just(Event::Restarted),
    ]
}

/// What the machine's last effect asked for, answered well: so that sequences get somewhere.
fn next_step(machine: &SlotMachine) -> Event {
    let Some(update) = machine.update() else { return Event::Tick };
    let outcome = match update.state {
        SlotState::Offered => Outcome::Fit(Ok(())),
        SlotState::Fetching => Outcome::Fetched(Ok(())),
        SlotState::Verifying => Outcome::Verified(Ok(())),
        SlotState::Testing => Outcome::Tested(Ok(())),
        SlotState::Activating => Outcome::Activated(Ok(())),
        SlotState::RollingBack => Outcome::RolledBack(Ok(())),
        _ => return Event::Tick,
    };
    Event::Finished { rollout: update.offer.rollout, outcome }
}

fn any_script() -> impl Strategy<Value = Vec<(Option<Event>, u64)>> {
    let step = prop_oneof![1 => any_event().prop_map(Some), 2 => Just(None)];
    prop::collection::vec((step, prop_oneof![9 => 0u64..5, 1 => 0u64..100_000]), 0..80)
}

/// What is compared to see a change of state.
fn key(update: Option<&Update>) -> Option<(RolloutId, SlotState, u8)> {
    update.map(|update| (update.offer.rollout, update.state, update.attempt))
}

proptest! {
    #[test]
    fn a_slot_keeps_its_promises_whatever_happens(script in any_script(), empty in any::<bool>()) {
        let mut machine = if empty { slot() } else { serving() };
        let mut now = NOW.plus(Duration::from_secs(60));
        let mut disk = machine.journal().to_bytes();
        let mut on_probation: Option<(RolloutId, Timestamp)> = None;
        for (event, seconds) in script {
            now = now.plus(Duration::from_secs(seconds));
            let event = event.unwrap_or_else(|| next_step(&machine));
            let before = machine.clone();
            let effects = machine.handle(event.clone(), now);

            if key(before.update()) != key(machine.update()) || before.serving() != machine.serving() {
                prop_assert!(matches!(effects.first(), Some(Effect::Journal(_))), "{event:?}: {effects:?}");
            }
            for effect in &effects {
                if let Effect::Journal(bytes) = effect {
                    disk.clone_from(bytes);
                }
            }
            prop_assert_eq!(&Journal::from_bytes(&disk).unwrap(), machine.journal(), "after {:?}", event);

            if event == Event::Restarted {
                prop_assert_eq!(machine.report().and_then(|report| report.sha256), None);
            }
            let changed = before.serving() != machine.serving();
            if changed {
                let serving = machine.serving().unwrap();
                let (rollout, since) = on_probation.expect("only what was on probation is committed");
                prop_assert_eq!(serving.rollout, rollout);
                prop_assert!(now.since(since) >= before.update().unwrap().offer.probation);
                prop_assert_eq!(before.state(), Some(SlotState::Probation));
                prop_assert_eq!(machine.journal().floor.deployment, serving.deployment_generation);
            }
            if key(before.update()) != key(machine.update()) {
                on_probation = match machine.update() {
                    Some(update) if update.state == SlotState::Probation => Some((update.offer.rollout, now)),
                    _ => None,
                };
            }
            prop_assert!(machine.journal().floor.deployment >= before.journal().floor.deployment);
            for effect in &effects {
                if let Effect::Report(report) = effect && report.state == SlotState::Committed && report.sha256.is_some() {
                    prop_assert_eq!(report.sha256, machine.serving().map(|s| s.sha256));
                }
            }
            if machine.update().is_some_and(|update| !update.is_settled()) {
                prop_assert!(machine.deadline().is_some(), "{:?} has no deadline", machine.state());
            }
        }
    }

    #[test]
    fn a_restart_from_any_record_comes_to_an_end(script in any_script(), kills in 0u8..8) {
        let mut machine = serving();
        let mut now = NOW.plus(Duration::from_secs(60));
        for (event, seconds) in script {
            now = now.plus(Duration::from_secs(seconds));
            let event = event.unwrap_or_else(|| next_step(&machine));
            machine.handle(event, now);
        }
        for _ in 0..=kills {
            machine = SlotMachine::open(&machine.journal().to_bytes()).unwrap();
            machine.handle(Event::Restarted, now);
        }
        // Nothing ever answers: the deadlines alone bring it to its end.
        for _ in 0..8 {
            now = machine.deadline().map_or(now, |at| at.max(now));
            machine.handle(Event::Tick, now);
        }
        prop_assert!(machine.update().is_none_or(Update::is_settled), "{:?}", machine.state());
        prop_assert!(machine.serving().is_some());
    }
}
