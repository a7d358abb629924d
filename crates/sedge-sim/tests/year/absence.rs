//! Coming back after a month.

use std::collections::VecDeque;
use std::time::Duration;

use sedge_fleet::{Effect, Event, Fleet};
use sedge_statement::{NodeId, Timestamp};

use crate::mesh::{self, Who};
use crate::observer::Failure;
use crate::weigh::Record;

/// How many seconds who comes back has.
const WITHIN: u64 = 600;

/// Lets a traveller with old records meet the observer over the real protocol, until it sees what that one sees. Answers how many bytes of frames it
/// received by then.
pub(crate) fn catch_up(
    observer: &mut Fleet,
    (there, back): (Who, Who),
    records: Vec<Record>,
    now: Timestamp,
) -> Result<u64, Failure> {
    let (genesis, mesh) = mesh::genesis();
    let mut traveller = Fleet::open(&genesis, mesh, back.id(), records)?;
    let (there, back) = (there.id(), back.id());
    let (mut frames, mut received) = (VecDeque::new(), 0);
    let (met, came) = (Event::Connected { peer: back }, Event::Connected { peer: there });
    send((there, back), observer.handle(met, now), &mut frames)?;
    send((back, there), traveller.handle(came, now), &mut frames)?;
    for second in 1..=WITHIN {
        while let Some((from, frame)) = frames.pop_front() {
            let to_traveller = from == there;
            received += if to_traveller { frame.len() as u64 } else { 0 };
            let event = Event::Received { peer: from, frame };
            let (to, fleet) = if to_traveller { (back, &mut traveller) } else { (there, &mut *observer) };
            send((to, from), fleet.handle(event, now.plus(Duration::from_secs(second))), &mut frames)?;
        }
        let now = now.plus(Duration::from_secs(second));
        if observer.view(now).digest() == traveller.view(now).digest() {
            return Ok(received);
        }
        send((there, back), observer.handle(Event::Tick, now), &mut frames)?;
        send((back, there), traveller.handle(Event::Tick, now), &mut frames)?;
    }
    Err(format!("not current after {WITHIN} s and {received} bytes").into())
}

/// Puts on its way what one sends to the other. The observer's neighbour of the year hears nothing any more.
fn send(
    (from, to): (NodeId, NodeId),
    effects: Vec<Effect>,
    frames: &mut VecDeque<(NodeId, Vec<u8>)>,
) -> Result<(), Failure> {
    for effect in effects {
        match effect {
            Effect::Send { peer, frame } if peer == to => frames.push_back((from, frame)),
            Effect::Close { peer, reason } if peer == to => return Err(format!("closed: {reason}").into()),
            _ => {}
        }
    }
    Ok(())
}
