//! Who is a villain, what goes wrong when, and who writes, moves and takes back when.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Plot, Siege};
use crate::realm::{ROOTS, Realm};
use crate::schedule::Act;
use crate::{Character, Dice, Seat, Weather};

/// How many nodes are moved, and how many honest ones revoked.
const MOVED: usize = 4;
const REVOKED: usize = 2;
/// How many nodes crash, and of how many all connections break.
const CRASHES: usize = 14;
const CUT_OFF: usize = 14;

/// The plot of a seed.
pub(super) fn plot(siege: &Siege, realm: &Realm, seed: u64) -> Plot {
    let mut dice = Dice::new(seed, 10);
    let weather = Weather::any(&mut dice);
    let villains = villains(realm, seed, &mut dice);
    let taken: BTreeSet<Seat> = villains.iter().map(|(seat, _)| *seat).collect();
    let mut devices: Vec<Seat> = realm.devices().filter(|seat| !taken.contains(seat)).collect();
    let mut draw = |dice: &mut Dice| devices.swap_remove(dice.below(devices.len()));
    let apart: Vec<Seat> = (0..MOVED + REVOKED).map(|_| draw(&mut dice)).collect();
    let (moved, revoked) = apart.split_at(MOVED);
    let honest: Vec<Seat> = realm.seats().filter(|seat| !taken.contains(seat) && *seat != ROOTS[2]).collect();
    let mut acts = Vec::new();
    let moment = |dice: &mut Dice| dice.between(Duration::ZERO, siege.length);
    write(siege, realm, &honest, &mut dice, &mut acts);
    for seat in moved {
        acts.push((moment(&mut dice), Act::Move { seat: *seat, to: dice.below(realm.cells()) }));
    }
    acts.extend(revoked.iter().map(|seat| (moment(&mut dice), Act::Revoke(*seat))));
    // Whoever owned a stolen key misses it after half of the time.
    let thieves = villains.iter().filter(|(_, character)| *character == Character::Thief);
    acts.extend(thieves.map(|(seat, _)| (siege.length / 2, Act::Revoke(*seat))));
    acts.extend(ROOTS[..2].iter().map(|root| (moment(&mut dice), Act::Rotate(*root))));
    for _ in 0..CRASHES {
        let effects = u32::try_from(dice.below(12)).unwrap_or(0);
        let down = dice.between(Duration::from_millis(200), Duration::from_secs(20));
        acts.push((moment(&mut dice), Act::Crash { seat: *dice.pick(&honest), effects, down }));
    }
    acts.extend((0..CUT_OFF).map(|_| (moment(&mut dice), Act::CutOff(*dice.pick(&honest)))));
    part(realm, &mut dice, siege.length, &mut acts);
    acts.sort_by_key(|(at, _)| *at);
    Plot { weather, villains, acts }
}

/// Two of different characters, each where it can do most harm.
fn villains(realm: &Realm, seed: u64, dice: &mut Dice) -> Vec<(Seat, Character)> {
    let all = Character::ALL;
    let first = usize::try_from(seed).ok().filter(|seed| seed * 2 + 1 < all.len()).map(|seed| seed * 2);
    let first = first.unwrap_or_else(|| dice.below(all.len()));
    let second =
        if seed * 2 + 1 < all.len() as u64 { first + 1 } else { (first + 1 + dice.below(all.len() - 1)) % all.len() };
    let mut devices: Vec<Seat> = realm.devices().collect();
    let mut seat_for = |character| {
        let cell = dice.below(realm.cells());
        match character {
            Character::Forker => realm.authority(cell),
            Character::Thief => realm.enroller(cell),
            _ => devices.swap_remove(dice.below(devices.len())),
        }
    };
    [first, second].map(|n| (seat_for(all[n]), all[n])).to_vec()
}

/// Who writes when. A central authority begins, so that there is something to carry out.
fn write(siege: &Siege, realm: &Realm, honest: &[Seat], dice: &mut Dice, acts: &mut Vec<(Duration, Act)>) {
    let rulers: Vec<Seat> = honest.iter().copied().filter(|seat| realm.may_deploy(*seat)).collect();
    acts.push((Duration::from_secs(2), Act::Burst { seat: rulers[0], writes: 6 }));
    for _ in 0..siege.writes {
        let from = if dice.chance(300) { &rulers[..] } else { honest };
        acts.push((dice.between(Duration::ZERO, siege.length), Act::Write(*dice.pick(from))));
    }
}

/// The network falls apart: any way, along the border of a cell, and is whole again now and then.
fn part(realm: &Realm, dice: &mut Dice, length: Duration, acts: &mut Vec<(Duration, Act)>) {
    let cell = dice.below(realm.cells());
    let whole: BTreeSet<Seat> = realm.seats().filter(|seat| realm.cell_of(*seat) == Some(cell)).collect();
    let any: BTreeSet<Seat> = realm.seats().filter(|_| dice.chance(400)).collect();
    for part in [whole, any] {
        acts.push((dice.between(Duration::ZERO, length), Act::Part(part)));
        if dice.chance(500) {
            acts.push((dice.between(Duration::ZERO, length), Act::Mend));
        }
    }
}
