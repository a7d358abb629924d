//! One thing after another: what happens, what nodes make of it, and how far they get with that before they die.

use sedge_fleet::{Effect, Event};

use crate::network::Side;
use crate::schedule::Act;
use crate::timeline::Happening;
use crate::world::TICK;
use crate::{Broken, Seat, WireId, World};

/// What became of a list of effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Whether everything that was to be persisted was.
    pub(crate) persisted: bool,
    /// Whether the node lives.
    pub(crate) lives: bool,
}

impl World {
    /// Does what the schedule says.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), Broken> {
        match act {
            Act::Write(seat) => self.write_something(seat).map(|_| ()),
            Act::Burst { seat, writes } => (0..writes).try_for_each(|_| self.write_something(seat).map(|_| ())),
            Act::Crash { seat, effects, down } => {
                self.crash_after(seat, effects, down);
                Ok(())
            }
            Act::Break(wire) => {
                self.break_wire(wire);
                Ok(())
            }
            Act::CutOff(seat) => {
                self.network.at(seat).into_iter().for_each(|(wire, _)| self.break_wire(wire));
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
            Act::Move { seat, to } => self.move_node(seat, to),
            Act::Revoke(seat) => self.revoke(seat),
            Act::Rotate(root) => self.rotate(root),
            Act::Publish { seat, object } => self.insist(seat, object),
        }
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

    pub(crate) fn happen(&mut self, what: Happening) -> Result<(), Broken> {
        match what {
            Happening::Tick(seat) => {
                self.timeline.plan(TICK, Happening::Tick(seat));
                self.tell(seat, Event::Tick)
            }
            Happening::Start(seat) if self.is_up(seat) => Ok(()),
            Happening::Start(seat) => self.start(seat),
            Happening::Dial(wire) => self.dial(wire),
            Happening::Arrival { wire, conn, to, frame } => {
                if !self.network.reaches(wire, to, conn) {
                    return Ok(());
                }
                let (end, from) = (self.network.end(wire, to), self.network.end(wire, to.other()));
                self.tell(end.seat, Event::Received { peer: from.id, frame })
            }
            Happening::Gone { wire, conn, side } => {
                if self.network.seen(wire, side) == Some(conn) {
                    self.hang_up(wire, side)
                } else {
                    Ok(())
                }
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
        if let Some(villain) = self.villains.get_mut(&seat) {
            for (peer, frame) in villain.hear(&event, now) {
                self.network.send(seat, peer, frame, &mut self.timeline);
            }
            return Ok(());
        }
        let Some(effects) = self.node_mut(seat).fleet.as_mut().map(|fleet| fleet.handle(event, now)) else {
            return Ok(());
        };
        self.carry_out(seat, effects).map(|_| ())
    }
}
