//! The slot's journal, from any bytes, and its machine, under any order of events and restarts.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sedge_slot::{Effect, Event, Floor, Go, Journal, Offer, Outcome, SlotMachine, Withdrawal};
use sedge_statement::{
    Action, Blake3, ByteSize, Downgrade, Generation, ModelFile, ReleaseId, RolloutId, Sha256, Timestamp,
};

/// Events of one run: enough for three updates with restarts between all their steps.
const MAX_EVENTS: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut machine) = SlotMachine::open(bytes) {
        assert_eq!(machine.journal().to_bytes(), bytes, "an accepted journal has another encoding");
        machine.handle(Event::Restarted, Timestamp::from_millis(0));
        machine.handle(Event::Tick, Timestamp::from_millis(u64::MAX));
        let _ = machine.report();
    }

    let slot = "detector".parse().expect("a slot's name");
    let mut machine = SlotMachine::new(slot, Floor::default());
    let mut now = Timestamp::from_millis(1_000);
    let mut verified = Vec::new();
    for pair in bytes.chunks_exact(2).take(MAX_EVENTS) {
        let (kind, arg) = (pair[0], pair[1]);
        now = now.plus(Duration::from_millis(1 << (arg >> 3)));
        if kind == u8::MAX {
            machine = SlotMachine::open(&machine.journal().to_bytes()).expect("what is written can be read");
        }
        let event = event(kind, arg);
        if let Event::Finished { rollout, outcome: Outcome::Verified(Ok(())) } = &event {
            verified.push(*rollout);
        }
        let before = machine.clone();
        let effects = machine.handle(event, now);
        check(&before, &machine, &effects, &verified);
    }
});

/// What holds whatever happens.
fn check(before: &SlotMachine, after: &SlotMachine, effects: &[Effect], verified: &[RolloutId]) {
    if before.journal() != after.journal() {
        let Some(Effect::Journal(first)) = effects.first() else {
            panic!("the journal changed, but is not written first: {effects:?}");
        };
        assert!(first.len() <= Journal::MAX_BYTES);
        assert!(Journal::from_bytes(first).is_ok(), "what is written cannot be read");
    }
    assert!(before.serving().is_none() || after.serving().is_some(), "a slot lost its model");
    for effect in effects {
        if let Effect::Activate { offer, .. } = effect {
            assert!(verified.contains(&offer.rollout), "activated without proof: {offer:?}");
        }
    }
    if let Some(report) = after.report() {
        assert!(report.reason.is_none_or(|reason| !reason.is_empty()), "an empty reason");
    }
}

fn event(kind: u8, arg: u8) -> Event {
    let rollout = rollout(arg);
    let result = || if arg & 4 == 0 { Ok(()) } else { Err("it did not".into()) };
    let finished = |outcome| Event::Finished { rollout, outcome };
    match kind % 16 {
        0 | 1 => Event::Offered { offer: Box::new(offer(kind >> 4, arg)), go: Go::Now },
        2 => Event::Offered { offer: Box::new(offer(kind >> 4, arg)), go: Go::Wait("the wave is closed".into()) },
        3 => Event::Withdrawn { rollout, why: Withdrawal::Cancelled },
        4 => Event::Withdrawn { rollout, why: Withdrawal::Halted },
        5 => Event::Withdrawn { rollout, why: Withdrawal::Superseded },
        6 => Event::Paused { rollout, reason: "no power".into() },
        7 => Event::Resumed { rollout },
        8 => finished(Outcome::Fit(result())),
        9 => finished(Outcome::Fetched(result())),
        10 => finished(Outcome::Verified(result())),
        11 => finished(Outcome::Tested(result())),
        12 => finished(Outcome::Activated(result())),
        13 => finished(Outcome::RolledBack(result())),
        14 if arg & 4 == 0 => Event::Healthy { rollout },
        14 => Event::Unhealthy { rollout, reason: "it hangs".into() },
        _ if kind == u8::MAX => Event::Restarted,
        _ => Event::Tick,
    }
}

fn rollout(arg: u8) -> RolloutId {
    RolloutId::from_bytes([arg % 4; 32])
}

fn offer(choice: u8, arg: u8) -> Offer {
    let generation = |n: u8| Generation { epoch: 0, n: u64::from(n) };
    let file = ModelFile {
        name: "model.onnx".parse().expect("a file's name"),
        size: ByteSize(u64::from(arg)),
        sha256: Sha256::from_bytes([arg; 32]),
        blake3: Blake3::from_bytes([arg; 32]),
    };
    Offer {
        rollout: rollout(arg),
        release: ReleaseId::from_bytes([arg % 4; 32]),
        model: "digits".parse().expect("a model's id"),
        variant: "onnx-f32".parse().expect("a variant's name"),
        files: if choice == 7 { Vec::new() } else { vec![file] },
        probes: None,
        deployment_generation: generation(arg % 4),
        release_generation: generation(arg % 4),
        downgrade: if choice & 1 == 0 { Downgrade::Refuse } else { Downgrade::Allow },
        action: if choice == 6 { Action::StageOnly } else { Action::Activate },
        probation: Duration::from_secs(u64::from(choice)),
        soak: Duration::from_secs(u64::from(arg)),
        deadline: Timestamp::from_millis(1 << 34),
        start_by: (choice == 5).then_some(Timestamp::from_millis(1 << 20)),
    }
}
