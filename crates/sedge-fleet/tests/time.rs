//! Time that is proven, for nodes whose clock is not: by authorities, and by nobody else.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_fleet::Edit;
use sedge_statement::{
    Control, ControlAction, DocKind, Kept, LastGood, Object, Revocation, Role, RolloutId, Timestamp,
};
use support::{Net, Node, START, artifact, certificate, id, key, mesh};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The root, a device, and an authority whose clock is far ahead.
fn net() -> Net {
    let mut device = Node::stranger(1);
    device.publish(certificate(0, &Role::ALL));
    device.publish(certificate(1, &[Role::Device]));
    let mut net = Net::new([Node::member(0), device, Node::member(2)]);
    net.connect(0, 1);
    net.connect(0, 2);
    net.connect(1, 2);
    net.run(8);
    net
}

fn control(n: u8, at: Timestamp) -> Edit {
    let rollout = RolloutId::from_bytes([n; 32]);
    Edit::PutControl(Control { rollout, action: ControlAction::Pause, count: 1, reason: String::new(), at })
}

fn says_at(net: &mut Net, n: u8, now: Timestamp, kind: DocKind, edit: Edit) {
    let effects = net.node(n).write(kind, now, &[edit]);
    net.carry(n, effects);
    net.settle();
}

#[test]
fn poisoned_time_of_a_device_moves_nothing() {
    let mut net = net();
    let before = net.node(0).fleet.verified_time();
    says_at(&mut net, 1, START.plus(70 * 365 * DAY), DocKind::Node, artifact(1));
    assert_eq!(net.node(0).fleet.verified_time(), before);
    assert_eq!(before, START);
}

#[test]
fn clock_set_back_is_bounded_by_what_an_authority_said() {
    let mut net = net();
    let later = START.plus(30 * DAY);
    says_at(&mut net, 2, later, DocKind::Authority, control(1, later));
    for n in 0..3 {
        assert_eq!(net.node(n).fleet.verified_time(), later);
        assert_eq!(net.node(n).view().verified, later);
    }
    // A certificate that begins after the device's clock, and before what was proven to be past.
    let mut c: sedge_statement::Certificate = certificate(5, &[Role::Device]).body().unwrap();
    (c.serial, c.not_before) = (9, START.plus(20 * DAY));
    net.node(1).publish(Object::sign(&key(0), mesh(), &c));
    assert!(net.node(1).fleet.admit(id(5), START));
    net.node(1).restart();
    assert_eq!(net.node(1).fleet.verified_time(), later, "a start forgets nothing of it");
}

#[test]
fn poisoned_time_of_an_authority_goes_with_its_revocation() {
    let mut net = net();
    let (soon, absurd) = (START.plus(DAY), START.plus(70 * 365 * DAY));
    says_at(&mut net, 2, soon, DocKind::Authority, control(1, soon));
    says_at(&mut net, 2, absurd, DocKind::Authority, control(2, absurd));
    assert_eq!(net.node(1).fleet.verified_time(), absurd);
    let documents = BTreeMap::from([(
        DocKind::Authority,
        LastGood { epoch: 0, seq: 1, head: support::hash_at(net.node(0), id(2), 0, 1) },
    )]);
    let kept = Kept { documents, ..Kept::default() };
    let revocation = Revocation { subject: id(2), kept, reason: "its clock is mad".into(), at: soon };
    let effects = net.node(0).publish(Object::sign(&key(0), mesh(), &revocation));
    net.carry(0, effects);
    net.settle();
    assert_eq!(net.node(1).fleet.verified_time(), soon);
    assert_eq!(net.node(0).fleet.verified_time(), soon);
}

#[test]
fn what_an_authority_signs_outside_its_dates_proves_no_time() {
    let mut net = net();
    let mut c: sedge_statement::Certificate = certificate(3, &[Role::Deploy]).body().unwrap();
    c.not_after = Some(START.plus(DAY));
    let mut late = Node::stranger(3);
    for object in [certificate(0, &Role::ALL), Object::sign(&key(0), mesh(), &c)] {
        late.publish(object);
    }
    net.nodes.insert(3, late);
    net.connect(0, 3);
    net.run(8);
    let (within, outside) = (START.plus(Duration::from_secs(3600)), START.plus(2 * DAY));
    says_at(&mut net, 3, within, DocKind::Authority, control(1, within));
    assert_eq!(net.node(0).fleet.verified_time(), within);
    says_at(&mut net, 3, outside, DocKind::Authority, control(2, outside));
    assert_eq!(net.node(0).fleet.verified_time(), START);
}
