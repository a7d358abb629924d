//! A fleet of cells in a storm, with two villains in it.

mod plot;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use sedge_statement::CellPath;

use crate::realm::Realm;
use crate::schedule::Act;
use crate::villain::Villain;
use crate::{Broken, Character, Dice, Seat, Weather, World};

/// How large and how long.
#[derive(Debug, Clone)]
pub struct Siege {
    /// How many nodes.
    pub nodes: usize,
    /// In how many cells.
    pub cells: usize,
    /// How long it storms.
    pub length: Duration,
    /// How many times somebody writes.
    pub writes: usize,
    /// How long honest nodes have to agree once everything is healed.
    pub settles_within: Duration,
}

impl Default for Siege {
    fn default() -> Self {
        let (length, settles_within) = (Duration::from_secs(45), Duration::from_secs(120));
        Self { nodes: 200, cells: 4, length, writes: 50, settles_within }
    }
}

/// Who is a villain, and what happens when.
#[derive(Debug, Clone)]
pub struct Plot {
    weather: Weather,
    villains: Vec<(Seat, Character)>,
    acts: Vec<(Duration, Act)>,
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, villains {:?}", self.weather, self.villains)?;
        self.acts.iter().try_for_each(|(at, act)| writeln!(f, "{:>7.3} s {act:?}", at.as_secs_f64()))
    }
}

/// What a siege came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endured {
    /// Who the villains were.
    pub villains: Vec<Character>,
    /// The digest of the view that every node of each cell has.
    pub views: BTreeMap<CellPath, [u8; 32]>,
    /// How long after healing the last view changed.
    pub converged_in: Duration,
    /// How often a process died.
    pub crashes: u64,
    /// How many frames were sent.
    pub frames: u64,
    /// How many bytes they were.
    pub bytes: u64,
    /// The largest store of an honest node, bytes.
    pub stored: usize,
    /// How much plans had nodes do in the end, all of it held against what authorities had said.
    pub planned: usize,
}

impl Siege {
    /// What happens by a seed. The first five seeds have every character among them.
    pub fn plot(&self, seed: u64) -> Plot {
        plot::plot(self, &Realm::new(self.nodes, self.cells), seed)
    }

    /// Lets it happen, heals everything, and checks what must hold.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn endure(&self, seed: u64, plot: &Plot) -> Result<Endured, Broken> {
        /// How often some nodes are looked at.
        const LOOK: Duration = Duration::from_secs(15);
        let realm = Realm::new(self.nodes, self.cells);
        let mut world = World::found(seed, &realm, plot.weather.clone(), &plot.villains)?;
        let mut dice = Dice::new(seed, 12);
        for (at, act) in &plot.acts {
            world.plan_act(*at, act.clone());
        }
        while world.now() < self.length {
            world.run(LOOK.min(self.length - world.now()))?;
            let believed = world.believed();
            let some: Vec<Seat> = (0..3).map(|_| *dice.pick(&believed)).collect();
            world.spot_check(&some)?;
            let rollout = world.pen.rollout();
            world.villains.values_mut().for_each(|villain| villain.rollout = rollout);
        }
        world.villains.values_mut().for_each(Villain::retire);
        let villains: Vec<Character> = plot.villains.iter().map(|(_, character)| *character).collect();
        world.find_neighbours();
        let settled = world.settle(self.settles_within)?;
        let planned = world.check_fleet()?;
        let (frames, bytes) = world.sent();
        let stored = world.believed().into_iter().map(|seat| world.stored(seat)).max().unwrap_or(0);
        let (views, converged_in, crashes) = (settled.views, settled.converged_in, world.crashes());
        Ok(Endured { villains, views, converged_in, crashes, frames, bytes, stored, planned })
    }
}

impl Plot {
    /// Takes away what a failure does not need: half of what happens, then quarters, and so on, in at most so many tries.
    #[must_use]
    pub fn shrink(mut self, fails: impl Fn(&Self) -> bool, mut tries: usize) -> Self {
        let mut size = self.len().div_ceil(2);
        while size > 0 && tries > 0 {
            let mut from = 0;
            while from < self.len() && tries > 0 {
                let less = self.without(from..self.len().min(from + size));
                tries -= 1;
                if fails(&less) {
                    self = less;
                } else {
                    from += size;
                }
            }
            size /= 2;
        }
        self
    }

    fn len(&self) -> usize {
        self.acts.len()
    }

    /// The same without some of what happens.
    fn without(&self, acts: Range<usize>) -> Self {
        let mut less = self.clone();
        less.acts.drain(acts);
        less
    }
}
