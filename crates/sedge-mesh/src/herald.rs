//! Says to neighbours that this node is there, and hears it of them.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::Connection;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::admission::Gatekeeper;
use crate::clock::now;
use crate::endpoint::remote_node;
use crate::peers::PeerTable;
use crate::presence::Presence;

/// How often presence is told where nobody says otherwise: a glance at a fleet is ten seconds old, and costs a neighbour 100 bytes a second.
pub(crate) const PULSE: Duration = Duration::from_secs(10);
/// Into how many parts the time between two messages is cut: that often at most a neighbour is heard, and the news of another one told.
const PARTS: u32 = 10;
/// How many datagrams may come of one remote between two messages: several times what an honest one sends at its busiest.
const MAX_IN_PULSE: usize = 64;

/// Tells and hears presence. Clones are of the same.
#[derive(Debug, Clone)]
pub(crate) struct Herald {
    pub(crate) table: PeerTable,
    pub(crate) gatekeeper: Gatekeeper,
}

impl Herald {
    /// Tells every neighbour now and then, and soon after one came or went, until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let pulse = self.table.pulse();
        let mut neighbours = self.table.neighbours();
        loop {
            self.tell();
            // Up to a fifth more or less, so that a fleet that started at once does not speak at once.
            let next = rand::random_range(pulse * 4 / 5..=pulse * 6 / 5);
            let pause = tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(next) => continue,
                // The sender lives as long as the table.
                _ = neighbours.changed() => pulse / PARTS,
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(pause) => neighbours.mark_unchanged(),
            }
        }
    }

    fn tell(&self) {
        for (connection, message) in self.table.presence() {
            let Some(connection) = connection.upgrade() else { continue };
            // One end that takes no datagrams, or so small ones, is told nothing; it stays a neighbour.
            let Some(room) = connection.max_datagram_size() else { continue };
            let Some(bytes) = message.encode(room) else { continue };
            if let Err(error) = connection.send_datagram(bytes.into()) {
                debug!(peer = %remote_node(&connection).short(), %error, "presence not told");
            }
        }
    }

    /// Hears one neighbour for as long as its connection lasts: one message in each part of the time between two, and what is no message is
    /// passed over. Returns where it floods.
    pub(crate) async fn hear(&self, connection: &Connection) {
        let peer = remote_node(connection);
        let pulse = self.table.pulse();
        let (mut flow, mut last, mut next) = (Flow::new(pulse), None, Instant::now());
        let mut datagrams = batch();
        loop {
            let Ok(count) = connection.read_many_datagrams(&mut datagrams).await else { return pending().await };
            if !flow.bears(count) {
                return;
            }
            let newest =
                datagrams.iter_mut().take(count).filter_map(|bytes| Presence::decode(&std::mem::take(bytes)).ok());
            let newest = newest.max_by_key(|message| message.counter);
            let Some(message) = newest.filter(|_| Instant::now() >= next && self.gatekeeper.is_member(peer)) else {
                continue;
            };
            if last.is_none_or(|last| last < message.counter) {
                last = Some(message.counter);
                next = Instant::now() + pulse / (2 * PARTS);
                self.table.present(peer, message, now());
            }
        }
    }
}

/// Takes datagrams off a connection on which there is nothing to be said so, since each keeps the memory that its packets came in.
/// Returns where they are a flood.
pub(crate) async fn ignore(connection: &Connection) {
    let mut flow = Flow::new(PULSE);
    let mut datagrams = batch();
    loop {
        let Ok(count) = connection.read_many_datagrams(&mut datagrams).await else { return pending().await };
        datagrams.iter_mut().take(count).for_each(|bytes| drop(std::mem::take(bytes)));
        if !flow.bears(count) {
            return;
        }
    }
}

/// As many datagrams as may lie unread.
fn batch() -> [Bytes; 48] {
    std::array::from_fn(|_| Bytes::new())
}

/// How many datagrams came since when.
struct Flow {
    pulse: Duration,
    since: Instant,
    count: usize,
}

impl Flow {
    fn new(pulse: Duration) -> Self {
        Self { pulse, since: Instant::now(), count: 0 }
    }

    /// Counts so many more, and says whether they are borne.
    fn bears(&mut self, more: usize) -> bool {
        if self.since.elapsed() >= self.pulse {
            (self.since, self.count) = (Instant::now(), 0);
        }
        self.count += more;
        self.count <= MAX_IN_PULSE
    }
}
