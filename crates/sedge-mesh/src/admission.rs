//! Who may hold a connection to this node, on any protocol, and the means to end them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use iroh::EndpointAddr;
use iroh::endpoint::{AfterHandshakeOutcome, BeforeConnectOutcome, Connection, EndpointHooks, WeakConnectionHandle};
use sedge_statement::NodeId;
use tracing::debug;

use crate::allowance::{Allowance, MAX_CONNECTIONS, MAX_OF_MEMBER, MAX_OF_STRANGER, MAX_OF_STRANGERS};
use crate::counters::Tally;
use crate::endpoint::remote_node;
use crate::wire::{Closing, JOIN_ALPN, SYNC_ALPN};

/// After how many new connections the handles of ended ones are swept out.
const SWEEP_EVERY: u32 = 64;

/// Decides after each handshake who stays and what it may have under way, and keeps a weak handle of each connection so that a
/// revocation or going offline can end it whatever protocol it speaks.
#[derive(Debug, Clone)]
pub(crate) struct Gatekeeper {
    state: Arc<Mutex<State>>,
    tally: Arc<Tally>,
}

#[derive(Debug)]
struct State {
    online: bool,
    members: BTreeSet<NodeId>,
    live: BTreeMap<NodeId, Vec<Held>>,
    recorded: u32,
}

#[derive(Debug)]
struct Held {
    connection: WeakConnectionHandle,
    given: Allowance,
}

impl Gatekeeper {
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        let state = State { online: true, members: BTreeSet::new(), live: BTreeMap::new(), recorded: 0 };
        Self { state: Arc::new(Mutex::new(state)), tally }
    }

    /// Replaces the roster, and ends the connections of whoever is no longer on it; of those whom `told` names, all but that of sync, on which
    /// they are told why.
    pub(crate) fn set_members(&self, members: BTreeSet<NodeId>, told: impl Fn(&NodeId) -> bool) {
        let mut state = self.lock();
        let gone: Vec<NodeId> = state.members.difference(&members).copied().collect();
        state.members = members;
        for node in gone {
            if told(&node) {
                state.close_but(node, Closing::NotAMember, SYNC_ALPN);
            } else {
                state.close(node, Closing::NotAMember);
            }
        }
    }

    pub(crate) fn is_member(&self, node: NodeId) -> bool {
        self.lock().members.contains(&node)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.lock().online
    }

    /// Ends every connection of `node`, on every protocol.
    pub(crate) fn close(&self, node: NodeId, closing: Closing) {
        self.lock().close(node, closing);
    }

    /// Ends every connection and refuses new ones, both ways, until [`Self::go_online`].
    pub(crate) fn go_offline(&self) {
        let mut state = self.lock();
        state.online = false;
        for node in state.live.keys().copied().collect::<Vec<_>>() {
            state.close(node, Closing::Offline);
        }
    }

    pub(crate) fn go_online(&self) {
        self.lock().online = true;
    }

    /// Decides on a connection and keeps its handle in one step, so that none slips past a change of either.
    fn decide(&self, connection: &Connection) -> Result<(), Closing> {
        let node = remote_node(connection);
        let for_strangers = [SYNC_ALPN, JOIN_ALPN].contains(&connection.alpn());
        let mut state = self.lock();
        if !state.online {
            return Err(Closing::Offline);
        }
        if !for_strangers && !state.members.contains(&node) {
            return Err(Closing::NotAMember);
        }
        state.record(node, connection)
    }

    /// Gives a connection what a member's may have, now that its remote has proven to be one.
    pub(crate) fn admit(&self, connection: &Connection) {
        self.lock().admit(remote_node(connection), connection);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the gatekeeper's state")
    }
}

impl State {
    fn record(&mut self, node: NodeId, connection: &Connection) -> Result<(), Closing> {
        let is_member = self.members.contains(&node);
        self.recorded += 1;
        if self.recorded >= SWEEP_EVERY || self.is_full(is_member) {
            self.sweep();
        }
        if self.is_full(is_member) {
            return Err(Closing::Busy);
        }
        let most = if is_member { MAX_OF_MEMBER } else { MAX_OF_STRANGER };
        let held = self.live.entry(node).or_default();
        held.retain(Held::is_live);
        if held.len() >= most {
            return Err(Closing::Busy);
        }
        let given = Allowance::of(connection, is_member, self.given());
        given.give(connection);
        let held = Held { connection: connection.weak_handle(), given };
        self.live.entry(node).or_default().push(held);
        Ok(())
    }

    fn admit(&mut self, node: NodeId, connection: &Connection) {
        let id = connection.stable_id();
        let is_it = |held: &Held| held.connection.upgrade().is_some_and(|c| c.stable_id() == id);
        let Some(at) = self.live.get(&node).and_then(|held| held.iter().position(is_it)) else { return };
        let wanted = Allowance::of(connection, true, self.given());
        if let Some(held) = self.live.get_mut(&node).and_then(|held| held.get_mut(at))
            && held.given == Allowance::FIRST
        {
            wanted.give(connection);
            held.given = wanted;
        }
    }

    /// Whether there is no room for one more.
    fn is_full(&self, is_member: bool) -> bool {
        let count = |held: &Vec<Held>| held.len();
        let of_strangers =
            || self.live.iter().filter(|(id, _)| !self.members.contains(id)).map(|(_, held)| count(held));
        let all: usize = self.live.values().map(count).sum();
        all >= MAX_CONNECTIONS || (!is_member && of_strangers().sum::<usize>() >= MAX_OF_STRANGERS)
    }

    /// Lets go of what ended.
    fn sweep(&mut self) {
        self.recorded = 0;
        self.live.retain(|_, held| {
            held.retain(Held::is_live);
            !held.is_empty()
        });
    }

    /// What was given to the connections that there are.
    fn given(&self) -> impl Iterator<Item = Allowance> + '_ {
        self.live.values().flatten().filter(|held| held.is_live()).map(|held| held.given)
    }

    fn close_but(&mut self, node: NodeId, closing: Closing, alpn: &[u8]) {
        for held in self.live.get(&node).into_iter().flatten() {
            if let Some(connection) = held.connection.upgrade().filter(|connection| connection.alpn() != alpn) {
                closing.close(&connection);
            }
        }
    }

    fn close(&mut self, node: NodeId, closing: Closing) {
        for connection in
            self.live.remove(&node).unwrap_or_default().iter().filter_map(|held| held.connection.upgrade())
        {
            closing.close(&connection);
        }
    }
}

impl Held {
    fn is_live(&self) -> bool {
        self.connection.upgrade().is_some_and(|connection| connection.close_reason().is_none())
    }
}

impl EndpointHooks for Gatekeeper {
    async fn before_connect<'a>(&'a self, _remote: &'a EndpointAddr, _alpn: &'a [u8]) -> BeforeConnectOutcome {
        if self.is_online() { BeforeConnectOutcome::Accept } else { BeforeConnectOutcome::Reject }
    }

    async fn after_handshake<'a>(&'a self, connection: &'a Connection) -> AfterHandshakeOutcome {
        let Err(closing) = self.decide(connection) else { return AfterHandshakeOutcome::Accept };
        self.tally.refused.add_one();
        let alpn = String::from_utf8_lossy(connection.alpn());
        debug!(remote = %connection.remote_id().fmt_short(), %alpn, reason = closing.reason(), "connection refused");
        AfterHandshakeOutcome::Reject { error_code: closing.code(), reason: closing.reason().into() }
    }
}
