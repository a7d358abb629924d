//! How much a remote may have under way to this node that nobody reads.
//!
//! What has arrived and was not read lies in this node's memory, and whoever sends decides how much that is, up to the windows
//! that it was given. Every connection therefore begins with one stream and a small window. What more its protocol needs is
//! given once the handshake has shown who is there, out of two budgets of the whole node: one for what members say, one for what
//! this node itself asked for, so that neither can use up the other's. A connection that finds its budget spent stays small: it
//! goes slower, and nothing else.
//!
//! Of datagrams, which are presence and nothing else, the newest [`DATAGRAMS`] bytes are kept. Each keeps the packet that it came in, so
//! that they are taken off at once, on any connection that others dial, and whoever floods loses it (`herald.rs`).
//!
//! At worst there are [`MAX_CONNECTIONS`] × [`BASE`] and both budgets under way, 256 MiB, all sent by members; strangers together
//! have 4 MiB.

use iroh::endpoint::{Connection, Side, VarInt};

use crate::wire::{JOIN_ALPN, SYNC_ALPN};

/// How much may be under way unread on a connection of anybody, bytes: the first frame of a stranger, and any request.
pub(crate) const BASE: u32 = 64 << 10;
/// The same of a member's sync: one whole frame. It fills a path of 10 Mbit/s at 800 ms.
const SYNC: u32 = 1 << 20;
/// The same where this node asks for weights: twice as much as one stream has, as two pieces are asked of a provider at once.
const FETCH: u32 = 16 << 20;
/// How much more than [`BASE`] may be under way unread on what members dialled or sync, all together, bytes.
const FOR_MEMBERS: u64 = 64 << 20;
/// The same on connections that this node dialled to ask for something, all together: eight providers at full speed.
const FOR_ASKING: u64 = 128 << 20;
/// How many requests one connection may carry at once.
const REQUESTS: u32 = 16;
/// How much of datagrams may lie unread on a connection, and may wait to be sent, with the 32 bytes that each costs the library: one message of
/// presence at its longest, or 46 that say nothing.
pub(crate) const DATAGRAMS: usize = 1536;

/// How many connections there may be at once, over all remotes and protocols.
pub(crate) const MAX_CONNECTIONS: usize = 1024;
/// How many of them may be of remotes that are no members: newcomers, and members whose certificate is not held yet.
pub(crate) const MAX_OF_STRANGERS: usize = 64;
/// How many connections one member may hold. It has one of sync, and one for each file that it fetches.
pub(crate) const MAX_OF_MEMBER: usize = 8;
/// How many one stranger may hold: one to join, one to sync, and as many that it lost without this node having noticed.
pub(crate) const MAX_OF_STRANGER: usize = 4;

/// Which budget a connection draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    Nobody,
    Members,
    Asking,
}

/// What one connection is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Streams both ways that the remote may open at once.
    requests: u32,
    /// Streams one way that the remote may open at once.
    notices: u32,
    /// Bytes under way unread.
    window: u32,
    budget: Budget,
}

impl Allowance {
    /// What every connection begins with, before it is known whose it is.
    pub(crate) const FIRST: Self = Self { requests: 1, notices: 0, window: BASE, budget: Budget::Nobody };

    /// What a connection of this protocol needs.
    fn wanted(alpn: &[u8], side: Side, is_member: bool) -> Self {
        match (alpn, side) {
            _ if !is_member => Self::FIRST,
            // Beside its one stream each end tells on another one where members are.
            (SYNC_ALPN, _) => Self { requests: 1, notices: 1, window: SYNC, budget: Budget::Members },
            (JOIN_ALPN, _) => Self::FIRST,
            // Whoever is asked answers on the streams that it was asked on.
            (_, Side::Client) => Self { requests: 0, notices: 0, window: FETCH, budget: Budget::Asking },
            (_, Side::Server) => Self { requests: REQUESTS, ..Self::FIRST },
        }
    }

    /// What a connection is given where these were given already.
    pub(crate) fn of(connection: &Connection, is_member: bool, others: impl Iterator<Item = Self>) -> Self {
        Self::wanted(connection.alpn(), connection.side(), is_member).within(others)
    }

    fn within(self, others: impl Iterator<Item = Self>) -> Self {
        let extra = |of: Self| u64::from(of.window.saturating_sub(BASE));
        let spent: u64 = others.filter(|other| other.budget == self.budget).map(extra).sum();
        let budget = match self.budget {
            Budget::Nobody => 0,
            Budget::Members => FOR_MEMBERS,
            Budget::Asking => FOR_ASKING,
        };
        if spent + extra(self) > budget { Self { window: BASE, ..self } } else { self }
    }

    /// Gives it. A window that was given is never taken back.
    pub(crate) fn give(self, connection: &Connection) {
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(self.requests));
        connection.set_max_concurrent_uni_streams(VarInt::from_u32(self.notices));
        connection.set_receive_window(VarInt::from_u32(self.window));
    }

    /// Bytes that may be under way unread.
    pub(crate) const fn window(self) -> u32 {
        self.window
    }

    pub(crate) const fn requests(self) -> u32 {
        self.requests
    }

    pub(crate) const fn notices(self) -> u32 {
        self.notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: &[u8] = b"weights";

    #[test]
    fn a_stranger_has_one_stream_and_a_small_window_on_every_protocol() {
        for alpn in [SYNC_ALPN, JOIN_ALPN, WEIGHTS] {
            for side in [Side::Client, Side::Server] {
                assert_eq!(Allowance::wanted(alpn, side, false), Allowance::FIRST);
            }
        }
    }

    #[test]
    fn whoever_asks_a_member_for_weights_lets_it_open_nothing_and_whoever_is_asked_keeps_a_small_window() {
        let asks = Allowance::wanted(WEIGHTS, Side::Client, true);
        assert_eq!((asks.requests, asks.notices, asks.window), (0, 0, FETCH));
        let asked = Allowance::wanted(WEIGHTS, Side::Server, true);
        assert_eq!((asked.requests, asked.notices, asked.window), (REQUESTS, 0, BASE));
    }

    #[test]
    fn past_its_budget_a_connection_stays_small_and_the_other_budget_is_whole() {
        let mut given = Vec::new();
        for _ in 0..1000 {
            let sync = Allowance::wanted(SYNC_ALPN, Side::Server, true).within(given.iter().copied());
            given.push(sync);
        }
        let extra: u64 = given.iter().map(|a| u64::from(a.window - BASE)).sum();
        assert!(extra <= FOR_MEMBERS && extra + u64::from(SYNC) > FOR_MEMBERS, "{extra}");
        assert_eq!(given.last().map(|a| (a.window, a.notices)), Some((BASE, 1)));
        let fetch = Allowance::wanted(WEIGHTS, Side::Client, true).within(given.iter().copied());
        assert_eq!(fetch.window, FETCH);
    }

    #[test]
    fn the_worst_case_is_what_is_said_of_it() {
        let worst = MAX_CONNECTIONS as u64 * u64::from(BASE) + FOR_MEMBERS + FOR_ASKING;
        assert_eq!(worst, 256 << 20);
        assert_eq!(MAX_OF_STRANGERS as u64 * u64::from(BASE), 4 << 20);
    }
}
