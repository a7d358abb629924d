//! Who may hold a connection to this node, on any protocol, and the means to end them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use iroh::EndpointAddr;
use iroh::endpoint::{AfterHandshakeOutcome, BeforeConnectOutcome, Connection, EndpointHooks, WeakConnectionHandle};
use sedge_statement::NodeId;
use tracing::debug;

use crate::counters::Tally;
use crate::endpoint::remote_node;
use crate::wire::{Closing, JOIN_ALPN, SYNC_ALPN};

/// After how many new connections the handles of ended ones are swept out.
const SWEEP_EVERY: u32 = 64;

/// How many connections one remote may hold at once, over all protocols. A member fetches weights over one or two.
const MAX_PER_NODE: usize = 64;

/// Decides after each handshake, and keeps a weak handle of each connection so that a revocation or going offline can end
/// it whatever protocol it speaks.
#[derive(Debug, Clone)]
pub(crate) struct Gatekeeper {
    state: Arc<Mutex<State>>,
    tally: Arc<Tally>,
}

#[derive(Debug)]
struct State {
    online: bool,
    members: BTreeSet<NodeId>,
    live: BTreeMap<NodeId, Vec<WeakConnectionHandle>>,
    recorded: u32,
}

impl Gatekeeper {
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        let state = State { online: true, members: BTreeSet::new(), live: BTreeMap::new(), recorded: 0 };
        Self { state: Arc::new(Mutex::new(state)), tally }
    }

    /// Replaces the roster, and ends the connections of whoever is no longer on it.
    pub(crate) fn set_members(&self, members: BTreeSet<NodeId>) {
        let mut state = self.lock();
        let gone: Vec<NodeId> = state.members.difference(&members).copied().collect();
        state.members = members;
        for node in gone {
            state.close(node, Closing::NotAMember);
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
        state.record(node, connection.weak_handle())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the gatekeeper's state")
    }
}

impl State {
    fn record(&mut self, node: NodeId, handle: WeakConnectionHandle) -> Result<(), Closing> {
        self.recorded += 1;
        if self.recorded >= SWEEP_EVERY {
            self.recorded = 0;
            self.live.retain(|_, handles| {
                handles.retain(is_live);
                !handles.is_empty()
            });
        }
        let handles = self.live.entry(node).or_default();
        handles.retain(is_live);
        if handles.len() >= MAX_PER_NODE {
            return Err(Closing::Busy);
        }
        handles.push(handle);
        Ok(())
    }

    fn close(&mut self, node: NodeId, closing: Closing) {
        for connection in self.live.remove(&node).unwrap_or_default().iter().filter_map(WeakConnectionHandle::upgrade) {
            closing.close(&connection);
        }
    }
}

fn is_live(handle: &WeakConnectionHandle) -> bool {
    handle.upgrade().is_some_and(|connection| connection.close_reason().is_none())
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
