//! The roots change step by step, each step agreed by both sides, and a new version lets what counts begin anew.

use sedge_fleet::{Edit, FindingKind};
use sedge_statement::{Generation, Role, RootVersion, RootsId};

use crate::statements::{deployment, first, four, release, say, signed, three_roots, tried, version, writes};
use crate::support::{Net, Node, START, certificate, id, mesh};

fn at(net: &mut Net, node: u8) -> u32 {
    net.node(node).view().roots.version
}

/// Versions 1 to 3 of the roots, each with the keys that sign it.
fn steps() -> [(RootVersion, Vec<u8>); 3] {
    let one = version(1, mesh().into(), &[0, 1, 2], 2, &[]);
    let two = version(2, one.id(), &[0, 2, 3], 2, &[1]);
    let three = version(3, two.id(), &[0, 2, 3, 5], 3, &[]);
    [(one, vec![0, 1]), (two, vec![0, 2]), (three, vec![0, 2, 3])]
}

#[test]
fn rotation_that_skips_a_version_is_not_followed_though_all_sign_it() {
    let (mut net, one) = three_roots();
    for (n, previous) in [(3, one), (u32::MAX, one), (2, mesh().into()), (1, one), (0, mesh().into())] {
        let skips = version(n, previous, &[0, 1, 2, 3], 3, &[]);
        for by in 0..4 {
            let _ = tried(&mut net, by, signed(by, &skips));
        }
        assert_eq!(at(&mut net, 3), 1, "version {n}");
    }
    // What cannot be followed stands in nobody's way.
    let next = version(2, one, &[0, 1, 2, 3], 3, &[]);
    for by in 0..3 {
        say(&mut net, by, signed(by, &next));
    }
    assert_eq!(at(&mut net, 3), 2);
}

#[test]
fn rotation_signed_by_the_old_roots_alone_or_by_the_new_alone_is_not_followed() {
    let (mut net, one) = three_roots();
    let next = version(2, one, &[3, 5, 6], 2, &[0, 1, 2]);
    for by in [0, 1, 2] {
        say(&mut net, by, signed(by, &next));
    }
    assert_eq!(at(&mut net, 3), 1, "all of the old ones and none of the new");
    say(&mut net, 3, signed(3, &next));
    assert_eq!(at(&mut net, 3), 1, "one of the new ones, of whom two must");
    let (mut other, one) = three_roots();
    let theirs = version(2, one, &[3, 5, 6], 2, &[0, 1, 2]);
    for by in [3, 5, 6] {
        let _ = tried(&mut other, 3, signed(by, &theirs));
    }
    say(&mut other, 0, signed(0, &theirs));
    for by in [3, 5, 6] {
        let _ = tried(&mut other, 3, signed(by, &theirs));
    }
    assert_eq!(at(&mut other, 3), 1, "all of the new ones and one of the old, of whom two must");
}

#[test]
fn rotation_signed_by_roots_of_an_earlier_version_is_not_followed() {
    let mut net = four();
    let [one, two, _] = steps();
    for (step, signers) in [&one, &two] {
        for by in signers {
            say(&mut net, 1, signed(*by, step));
        }
    }
    assert_eq!(at(&mut net, 3), 2);
    // Root 1 left with version 2, so that only one of these is left.
    let next = version(3, two.0.id(), &[0, 2], 2, &[3]);
    for by in [0, 1] {
        let _ = tried(&mut net, 1, signed(by, &next));
    }
    assert_eq!(at(&mut net, 3), 2);
}

#[test]
fn rotation_is_followed_step_by_step_by_one_who_was_away_whatever_the_order() {
    let all: Vec<_> =
        steps().into_iter().flat_map(|(step, by)| by.into_iter().map(move |by| signed(by, &step))).collect();
    for turn in 0..all.len() {
        let mut node = Node::member(7);
        let mut order = all.clone();
        order.rotate_left(turn);
        order.reverse();
        // One that is no root yet is believed once the version before it is there, so it is offered again, as sync does.
        for _ in 0..all.len() {
            for object in &order {
                if let Ok(effects) = node.fleet.publish(object.clone(), START) {
                    node.keep(&effects);
                }
            }
        }
        assert_eq!(node.view().roots.version, 3, "in the order that begins with {turn}");
        node.restart();
        assert_eq!(node.view().roots.version, 3);
    }
}

#[test]
fn rotation_reaches_a_node_that_missed_three_versions_by_one_neighbour() {
    let mut net = four();
    net.disconnect(0, 3);
    net.disconnect(1, 3);
    net.disconnect(2, 3);
    say(&mut net, 0, certificate(5, &[Role::Device]));
    for (step, signers) in steps() {
        for by in signers {
            say(&mut net, 2, signed(by, &step));
        }
    }
    assert_eq!((at(&mut net, 2), at(&mut net, 3)), (3, 0));
    net.connect(2, 3);
    net.run(12);
    assert_eq!(at(&mut net, 3), 3);
    let (two, three) = (net.node(2).view().digest(), net.node(3).view().digest());
    assert_eq!(two, three);
}

#[test]
fn rotation_by_one_key_that_names_itself_often_is_not_followed() {
    let (mut net, one) = three_roots();
    let mut alone = version(2, one, &[0], 1, &[1, 2]);
    say(&mut net, 0, signed(0, &alone));
    for keys in [&[0, 7][..], &[0, 7, 8][..], &[7][..]] {
        let leaving: Vec<u8> = [0, 1, 2].into_iter().filter(|n| !keys.contains(n)).collect();
        alone = version(2, one, keys, u8::try_from(keys.len() / 2 + 1).unwrap(), &leaving);
        for by in [0, 7, 8] {
            let _ = tried(&mut net, 0, signed(by, &alone));
        }
    }
    assert_eq!(at(&mut net, 3), 1);
}

#[test]
fn fast_forward_recovery_by_a_new_version_of_the_roots_counts_generations_anew() {
    let mut net = four();
    let model = release("digits", START);
    let far = deployment(model.id(), first(1_000_000), START);
    let too_far = deployment(model.id(), first(u64::MAX), START);
    let early = deployment(model.id(), Generation { epoch: 1, n: 1 }, START);
    let edits = [&far, &too_far, &early].map(|d| Edit::PutDeployment(d.clone()));
    writes(&mut net, 1, &[&[Edit::PutRelease(model)][..], &edits[..]].concat());
    let view = net.node(3).view();
    assert_eq!(view.deployments.keys().collect::<Vec<_>>(), [&far.id()], "a step that is as far as one may go");
    assert!(view.findings.iter().any(|f| (f.kind, f.about) == (FindingKind::GenerationJump, id(1))));

    let anew = version(1, RootsId::from(mesh()), &[0], 1, &[]);
    say(&mut net, 0, signed(0, &anew));
    let view = net.node(3).view();
    assert!(view.deployments.contains_key(&early.id()), "the count begins anew under the new version");
    assert!(!view.deployments.contains_key(&too_far.id()));
    let newest = view.deployments.values().max_by_key(|published| published.deployment.generation).unwrap();
    assert_eq!(newest.deployment, early, "and what is counted under it comes after all that was counted before");
}
