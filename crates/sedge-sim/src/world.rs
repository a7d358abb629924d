//! Nodes, a network between them, and the loop that makes everything happen in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sedge_fleet::{Edit, Effect, Event, Fleet, FleetView, MAX_FRAME_BYTES};
use sedge_statement::{DocKind, NodeId, Timestamp};

use crate::invariants::check_findings;
use crate::network::{Network, Side, Traffic};
use crate::node::{Fuse, Node, SLOWEST};
use crate::pen::Pen;
use crate::schedule::Act;
use crate::timeline::{Happening, Timeline};
use crate::{Broken, Charter, Dice, Diary, Seat, Weather, WireId};

/// How often a node's timer fires.
const TICK: Duration = Duration::from_secs(1);

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

/// What became of a list of effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Whether everything that was to be persisted was.
    pub(crate) persisted: bool,
    /// Whether the node lives.
    pub(crate) lives: bool,
}

/// A simulated mesh.
#[derive(Debug)]
pub struct World {
    pub(crate) charter: Charter,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) timeline: Timeline,
    pub(crate) dice: Dice,
    pub(crate) forgers: BTreeSet<NodeId>,
    /// When a view last changed.
    pub(crate) last_change: Duration,
    pen: Pen,
}

impl World {
    /// A mesh whose nodes have joined, but the late ones, and are about to call each other.
    ///
    /// # Errors
    /// Where a fleet refuses what it must accept.
    pub fn new(setting: &Setting) -> Result<Self, Broken> {
        let Setting { seed, nodes, late, chords, ref weather } = *setting;
        let mut world = Self {
            charter: Charter::new(),
            nodes: (0..nodes).map(|n| Node::new(Charter::key(Seat(n)))).collect(),
            network: Network::new(weather.clone(), Dice::new(seed, 1)),
            timeline: Timeline::default(),
            dice: Dice::new(seed, 2),
            forgers: BTreeSet::new(),
            last_change: Duration::ZERO,
            pen: Pen::new(Dice::new(seed, 3)),
        };
        for seat in world.seats() {
            world.set_clock(seat);
            let phase = world.dice.between(Duration::ZERO, TICK);
            world.timeline.plan(phase, Happening::Tick(seat));
        }
        world.lay_wires(chords);
        for seat in world.seats().into_iter().take(nodes - late) {
            world.join(seat)?;
        }
        Ok(world)
    }

    /// Every seat.
    pub fn seats(&self) -> Vec<Seat> {
        (0..self.nodes.len()).map(Seat).collect()
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

    /// The id of the node at a seat.
    pub fn id(&self, seat: Seat) -> NodeId {
        self.node(seat).id
    }

    /// Whether the node's process runs.
    pub fn is_up(&self, seat: Seat) -> bool {
        self.node(seat).fleet.is_some()
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
        let Node { fleet, key, .. } = self.node_mut(seat);
        let Some(fleet) = fleet else { return Ok(false) };
        let effects = match fleet.write(key, kind, now, edits) {
            Ok(effects) => effects,
            Err(sedge_fleet::WriteError::Forked) if forger => return Ok(false),
            Err(error) => return Err(Broken::Write(seat, error)),
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
        let edits = if seat.is_authority() && self.dice.chance(700) {
            let Some(view) = self.node_mut(seat).fleet.as_mut().map(|fleet| fleet.view(now)) else { return Ok(false) };
            self.pen.authority(&view, now)
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
        check_findings(seat, &fleet.view(now), &self.forgers)?;
        self.node_mut(seat).fuse = None;
        for (wire, side) in self.network.at(seat) {
            self.network.forget(wire, side);
            self.network.sever(wire, &mut self.timeline);
        }
        self.set_clock(seat);
        self.timeline.plan(down, Happening::Start(seat));
        Ok(())
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

    /// Does what the schedule says.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), Broken> {
        match act {
            Act::Write(seat) => self.write_something(seat).map(|_| ()),
            Act::Burst { seat, writes } => (0..writes).try_for_each(|_| self.write_something(seat).map(|_| ())),
            Act::Crash { seat, effects, down } => {
                self.node_mut(seat).fuse = Some(Fuse { effects, down });
                Ok(())
            }
            Act::Break(wire) => {
                self.break_wire(wire);
                Ok(())
            }
            Act::Part(seats) => {
                self.part(&seats);
                Ok(())
            }
            Act::Mend => {
                self.mend();
                Ok(())
            }
            Act::Join(seat) => self.join(seat),
        }
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
        let charter = self.charter.clone();
        self.node_mut(seat).start(&charter).map_err(|error| Broken::Open(seat, error))
    }

    /// Carries out effects in order, until the node dies.
    pub(crate) fn carry_out(&mut self, seat: Seat, effects: Vec<Effect>) -> Result<Carried, Broken> {
        let mut unpersisted = effects.iter().filter(|effect| matches!(effect, Effect::Persist(_))).count();
        for effect in effects {
            if let Some(down) = self.node_mut(seat).burns_out() {
                self.crash(seat, down)?;
                return Ok(Carried { persisted: unpersisted == 0, lives: false });
            }
            match effect {
                Effect::Persist(writes) => {
                    self.node_mut(seat).persist(writes);
                    unpersisted -= 1;
                }
                Effect::Send { peer, frame } => self.network.send(seat, peer, frame, &mut self.timeline),
                Effect::Close { peer, .. } => {
                    if let Some((wire, side)) = self.network.towards(seat, peer) {
                        self.network.forget(wire, side);
                        self.network.sever(wire, &mut self.timeline);
                    }
                }
                Effect::Changed => self.last_change = self.now(),
            }
        }
        Ok(Carried { persisted: true, lives: true })
    }

    fn happen(&mut self, what: Happening) -> Result<(), Broken> {
        match what {
            Happening::Tick(seat) => {
                self.timeline.plan(TICK, Happening::Tick(seat));
                self.tell(seat, Event::Tick)
            }
            Happening::Start(seat) if self.is_up(seat) => Ok(()),
            Happening::Start(seat) => self.start(seat),
            Happening::Dial(wire) => self.dial(wire),
            Happening::Arrival { wire, conn, to, frame } => {
                if !self.network.stands(wire, to, conn) {
                    return Ok(());
                }
                let (end, from) = (self.network.end(wire, to), self.network.end(wire, to.other()));
                self.tell(end.seat, Event::Received { peer: from.id, frame })
            }
            Happening::Gone { wire, conn, side } => {
                if self.network.seen(wire, side) == Some(conn) { self.hang_up(wire, side) } else { Ok(()) }
            }
            Happening::Act(act) => self.act(act),
        }
    }

    fn dial(&mut self, wire: WireId) -> Result<(), Broken> {
        if !self.network.dialled(wire) {
            return Ok(());
        }
        for side in Side::BOTH {
            if self.network.seen(wire, side).is_some() {
                self.hang_up(wire, side)?;
            }
        }
        let [left, right] = Side::BOTH.map(|side| self.network.end(wire, side));
        if self.network.is_cut(wire) || !self.is_up(left.seat) || !self.is_up(right.seat) {
            self.network.redial(wire, &mut self.timeline);
            return Ok(());
        }
        self.network.connect(wire);
        self.tell(left.seat, Event::Connected { peer: right.id })?;
        // Even if the caller has died of its first effects: the called end learns that later.
        self.tell(right.seat, Event::Connected { peer: left.id })
    }

    fn hang_up(&mut self, wire: WireId, side: Side) -> Result<(), Broken> {
        self.network.forget(wire, side);
        let (end, other) = (self.network.end(wire, side), self.network.end(wire, side.other()));
        self.tell(end.seat, Event::Disconnected { peer: other.id })
    }

    fn tell(&mut self, seat: Seat, event: Event) -> Result<(), Broken> {
        let now = self.clock(seat);
        let Some(effects) = self.node_mut(seat).fleet.as_mut().map(|fleet: &mut Fleet| fleet.handle(event, now)) else {
            return Ok(());
        };
        self.carry_out(seat, effects).map(|_| ())
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
        for (a, b) in pairs {
            self.network.lay((a, self.id(a)), (b, self.id(b)), &mut self.timeline);
        }
    }

    fn set_clock(&mut self, seat: Seat) {
        let skew = self.dice.between(Duration::ZERO, 2 * SLOWEST);
        self.node_mut(seat).skew = skew;
    }
}
