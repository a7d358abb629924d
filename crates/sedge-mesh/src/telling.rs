//! Exchanges whereabouts with one neighbour for as long as its connection lasts.

use std::cmp::Reverse;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use iroh::endpoint::Connection;
use sedge_statement::NodeId;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use crate::admission::Gatekeeper;
use crate::clock::now;
use crate::endpoint::{remote_address, remote_node};
use crate::line::Line;
use crate::peers::PeerTable;
use crate::whereabouts::{self, MAX_MESSAGE, Sighted, Whereabouts};
use crate::wire::{WRITE_DEADLINE, read_frame, write_frame};

/// How often a neighbour is told again though nothing is new, so that what it knows does not look older than it is.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// How long news is gathered before it is told.
const GATHER: Duration = Duration::from_secs(1);
/// How often a message is read. Whoever says more waits behind the windows of its own connection.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether the other end has become a member.
const LOOK: Duration = Duration::from_millis(100);

/// What telling needs.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub(crate) line: Line,
    pub(crate) table: PeerTable,
    pub(crate) gatekeeper: Gatekeeper,
}

impl Telling {
    /// Tells and listens. Returns only where the other end breaks the protocol.
    pub(crate) async fn exchange(&self, connection: &Connection) {
        let peer = remote_node(connection);
        // A node that this one dialled on the operator's word may yet turn out to be nobody.
        while !self.gatekeeper.is_member(peer) {
            sleep(LOOK).await;
        }
        let telling = async {
            self.tell(connection, peer).await;
            // An end that does not listen misses hints and nothing else.
            pending::<()>().await
        };
        tokio::select! {
            () = telling => {}
            () = self.listen(connection, peer) => {}
        }
    }

    async fn tell(&self, connection: &Connection, peer: NodeId) {
        let mut news = self.table.news();
        let Ok(mut send) = connection.open_uni().await else { return };
        let mut told = None;
        loop {
            news.mark_unchanged();
            let message = self.message(peer, remote_address(connection));
            if told.as_ref() != Some(&places(&message)) {
                let writing = write_frame(&mut send, message.encode().into());
                // An end that does not read is not told; it stays a neighbour.
                let Ok(Ok(())) = timeout(WRITE_DEADLINE, writing).await else { return };
                told = Some(places(&message));
            }
            let again = Instant::now() + AGAIN;
            tokio::select! {
                // The sender lives as long as the table.
                _ = news.changed() => sleep(GATHER).await,
                () = sleep_until(again) => told = None,
            }
        }
    }

    fn message(&self, peer: NodeId, reached: Option<SocketAddr>) -> Whereabouts {
        let mut own = self.line.addresses();
        // There may be more than one message takes: those on the listener's network are of most use to it.
        own.sort_by_key(|addr| Reverse(reached.map_or(0, |reached| shared_prefix(addr.ip(), reached.ip()))));
        let own = own.into_iter().map(|addr| (addr, 0));
        let me = self.line.node();
        let own = Sighted { node: me, at: own.take(whereabouts::MAX_ADDRESSES).collect() };
        let mut message = self.table.whereabouts(peer, |node| self.gatekeeper.is_member(node), now());
        message.0.insert(0, own);
        message
    }

    /// Listens for as long as there is anything to hear. Returns where the other end breaks the protocol.
    async fn listen(&self, connection: &Connection, peer: NodeId) {
        let Ok(mut recv) = connection.accept_uni().await else { return pending().await };
        loop {
            let frame = match read_frame(&mut recv, MAX_MESSAGE).await {
                Ok(frame) => frame,
                Err(error) if error.is_violation() => return,
                Err(_) => return pending().await,
            };
            let Ok(message) = Whereabouts::decode(&frame) else { return };
            let reached = remote_address(connection);
            self.table.told(peer, reached, &message, |node| self.gatekeeper.is_member(node), now());
            debug!(peer = %peer.short(), nodes = message.0.len(), "told where members are");
            sleep(READ_EVERY).await;
        }
    }
}

/// What of a message is worth telling again: who is where, and not since when.
fn places(message: &Whereabouts) -> Vec<(NodeId, Vec<SocketAddr>)> {
    let of = |sighted: &Sighted| {
        let mut at: Vec<_> = sighted.at.iter().map(|(addr, _)| *addr).collect();
        at.sort_unstable();
        (sighted.node, at)
    };
    let mut places: Vec<_> = message.0.iter().map(of).collect();
    places.sort_unstable();
    places
}

/// With how many equal bits two addresses begin.
fn shared_prefix(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_share_more_than_those_of_others() {
        let shared = |one: &str, other: &str| {
            shared_prefix(one.parse().expect("an address"), other.parse().expect("an address"))
        };
        assert!(shared("192.168.1.5", "192.168.1.70") > shared("172.17.0.1", "192.168.1.70"));
        assert_eq!(shared("10.0.0.1", "10.0.0.1"), 32);
        assert_eq!(shared("fd00::1", "fd00::2"), 126);
        assert_eq!(shared("fd00::1", "10.0.0.1"), 0);
    }
}
