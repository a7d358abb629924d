//! Authors that sign two histories, and wires that damage frames: neither harms anybody else.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::{Edit, FindingKind};
use sedge_sim::{Dice, Seat, Setting, Weather, World, accused};
use sedge_statement::{
    Blake3, CellPath, Control, ControlAction, DocKind, NodeId, RolloutId, SlotReport, SlotState, Timestamp,
};

const LONG: Duration = Duration::from_secs(120);

/// A ring of eight without chords, so that a clone can be wired far from its original.
fn ring(seed: u64, weather: Weather) -> World {
    World::new(&Setting { seed, nodes: 8, late: 0, chords: 0, weather }).unwrap()
}

fn slot(since: u64) -> Edit {
    Edit::PutSlot(SlotReport {
        slot: "detector".parse().unwrap(),
        rollout: None,
        state: SlotState::Committed,
        reason: None,
        since: Timestamp::from_millis(since),
        serving: None,
        sha256: None,
    })
}

fn artifact(n: u64) -> Edit {
    Edit::PutArtifact { blake3: Blake3::of(&n.to_le_bytes()), size: n }
}

fn control(n: u64) -> Edit {
    Edit::PutControl(Control {
        rollout: RolloutId::from_bytes([7; 32]),
        action: ControlAction::Pause,
        count: u32::try_from(n).unwrap(),
        reason: String::new(),
        at: Timestamp::from_millis(1_800_000_000_000),
    })
}

fn settle(world: &mut World) -> BTreeMap<CellPath, [u8; 32]> {
    let settled = world.settle(LONG).unwrap();
    world.check().unwrap();
    settled.views
}

/// Lets everybody but some write for a while.
fn murmur(world: &mut World, but: &[Seat]) {
    for _ in 0..3 {
        for seat in world.seats().into_iter().filter(|seat| !but.contains(seat)) {
            world.write_something(seat).unwrap();
        }
        world.run(Duration::from_millis(700)).unwrap();
    }
}

/// A clone is wired to nodes of its cell, or nobody would hear what both say of themselves.
fn a_clone_ends_as_a_fork(seed: u64, weather: Weather, edits: impl Fn(u64) -> Edit) {
    let is_authority = edits(0).kind() == DocKind::Authority;
    let (forger, neighbours) = if is_authority { (Seat(2), [Seat(0), Seat(5)]) } else { (Seat(7), [Seat(4), Seat(5)]) };
    let mut world = ring(seed, weather);
    let id = world.id(forger);
    murmur(&mut world, &[]);
    settle(&mut world);
    let clone = world.clone_node(forger, &neighbours).unwrap();
    // Both go on from the same records without hearing of each other: their next links are of one place.
    let apart = BTreeSet::from([clone]);
    world.part(&apart);
    for n in 0..3 {
        world.write(forger, edits(n).kind(), &[edits(n)]).unwrap();
        world.write(clone, edits(n + 10).kind(), &[edits(n + 10)]).unwrap();
    }
    murmur(&mut world, &[forger, clone]);
    settle(&mut world);
    assert_found(&mut world, id);
    // What it says after the fork is heard, or not heard, by all alike.
    for n in 20..23 {
        world.write(forger, edits(n).kind(), &[edits(n)]).unwrap();
        world.write(clone, edits(n + 10).kind(), &[edits(n + 10)]).unwrap();
    }
    murmur(&mut world, &[forger, clone]);
    let before = settle(&mut world);
    for seat in world.seats() {
        world.crash(seat, Duration::from_secs(1)).unwrap();
    }
    assert_eq!(settle(&mut world), before, "a fork outlives a restart");
    assert_found(&mut world, id);
}

fn assert_found(world: &mut World, forger: NodeId) {
    for seat in world.seats() {
        let view = world.view(seat).unwrap();
        let forks: Vec<_> = view.findings.iter().filter(|finding| finding.kind == FindingKind::Fork).collect();
        assert!(!forks.is_empty(), "{seat:?} found no fork");
        assert!(forks.iter().all(|finding| finding.about == forger), "{forks:?}");
    }
}

#[test]
fn a_cloned_node_ends_as_a_fork_that_everybody_sees_alike() {
    for seed in 0..4 {
        a_clone_ends_as_a_fork(seed, Weather::clear(), slot);
        a_clone_ends_as_a_fork(seed, Weather::foul(&mut Dice::new(seed, 9)), artifact);
        a_clone_ends_as_a_fork(seed, Weather::clear(), control);
    }
}

#[test]
fn damaged_frames_of_one_author_harm_nobody() {
    for seed in 0..6 {
        let mut world = ring(seed, Weather::clear());
        let author = Seat(3);
        settle(&mut world);
        world.damage(author, 400);
        for _ in 0..6 {
            for seat in world.seats() {
                world.write_something(seat).unwrap();
            }
            world.run(Duration::from_secs(2)).unwrap();
        }
        let id = world.id(author);
        for seat in world.seats() {
            let view = world.view(seat).unwrap();
            let guilty: Vec<_> = view.findings.iter().filter(|finding| accused(finding)).collect();
            assert!(guilty.iter().all(|finding| finding.about == id), "{seat:?}: {guilty:?}");
            assert!(guilty.iter().all(|finding| finding.kind == FindingKind::Malformed), "{seat:?}: {guilty:?}");
        }
        world.damage(author, 0);
        // Findings outlive what they are about; a restart forgets those that are about a sender.
        for seat in world.seats() {
            world.forgive(seat).unwrap();
        }
        settle(&mut world);
    }
}

#[test]
fn a_wire_that_damages_every_frame_ends_in_closed_connections_and_no_other_harm() {
    let mut world = ring(1, Weather::clear());
    settle(&mut world);
    world.damage(Seat(3), 1000);
    let written = world.write(Seat(3), DocKind::Node, &[slot(7)]).unwrap();
    assert!(written);
    world.run(Duration::from_secs(90)).unwrap();
    for cell in [[0, 1], [5, 6]] {
        let [one, other] = cell.map(|n| world.view(Seat(n)).unwrap().digest());
        assert_eq!(one, other);
    }
    assert!(!world.view(Seat(0)).unwrap().slots.keys().any(|(id, _)| *id == world.id(Seat(3))));
}
