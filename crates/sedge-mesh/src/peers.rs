//! Which peers are known, where they are, and whom to dial next.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sedge_statement::{NodeId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::PeerAddr;
use crate::retry::Retry;

/// How many neighbours a node looks for by itself: enough that one failing neighbour cuts nobody off, few enough that a
/// change is not sent over every link of a large fleet. Configured peers are dialled beyond it.
const NEIGHBOURS: usize = 8;
/// How many addresses of one peer are remembered, the last that worked first.
const MAX_ADDRESSES: usize = 8;
/// After how many failed attempts a bare address is looked at again: another node may live there now.
const STALE_AFTER: u32 = 4;
/// How many ids a bare address is tried with in one round.
const MAX_CANDIDATES: usize = 16;

/// How long after a start neighbours are waited for, before this node writes.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a first neighbour gets to say what it holds of this node: several round trips of a slow link.
const HEARING: Duration = Duration::from_secs(2);

/// What is known of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub id: NodeId,
    /// Whether documents are being exchanged with it now.
    pub connected: bool,
    /// When it last said anything, by this node's clock.
    pub last_heard: Option<Timestamp>,
    /// Where it was reached or is said to be, the last that worked first.
    pub addresses: Vec<SocketAddr>,
}

/// Something for the dialler to do.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Connect to a peer.
    Dial(NodeId, Vec<SocketAddr>),
    /// Find out which of these nodes is at an address.
    Identify(SocketAddr, Vec<NodeId>),
}

/// How a connection to a peer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spell {
    /// The peer spoke and kept to the protocol.
    Good,
    /// The peer never spoke, or broke the protocol.
    Bad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Apart,
    Dialling,
    Connected,
}

#[derive(Debug)]
struct Peer {
    addresses: Vec<SocketAddr>,
    configured: bool,
    link: Link,
    /// When it was last connected.
    since: Instant,
    last_heard: Option<Timestamp>,
    retry: Retry,
}

/// An address without an id.
#[derive(Debug)]
struct Bare {
    found: Option<NodeId>,
    under_way: bool,
    round: usize,
    retry: Retry,
}

#[derive(Debug)]
struct Peers {
    me: NodeId,
    paused: bool,
    peers: BTreeMap<NodeId, Peer>,
    bare: BTreeMap<SocketAddr, Bare>,
}

/// The table of peers, shared by the actor, the dialler and the handle. The lock is never held across an await.
#[derive(Debug, Clone)]
pub(crate) struct PeerTable {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    peers: Mutex<Peers>,
    changed: Notify,
    neighbours: watch::Sender<BTreeSet<NodeId>>,
    attempts: watch::Sender<()>,
}

impl PeerTable {
    pub(crate) fn new(me: NodeId) -> Self {
        let peers = Peers { me, paused: false, peers: BTreeMap::new(), bare: BTreeMap::new() };
        let neighbours = watch::Sender::new(BTreeSet::new());
        let attempts = watch::Sender::new(());
        Self { inner: Arc::new(Inner { peers: Mutex::new(peers), changed: Notify::new(), neighbours, attempts }) }
    }

    /// Adds a peer to dial for ever.
    pub(crate) fn add(&self, peer: PeerAddr) {
        let now = Instant::now();
        let mut table = self.lock();
        match peer.id {
            Some(id) if id == table.me => {}
            Some(id) => table.learn(id, peer.addr, true, now),
            None => {
                let bare = Bare { found: None, under_way: false, round: 0, retry: Retry::new(now) };
                table.bare.entry(peer.addr).or_insert(bare);
            }
        }
        drop(table);
        self.wake();
    }

    /// What is due now; whatever is returned counts as under way until [`Self::dial_ended`] or [`Self::identified`].
    pub(crate) fn due(&self, members: &BTreeSet<NodeId>) -> Vec<Errand> {
        self.lock().due(members, Instant::now())
    }

    /// When something will be due next, as far as can be told now.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.lock().next_due()
    }

    /// Waits until something changes that may make more due.
    pub(crate) async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// A dial came to nothing, unless the peer is connected by now.
    pub(crate) fn dial_ended(&self, id: NodeId) {
        let mut table = self.lock();
        if let Some(peer) = table.peers.get_mut(&id).filter(|p| p.link == Link::Dialling) {
            peer.link = Link::Apart;
            peer.retry.failed(Instant::now());
        }
        drop(table);
        self.wake();
    }

    /// A bare address was tried.
    pub(crate) fn identified(&self, addr: SocketAddr, found: Option<NodeId>) {
        self.lock().settle(addr, found, Instant::now());
        self.wake();
    }

    /// A session with a member began.
    pub(crate) fn connected(&self, id: NodeId, observed: Option<SocketAddr>) {
        let now = Instant::now();
        let mut table = self.lock();
        let peer = table.entry(id, now);
        peer.link = Link::Connected;
        peer.since = now;
        if let Some(addr) = observed {
            peer.remember(addr);
        }
        drop(table);
        self.inner.neighbours.send_if_modified(|neighbours| neighbours.insert(id));
        self.wake();
    }

    /// A peer said something.
    pub(crate) fn heard(&self, id: NodeId, at: Timestamp) {
        if let Some(peer) = self.lock().peers.get_mut(&id) {
            peer.last_heard = Some(at);
        }
    }

    /// The session with a peer ended.
    pub(crate) fn disconnected(&self, id: NodeId, spell: Spell) {
        let now = Instant::now();
        if let Some(peer) = self.lock().peers.get_mut(&id) {
            peer.link = Link::Apart;
            match spell {
                Spell::Good => peer.retry.worked(now),
                Spell::Bad => peer.retry.failed(now),
            }
        }
        self.inner.neighbours.send_if_modified(|neighbours| neighbours.remove(&id));
        self.wake();
    }

    /// Nothing is due until [`Self::resume`].
    pub(crate) fn pause(&self) {
        self.lock().paused = true;
    }

    /// Everything is due at once.
    pub(crate) fn resume(&self) {
        let now = Instant::now();
        let mut table = self.lock();
        table.paused = false;
        table.peers.values_mut().for_each(|p| p.retry = Retry::new(now));
        table.bare.values_mut().for_each(|b| b.retry = Retry::new(now));
        drop(table);
        self.wake();
    }

    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let status = |(id, peer): (&NodeId, &Peer)| PeerStatus {
            id: *id,
            connected: peer.link == Link::Connected,
            last_heard: peer.last_heard,
            addresses: peer.addresses.clone(),
        };
        self.lock().peers.iter().map(status).collect()
    }

    /// The peers that sessions are held with, now and whenever they change.
    pub(crate) fn neighbours(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.inner.neighbours.subscribe()
    }

    /// Waits until neighbours had their moment to speak since `started`, or none is reached.
    pub(crate) async fn settled(&self, started: Instant) {
        let mut attempts = self.inner.attempts.subscribe();
        loop {
            let again = self.lock().settles_at(started + SETTLE_DEADLINE, Instant::now());
            let Some(again) = again else { return };
            tokio::select! {
                () = sleep_until(again) => {}
                // The sender lives as long as the table.
                _ = attempts.changed() => {}
            }
        }
    }

    fn wake(&self) {
        self.inner.attempts.send_replace(());
        self.inner.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.inner.peers.lock().expect("nothing panics while it holds the table of peers")
    }
}

impl Peers {
    fn entry(&mut self, id: NodeId, now: Instant) -> &mut Peer {
        self.peers.entry(id).or_insert_with(|| Peer {
            addresses: Vec::new(),
            configured: false,
            link: Link::Apart,
            since: now,
            last_heard: None,
            retry: Retry::new(now),
        })
    }

    fn learn(&mut self, id: NodeId, addr: SocketAddr, configured: bool, now: Instant) {
        let peer = self.entry(id, now);
        peer.configured |= configured;
        peer.remember(addr);
        if peer.link == Link::Apart {
            peer.retry = Retry::new(now);
        }
    }

    fn settle(&mut self, addr: SocketAddr, found: Option<NodeId>, now: Instant) {
        let Some(bare) = self.bare.get_mut(&addr) else { return };
        bare.under_way = false;
        bare.retry.failed(now);
        if let Some(id) = found {
            bare.found = found;
            bare.retry.worked(now);
            self.learn(id, addr, true, now);
        }
    }

    fn due(&mut self, members: &BTreeSet<NodeId>, now: Instant) -> Vec<Errand> {
        if self.paused {
            return Vec::new();
        }
        let linked = self.peers.values().filter(|p| p.link != Link::Apart).count();
        let mut free = NEIGHBOURS.saturating_sub(linked);
        let mut errands = Vec::new();
        for (id, peer) in &mut self.peers {
            let wanted = peer.configured || (free > 0 && members.contains(id));
            if wanted && peer.is_dialable() && peer.retry.at() <= now {
                free = free.saturating_sub(1);
                peer.link = Link::Dialling;
                errands.push(Errand::Dial(*id, peer.addresses.clone()));
            }
        }
        errands.extend(self.due_identifications(members, now));
        errands
    }

    fn due_identifications(&mut self, members: &BTreeSet<NodeId>, now: Instant) -> Vec<Errand> {
        let apart = |id: &NodeId| self.peers.get(id).is_none_or(|p| p.link != Link::Connected);
        let strangers: Vec<NodeId> = members.iter().filter(|id| **id != self.me && apart(id)).copied().collect();
        let mut errands = Vec::new();
        for (addr, bare) in &mut self.bare {
            let settled =
                bare.found.and_then(|id| self.peers.get(&id)).is_some_and(|p| p.retry.failures() < STALE_AFTER);
            let reached = self.peers.values().any(|p| p.link == Link::Connected && p.addresses.first() == Some(addr));
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
    fn settles_at(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        let first = self.peers.values().filter(|p| p.link == Link::Connected).map(|p| p.since).min();
        let untried = self.peers.values().any(|p| !p.addresses.is_empty() && p.retry.failures() == 0)
            || self.bare.values().any(|b| b.found.is_none() && b.retry.failures() == 0);
        let until = match first {
            Some(since) => deadline.min(since + HEARING),
            None if untried && !self.paused => deadline,
            None => now,
        };
        (now < until).then_some(until)
    }

    fn next_due(&self) -> Option<Instant> {
        if self.paused {
            return None;
        }
        let peers = self.peers.values().filter(|p| p.is_dialable()).map(|p| p.retry.at());
        let bare = self.bare.values().filter(|b| !b.under_way).map(|b| b.retry.at());
        peers.chain(bare).min()
    }
}

impl Peer {
    fn is_dialable(&self) -> bool {
        self.link == Link::Apart && !self.addresses.is_empty()
    }

    fn remember(&mut self, addr: SocketAddr) {
        self.addresses.retain(|known| *known != addr);
        self.addresses.insert(0, addr);
        self.addresses.truncate(MAX_ADDRESSES);
    }
}
