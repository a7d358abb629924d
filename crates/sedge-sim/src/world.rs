//! Nodes, a network between them, and the loop that makes everything happen in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sedge_fleet::{Edit, FleetView, MAX_FRAME_BYTES};
use sedge_statement::{DocKind, NodeId, Role, Timestamp};

use crate::invariants::{check_findings, named_by};
use crate::network::{Network, Side, Traffic};
use crate::node::{Fuse, Node, SLOWEST};
use crate::pen::{Pen, Voice};
use crate::rule::Truth;
use crate::schedule::Act;
use crate::timeline::{Happening, Timeline};
use crate::villain::Villain;
use crate::{Broken, Charter, Diary, Dice, Seat, Weather, WireId};

/// How often a node's timer fires.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// How a world begins.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Determines everything that is left to chance.
    pub seed: u64,
    /// How many seats there are.
    pub nodes: usize,
    /// How many of them, from the last, are not taken at first.
    pub late: usize,
    /// How many wires there are beside a ring of all seats.
    pub chords: usize,
    /// How frames fare.
    pub weather: Weather,
}

/// A simulated mesh.
#[derive(Debug)]
pub struct World {
    pub(crate) charter: Charter,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) timeline: Timeline,
    pub(crate) dice: Dice,
    /// Who may rightly be found guilty.
    pub(crate) forgers: BTreeSet<NodeId>,
    /// Who sits where an honest node should.
    pub(crate) villains: BTreeMap<Seat, Villain>,
    /// Whom findings of honest nodes have named.
    pub(crate) named: BTreeSet<NodeId>,
    pub(crate) truth: Truth,
    /// When a view last changed.
    pub(crate) last_change: Duration,
    crashes: u64,
    pub(crate) pen: Pen,
}

impl World {
    /// A mesh whose nodes have joined, but the late ones, and are about to call each other.
    ///
    /// # Errors
    /// Where a fleet refuses what it must accept.
    pub fn new(setting: &Setting) -> Result<Self, Broken> {
        let Setting { seed, nodes, late, chords, ref weather } = *setting;
        let mut world = Self::vacant(seed, Charter::new(), nodes, weather.clone());
        world.lay_wires(chords);
        for seat in world.seats().into_iter().take(nodes - late) {
            world.join(seat)?;
        }
        Ok(world)
    }

    /// A mesh of machines without wires, none of which was started.
    pub(crate) fn vacant(seed: u64, charter: Charter, nodes: usize, weather: Weather) -> Self {
        let mut world = Self {
            charter,
            nodes: (0..nodes).map(|n| Node::new(Charter::key(Seat(n)))).collect(),
            network: Network::new(weather, Dice::new(seed, 1)),
            timeline: Timeline::default(),
            dice: Dice::new(seed, 2),
            forgers: BTreeSet::new(),
            villains: BTreeMap::new(),
            named: BTreeSet::new(),
            truth: Truth::default(),
            last_change: Duration::ZERO,
            crashes: 0,
            pen: Pen::new(Dice::new(seed, 3)),
        };
        for seat in world.seats() {
            world.set_clock(seat);
            let phase = world.dice.between(Duration::ZERO, TICK);
            world.timeline.plan(phase, Happening::Tick(seat));
        }
        world
    }

    /// Every seat.
    pub fn seats(&self) -> Vec<Seat> {
        (0..self.nodes.len()).map(Seat).collect()
    }

    /// The seats whose nodes are honest, and whose word nobody took back.
    pub(crate) fn believed(&self) -> Vec<Seat> {
        let doubtful = |seat: &Seat| self.villains.contains_key(seat) || self.truth.revoked.contains(seat);
        self.seats().into_iter().filter(|seat| !doubtful(seat)).collect()
    }

    /// Every wire.
    pub fn wires(&self) -> Vec<WireId> {
        self.network.wires().collect()
    }

    /// How long it has run.
    pub fn now(&self) -> Duration {
        self.timeline.now()
    }

    /// Frames and bytes sent so far.
    pub fn sent(&self) -> (u64, u64) {
        let Traffic { frames, bytes, .. } = self.network.traffic;
        (frames, bytes)
    }

    /// How often a process died.
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// How many records the node's store holds.
    pub fn records(&self, seat: Seat) -> usize {
        self.node(seat).store.len()
    }

    /// The id of the node at a seat.
    pub fn id(&self, seat: Seat) -> NodeId {
        self.node(seat).id
    }

    /// Whether the node's process runs.
    pub fn is_up(&self, seat: Seat) -> bool {
        self.node(seat).fleet.is_some() || self.villains.contains_key(&seat)
    }

    /// What the node wrote and persisted.
    pub fn diary(&self, seat: Seat) -> &Diary {
        &self.node(seat).diary
    }

    /// Who has signed two histories, and is not believed.
    pub fn is_forger(&self, node: &NodeId) -> bool {
        self.forgers.contains(node)
    }

    /// What the node at a seat sees, all of them asked at one and the same time; none where it is down.
    pub fn view(&mut self, seat: Seat) -> Option<Arc<FleetView>> {
        let now = self.common_time();
        self.node_mut(seat).fleet.as_mut().map(|fleet| fleet.view(now))
    }

    /// The time at which all nodes are asked for their views.
    pub fn common_time(&self) -> Timestamp {
        Charter::time(self.now())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn run(&mut self, time: Duration) -> Result<(), Broken> {
        let end = self.now() + time;
        while let Some(what) = self.timeline.next(end) {
            self.happen(what)?;
        }
        if self.network.traffic.longest > MAX_FRAME_BYTES {
            return Err(Broken::LongFrame(self.network.traffic.longest));
        }
        Ok(())
    }

    /// Writes a node's own document; answers whether that was persisted, which it is not where the node is down or dies.
    ///
    /// # Errors
    /// Where the fleet of an honest node refuses.
    pub fn write(&mut self, seat: Seat, kind: DocKind, edits: &[Edit]) -> Result<bool, Broken> {
        let now = self.clock(seat);
        let forger = self.is_forger(&self.id(seat));
        let revocable = self.truth.revoked.contains(&seat) || self.villains.values().any(Villain::revokes);
        let Node { fleet, key, .. } = self.node_mut(seat);
        let Some(fleet) = fleet else { return Ok(false) };
        let effects = match fleet.write(key, kind, now, edits) {
            Ok(effects) => effects,
            Err(sedge_fleet::WriteError::Forked) if forger => return Ok(false),
            // By whoever may, or by a thief for as long as that is believed.
            Err(sedge_fleet::WriteError::Revoked) if revocable => return Ok(false),
            Err(error) => return Err(Broken::Write(seat, error.into())),
        };
        let persisted = self.carry_out(seat, effects)?.persisted;
        if persisted {
            self.node_mut(seat).diary.note(edits);
            self.pen.published(edits);
        }
        Ok(persisted)
    }

    /// Writes what the node's pen thinks of.
    ///
    /// # Errors
    /// See [`Self::write`].
    pub fn write_something(&mut self, seat: Seat) -> Result<bool, Broken> {
        let now = self.clock(seat);
        let post = self.charter.post(seat);
        let edits = if post.roles.contains(&Role::Deploy) && self.dice.chance(700) {
            let Some(view) = self.node_mut(seat).fleet.as_mut().map(|fleet| fleet.view(now)) else { return Ok(false) };
            let voice = Voice { releases: post.roles.contains(&Role::Release), cell: post.cell };
            self.pen.authority(&view, now, &voice)
        } else {
            self.pen.device(now)
        };
        let kind = edits.first().map_or(DocKind::Node, Edit::kind);
        self.write(seat, kind, &edits)
    }

    /// Kills the node's process now. It starts again after `down`, with another clock.
    ///
    /// # Errors
    /// Where the node had found an honest one guilty.
    pub fn crash(&mut self, seat: Seat, down: Duration) -> Result<(), Broken> {
        let now = self.clock(seat);
        let Some(mut fleet) = self.node_mut(seat).fleet.take() else { return Ok(()) };
        let view = fleet.view(now);
        if !self.truth.revoked.contains(&seat) {
            check_findings(seat, &view, &self.forgers)?;
        }
        self.named.extend(named_by(&view));
        self.crashes += 1;
        self.node_mut(seat).fuse = None;
        self.lose_connections(seat);
        self.set_clock(seat);
        self.timeline.plan(down, Happening::Start(seat));
        Ok(())
    }

    /// Lets the node die once it has carried out so many effects more, and start again after `down`.
    pub fn crash_after(&mut self, seat: Seat, effects: u32, down: Duration) {
        self.node_mut(seat).fuse = Some(Fuse { effects, down });
    }

    /// Restarts a node without looking at its findings, so that it forgets those that are about what it was sent.
    ///
    /// # Errors
    /// Where it does not open from its records.
    pub fn forgive(&mut self, seat: Seat) -> Result<(), Broken> {
        if self.node_mut(seat).fleet.take().is_none() {
            return Ok(());
        }
        self.lose_connections(seat);
        self.start(seat)
    }

    /// Breaks a connection, if there is one.
    pub fn break_wire(&mut self, wire: WireId) {
        self.network.sever(wire, &mut self.timeline);
    }

    /// Lets nothing pass between these seats and all others.
    pub fn part(&mut self, seats: &BTreeSet<Seat>) {
        for wire in self.wires() {
            let [left, right] = Side::BOTH.map(|side| seats.contains(&self.network.end(wire, side).seat));
            if left != right {
                self.network.set_cut(wire, true);
                self.network.sever(wire, &mut self.timeline);
            }
        }
    }

    /// Makes the network whole again; connections come back as they are dialled.
    pub fn mend(&mut self) {
        for wire in self.wires() {
            self.network.set_cut(wire, false);
        }
    }

    /// Damages `per_mille` of the frames that a seat sends.
    pub fn damage(&mut self, seat: Seat, per_mille: u32) {
        self.network.damage(seat, per_mille);
    }

    /// Starts a second machine with the key and the records of `original`, wired to `neighbours`. From then on their
    /// author is not honest.
    ///
    /// # Errors
    /// Where the copy does not open.
    ///
    /// # Panics
    /// Where a neighbour has a wire to the original: no transport holds two connections to one id.
    pub fn clone_node(&mut self, original: Seat, neighbours: &[Seat]) -> Result<Seat, Broken> {
        let id = self.id(original);
        assert!(neighbours.iter().all(|seat| self.network.towards(*seat, id).is_none()), "neighbours of the original");
        let seat = Seat(self.nodes.len());
        let mut node = Node::new(self.node(original).key.clone());
        node.store.clone_from(&self.node(original).store);
        node.diary.clone_from(&self.node(original).diary);
        self.nodes.push(node);
        self.forgers.insert(id);
        self.start(seat)?;
        for neighbour in neighbours {
            let other = (*neighbour, self.id(*neighbour));
            self.network.lay((seat, id), other, &mut self.timeline);
        }
        self.timeline.plan(TICK, Happening::Tick(seat));
        Ok(seat)
    }

    pub(crate) fn plan_act(&mut self, after: Duration, act: Act) {
        self.timeline.plan(after, Happening::Act(act));
    }

    pub(crate) fn node(&self, seat: Seat) -> &Node {
        &self.nodes[seat.0]
    }

    pub(crate) fn node_mut(&mut self, seat: Seat) -> &mut Node {
        &mut self.nodes[seat.0]
    }

    pub(crate) fn clock(&self, seat: Seat) -> Timestamp {
        self.node(seat).clock(self.now())
    }

    pub(crate) fn start(&mut self, seat: Seat) -> Result<(), Broken> {
        let (genesis, mesh) = (self.charter.genesis().to_vec(), self.charter.mesh());
        self.node_mut(seat).start(&genesis, mesh).map_err(|error| Broken::Open(seat, error.into()))
    }

    pub(crate) fn lose_connections(&mut self, seat: Seat) {
        for (wire, side) in self.network.at(seat) {
            self.network.forget(wire, side);
            self.network.sever(wire, &mut self.timeline);
        }
    }

    /// A ring, so that everybody is reached, and some wires across it.
    fn lay_wires(&mut self, chords: usize) {
        let seats = self.seats();
        let ring = seats.iter().copied().zip(seats.iter().copied().cycle().skip(1));
        let mut pairs: BTreeSet<(Seat, Seat)> = ring.map(|(a, b)| (a.min(b), a.max(b))).collect();
        for _ in 0..chords {
            let (a, b) = (*self.dice.pick(&seats), *self.dice.pick(&seats));
            if a != b {
                pairs.insert((a.min(b), a.max(b)));
            }
        }
        self.lay(pairs);
    }

    /// Lays a wire between each pair.
    pub(crate) fn lay(&mut self, pairs: BTreeSet<(Seat, Seat)>) {
        for (a, b) in pairs {
            self.network.lay((a, self.id(a)), (b, self.id(b)), &mut self.timeline);
        }
    }

    fn set_clock(&mut self, seat: Seat) {
        let skew = self.dice.between(Duration::ZERO, 2 * SLOWEST);
        self.node_mut(seat).skew = skew;
    }
}
