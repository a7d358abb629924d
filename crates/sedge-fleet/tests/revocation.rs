//! A key is stolen, or its owner goes mad: those above take its word back, and what it said before it went bad still counts.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use sedge_fleet::testing::{Op, evidence_frame, hello_frame};
use sedge_fleet::{
    CloseReason, Edit, Effect, Event, FindingKind, PublishError, Remnant, RevocationRefusal, WriteError,
};
use sedge_statement::{
    Certificate, ChangeHash, Control, ControlAction, DocKind, Kept, KeptCertificates, LastGood, Object, ObjectId,
    Revocation, Role, Roll, RolloutId, Timestamp,
};
use support::author::{Author, EVIL, carry, listener};
use support::{Net, Node, START, artifact, certificate, id, key, mesh};

/// Takes back what node `subject` says, but what is kept of it, in the name of node `by`.
fn revocation(by: u8, subject: u8, kept: Kept) -> Object {
    let revocation = Revocation { subject: id(subject), kept, reason: "stolen".into(), at: START };
    Object::sign(&key(by), mesh(), &revocation)
}

/// What is kept of node `of`, as the root knows it: certificates up to a serial, and its `authority` document up to a link.
fn kept(net: &mut Net, of: u8, certificates: u64, authority: Option<(u32, u64)>) -> Remnant {
    let until = Timestamp::from_millis(u64::MAX);
    let Remnant { kept, rolls } = net.node(0).fleet.kept_of(id(of), until, Some(certificates)).unwrap();
    let documents = authority.map(|(epoch, seq)| {
        let head = support::hash_at(net.node(0), id(of), epoch, seq);
        (DocKind::Authority, LastGood { epoch, seq, head })
    });
    let documents = documents.into_iter().collect();
    Remnant { kept: Kept { documents, revocations: BTreeSet::new(), ..kept }, rolls }
}

/// Publishes that node `by` takes back what `subject` says, but what is kept of it.
fn revoke(net: &mut Net, by: u8, subject: u8, Remnant { kept, rolls }: Remnant) {
    publish(net, by, revocation(by, subject, kept));
    for roll in rolls {
        publish(net, by, Object::sign(&key(by), mesh(), &roll));
    }
}

/// A certificate that enroller `by` issues.
fn issued(by: u8, subject: u8, serial: u64, roles: &[Role]) -> Object {
    let mut c: Certificate = certificate(subject, roles).body().unwrap();
    (c.issuer, c.serial) = (id(by), serial);
    Object::sign(&key(by), mesh(), &c)
}

fn control(n: u8) -> Control {
    let rollout = RolloutId::from_bytes([n; 32]);
    Control { rollout, action: ControlAction::Pause, count: 1, reason: String::new(), at: START }
}

/// A control says the least of what an authority can: it is only counted here.
fn said(n: u8) -> Edit {
    Edit::PutControl(control(n))
}

/// The root and three members, all connected.
fn net() -> Net {
    let mut net = Net::new((0..4).map(Node::member));
    for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        net.connect(a, b);
    }
    net.run(8);
    net.assert_agreed();
    net
}

fn publish(net: &mut Net, by: u8, object: Object) {
    let effects = net.node(by).publish(object);
    net.carry(by, effects);
    net.settle();
}

/// How many statements of node `n` wait for their rollout: as many as count of what it said.
fn counted(net: &mut Net, at: u8, n: u8) -> u32 {
    let findings = &net.node(at).view().findings;
    let of = findings.iter().filter(|f| f.kind == FindingKind::UnknownRollout && f.about == id(n));
    of.map(|f| f.count).sum()
}

#[test]
fn revoked_peer_still_connected_is_told_and_cut_off_by_everyone() {
    let mut net = net();
    publish(&mut net, 0, revocation(0, 2, Kept::default()));
    net.tick();
    let cut: BTreeSet<u8> =
        net.closed.iter().filter(|(_, to, why)| (*to, *why) == (2, CloseReason::Revoked)).map(|c| c.0).collect();
    assert_eq!(cut, BTreeSet::from([0, 1, 3]));
    assert!(!net.node(1).fleet.admit(id(2), START) && net.node(1).fleet.admit(id(3), START));
    assert!(!net.node(1).view().members.contains_key(&id(2)));
    assert!(net.node(2).view().revoked.contains_key(&id(2)), "it heard of it before the door closed");
    net.connect(1, 2);
    net.run(2);
    assert_eq!(net.closed.last(), Some(&(1, 2, CloseReason::Revoked)), "and it does not come back");
    net.run(10);
    net.assert_agreed_but(2);
}

#[test]
fn key_compromise_leaves_what_was_said_up_to_the_last_good_link() {
    let mut net = net();
    for n in 1..=3 {
        net.write(2, DocKind::Authority, &[said(n)]);
        net.settle();
    }
    assert_eq!(counted(&mut net, 1, 2), 3);
    let left = kept(&mut net, 2, 0, Some((0, 2)));
    revoke(&mut net, 0, 2, left);
    assert_eq!((counted(&mut net, 0, 2), counted(&mut net, 1, 2)), (2, 2));
    // One that comes later, and so takes in all of it at once, sees the same.
    let mut late = Node::stranger(4);
    late.publish(certificate(0, &Role::ALL));
    late.publish(certificate(4, &[Role::Device]));
    net.nodes.insert(4, late);
    net.connect(1, 4);
    net.run(12);
    assert_eq!(counted(&mut net, 4, 2), 2);
    net.assert_agreed_but(2);
    net.node(1).restart();
    assert_eq!(counted(&mut net, 1, 2), 2, "and so does one that starts anew");
    net.assert_agreed_but(2);
}

#[test]
fn a_revoked_nodes_own_machine_is_not_spoken_of_any_more() {
    let mut net = net();
    net.write(2, DocKind::Node, &[artifact(7)]);
    net.settle();
    assert_eq!(net.node(1).view().holders.len(), 1);
    let documents =
        BTreeMap::from([(DocKind::Node, LastGood { epoch: 0, seq: 9, head: ChangeHash::from_bytes([0; 32]) })]);
    publish(&mut net, 0, revocation(0, 2, Kept { documents, ..Kept::default() }));
    assert!(net.node(1).view().holders.is_empty(), "nobody should ask it for weights");
}

#[test]
fn a_thief_opens_a_new_epoch_to_erase_history_and_it_counts_for_nothing() {
    let mut net = net();
    for n in 0..=255 {
        net.write(2, DocKind::Authority, &[said(n)]);
    }
    net.settle();
    let before = net.node(2).store.clone();
    let left = kept(&mut net, 2, 0, Some((0, 200)));
    revoke(&mut net, 0, 2, left);
    // Its 257th link begins epoch 1. Whoever has the key writes it where nobody knows of the revocation, and a member carries it.
    let mut thief = Node::member(2);
    thief.store = before;
    thief.restart();
    thief.handle(Event::Connected { peer: id(3) }, START);
    thief
        .handle(Event::Received { peer: id(3), frame: hello_frame(mesh(), &[certificate(3, &[Role::Device])]) }, START);
    let late = Edit::PutControl(Control { reason: "late".into(), ..control(9) });
    let sent = thief.write(DocKind::Authority, START, &[late]);
    let frames: Vec<_> =
        sent.into_iter().filter_map(|e| if let Effect::Send { frame, .. } = e { Some(frame) } else { None }).collect();
    assert!(!frames.is_empty());
    for frame in frames {
        net.inject(3, 1, frame);
    }
    net.settle();
    assert_eq!(counted(&mut net, 1, 2), 200);
    net.assert_agreed_but(2);
}

#[test]
fn a_member_without_the_right_to_enrol_revokes_nobody() {
    let mut net = net();
    let refused = net.node(2).fleet.publish(revocation(2, 1, Kept::default()), START);
    assert_eq!(refused.unwrap_err(), PublishError::Revocation(RevocationRefusal::MayNotRevoke));
}

#[test]
fn an_enroller_revokes_those_below_it_and_nobody_beside_or_above() {
    let mut net = net();
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &enroller(5, 90)));
    publish(&mut net, 0, issued(5, 6, 1, &[Role::Device]));
    for subject in [0, 1, 5, 6] {
        publish(&mut net, 1, revocation(5, subject, Kept::default()));
    }
    let view = net.node(3).view();
    assert_eq!(view.revoked.keys().collect::<Vec<_>>(), [&id(6)]);
    net.run(10);
    net.assert_agreed();
}

/// A certificate of the root that lets node `n` enrol.
fn enroller(n: u8, serial: u64) -> Certificate {
    let mut c: Certificate = certificate(n, &[Role::Enroll, Role::Device, Role::Deploy]).body().unwrap();
    c.serial = serial;
    c
}

#[test]
fn what_an_enroller_issued_after_its_last_good_serial_is_void_and_those_it_enrolled_before_stay() {
    let mut net = net();
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &enroller(5, 90)));
    publish(&mut net, 0, issued(5, 6, 1, &[Role::Device]));
    publish(&mut net, 0, issued(5, 7, 2, &[Role::Deploy]));
    assert_eq!(net.node(1).view().members.len(), 7);
    // Whom the thief enrolled has said something by then.
    let mut puppet = Node::member(0);
    puppet.publish(Object::sign(&key(0), mesh(), &enroller(5, 90)));
    puppet.publish(issued(5, 7, 2, &[Role::Deploy]));
    let mut puppet = Node {
        n: 7,
        fleet: sedge_fleet::Fleet::open(&support::genesis().0, mesh(), id(7), puppet.store.clone()).unwrap(),
        ..puppet
    };
    puppet.handle(Event::Connected { peer: id(1) }, START);
    puppet
        .handle(Event::Received { peer: id(1), frame: hello_frame(mesh(), &[certificate(1, &[Role::Device])]) }, START);
    for effect in puppet.write(DocKind::Authority, START, &[said(1)]) {
        if let Effect::Send { frame, .. } = effect {
            net.inject(3, 1, frame);
        }
    }
    net.settle();
    assert_eq!(counted(&mut net, 3, 7), 1);
    let left = kept(&mut net, 5, 1, None);
    revoke(&mut net, 0, 5, left.clone());
    for at in [0, 1, 3] {
        let members: BTreeSet<_> = net.node(at).view().members.keys().copied().collect();
        assert_eq!(members, (0..4).chain([6]).map(id).collect());
    }
    // One that hears of the revocation first refuses what the others once took, and none of them offers it again.
    let mut late = Node::stranger(4);
    late.publish(certificate(0, &Role::ALL));
    late.publish(revocation(0, 5, left.kept));
    late.publish(certificate(4, &[Role::Device]));
    net.nodes.insert(4, late);
    net.connect(0, 4);
    net.run(12);
    net.assert_agreed();
    let before = net.bytes;
    net.run(20);
    assert!(net.bytes - before < 20 * 7 * 200, "{} bytes in 20 quiet seconds", net.bytes - before);
}

#[test]
fn whom_a_revoked_enroller_revoked_before_stays_revoked_and_it_revokes_nobody_after() {
    let mut net = net();
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &enroller(5, 90)));
    for (subject, serial) in [(6, 1), (7, 2), (8, 3)] {
        publish(&mut net, 0, issued(5, subject, serial, &[Role::Device]));
    }
    let (just, by_thief) = (revocation(5, 6, Kept::default()), revocation(5, 7, Kept::default()));
    publish(&mut net, 0, just.clone());
    publish(&mut net, 0, by_thief);
    let revocations = BTreeSet::<ObjectId>::from([just.id()]);
    let Remnant { kept, rolls } = kept(&mut net, 5, 3, None);
    revoke(&mut net, 0, 5, Remnant { kept: Kept { revocations, ..kept }, rolls });
    for at in [0, 1] {
        let revoked: BTreeSet<_> = net.node(at).view().revoked.keys().copied().collect();
        assert_eq!(revoked, BTreeSet::from([id(5), id(6)]));
    }
    let later = net.node(1).fleet.publish(revocation(5, 8, Kept::default()), START);
    assert_eq!(later.unwrap_err(), PublishError::Revocation(RevocationRefusal::MayNotRevoke));
    net.run(10);
    net.assert_agreed();
}

#[test]
fn two_revocations_of_one_node_leave_what_both_keep() {
    let mut net = net();
    for n in 1..=3 {
        net.write(2, DocKind::Authority, &[said(n)]);
        net.settle();
    }
    let [one, other] = [(0, 1), (0, 3)].map(|last| kept(&mut net, 2, 0, Some(last)));
    let [wide, narrow] = [9, 4].map(|last| KeptCertificates { last, rolls: Vec::new() });
    revoke(&mut net, 0, 2, Remnant { kept: Kept { certificates: wide, ..one.kept.clone() }, ..one.clone() });
    revoke(&mut net, 0, 2, Remnant { kept: Kept { certificates: narrow.clone(), ..other.kept }, ..other });
    let view = net.node(1).view();
    assert_eq!(view.revoked[&id(2)].kept, Kept { certificates: narrow, ..one.kept });
    assert_eq!(counted(&mut net, 1, 2), 1);
}

#[test]
fn whoever_is_revoked_stays_so_whatever_certificate_it_is_given() {
    let mut net = net();
    publish(&mut net, 0, revocation(0, 2, Kept::default()));
    let mut again: Certificate = certificate(2, &[Role::Device]).body().unwrap();
    (again.serial, again.revision) = (80, 7);
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &again));
    assert!(!net.node(1).view().members.contains_key(&id(2)));
    assert!(net.node(1).view().certificates.iter().all(|c| c.subject != id(2)), "no selector finds it");
}

#[test]
fn a_revoked_node_that_goes_on_writing_is_told_so_and_nothing_breaks() {
    let mut net = net();
    net.write(2, DocKind::Node, &[artifact(1)]);
    net.write(2, DocKind::Authority, &[said(1)]);
    net.settle();
    let left = kept(&mut net, 2, 0, Some((0, 1)));
    revoke(&mut net, 0, 2, left);
    net.run(2);
    for restarted in [false, true] {
        if restarted {
            net.node(2).restart();
        }
        for (kind, edit) in [(DocKind::Node, artifact(2)), (DocKind::Authority, said(2))] {
            let written = net.node(2).fleet.write(&key(2), kind, START, &[edit]);
            assert!(matches!(written, Err(WriteError::Revoked)), "{written:?}");
        }
    }
}

#[test]
fn an_enroller_revokes_one_node_only_so_often() {
    let mut net = net();
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &enroller(5, 90)));
    let nth = |last| {
        let certificates = KeptCertificates { last, rolls: Vec::new() };
        revocation(5, 3, Kept { certificates, ..Kept::default() })
    };
    for n in 0..4 {
        publish(&mut net, 1, nth(n));
    }
    let refused = net.node(1).fleet.publish(nth(4), START).unwrap_err();
    assert_eq!(refused, PublishError::Revocation(RevocationRefusal::TooMany));
}

/// A history of the hostile member's: so many links, other ones from `from` on where `other` says.
fn history(links: usize, from: usize, other: bool) -> Author {
    let mut author = Author::new(DocKind::Authority, 0);
    for n in 1..=links {
        let branch = if other && n >= from { "other" } else { "one" };
        author.link(&[Op::put(&format!("{branch} {n}"), "x")]);
    }
    author
}

/// The root's revocation of the hostile member, which keeps a history up to a link.
fn keeps(author: &Author, seq: usize) -> Object {
    let head = sedge_fleet::testing::hash(&author.links[seq - 1]);
    let last = LastGood { epoch: author.doc.epoch, seq: seq as u64, head };
    let documents = BTreeMap::from([(DocKind::Authority, last)]);
    revocation(0, EVIL, Kept { documents, ..Kept::default() })
}

/// A node that has lost its connections with the hostile member and the carrier.
fn alone(mut node: Node) -> Node {
    for peer in [8, EVIL] {
        node.handle(Event::Disconnected { peer: id(peer) }, START);
    }
    node
}

fn links_that_count(node: &Node) -> Vec<ChangeHash> {
    let links = (1..).map_while(|seq| support::counting_hash(node, id(EVIL), 0, seq));
    links.collect()
}

#[test]
fn a_thief_forks_nothing_that_was_kept_whatever_came_first() {
    let (good, forged) = (history(6, 9, false), history(8, 3, true));
    let expected: Vec<ChangeHash> = good.links[..5].iter().map(|raw| sedge_fleet::testing::hash(raw)).collect();
    let says_good = |node: &mut Node| drop(carry(node, good.pages(2)));
    let says_forged = |node: &mut Node| drop(carry(node, forged.pages(3)));
    let revokes = |node: &mut Node| drop(node.publish(keeps(&good, 5)));
    let steps: [&dyn Fn(&mut Node); 3] = [&says_good, &says_forged, &revokes];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut node = listener(1);
        for step in order {
            steps[step](&mut node);
        }
        // Who revoked it holds what is kept.
        let mut root = listener(2);
        says_good(&mut root);
        revokes(&mut root);
        let mut net = Net::new([alone(node), alone(root)]);
        net.connect(1, 2);
        net.run(20);
        net.assert_agreed();
        assert_eq!(links_that_count(net.node(1)), expected, "{order:?}");
        net.node(1).restart();
        assert_eq!(links_that_count(net.node(1)), expected, "{order:?}, after a restart");
        net.bytes = 0;
        net.run(20);
        assert!(net.bytes < 10 * 60, "{} bytes where only digests are left to say", net.bytes);
    }
}

#[test]
fn a_thief_forks_no_earlier_epoch_of_what_was_kept() {
    let full = Author::full(DocKind::Authority);
    let mut next = Author::after(&full, 1);
    next.link(&[Op::put("kept", "x")]);
    let mut forged = Author::new(DocKind::Authority, 0);
    forged.link(&[Op::put("forged", "x")]);
    forged.fill();
    for first in [true, false] {
        let mut node = listener(1);
        if first {
            carry(&mut node, forged.pages(64));
        }
        node.publish(keeps(&next, 2));
        if !first {
            carry(&mut node, forged.pages(64));
        }
        let mut root = listener(2);
        carry(&mut root, full.pages(64));
        carry(&mut root, next.pages(1));
        root.publish(keeps(&next, 2));
        let mut net = Net::new([alone(node), alone(root)]);
        net.connect(1, 2);
        net.run(30);
        net.assert_agreed();
        let hash = sedge_fleet::testing::hash;
        for n in [1, 2] {
            assert_eq!(support::counting_hash(net.node(n), id(EVIL), 0, 256), full.links.last().map(|raw| hash(raw)));
            assert_eq!(support::counting_hash(net.node(n), id(EVIL), 1, 2), next.links.last().map(|raw| hash(raw)));
        }
        net.node(1).restart();
        net.assert_agreed();
    }
}

#[test]
fn a_fork_that_was_proven_before_cuts_again_once_the_revocation_is_void() {
    let (one, other) = (history(6, 9, false), history(6, 3, true));
    let mut node = Node::member(1);
    node.publish(Object::sign(&key(0), mesh(), &enroller(5, 90)));
    let enrolled = issued(5, EVIL, 1, &[Role::Device]);
    node.publish(enrolled.clone());
    node.handle(Event::Connected { peer: id(8) }, START);
    let path = [certificate(8, &[Role::Device])];
    node.handle(Event::Received { peer: id(8), frame: hello_frame(mesh(), &path) }, START);
    carry(&mut node, one.pages(6));
    carry(&mut node, other.pages(6));
    assert_eq!(links_that_count(&node).len(), 2, "up to where they part");
    // The enroller keeps one side of it.
    node.publish(Object::sign(&key(5), mesh(), &keeps(&one, 6).body::<Revocation>().unwrap()));
    carry(&mut node, one.pages(6));
    assert_eq!(links_that_count(&node).len(), 6, "all that is kept");
    node.restart();
    assert_eq!(links_that_count(&node).len(), 6);
    // Its own word is taken back, and that revocation is not among what is kept.
    let roll = Roll { certificates: [enrolled.id()].into() };
    let certificates = KeptCertificates { last: 1, rolls: vec![roll.id()] };
    node.publish(revocation(0, 5, Kept { certificates, ..Kept::default() }));
    node.publish(Object::sign(&key(0), mesh(), &roll));
    assert!(!node.view().revoked.contains_key(&id(EVIL)));
    assert_eq!(links_that_count(&node).len(), 2);
    assert_eq!(support::author::evidence(&node).len(), 1);
    node.restart();
    assert_eq!(links_that_count(&node).len(), 2);
}

#[test]
fn evidence_about_a_revoked_author_is_neither_taken_nor_told() {
    let (one, other) = (history(4, 9, false), history(4, 3, true));
    let mut node = listener(1);
    carry(&mut node, one.pages(4));
    node.publish(keeps(&one, 4));
    let sides = [one.links[2..].to_vec(), other.links[2..].to_vec()];
    let evidence = sedge_fleet::testing::evidence(&key(EVIL), mesh(), &one.doc, 3, sides);
    carry(&mut node, [evidence_frame(evidence)]);
    assert_eq!(links_that_count(&node).len(), 4);
    assert!(support::author::evidence(&node).is_empty());
}

#[test]
fn a_thief_signs_no_certificate_under_a_serial_that_was_kept() {
    let mut net = net();
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &enroller(5, 90)));
    publish(&mut net, 0, issued(5, 6, 1, &[Role::Device]));
    let left = kept(&mut net, 5, 1, None);
    assert_eq!(left.rolls, [Roll { certificates: [issued(5, 6, 1, &[Role::Device]).id()].into() }]);
    revoke(&mut net, 0, 5, left.clone());
    let forged = issued(5, 7, 1, &[Role::Deploy]);
    let refused = net.node(3).fleet.publish(forged.clone(), START).unwrap_err();
    assert!(matches!(refused, PublishError::Certificate(_)), "{refused}");
    // One that takes in the forged one first sees the same once it knows.
    let mut late = Node::stranger(4);
    late.publish(certificate(0, &Role::ALL));
    late.publish(certificate(4, &[Role::Device]));
    late.publish(Object::sign(&key(0), mesh(), &enroller(5, 90)));
    late.publish(forged);
    net.nodes.insert(4, late);
    net.connect(1, 4);
    net.run(12);
    for at in [0, 1, 3, 4] {
        let members: BTreeSet<_> = net.node(at).view().members.keys().copied().collect();
        assert_eq!(members, (0..4).chain([4, 6]).map(id).collect(), "at {at}");
        net.node(at).restart();
        assert!(!net.node(at).view().members.contains_key(&id(7)));
    }
    net.assert_agreed();
}

#[test]
fn a_roll_that_no_revocation_names_is_refused() {
    let mut net = net();
    let roll = Roll { certificates: [certificate(1, &[Role::Device]).id()].into() };
    let refused = net.node(0).fleet.publish(Object::sign(&key(0), mesh(), &roll), START).unwrap_err();
    assert!(matches!(refused, PublishError::Roll(_)), "{refused}");
}

#[test]
fn revocations_in_effect_are_kept_first_and_too_many_are_refused() {
    let mut net = net();
    publish(&mut net, 0, Object::sign(&key(0), mesh(), &enroller(5, 90)));
    publish(&mut net, 0, issued(5, 6, 1, &[Role::Device]));
    // Of those beside and above it, which count for nothing.
    for subject in [1, 2, 3] {
        publish(&mut net, 1, revocation(5, subject, Kept::default()));
    }
    let just = revocation(5, 6, Kept::default());
    publish(&mut net, 1, just.clone());
    let until = Timestamp::from_millis(u64::MAX);
    let all = net.node(0).fleet.kept_of(id(5), until, None).unwrap().kept;
    assert!(all.revocations.len() == 4 && all.revocations.contains(&just.id()));
}
