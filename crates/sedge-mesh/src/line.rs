//! The endpoint of a mesh, which is another one each time that the node falls silent.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use iroh::{Endpoint, Watcher};
use sedge_statement::NodeId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::endpoint::listen_addresses;
use crate::peers::PeerTable;

/// The endpoint there is now, and word of its moves. Clones are of the same.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeId,
    /// None while one goes and another one comes: an endpoint keeps its sockets for as long as anybody holds it.
    endpoint: watch::Sender<Option<Endpoint>>,
    moves: watch::Sender<()>,
}

impl Line {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let node = NodeId::from_bytes(*endpoint.id().as_bytes());
        let endpoint = watch::Sender::new(Some(endpoint));
        Self(Arc::new(Inner { node, endpoint, moves: watch::Sender::new(()) }))
    }

    /// The endpoint there is now.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.0.endpoint.borrow().clone()
    }

    /// This node.
    pub(crate) fn node(&self) -> NodeId {
        self.0.node
    }

    /// Where others can reach it.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.endpoint().map(|endpoint| listen_addresses(&endpoint)).unwrap_or_default()
    }

    /// Puts another endpoint in its place, or none.
    pub(crate) fn replace(&self, endpoint: Option<Endpoint>) {
        self.0.endpoint.send_replace(endpoint);
    }

    /// Changes whenever this node may be reached elsewhere.
    pub(crate) fn moves(&self) -> watch::Receiver<()> {
        self.0.moves.subscribe()
    }

    /// Tells neighbours, and whoever looks at [`Self::moves`], when this node's own addresses change, until cancelled.
    pub(crate) async fn tell_of_moves(self, table: PeerTable, cancel: CancellationToken) {
        let mut endpoints = self.0.endpoint.subscribe();
        loop {
            let own = endpoints.borrow_and_update().as_ref().map(Endpoint::watch_addr);
            let telling = async {
                let Some(mut own) = own else { return pending().await };
                while own.updated().await.is_ok() {
                    self.moved(&table);
                }
                // It is closed; another one may come.
                pending().await
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = telling => {}
                // The sender lives as long as `self`.
                _ = endpoints.changed() => self.moved(&table),
            }
        }
    }

    fn moved(&self, table: &PeerTable) {
        self.0.moves.send_replace(());
        table.moved();
    }
}
