//! Keeps connecting: to configured peers for ever, to known ones until there are enough neighbours, and to lost ones now and then.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use iroh::EndpointAddr;
use sedge_statement::{NodeId, RelayAddress, SecretKey};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::now;
use crate::endpoint::{self, endpoint_addr, remote_node};
use crate::line::Line;
use crate::peers::{Errand, PeerTable};
use crate::session::{DialGuard, Sessions};
use crate::wire::{Closing, SYNC_ALPN};

/// How long one attempt may take: several round trips of the slowest link, and retransmissions.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);
/// How long one guess at who is behind an address may take. A wrong guess fails within a round trip; only silence lasts.
const GUESS_DEADLINE: Duration = Duration::from_secs(3);
/// How often the table is looked at though nothing woke the dialler: members come and neighbours go.
const SWEEP: Duration = Duration::from_secs(1);
/// How soon after one look the table is looked at again.
const PACE: Duration = Duration::from_millis(50);

pub(crate) struct Dialler {
    pub(crate) line: Line,
    pub(crate) table: PeerTable,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) relays: Vec<RelayAddress>,
}

impl Dialler {
    /// Runs until cancelled; attempts and sessions under way end with it.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut tasks = JoinSet::new();
        loop {
            let now = Instant::now();
            for errand in self.table.due(now) {
                self.spawn(errand, &mut tasks);
            }
            if let Some(connection) = self.table.excess(now).and_then(|connection| connection.upgrade()) {
                debug!(peer = %remote_node(&connection).short(), "let go: there are neighbours enough");
                Closing::Enough.close(&connection);
            }
            let sweep = now + SWEEP;
            let wake = self.table.next_due(now).map_or(sweep, |due| due.min(sweep));
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.table.changed() => {
                    // What comes in a flood, as when a mesh starts, is looked at together.
                    sleep_until(now + PACE).await;
                }
                () = sleep_until(wake) => {}
                Some(done) = tasks.join_next() => {
                    if done.is_err_and(|e| e.is_panic()) {
                        self.sessions.tally.panics.add_one();
                    }
                }
            }
        }
    }

    fn spawn(&self, errand: Errand, tasks: &mut JoinSet<()>) {
        match errand {
            Errand::Dial(peer, addresses) => {
                let guard = DialGuard { table: self.table.clone(), peer };
                // Which way works is found by trying all of them; a direct one is preferred over a relay.
                let remote = endpoint_addr(peer, addresses, &self.relays);
                tasks.spawn(dial(self.line.clone(), self.sessions.clone(), remote, guard));
            }
            Errand::Identify(addr, candidates) => {
                let table = self.table.clone();
                tasks.spawn(async move { table.identified(addr, identify(addr, candidates).await, now()) });
            }
        }
    }
}

async fn dial(line: Line, sessions: Arc<Sessions>, remote: Option<EndpointAddr>, guard: DialGuard) {
    let peer = guard.peer;
    let Some((remote, endpoint)) = remote.zip(line.endpoint()) else { return };
    let dialled = timeout(DIAL_DEADLINE, endpoint.connect(remote, SYNC_ALPN)).await;
    // A session holds the connection; an endpoint that is held keeps its sockets.
    drop(endpoint);
    match dialled {
        Ok(Ok(connection)) => sessions.outbound(connection, guard).await,
        Ok(Err(error)) => debug!(peer = %peer.short(), %error, "not reached"),
        Err(_) => debug!(peer = %peer.short(), "not reached in time"),
    }
}

/// Finds which of `candidates` is at `addr`, by a handshake that only its key can complete.
///
/// Guesses leave from an endpoint of their own with a throw-away key: an endpoint sends to every address it ever heard of
/// for an id, so a wrong guess on the node's own would send that peer's later connections to the wrong place.
async fn identify(addr: SocketAddr, candidates: Vec<NodeId>) -> Option<NodeId> {
    let key = SecretKey::from_bytes(&rand::random());
    let any = if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let endpoint = endpoint::bind(&key, &[SocketAddr::new(any, 0)], &[], None).await.ok()?;
    let mut guesses = JoinSet::new();
    for candidate in candidates {
        let endpoint = endpoint.clone();
        guesses.spawn(async move {
            let connection = endpoint.connect(endpoint_addr(candidate, [addr], &[])?, SYNC_ALPN).await.ok()?;
            Closing::Done.close(&connection);
            Some(candidate)
        });
    }
    let first = async {
        while let Some(guess) = guesses.join_next().await {
            if let Ok(Some(found)) = guess {
                return Some(found);
            }
        }
        None
    };
    let found = timeout(GUESS_DEADLINE, first).await.ok().flatten();
    guesses.abort_all();
    endpoint.close().await;
    debug!(%addr, found = ?found, "looked who is there");
    found
}
