//! Which peers are known, where they are, and whom to dial next.

mod company;
mod mend;
mod places;
mod roster;
mod seats;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use iroh::endpoint::WeakConnectionHandle;
use sedge_fleet::FleetView;
use sedge_statement::{CellPath, Gauges, NodeId, Scope, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::PeerAddr;
use crate::endpoint::{Path, path};
use crate::presence::Presence;
use crate::whereabouts::Whereabouts;
pub use company::{Agreed, Presented, Standing};
pub(crate) use places::is_plausible;
use roster::Roster;
pub(crate) use table::NEIGHBOURS;
use table::{Link, Peers};

/// How long after a start neighbours are waited for, before this node writes.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
/// How long answers on the local network are waited for after a start, before this node writes: a query and its answer take
/// a fraction of a second, and the first may be lost.
const LISTENING: Duration = Duration::from_millis(1500);

/// What is known of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub id: NodeId,
    /// Whether documents are being exchanged with it now.
    pub connected: bool,
    /// How it is connected, where it is.
    pub path: Option<Path>,
    /// When it last said anything, by this node's clock.
    pub last_heard: Option<Timestamp>,
    /// What it last said of itself, where it was a neighbour since the start.
    pub presence: Option<Presented>,
    /// Where it was reached or is said to be, the last that worked first.
    pub addresses: Vec<SocketAddr>,
}

/// An address of a peer that is worth remembering over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The peer.
    pub node: NodeId,
    /// Where it was.
    pub addr: SocketAddr,
    /// When it was last seen there, by this node's clock.
    pub seen: Timestamp,
    /// Whether a handshake succeeded there, rather than somebody having said so.
    pub proven: bool,
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
    /// So it did, and has neighbours enough.
    Enough,
    /// The peer never spoke, or broke the protocol.
    Bad,
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
    /// Changes whenever an address is learned that neighbours are told and may not know.
    news: watch::Sender<()>,
}

impl PeerTable {
    pub(crate) fn new(me: NodeId, neighbours: usize, pulse: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                peers: Mutex::new(Peers::new(me, neighbours, pulse, Instant::now())),
                changed: Notify::new(),
                neighbours: watch::Sender::new(BTreeSet::new()),
                attempts: watch::Sender::new(()),
                news: watch::Sender::new(()),
            }),
        }
    }

    /// Adds a peer to dial for ever.
    pub(crate) fn add(&self, peer: PeerAddr, wall: Timestamp) {
        self.lock().add(peer, Instant::now(), wall);
        self.wake();
    }

    /// Recalls where a peer was before this node was restarted.
    pub(crate) fn recall(&self, sighting: Sighting, wall: Timestamp) {
        self.lock().recall(sighting, Instant::now(), wall);
        self.wake();
    }

    /// Takes who is a member from a view, where that changed.
    pub(crate) fn set_members(&self, view: &FleetView) {
        let roster = Arc::clone(&self.lock().roster);
        if !roster.is_of(view) {
            self.lock().set_roster(Roster::of(view));
            self.wake();
        }
    }

    /// Looks for neighbours in these cells too.
    pub(crate) fn want_cells(&self, cells: BTreeSet<CellPath>) {
        self.lock().want_cells(cells);
        self.wake();
    }

    /// What this node's machine says from now on.
    pub(crate) fn set_gauges(&self, gauges: Gauges) {
        self.lock().company.set_gauges(gauges);
    }

    /// How new this node's view is from now on.
    pub(crate) fn set_standing(&self, standing: Standing) {
        self.lock().company.set_standing(standing);
    }

    pub(crate) fn standing(&self) -> Standing {
        self.lock().company.standing().clone()
    }

    pub(crate) fn agreed(&self) -> BTreeMap<Scope, Agreed> {
        self.lock().company.agreed().clone()
    }

    /// What a node last said of itself.
    pub(crate) fn presented(&self, node: NodeId, wall: Timestamp) -> Option<Presented> {
        let peers = self.lock();
        match node == peers.me() {
            true => Some(peers.company.own(Instant::now(), wall)),
            false => peers.company.presented(&node).cloned(),
        }
    }

    /// How long ago a member gave its last sign of life, whoever told of it.
    pub(crate) fn silent_for(&self, node: NodeId) -> Option<Duration> {
        self.lock().company.silent_for(&node, Instant::now())
    }

    /// How often presence is told.
    pub(crate) fn pulse(&self) -> Duration {
        self.lock().company.pulse()
    }

    /// What a member says of being there.
    pub(crate) fn present(&self, from: NodeId, message: Presence, wall: Timestamp) {
        self.lock().present(from, message, Instant::now(), wall);
    }

    /// What there is to say of being there, and to whom.
    pub(crate) fn presence(&self) -> Vec<(WeakConnectionHandle, Presence)> {
        self.lock().presence(Instant::now())
    }

    /// A neighbour that this node has no need of, now and then, where there are more than enough and another way leads to it.
    pub(crate) fn excess(&self, now: Instant) -> Option<WeakConnectionHandle> {
        self.lock().excess(now)
    }

    /// Where a peer may be reached, in the order to try.
    pub(crate) fn places(&self, id: NodeId) -> Vec<SocketAddr> {
        self.lock().peers.get(&id).map(|peer| peer.places.all().collect()).unwrap_or_default()
    }

    /// Every member is reached through a relay, whether or not an address of it is known.
    pub(crate) fn use_relay(&self) {
        self.lock().relayed = true;
        self.wake();
    }

    /// Neighbours are being looked for on the local network from now on.
    pub(crate) fn listen_for_neighbours(&self) {
        self.lock().listening_until = Some(Instant::now() + LISTENING);
        self.wake();
    }

    /// What a member says of where members are.
    pub(crate) fn told(
        &self,
        teller: NodeId,
        reached: Option<SocketAddr>,
        whereabouts: &Whereabouts,
        is_member: impl Fn(NodeId) -> bool,
        wall: Timestamp,
    ) {
        let learned = self.lock().told(teller, reached, whereabouts, is_member, Instant::now(), wall);
        self.learned(learned);
    }

    /// What anybody on the local network says of where a member is.
    pub(crate) fn nearby(&self, node: NodeId, at: &[SocketAddr], wall: Timestamp) {
        self.lock().nearby(node, at, Instant::now(), wall);
        self.wake();
    }

    /// What this node can tell `listener` of where members are.
    pub(crate) fn whereabouts(
        &self,
        listener: NodeId,
        is_member: impl Fn(NodeId) -> bool,
        wall: Timestamp,
    ) -> Whereabouts {
        self.lock().whereabouts(listener, is_member, wall)
    }

    /// What this node can tell a newcomer of where its neighbours are; like its neighbours, it is told no rumour.
    pub(crate) fn neighbours_places(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        self.lock().neighbours_places()
    }

    /// Changes whenever there is something new to tell.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.inner.news.subscribe()
    }

    /// This node itself is elsewhere than neighbours may know.
    pub(crate) fn moved(&self) {
        self.inner.news.send_replace(());
    }

    /// What is due now; whatever is returned counts as under way until [`Self::dial_ended`] or [`Self::identified`].
    pub(crate) fn due(&self, now: Instant) -> Vec<Errand> {
        self.lock().due(now)
    }

    /// When something will be due next after `now`, as far as can be told. What was due then and is not handed out, as there are
    /// neighbours enough, has no such time.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.lock().next_due(now)
    }

    /// Waits until something changes that may make more due.
    pub(crate) async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// A dial came to nothing, unless the peer is connected by now.
    pub(crate) fn dial_ended(&self, id: NodeId) {
        self.lock().dial_ended(id, Instant::now());
        self.wake();
    }

    /// A bare address was tried.
    pub(crate) fn identified(&self, addr: SocketAddr, found: Option<NodeId>, wall: Timestamp) {
        self.lock().settle(addr, found, Instant::now(), wall);
        self.wake();
    }

    /// A session with a member began.
    pub(crate) fn connected(
        &self,
        id: NodeId,
        observed: Option<SocketAddr>,
        connection: WeakConnectionHandle,
        wall: Timestamp,
    ) {
        let learned = self.lock().connected(id, observed, connection, Instant::now(), wall);
        self.inner.neighbours.send_if_modified(|neighbours| neighbours.insert(id));
        self.learned(learned);
    }

    /// A peer said something.
    pub(crate) fn heard(&self, id: NodeId, at: Timestamp) {
        self.lock().heard(id, at, Instant::now());
    }

    /// The session with a peer ended.
    pub(crate) fn disconnected(&self, id: NodeId, spell: Spell) {
        self.lock().disconnected(id, spell, Instant::now());
        self.inner.neighbours.send_if_modified(|neighbours| neighbours.remove(&id));
        self.wake();
    }

    /// Nothing is due until [`Self::resume`].
    pub(crate) fn pause(&self) {
        self.lock().paused = true;
    }

    /// Everything is due at once.
    pub(crate) fn resume(&self) {
        self.lock().resume(Instant::now());
        self.wake();
    }

    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let mut statuses = Vec::new();
        let mut connections = Vec::new();
        let table = self.lock();
        for (id, peer) in &table.peers {
            let connected = peer.link == Link::Connected;
            connections.push(peer.connection.clone().filter(|_| connected));
            statuses.push(PeerStatus {
                id: *id,
                connected,
                path: None,
                last_heard: peer.last_heard,
                presence: table.company.presented(id).cloned(),
                addresses: peer.places.all().collect(),
            });
        }
        drop(table);
        for (status, connection) in statuses.iter_mut().zip(connections) {
            status.path = connection.and_then(|c| c.upgrade()).and_then(|connection| path(&connection));
        }
        statuses
    }

    /// What is worth remembering over a restart.
    pub(crate) fn sightings(&self, wall: Timestamp) -> Vec<Sighting> {
        self.lock().sightings(wall)
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

    fn learned(&self, learned: bool) {
        if learned {
            self.inner.news.send_replace(());
        }
        self.wake();
    }

    fn wake(&self) {
        self.inner.attempts.send_replace(());
        self.inner.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.inner.peers.lock().expect("nothing panics while it holds the table of peers")
    }
}
