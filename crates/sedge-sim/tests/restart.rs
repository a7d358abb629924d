//! What was persisted is there after a crash, whenever that hits.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::time::Duration;

use sedge_fleet::Edit;
use sedge_sim::{Seat, Setting, Weather, World};
use sedge_statement::{Blake3, DocKind};

fn artifact(n: u64) -> Edit {
    Edit::PutArtifact { blake3: Blake3::of(&n.to_le_bytes()), size: n }
}

fn world(seed: u64, nodes: usize) -> World {
    World::new(&Setting { seed, nodes, late: 0, chords: 2, weather: Weather::clear() }).unwrap()
}

#[test]
fn a_restarted_node_loses_nothing() {
    let mut world = world(1, 6);
    for _ in 0..5 {
        for seat in world.seats() {
            world.write_something(seat).unwrap();
            world.run(Duration::from_millis(300)).unwrap();
        }
    }
    for seat in world.seats() {
        let before = world.view(seat).unwrap().digest();
        world.crash(seat, Duration::ZERO).unwrap();
        assert!(!world.is_up(seat));
        world.run(Duration::from_millis(1)).unwrap();
        assert_eq!(world.view(seat).unwrap().digest(), before, "{seat:?}");
    }
    world.settle(Duration::from_secs(60)).unwrap();
    world.check().unwrap();
}

#[test]
fn a_crash_between_any_two_effects_leaves_a_store_that_opens_and_converges() {
    let mut died = 0;
    for effects in 0..40 {
        let mut world = world(2, 4);
        world.settle(Duration::from_secs(60)).unwrap();
        let seat = Seat(1);
        world.crash_after(seat, effects, Duration::from_secs(1));
        for _ in 0..3 {
            for seat in world.seats() {
                world.write_something(seat).unwrap();
            }
            world.run(Duration::from_millis(400)).unwrap();
        }
        world.settle(Duration::from_secs(60)).unwrap();
        world.check().unwrap();
        died += world.crashes();
    }
    assert_eq!(died, 40, "every run has its crash");
}

#[test]
fn epochs_roll_over_while_nodes_crash_and_the_network_is_apart() {
    let mut world = world(3, 4);
    world.settle(Duration::from_secs(60)).unwrap();
    let writer = Seat(1);
    for round in 0..50_u64 {
        match round % 10 {
            2 => world.part(&[writer, Seat(2)].into()),
            4 => world.crash_after(Seat(usize::try_from(round / 10).unwrap() % 4), 5, Duration::from_secs(2)),
            6 => world.mend(),
            _ => {}
        }
        for n in 0..12 {
            world.write(writer, DocKind::Node, &[artifact(round * 12 + n)]).unwrap();
        }
        world.write_something(Seat(3)).unwrap();
        world.run(Duration::from_secs(1)).unwrap();
    }
    world.settle(Duration::from_secs(60)).unwrap();
    world.check().unwrap();
    assert!(world.crashes() > 3);
    let held = world.diary(writer).artifacts.len();
    assert!(held > 400, "only {held} artifacts were written");
    for seat in world.seats() {
        let records = world.records(seat);
        assert!(records < 300, "{seat:?} keeps {records} records of {held} links");
    }
}
