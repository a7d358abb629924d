//! Keeps the mesh in one piece, and its connections few.
//!
//! A node with neighbours enough dials nobody else, and so may be all of them: two halves whose bridges died would each be content for
//! ever. Hence members whom nobody was lately heard to reach are dialled all the same, a few now and then, without end; and now and then
//! one of whom that was heard, since whoever says so may lie. What comes of it beyond the seats is let go again slowly, and only where
//! both ends say that another neighbour connects them: no half is cut off by that.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::WeakConnectionHandle;
use sedge_statement::{NodeId, Timestamp};
use tokio::time::Instant;

use super::Errand;
use super::seats::{Candidate, SURPLUS, Seats};
use super::table::{Link, Peers, shuffled};
use crate::presence::Presence;

/// After how many messages' time lost members are dialled again, on average.
const PROBE_EVERY: u32 = 3;
/// How many at once: a fleet in halves has as many ways between them as it has pairs, and one is enough.
const PROBES: usize = 3;
/// In which round somebody is dialled too that others claim to reach.
const DOUBT_EVERY: u32 = 4;
/// After how many messages' time another neighbour may be let go, on average.
const PART_EVERY: u32 = 3;
/// For how many messages' time a neighbour stays whatever others there are: nothing is let go that just came.
const HELD_AT_LEAST: u32 = 12;
/// For how many messages' time whoever was let go is let be, on average.
const REST: u32 = 120;

/// When what is next.
#[derive(Debug)]
pub(super) struct Mending {
    probe_at: Instant,
    round: u32,
    part_at: Instant,
}

impl Mending {
    pub(super) fn new(now: Instant) -> Self {
        Self { probe_at: now, round: 0, part_at: now }
    }
}

/// Half to one and a half of it, so that no two nodes do the same at the same time.
fn about(time: Duration) -> Duration {
    rand::random_range(time / 2..=time * 3 / 2)
}

impl Peers {
    pub(super) fn present(&mut self, from: NodeId, message: Presence, now: Instant, wall: Timestamp) {
        let (roster, me) = (Arc::clone(&self.roster), self.me());
        self.company.heard(from, message, (&roster, me), now, wall);
    }

    pub(super) fn presence(&mut self, now: Instant) -> Vec<(WeakConnectionHandle, Presence)> {
        let roster = Arc::clone(&self.roster);
        let linked = self.linked();
        let neighbours = linked.iter().filter(|id| roster.contains(id));
        let to = |id: &NodeId| {
            let connection = self.peers.get(id)?.connection.clone()?;
            Some((connection, self.company.message(*id, &linked, now)))
        };
        neighbours.filter_map(to).collect()
    }

    pub(super) fn linked(&self) -> BTreeSet<NodeId> {
        self.peers.iter().filter(|(_, peer)| peer.link == Link::Connected).map(|(id, _)| *id).collect()
    }

    /// Members to dial though there are neighbours enough.
    pub(super) fn due_probes(&mut self, now: Instant) -> Vec<Errand> {
        if self.wanted == 0 || now < self.mending.probe_at || !self.company.knows(now) || self.is_lonely() {
            return Vec::new();
        }
        self.mending.probe_at = now + about(self.company.pulse() * PROBE_EVERY);
        self.mending.round = self.mending.round.wrapping_add(1);
        let (me, relayed, roster, salt) = (self.me(), self.relayed, Arc::clone(&self.roster), rand::random::<u64>());
        let is_crowded = self.linked().len() >= 2 * self.wanted;
        let company = &self.company;
        let mut apart: Vec<_> = self.peers.iter_mut().collect();
        apart.retain(|(id, peer)| peer.is_ready(relayed, true, now) && peer.is_sought(**id, me, &roster));
        // Whoever was not dialled for longest comes first.
        apart.sort_by_key(|(id, peer)| (peer.probed, shuffled(salt, id)));
        let (lost, mut claimed): (Vec<_>, Vec<_>) = apart.into_iter().partition(|(id, _)| !company.is_about(id, now));
        claimed.retain(|(_, peer)| peer.is_ready(relayed, false, now));
        let doubted = usize::from(self.mending.round.is_multiple_of(DOUBT_EVERY));
        let probed = lost.into_iter().take(if is_crowded { 1 } else { PROBES });
        let probe = |(id, peer): (&NodeId, &mut super::table::Peer)| {
            let errand = peer.dial(*id);
            (peer.probed, peer.is_probe) = (Some(now), true);
            errand
        };
        probed.chain(claimed.into_iter().take(doubted)).map(probe).collect()
    }

    /// A neighbour to let go.
    pub(super) fn excess(&mut self, now: Instant) -> Option<WeakConnectionHandle> {
        if now < self.mending.part_at {
            return None;
        }
        let pulse = self.company.pulse();
        self.mending.part_at = now + about(pulse * PART_EVERY);
        let (roster, across, linked) = (Arc::clone(&self.roster), self.across(now), self.linked());
        let candidates: Vec<_> = linked.iter().map(|id| Candidate { id: *id, linked: true }).collect();
        let seats = Seats::new(&roster, self.me(), self.wanted, &across, &candidates);
        let is_spare = |id: &&NodeId| {
            let peer = &self.peers[*id];
            !peer.configured
                && now.saturating_duration_since(peer.since) >= pulse * HELD_AT_LEAST
                && seats.can_spare(id, if peer.is_probe { 0 } else { SURPLUS })
                && self.company.share_a_neighbour(id, &linked, now)
        };
        let salt = rand::random::<u64>();
        let spare = linked.iter().filter(is_spare).max_by_key(|id| Reverse(shuffled(salt, id))).copied()?;
        let rest = self.rest();
        let peer = self.peers.get_mut(&spare)?;
        peer.rests_until = Some(now + rest);
        peer.connection.clone()
    }

    /// How long whoever was let go is let be.
    pub(super) fn rest(&self) -> Duration {
        about(self.company.pulse() * REST)
    }
}
