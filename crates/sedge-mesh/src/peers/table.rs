//! The table itself: no lock, no I/O, the time as arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::WeakConnectionHandle;
use sedge_statement::{CellPath, NodeId, Timestamp};
use tokio::time::Instant;

use super::company::Company;
use super::mend::Mending;
use super::places::{Learned, Places, Source, is_plausible};
use super::roster::Roster;
use super::seats::{Candidate, MAX_WANTED_CELLS, Seats};
use super::{Errand, Sighting, Spell};
use crate::PeerAddr;
use crate::retry::Retry;
use crate::whereabouts::{self, Sighted, Whereabouts, age_in_seconds};

/// How many neighbours a node looks for by itself: enough that one failing neighbour cuts nobody off, few enough that a
/// change is not sent over every link of a large fleet. Configured peers are dialled beyond it.
pub(crate) const NEIGHBOURS: usize = 8;
/// After how many failed attempts a bare address is looked at again: another node may live there now.
const STALE_AFTER: u32 = 4;
/// How many ids a bare address is tried with in one round.
pub(super) const MAX_CANDIDATES: usize = 16;
/// How soon after one hint another one may bring a dial forward, so that a flood of hints is no flood of dials.
pub(super) const HINT_EVERY: Duration = Duration::from_secs(5);
/// How long a node stays a gateway, or none, before it looks again: a hash for every member of its cell.
const GATEWAY_FOR: Duration = Duration::from_secs(2);
/// How long a first neighbour gets to say what it holds of this node: several round trips of a slow link.
pub(super) const HEARING: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Apart,
    Dialling,
    Connected,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) places: Places,
    pub(super) configured: bool,
    pub(super) link: Link,
    pub(super) connection: Option<WeakConnectionHandle>,
    /// When it was last connected.
    pub(super) since: Instant,
    pub(super) last_heard: Option<Timestamp>,
    pub(super) retry: Retry,
    /// When a hint may bring the next attempt forward again.
    hints_from: Instant,
    /// Until when it is let be, unless this node has nobody else: either end had enough neighbours.
    pub(super) rests_until: Option<Instant>,
    /// When it was last dialled though there were neighbours enough.
    pub(super) probed: Option<Instant>,
    /// Whether its connection came of that, and is not meant to stay where there are enough without it.
    pub(super) is_probe: bool,
}

/// An address without an id.
#[derive(Debug)]
pub(super) struct Bare {
    found: Option<NodeId>,
    under_way: bool,
    round: usize,
    retry: Retry,
}

#[derive(Debug)]
pub(super) struct Peers {
    me: NodeId,
    /// How many neighbours it looks for by itself.
    pub(super) wanted: usize,
    /// Other cells that are looked at.
    cells: BTreeSet<CellPath>,
    pub(super) roster: Arc<Roster>,
    /// Whether this node is a gateway of its cell, and until when that is not asked again.
    gateway: Option<(bool, Instant)>,
    pub(super) company: Company,
    pub(super) mending: Mending,
    pub(super) paused: bool,
    /// Whether members are reached without an address.
    pub(super) relayed: bool,
    /// Until when neighbours may yet answer on the local network.
    pub(super) listening_until: Option<Instant>,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    bare: BTreeMap<SocketAddr, Bare>,
}

impl Peers {
    pub(super) fn new(me: NodeId, wanted: usize, pulse: Duration, now: Instant) -> Self {
        Self {
            me,
            wanted,
            cells: BTreeSet::new(),
            roster: Arc::default(),
            gateway: None,
            company: Company::new(pulse, now),
            mending: Mending::new(now),
            paused: false,
            relayed: false,
            listening_until: None,
            peers: BTreeMap::new(),
            bare: BTreeMap::new(),
        }
    }

    pub(super) fn set_roster(&mut self, roster: Roster) {
        self.company.keep(&roster);
        self.gateway = None;
        self.roster = Arc::new(roster);
    }

    pub(super) fn want_cells(&mut self, cells: BTreeSet<CellPath>) {
        self.cells = cells.into_iter().take(MAX_WANTED_CELLS).collect();
    }

    pub(super) fn add(&mut self, peer: PeerAddr, now: Instant, wall: Timestamp) {
        match peer.id {
            Some(id) if id == self.me => {}
            Some(id) => self.configure(id, peer.addr, now, wall),
            None => {
                let bare = Bare { found: None, under_way: false, round: 0, retry: Retry::new(now) };
                self.bare.entry(peer.addr).or_insert(bare);
            }
        }
    }

    pub(super) fn recall(&mut self, sighting: Sighting, now: Instant, wall: Timestamp) {
        if sighting.node != self.me {
            let source = if sighting.proven { Source::Handshake } else { Source::Memory };
            // A date in the future is of a clock that was wrong, and would never grow old.
            self.entry(sighting.node, now).places.add(sighting.addr, source, sighting.seen.min(wall));
        }
    }

    pub(super) fn told(
        &mut self,
        teller: NodeId,
        reached: Option<SocketAddr>,
        whereabouts: &Whereabouts,
        is_member: impl Fn(NodeId) -> bool,
        now: Instant,
        wall: Timestamp,
    ) -> bool {
        let (me, mut learned) = (self.me, false);
        for Sighted { node, at } in whereabouts.0.iter().filter(|s| s.node != me && is_member(s.node)) {
            let source = if *node == teller { Source::Itself } else { Source::Member(teller) };
            for (addr, age) in at.iter().filter(|(addr, _)| is_plausible(*addr, reached)) {
                let age = u64::from(*age).saturating_mul(1000);
                let seen = Timestamp::from_millis(wall.as_millis().saturating_sub(age));
                learned |= self.hint(*node, *addr, source, seen, now) == Learned::News;
            }
            self.forget_old(*node, wall);
        }
        learned
    }

    pub(super) fn nearby(&mut self, node: NodeId, at: &[SocketAddr], now: Instant, wall: Timestamp) {
        let me = self.me;
        for addr in at.iter().filter(|addr| node != me && is_plausible(**addr, None)) {
            self.hint(node, *addr, Source::Multicast, wall, now);
        }
    }

    /// Takes a hint. It may bring an attempt forward, but only now and then.
    fn hint(&mut self, node: NodeId, addr: SocketAddr, source: Source, seen: Timestamp, now: Instant) -> Learned {
        let peer = self.entry(node, now);
        let learned = peer.places.add(addr, source, seen);
        if learned != Learned::Nothing && peer.link == Link::Apart && peer.hints_from <= now {
            peer.hints_from = now + HINT_EVERY;
            peer.retry.hasten(now);
        }
        learned
    }

    fn forget_old(&mut self, node: NodeId, wall: Timestamp) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.forget_old(wall);
        }
    }

    /// Where the neighbours and other members were reached or say they are, as much as one message takes. What is only rumour
    /// is not told: each lie would be news to the whole mesh.
    pub(super) fn whereabouts(
        &self,
        listener: NodeId,
        is_member: impl Fn(NodeId) -> bool,
        wall: Timestamp,
    ) -> Whereabouts {
        let tellable = |(id, peer): (&NodeId, &Peer)| {
            let connected = peer.link == Link::Connected;
            let age = |(addr, seen, first): (SocketAddr, Timestamp, bool)| match connected && first {
                // It is there now.
                true => (addr, 0),
                false => (addr, age_in_seconds(wall.since(seen))),
            };
            let at: Vec<_> = peer.places.tellable().map(age).take(whereabouts::MAX_ADDRESSES).collect();
            (*id != listener && !at.is_empty() && is_member(*id)).then_some((connected, Sighted { node: *id, at }))
        };
        let mut sighted: Vec<_> = self.peers.iter().filter_map(tellable).collect();
        // Of a large fleet each message tells of others, those first that are surely there.
        let salt: u64 = rand::random();
        sighted.sort_by_key(|(connected, sighted)| (!connected, shuffled(salt, &sighted.node)));
        // One place is left for the sender itself.
        sighted.truncate(whereabouts::MAX_NODES - 1);
        Whereabouts(sighted.into_iter().map(|(_, sighted)| sighted).collect())
    }

    pub(super) fn neighbours_places(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        let neighbours = self.peers.iter().filter(|(_, peer)| peer.link == Link::Connected);
        let places = neighbours.map(|(id, peer)| (*id, peer.places.tellable().map(|(addr, ..)| addr).collect()));
        places.filter(|(_, at): &(NodeId, Vec<SocketAddr>)| !at.is_empty()).collect()
    }

    pub(super) fn sightings(&mut self, wall: Timestamp) -> Vec<Sighting> {
        self.peers.values_mut().for_each(|peer| peer.forget_old(wall));
        let places = self.peers.iter().flat_map(|(id, peer)| peer.places.seen().map(|place| (*id, place)));
        places.map(|(node, (addr, seen, proven))| Sighting { node, addr, seen, proven }).collect()
    }

    pub(super) fn connected(
        &mut self,
        id: NodeId,
        observed: Option<SocketAddr>,
        connection: WeakConnectionHandle,
        now: Instant,
        wall: Timestamp,
    ) -> bool {
        let peer = self.entry(id, now);
        peer.link = Link::Connected;
        peer.connection = Some(connection);
        peer.since = now;
        self.company.is_alive(id, now);
        let peer = self.entry(id, now);
        observed.is_some_and(|addr| peer.places.add(addr, Source::Handshake, wall) == Learned::News)
    }

    pub(super) fn heard(&mut self, id: NodeId, at: Timestamp, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.last_heard = Some(at);
            self.company.is_alive(id, now);
        }
    }

    pub(super) fn disconnected(&mut self, id: NodeId, spell: Spell, now: Instant) {
        let rest = self.rest();
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.link = Link::Apart;
            peer.connection = None;
            match spell {
                Spell::Good => peer.retry.worked(now),
                Spell::Enough => {
                    peer.retry.worked(now);
                    peer.rests_until = Some(now + rest);
                }
                Spell::Bad => peer.retry.failed(now),
            }
        }
    }

    pub(super) fn dial_ended(&mut self, id: NodeId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&id).filter(|p| p.link == Link::Dialling) {
            peer.link = Link::Apart;
            peer.retry.failed(now);
        }
    }

    pub(super) fn resume(&mut self, now: Instant) {
        self.paused = false;
        self.peers.values_mut().for_each(|p| (p.retry, p.rests_until) = (Retry::new(now), None));
        self.bare.values_mut().for_each(|b| b.retry = Retry::new(now));
    }

    pub(super) fn entry(&mut self, id: NodeId, now: Instant) -> &mut Peer {
        self.peers.entry(id).or_insert_with(|| Peer {
            places: Places::default(),
            configured: false,
            link: Link::Apart,
            connection: None,
            since: now,
            last_heard: None,
            retry: Retry::new(now),
            hints_from: now,
            rests_until: None,
            probed: None,
            is_probe: false,
        })
    }

    fn configure(&mut self, id: NodeId, addr: SocketAddr, now: Instant, wall: Timestamp) {
        let peer = self.entry(id, now);
        peer.configured = true;
        peer.places.add(addr, Source::Operator, wall);
        if peer.link == Link::Apart {
            peer.retry = Retry::new(now);
        }
    }

    pub(super) fn settle(&mut self, addr: SocketAddr, found: Option<NodeId>, now: Instant, wall: Timestamp) {
        let Some(bare) = self.bare.get_mut(&addr) else { return };
        bare.under_way = false;
        bare.retry.failed(now);
        if let Some(id) = found {
            bare.found = found;
            bare.retry.worked(now);
            self.configure(id, addr, now, wall);
        }
    }

    pub(super) fn due(&mut self, now: Instant) -> Vec<Errand> {
        if self.paused {
            return Vec::new();
        }
        let (me, relayed, roster) = (self.me, self.relayed, Arc::clone(&self.roster));
        if relayed {
            for id in roster.members().filter(|id| *id != me) {
                self.entry(id, now);
            }
        }
        let (across, candidates) = (self.across(now), self.candidates());
        let mut seats = Seats::new(&roster, me, self.wanted, &across, &candidates);
        let lonely = self.is_lonely();
        let mut ready: Vec<_> = self.peers.iter_mut().collect();
        ready.retain(|(_, peer)| peer.is_ready(relayed, lonely, now));
        // Each node prefers others, so that no few of them carry everybody; and whoever failed less often comes first.
        ready.sort_by_key(|(id, peer)| (!peer.configured, peer.retry.failures(), shuffled(0, &(me, id))));
        let mut errands = Vec::new();
        for (id, peer) in ready {
            if peer.configured || (peer.is_sought(*id, me, &roster) && seats.take(id)) {
                errands.push(peer.dial(*id));
            }
        }
        errands.extend(self.due_probes(now));
        errands.extend(self.due_identifications(now));
        errands
    }

    /// Everybody that is a neighbour or could be one by now.
    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(id, peer): (&NodeId, &Peer)| {
            let linked = peer.link != Link::Apart;
            let reachable = peer.has_way(self.relayed) && peer.retry.failures() < STALE_AFTER;
            (linked || reachable).then_some(Candidate { id: *id, linked })
        };
        self.peers.iter().filter_map(candidate).collect()
    }

    /// The cells that this node reaches for others: those that are looked at, and that above its own where it is a gateway.
    pub(super) fn across(&mut self, now: Instant) -> BTreeSet<CellPath> {
        if self.gateway.is_none_or(|(_, until)| until <= now) {
            self.gateway = Some((self.is_gateway(now), now + GATEWAY_FOR));
        }
        let is_gateway = self.gateway.is_some_and(|(is_gateway, _)| is_gateway);
        let above = self.roster.cell(&self.me).and_then(|cell| self.roster.above(cell));
        self.cells.iter().chain(above.filter(|_| is_gateway)).cloned().collect()
    }

    fn is_gateway(&self, now: Instant) -> bool {
        let reachable = |id: &NodeId| {
            self.peers.get(id).is_some_and(|peer| peer.link == Link::Connected) || self.company.is_about(id, now)
        };
        self.roster.is_gateway(self.me, reachable)
    }

    /// Whether nobody is connected.
    pub(super) fn is_lonely(&self) -> bool {
        self.peers.values().all(|peer| peer.link != Link::Connected)
    }

    pub(super) fn me(&self) -> NodeId {
        self.me
    }

    fn due_identifications(&mut self, now: Instant) -> Vec<Errand> {
        let apart = |id: &NodeId| self.peers.get(id).is_none_or(|p| p.link != Link::Connected);
        let strangers: Vec<NodeId> = self.roster.members().filter(|id| *id != self.me && apart(id)).collect();
        let mut errands = Vec::new();
        for (addr, bare) in &mut self.bare {
            let settled =
                bare.found.and_then(|id| self.peers.get(&id)).is_some_and(|p| p.retry.failures() < STALE_AFTER);
            let reached = self.peers.values().any(|p| p.link == Link::Connected && p.places.first() == Some(*addr));
            if settled || reached || bare.under_way || bare.retry.at() > now || strangers.is_empty() {
                continue;
            }
            bare.under_way = true;
            let skip = (bare.round * MAX_CANDIDATES) % strangers.len();
            bare.round = bare.round.wrapping_add(1);
            let candidates = strangers.iter().cycle().skip(skip).take(MAX_CANDIDATES.min(strangers.len()));
            errands.push(Errand::Identify(*addr, candidates.copied().collect()));
        }
        errands
    }

    /// When to look again whether this node may write; none once it may.
    pub(super) fn settles_at(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        let first = self.peers.values().filter(|p| p.link == Link::Connected).map(|p| p.since).min();
        // What is never dialled never fails.
        let is_dialled = |id: &NodeId, peer: &Peer| {
            (peer.configured || (self.wanted > 0 && peer.is_sought(*id, self.me, &self.roster)))
                && peer.has_way(self.relayed)
        };
        let has_strangers = self.roster.members().any(|id| id != self.me);
        let untried = self.peers.iter().any(|(id, peer)| is_dialled(id, peer) && peer.retry.failures() == 0)
            || (has_strangers && self.bare.values().any(|b| b.found.is_none() && b.retry.failures() == 0));
        let until = match first {
            Some(since) => deadline.min(since + HEARING),
            None if self.paused => now,
            None if untried => deadline,
            None => self.listening_until.map_or(now, |until| deadline.min(until)),
        };
        (now < until).then_some(until)
    }

    /// When something becomes due after `now`. What is due already and was not handed out waits for a change instead.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        if self.paused {
            return None;
        }
        let peers = self.peers.values().filter(|p| p.is_dialable(self.relayed)).map(|p| p.retry.at());
        let bare = self.bare.values().filter(|b| !b.under_way).map(|b| b.retry.at());
        peers.chain(bare).filter(|at| *at > now).min()
    }
}

impl Peer {
    fn forget_old(&mut self, wall: Timestamp) {
        if self.link == Link::Connected {
            self.places.is_there(wall);
        }
        self.places.age(wall);
    }

    fn is_dialable(&self, relayed: bool) -> bool {
        self.link == Link::Apart && self.has_way(relayed)
    }

    /// Whether it may be dialled now.
    pub(super) fn is_ready(&self, relayed: bool, lonely: bool, now: Instant) -> bool {
        let rests = !lonely && self.rests_until.is_some_and(|until| now < until);
        self.is_dialable(relayed) && self.retry.at() <= now && !rests
    }

    /// Has it dialled.
    pub(super) fn dial(&mut self, id: NodeId) -> Errand {
        (self.link, self.is_probe) = (Link::Dialling, false);
        Errand::Dial(id, self.places.all().collect())
    }

    /// Whether it is dialled where neighbours are wanted: a member. A newcomer holds nobody's certificate yet but its own, and
    /// trusts whoever let it in to be one.
    pub(super) fn is_sought(&self, id: NodeId, me: NodeId, roster: &Roster) -> bool {
        roster.contains(&id) || (self.places.is_proven() && roster.members().all(|member| member == me))
    }

    fn has_way(&self, relayed: bool) -> bool {
        relayed || !self.places.is_empty()
    }
}

/// An order that differs from salt to salt.
pub(super) fn shuffled(salt: u64, what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (salt, what).hash(&mut hasher);
    hasher.finish()
}
