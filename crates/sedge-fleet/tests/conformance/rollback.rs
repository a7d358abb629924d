//! Nothing that was signed once and replaced since comes back, whatever of it is said again.

use sedge_fleet::{Edit, Effect};
use sedge_statement::{ControlAction, DocKind, Role};

use crate::statements::{
    DAY, certified, control, deployment, first, four, release, revoked, say, signed, three_roots, tried, version,
    writes,
};
use crate::support::author::{Author, EVIL, artifact, artifacts, handover, links_of, listener, say as hostile_says};
use crate::support::{Net, Node, START, certificate, id};

/// The frames that a node sends with its next write.
fn recorded(net: &mut Net, by: u8, edits: &[Edit]) -> Vec<Vec<u8>> {
    let now = net.now;
    let effects = net.node(by).write(DocKind::Authority, now, edits);
    let frames =
        effects.iter().filter_map(|e| if let Effect::Send { frame, .. } = e { Some(frame.clone()) } else { None });
    let frames: Vec<_> = frames.take(1).collect();
    net.carry(by, effects);
    net.settle();
    frames
}

#[test]
fn rollback_of_an_authority_document_by_its_own_older_links_changes_nothing() {
    let mut net = four();
    let model = release("digits", START);
    let wish = deployment(model.id(), first(1), START);
    let old = recorded(&mut net, 1, &[Edit::PutRelease(model), Edit::PutDeployment(wish.clone())]);
    writes(&mut net, 1, &[control(wish.id(), ControlAction::Halt, 1, START)]);
    let before = (net.node(3).store.clone(), net.digests());
    for carrier in [0, 1, 2] {
        for frame in &old {
            net.inject(carrier, 3, frame.clone());
        }
    }
    net.settle();
    assert_eq!(net.node(3).store, before.0);
    net.run(8);
    assert_eq!(net.digests(), before.1);
    assert_eq!(net.node(3).view().deployments[&wish.id()].control.to_string(), "halted");
}

#[test]
fn rollback_of_a_halt_by_whatever_is_said_after_is_none() {
    let mut net = four();
    let model = release("digits", START);
    let wish = deployment(model.id(), first(1), START);
    writes(&mut net, 1, &[Edit::PutRelease(model), Edit::PutDeployment(wish.clone())]);
    writes(&mut net, 2, &[control(wish.id(), ControlAction::Halt, 1, START)]);
    for (count, action) in [(1, ControlAction::Resume), (2, ControlAction::Cancel), (u32::MAX, ControlAction::Resume)] {
        writes(&mut net, 1, &[control(wish.id(), action, count, START.plus(DAY))]);
        writes(&mut net, 2, &[control(wish.id(), action, count, START.plus(DAY))]);
    }
    // The halt's own author put a resume in its very place.
    assert_ne!(net.node(3).view().deployments[&wish.id()].control.to_string(), "running");
}

#[test]
fn rollback_of_a_node_document_to_the_epoch_before_is_none() {
    let mut old = Author::new(DocKind::Node, 0);
    old.link(&artifacts(1, [1]));
    old.fill();
    let mut new = Author::new(DocKind::Node, 1);
    new.link(&[handover(old.end(), 1), artifacts(5, [2])].concat());
    new.link(&[artifact(5, 3)]);
    let mut node = listener(1);
    hostile_says(&mut node, old.pages(64));
    hostile_says(&mut node, new.pages(1));
    let (held, digest) = (node.view().holders.clone(), node.digest(START));
    assert_eq!(held.len(), 2, "{held:?}");
    hostile_says(&mut node, old.pages(64));
    hostile_says(&mut node, new.pages(1));
    assert_eq!((node.view().holders.clone(), node.digest(START)), (held, digest));
    assert!(node.view().members.contains_key(&id(EVIL)) && links_of(&node) == 2);
}

#[test]
fn rollback_of_a_certificate_to_an_older_revision_is_none() {
    let mut net = four();
    let first = certificate(3, &[Role::Device, Role::Release, Role::Deploy]);
    let demoted = certified(3, &[Role::Device], |c| (c.serial, c.revision) = (60, 2));
    say(&mut net, 0, demoted);
    for carrier in 0..4 {
        tried(&mut net, carrier, first.clone()).unwrap();
    }
    for at in 0..4 {
        let view = net.node(at).view();
        assert!(!view.members[&id(3)].may(Role::Deploy), "node {at} believes the older one");
        net.node(at).restart();
        assert!(!net.node(at).view().members[&id(3)].may(Role::Deploy));
    }
}

#[test]
fn rollback_of_the_roots_to_a_version_that_was_agreed_once_is_none() {
    let (mut net, one) = three_roots();
    let two = version(2, one, &[0, 2, 3], 2, &[1]);
    for by in [0, 2, 3] {
        say(&mut net, by, signed(by, &two));
    }
    assert_eq!(net.node(3).view().roots.id, two.id());
    let first = version(1, sedge_statement::RootsId::from(crate::support::mesh()), &[0, 1, 2], 2, &[]);
    assert_eq!(first.id(), one);
    for carrier in [0, 2, 3] {
        for by in 0..3 {
            let _ = tried(&mut net, carrier, signed(by, &first));
        }
        assert_eq!(net.node(carrier).view().roots.id, two.id());
        net.node(carrier).restart();
        assert_eq!(net.node(carrier).view().roots.id, two.id());
    }
}

#[test]
fn rollback_of_a_revocation_by_one_who_never_heard_of_it_is_none() {
    let mut net = four();
    let mut away = Node::member(5);
    for n in [1, 2, 3] {
        away.publish(certificate(n, &[Role::Device, Role::Release, Role::Deploy]));
    }
    say(&mut net, 0, certificate(5, &[Role::Device]));
    say(&mut net, 0, revoked(0, 3));
    net.run(4);
    net.nodes.insert(5, away);
    net.connect(1, 5);
    net.run(12);
    for at in [0, 1, 2, 5] {
        let view = net.node(at).view();
        assert!(view.revoked.contains_key(&id(3)) && !view.members.contains_key(&id(3)), "as node {at} sees it");
    }
    net.assert_agreed_but(3);
}
