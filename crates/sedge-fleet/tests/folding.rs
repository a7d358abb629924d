//! The view that a node keeps up to date is the view that it would fold from nothing, whatever happened in between.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sedge_fleet::{Edit, Event, testing};
use sedge_statement::{
    Action, Blake3, Certificate, Control, ControlAction, Deployment, DocKind, Downgrade, Frontier, GatePolicy,
    Generation, Object, Priority, ReleaseId, Role, Selector, Timestamp,
};
use support::{Fate, Net, Node, START, artifact, certificate, gate, key, mesh, slot};

/// The node whose view is watched.
const WATCHER: u8 = 9;
/// A node whose certificate begins an hour after the start.
const LATER: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    Write(u8, u64),
    Deliver(Fate),
    /// Time passes, or is set back.
    Clock(u64),
    /// A node comes back from an older store: it forks.
    Backup(u8),
    /// A member says something that is no frame.
    Garbage(u8),
    /// Somebody who has written for a while is certified.
    Certify,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![6 => Just(Fate::Deliver), 1 => Just(Fate::Lose), 1 => Just(Fate::Delay)];
    prop_oneof![
        8 => (1..=4u8, 0..40u64).prop_map(|(n, what)| Step::Write(n, what)),
        16 => fate.prop_map(Step::Deliver),
        3 => (0..8u64).prop_map(Step::Clock),
        1 => (1..=3u8).prop_map(Step::Backup),
        1 => (1..=3u8).prop_map(Step::Garbage),
        1 => Just(Step::Certify),
    ]
}

fn later() -> Object {
    let certificate: Certificate = certificate(LATER, &[Role::Device, Role::Deploy]).body().unwrap();
    let not_before = START.plus(Duration::from_secs(3600));
    Object::sign(&key(0), mesh(), &Certificate { not_before, revision: 2, serial: 77, ..certificate })
}

fn deployment(n: u64) -> Deployment {
    Deployment {
        command: Default::default(),
        release: ReleaseId::from_bytes([7; 32]),
        slot: "detector".parse().unwrap(),
        selector: Selector::whole_mesh(),
        frontier: Frontier::default(),
        generation: Generation { epoch: 0, n: n + 1 },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![],
        gate: GatePolicy::default(),
        probation: Duration::from_secs(1),
        deadline: START.plus(Duration::from_secs(60)),
        start_by: None,
        created_at: START,
    }
}

fn edit(what: u64) -> Edit {
    let n = what / 8;
    match what % 8 {
        0 => artifact(n),
        1 => Edit::RemoveArtifact(Blake3::of(&n.to_le_bytes())),
        2 => slot("detector", what),
        3 => slot("assistant", what),
        4 => Edit::RemoveSlot("detector".parse().unwrap()),
        5 => gate(u8::try_from(n).unwrap()),
        6 => Edit::PutDeployment(deployment(n)),
        _ => {
            let rollout = deployment(n % 2).id();
            Edit::PutControl(Control {
                rollout,
                action: ControlAction::Pause,
                count: 1,
                reason: String::new(),
                at: START,
            })
        }
    }
}

fn write(net: &mut Net, n: u8, edit: &Edit) {
    let now = net.now;
    // A forked document takes no more, which is as well here.
    if let Ok(effects) = net.node(n).fleet.write(&key(n), edit.kind(), now, std::slice::from_ref(edit)) {
        net.node(n).keep(&effects);
        net.carry(n, effects);
    }
}

fn connect(net: &mut Net) {
    (1..=LATER).for_each(|n| net.connect(n, WATCHER));
}

/// A node's records at some time.
type Backup = (u8, std::collections::BTreeMap<Vec<u8>, Vec<u8>>);

fn take(net: &mut Net, step: Step, backups: &[Backup]) {
    match step {
        Step::Write(n, what) => write(net, n, &edit(what)),
        Step::Deliver(fate) => drop(net.step(fate)),
        Step::Clock(quarters) => {
            net.now = START.plus(Duration::from_secs(quarters * 900));
            for n in [1, 2, 3, LATER, WATCHER] {
                let now = net.now;
                let effects = net.node(n).handle(Event::Tick, now);
                net.carry(n, effects);
            }
        }
        Step::Backup(n) => {
            net.disconnect(n, WATCHER);
            net.node(n).store = backups.iter().find(|(of, _)| *of == n).unwrap().1.clone();
            net.node(n).restart();
            net.connect(n, WATCHER);
        }
        Step::Garbage(n) => net.inject(n, WATCHER, vec![255, n]),
        Step::Certify => {
            net.node(WATCHER).publish(later());
        }
    }
}

fn check(net: &mut Net, now: Timestamp) {
    let fleet = &mut net.node(WATCHER).fleet;
    let kept = fleet.view(now);
    assert_eq!(*kept, testing::view_from_scratch(fleet, now));
    assert!(Arc::ptr_eq(&kept, &fleet.view(now)), "nothing changed in between");
}

fn digest(net: &mut Net) -> [u8; 32] {
    let now = net.now;
    net.node(WATCHER).digest(now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_kept_up_to_date_is_the_view_folded_from_nothing(
        steps in proptest::collection::vec((step(), any::<bool>()), 0..160),
    ) {
        let mut net = Net::new([Node::member(1), Node::member(2), Node::member(3), Node::member(LATER), Node::member(WATCHER)]);
        connect(&mut net);
        net.settle();
        (1..=3).for_each(|n| net.write(n, DocKind::Node, &[artifact(0), slot("detector", 1)]));
        let backups: Vec<_> = (1..=3).map(|n| (n, net.node(n).store.clone())).collect();
        for (step, looked_at) in steps {
            take(&mut net, step, &backups);
            if looked_at {
                let now = net.now;
                check(&mut net, now);
            }
        }
        net.settle();
        let now = net.now;
        check(&mut net, now);
        // What was read again from the store gives it too; what was only found by the way does not last.
        let before = digest(&mut net);
        net.node(WATCHER).restart();
        prop_assert_eq!(digest(&mut net), before);
    }
}
