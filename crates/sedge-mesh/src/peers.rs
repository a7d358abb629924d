//! Which peers are known, where they are, and whom to dial next.

mod places;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use iroh::endpoint::WeakConnectionHandle;
use sedge_fleet::FleetView;
use sedge_statement::{NodeId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::PeerAddr;
use crate::endpoint::{Path, path};
use crate::whereabouts::Whereabouts;
pub(crate) use places::is_plausible;
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
    pub(crate) fn new(me: NodeId, neighbours: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                peers: Mutex::new(Peers::new(me, neighbours)),
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
    pub(crate) fn due(&self, members: &BTreeSet<NodeId>, now: Instant) -> Vec<Errand> {
        self.lock().due(members, now)
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
        self.lock().heard(id, at);
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
        for (id, peer) in &self.lock().peers {
            let connected = peer.link == Link::Connected;
            connections.push(peer.connection.clone().filter(|_| connected));
            statuses.push(PeerStatus {
                id: *id,
                connected,
                path: None,
                last_heard: peer.last_heard,
                addresses: peer.places.all().collect(),
            });
        }
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
    pub(crate) async fn settled(&self, started: Instant, view: &watch::Receiver<Arc<FleetView>>) {
        let mut attempts = self.inner.attempts.subscribe();
        loop {
            let members = view.borrow().members.keys().copied().collect();
            let again = self.lock().settles_at(&members, started + SETTLE_DEADLINE, Instant::now());
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
