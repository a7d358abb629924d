//! Virtual time, and what is to happen when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::network::{Conn, Side};
use crate::schedule::Act;
use crate::{Seat, WireId};

/// Something that happens at one moment.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A node's timer fires.
    Tick(Seat),
    /// A node that is down starts.
    Start(Seat),
    /// One end of a wire calls the other.
    Dial(WireId),
    /// A frame arrives, if its connection still stands.
    Arrival { wire: WireId, conn: Conn, to: Side, frame: Vec<u8> },
    /// One end learns that a connection is gone.
    Gone { wire: WireId, conn: Conn, side: Side },
    /// The schedule has its way.
    Act(Act),
}

/// What is to happen, in order; of two things at one moment, what was planned first comes first.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    now: Duration,
    planned: BTreeMap<(Duration, u64), Happening>,
    count: u64,
}

impl Timeline {
    /// How long the simulation has run.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Plans something for `after` from now.
    pub(crate) fn plan(&mut self, after: Duration, what: Happening) {
        self.count += 1;
        self.planned.insert((self.now + after, self.count), what);
    }

    /// Moves to the next thing that happens before `end`; to `end` itself where nothing does.
    pub(crate) fn next(&mut self, end: Duration) -> Option<Happening> {
        match self.planned.first_entry() {
            Some(first) if first.key().0 < end => {
                self.now = first.key().0;
                Some(first.remove())
            }
            _ => {
                self.now = end;
                None
            }
        }
    }
}
