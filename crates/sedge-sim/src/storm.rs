//! Everything at once, by seed.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_statement::CellPath;

use crate::schedule::{Cast, schedule};
use crate::{Broken, Dice, Setting, Weather, World};

/// How large and how long.
#[derive(Debug, Clone)]
pub struct Storm {
    /// How many nodes.
    pub nodes: usize,
    /// How many of them join while it storms.
    pub late: usize,
    /// How long it storms.
    pub length: Duration,
    /// How many times somebody writes.
    pub writes: usize,
    /// How long nodes have to agree once everything is healed, in weather that loses frames.
    pub settles_within: Duration,
}

impl Default for Storm {
    fn default() -> Self {
        let (length, settles_within) = (Duration::from_secs(60), Duration::from_secs(120));
        Self { nodes: 12, late: 2, length, writes: 70, settles_within }
    }
}

/// What a storm came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calm {
    /// The digest of the view that every node of each cell has.
    pub views: BTreeMap<CellPath, [u8; 32]>,
    /// How long after healing the last view changed.
    pub converged_in: Duration,
    /// Whether no frame was lost of a live connection.
    pub in_clear_weather: bool,
    /// How often a process died.
    pub crashes: u64,
    /// How many frames were sent.
    pub frames: u64,
    /// How many bytes they were.
    pub bytes: u64,
    /// How many statements the view holds.
    pub statements: usize,
}

/// Lets a storm pass over a mesh, heals it, and checks what must hold.
///
/// # Errors
/// The first thing that does not hold.
pub fn storm(seed: u64, storm: &Storm) -> Result<Calm, Broken> {
    let mut dice = Dice::new(seed, 0);
    let weather = Weather::any(&mut dice);
    let in_clear_weather = weather == Weather::clear();
    let chords = dice.below(storm.nodes) + storm.nodes / 2;
    let mut world = World::new(&Setting { seed, nodes: storm.nodes, late: storm.late, chords, weather })?;
    let (seats, wires) = (world.seats(), world.wires());
    let late = &seats[storm.nodes - storm.late..];
    let cast = Cast { seats: &seats, late, wires: &wires, length: storm.length, writes: storm.writes };
    for (at, act) in schedule(&cast, &mut dice) {
        world.plan_act(at, act);
    }
    world.run(storm.length + Duration::from_millis(1))?;
    let settled = world.settle(storm.settles_within)?;
    world.check()?;
    let (frames, bytes) = world.sent();
    let statements = seats.iter().filter_map(|seat| world.view(*seat)).next().map_or(0, |view| {
        let gates: usize = view.gates.values().map(|reports| reports.len()).sum();
        view.certificates.len() + view.releases.len() + view.deployments.len() + view.slots.len() + gates
    });
    let (views, converged_in) = (settled.views, settled.converged_in);
    Ok(Calm { views, converged_in, in_clear_weather, crashes: world.crashes(), frames, bytes, statements })
}
