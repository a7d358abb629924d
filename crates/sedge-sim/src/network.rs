//! Wires between seats, the connections over them, and what the weather does to frames.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::NodeId;

use crate::timeline::{Happening, Timeline};
use crate::{Dice, Seat, Weather};

/// The longest that an end believes in a connection that is gone.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// When a lost connection is dialled again, from and to.
const REDIAL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
/// The first byte of a frame that says nothing but a digest.
const DIGEST: u8 = 1;

/// A pair of seats that may be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireId(usize);

/// One connection; the next one over the same wire is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conn(u64);

/// One end of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A machine at the end of a wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) seat: Seat,
    pub(crate) id: NodeId,
    /// The connection that this end believes in.
    seen: Option<Conn>,
    /// When the last frame that was sent to this end arrives.
    last: Duration,
}

#[derive(Debug)]
struct Wire {
    ends: [End; 2],
    /// The connection that carries frames.
    live: Option<Conn>,
    /// Whether nothing passes, because the network has fallen apart here.
    cut: bool,
    dialling: bool,
}

/// What the network has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// When somebody last sent more than a digest to another, both of whom are believed.
    pub(crate) last_news: Duration,
    pub(crate) longest: usize,
}

/// All wires.
#[derive(Debug)]
pub(crate) struct Network {
    wires: Vec<Wire>,
    /// The wires at each seat, and the side at which it sits.
    at: BTreeMap<Seat, Vec<(WireId, Side)>>,
    /// Whose frames, and frames to whom, are no news: nobody can make them fall silent.
    unheeded: BTreeSet<Seat>,
    weather: Weather,
    dice: Dice,
    conns: u64,
    /// Whose frames are damaged on their way, and how many in a thousand.
    damage: BTreeMap<Seat, u32>,
    pub(crate) traffic: Traffic,
}

impl Network {
    pub(crate) fn new(weather: Weather, dice: Dice) -> Self {
        let (wires, at, unheeded, damage) = (Vec::new(), BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { wires, at, unheeded, weather, dice, conns: 0, damage, traffic: Traffic::default() }
    }

    /// Lays a wire; it is dialled soon.
    pub(crate) fn lay(&mut self, one: (Seat, NodeId), other: (Seat, NodeId), timeline: &mut Timeline) -> WireId {
        let end = |(seat, id): (Seat, NodeId)| End { seat, id, seen: None, last: Duration::ZERO };
        let wire = WireId(self.wires.len());
        self.wires.push(Wire { ends: [end(one), end(other)], live: None, cut: false, dialling: false });
        for (side, (seat, _)) in Side::BOTH.into_iter().zip([one, other]) {
            self.at.entry(seat).or_default().push((wire, side));
        }
        self.redial(wire, timeline);
        wire
    }

    pub(crate) fn wires(&self) -> impl Iterator<Item = WireId> + use<> {
        (0..self.wires.len()).map(WireId)
    }

    pub(crate) fn end(&self, wire: WireId, side: Side) -> End {
        self.wires[wire.0].ends[side as usize]
    }

    /// The wires at a seat, and the side at which it sits.
    pub(crate) fn at(&self, seat: Seat) -> Vec<(WireId, Side)> {
        self.at.get(&seat).cloned().unwrap_or_default()
    }

    /// Takes what a seat says and hears as no news from now on.
    pub(crate) fn unheed(&mut self, seat: Seat) {
        self.unheeded.insert(seat);
    }

    /// The wire over which a seat reaches a peer.
    pub(crate) fn towards(&self, from: Seat, peer: NodeId) -> Option<(WireId, Side)> {
        let mut wires = self.at.get(&from)?.iter().copied();
        wires.find(|(wire, side)| self.end(*wire, side.other()).id == peer)
    }

    /// Whose frames are damaged, `per_mille` of them; none of them again with zero.
    pub(crate) fn damage(&mut self, seat: Seat, per_mille: u32) {
        self.damage.insert(seat, per_mille);
    }

    /// Dials a wire in a while, unless somebody is about to.
    pub(crate) fn redial(&mut self, wire: WireId, timeline: &mut Timeline) {
        if !std::mem::replace(&mut self.wires[wire.0].dialling, true) {
            timeline.plan(self.dice.between(REDIAL.0, REDIAL.1), Happening::Dial(wire));
        }
    }

    /// Takes note that a wire was dialled; answers whether it has no connection.
    pub(crate) fn dialled(&mut self, wire: WireId) -> bool {
        let wire = &mut self.wires[wire.0];
        wire.dialling = false;
        wire.live.is_none()
    }

    pub(crate) fn is_cut(&self, wire: WireId) -> bool {
        self.wires[wire.0].cut
    }

    pub(crate) fn set_cut(&mut self, wire: WireId, cut: bool) {
        self.wires[wire.0].cut = cut;
    }

    /// Connects both ends.
    pub(crate) fn connect(&mut self, wire: WireId) {
        self.conns += 1;
        let conn = Conn(self.conns);
        let wire = &mut self.wires[wire.0];
        wire.live = Some(conn);
        for end in &mut wire.ends {
            (end.seen, end.last) = (Some(conn), Duration::ZERO);
        }
    }

    /// Whether an end believes in a connection, and in which.
    pub(crate) fn seen(&self, wire: WireId, side: Side) -> Option<Conn> {
        self.end(wire, side).seen
    }

    /// Whether a frame of a connection still reaches this end: what left a process before it died arrives after its death.
    pub(crate) fn reaches(&self, wire: WireId, side: Side, conn: Conn) -> bool {
        !self.is_cut(wire) && self.seen(wire, side) == Some(conn)
    }

    /// Takes note that an end believes in no connection any more.
    pub(crate) fn forget(&mut self, wire: WireId, side: Side) {
        self.wires[wire.0].ends[side as usize].seen = None;
    }

    /// Ends the connection over a wire. Nothing more is carried; each end learns of it in its own time.
    pub(crate) fn sever(&mut self, wire: WireId, timeline: &mut Timeline) {
        self.wires[wire.0].live = None;
        for side in Side::BOTH {
            if let Some(conn) = self.seen(wire, side) {
                let after = self.dice.between(Duration::from_millis(1), NOTICED_WITHIN);
                timeline.plan(after, Happening::Gone { wire, conn, side });
            }
        }
        self.redial(wire, timeline);
    }

    /// Sends a frame, as far as the sender believes in a connection.
    pub(crate) fn send(&mut self, from: Seat, peer: NodeId, frame: Vec<u8>, timeline: &mut Timeline) {
        let Some((wire, side)) = self.towards(from, peer) else { return };
        let Some(conn) = self.seen(wire, side) else { return };
        let now = timeline.now();
        self.traffic.frames += 1;
        self.traffic.bytes += frame.len() as u64;
        self.traffic.longest = self.traffic.longest.max(frame.len());
        let heeded = [from, self.end(wire, side.other()).seat].iter().all(|seat| !self.unheeded.contains(seat));
        if heeded && frame.first() != Some(&DIGEST) {
            self.traffic.last_news = now;
        }
        if self.wires[wire.0].live != Some(conn) || self.dice.chance(self.weather.lost) {
            return;
        }
        let frame = self.damaged(from, frame);
        let copies = if self.dice.chance(self.weather.repeated) { 2 } else { 1 };
        for _ in 0..copies {
            let mut arrives = now + self.dice.between(self.weather.delay.0, self.weather.delay.1);
            let end = &mut self.wires[wire.0].ends[side.other() as usize];
            if self.weather.in_order {
                arrives = arrives.max(end.last);
                end.last = arrives;
            }
            let frame = frame.clone();
            timeline.plan(arrives - now, Happening::Arrival { wire, conn, to: side.other(), frame });
        }
    }

    /// Flips some bits of a frame, where its sender's are damaged.
    fn damaged(&mut self, from: Seat, mut frame: Vec<u8>) -> Vec<u8> {
        let per_mille = self.damage.get(&from).copied().unwrap_or(0);
        if !frame.is_empty() && self.dice.chance(per_mille) {
            for _ in 0..=self.dice.below(3) {
                let place = self.dice.below(frame.len());
                frame[place] ^= 1 << self.dice.below(8);
            }
        }
        frame
    }
}
