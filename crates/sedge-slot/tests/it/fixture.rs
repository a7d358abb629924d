//! Offers to try things with, and a slot in any state.

use std::time::Duration;

use sedge_slot::{Effect, Event, Floor, Go, Offer, Outcome, SlotMachine};
use sedge_statement::{
    Action, Blake3, ByteSize, Downgrade, Generation, ModelFile, ReleaseId, RolloutId, Sha256, SlotState, Timestamp,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// An offer whose ids and digest are `n`, and whose generations are `n` too.
pub(crate) fn offer(n: u8) -> Offer {
    Offer {
        rollout: RolloutId::from_bytes([n; 32]),
        release: ReleaseId::from_bytes([n.wrapping_add(100); 32]),
        model: "digits".parse().unwrap(),
        variant: "onnx-f32".parse().unwrap(),
        files: vec![ModelFile {
            name: "model.onnx".parse().unwrap(),
            size: ByteSize(1000),
            sha256: Sha256::from_bytes([n; 32]),
            blake3: Blake3::from_bytes([n; 32]),
        }],
        probes: None,
        deployment_generation: Generation { epoch: 0, n: n.into() },
        release_generation: Generation { epoch: 0, n: n.into() },
        downgrade: Downgrade::Refuse,
        action: Action::Activate,
        probation: Duration::from_secs(10),
        soak: Duration::from_secs(30),
        deadline: NOW.plus(24 * HOUR),
        start_by: Some(NOW.plus(12 * HOUR)),
    }
}

pub(crate) fn slot() -> SlotMachine {
    SlotMachine::new("detector".parse().unwrap(), Floor::default())
}

pub(crate) fn offered(offer: &Offer) -> Event {
    Event::Offered { offer: Box::new(offer.clone()), go: Go::Now }
}

pub(crate) fn waits(offer: &Offer, why: &str) -> Event {
    Event::Offered { offer: Box::new(offer.clone()), go: Go::Wait(why.into()) }
}

pub(crate) fn done(offer: &Offer, outcome: Outcome) -> Event {
    Event::Finished { rollout: offer.rollout, outcome }
}

/// A slot that serves offer 1.
pub(crate) fn serving() -> SlotMachine {
    let mut machine = slot();
    bring(&mut machine, &offer(1), SlotState::Committed);
    machine
}

/// Takes a slot with a new offer to a state, by the shortest way.
pub(crate) fn bring(machine: &mut SlotMachine, offer: &Offer, state: SlotState) -> Vec<Effect> {
    use SlotState::*;
    let go = |event| (event, NOW);
    let begin = [go(offered(offer))];
    let fit = go(done(offer, Outcome::Fit(Ok(()))));
    let fetched = go(done(offer, Outcome::Fetched(Ok(()))));
    let verified = go(done(offer, Outcome::Verified(Ok(()))));
    let tested = go(done(offer, Outcome::Tested(Ok(()))));
    let activated = go(done(offer, Outcome::Activated(Ok(()))));
    let broken = go(done(offer, Outcome::Activated(Err("broken".into()))));
    let paused = go(Event::Paused { rollout: offer.rollout, reason: "paused".into() });
    let tick = (Event::Tick, NOW.plus(offer.probation));
    let steps = match state {
        Offered => vec![],
        Rejected => vec![go(done(offer, Outcome::Fit(Err("too large".into()))))],
        Waiting => vec![paused, fit],
        Fetching => vec![fit],
        Paused => vec![fit, paused],
        Verifying => vec![fit, fetched],
        Staged => vec![fit, fetched, paused, verified],
        Testing => vec![fit, fetched, verified],
        Failed => vec![fit, fetched, verified, go(done(offer, Outcome::Tested(Err("wrong answer".into()))))],
        Activating => vec![fit, fetched, verified, tested],
        Probation => vec![fit, fetched, verified, tested, activated],
        Committed => vec![fit, fetched, verified, tested, activated, tick],
        RollingBack => vec![fit, fetched, verified, tested, broken],
        RolledBack => {
            vec![fit, fetched, verified, tested, broken, go(done(offer, Outcome::RolledBack(Ok(()))))]
        }
        RollbackFailed => {
            vec![fit, fetched, verified, tested, broken, go(done(offer, Outcome::RolledBack(Err("stuck".into()))))]
        }
        Expired => vec![paused, fit, (Event::Tick, offer.last_start())],
        Cancelled => vec![go(Event::Withdrawn { rollout: offer.rollout, why: sedge_slot::Withdrawal::Cancelled })],
        Superseded => vec![go(Event::Withdrawn { rollout: offer.rollout, why: sedge_slot::Withdrawal::Superseded })],
        Accepted => unreachable!("nothing rests there"),
    };
    let mut effects = Vec::new();
    for (event, now) in begin.into_iter().chain(steps) {
        effects = machine.handle(event, now);
    }
    assert_eq!(machine.state(), Some(state));
    effects
}

/// The effects in one word each, for tables.
pub(crate) fn words(effects: &[Effect]) -> String {
    let words: Vec<String> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Journal(_) => "journal".to_owned(),
            Effect::SetFloor(_) => "floor".to_owned(),
            Effect::CheckFit(_) => "fit".to_owned(),
            Effect::Fetch(_) => "fetch".to_owned(),
            Effect::Stop(_) => "stop".to_owned(),
            Effect::Verify(_) => "verify".to_owned(),
            Effect::Test(_) => "test".to_owned(),
            Effect::Activate { .. } => "activate".to_owned(),
            Effect::Commit { .. } => "commit".to_owned(),
            Effect::RollBack { .. } => "roll-back".to_owned(),
            Effect::Serve(_) => "serve".to_owned(),
            Effect::Report(report) => format!("report({})", report.state),
            Effect::Gate(report) => format!("gate({})", report.state),
            Effect::Refused { .. } => "refused".to_owned(),
        })
        .collect();
    words.join(" ")
}
