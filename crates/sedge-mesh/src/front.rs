//! What answers at a mesh's endpoint, and how both are set up anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iroh::Endpoint;
use iroh::protocol::{IncomingFilterOutcome, Router};
use sedge_statement::{RelayAddress, SecretKey};
use tokio::sync::{Mutex, MutexGuard};
use tracing::{error, warn};

use crate::admission::Gatekeeper;
use crate::endpoint::{self, Hold, ListenError, Voice};
use crate::line::Line;
use crate::lookup::Lookup;
use crate::peers::PeerTable;
use crate::supervise::Supervised;

/// How often a port is tried again that the endpoint before had, and how long each time is waited for its sockets to close.
const TRIES: u32 = 40;
const BETWEEN: Duration = Duration::from_millis(50);

/// Where and as whom an endpoint is bound.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: SecretKey,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) relays: Vec<RelayAddress>,
    pub(crate) table: PeerTable,
    pub(crate) gatekeeper: Gatekeeper,
}

impl Place {
    /// Binds an endpoint.
    async fn bind(&self, listen: &[SocketAddr], voice: Voice) -> Result<Endpoint, ListenError> {
        let lookup = Lookup { table: self.table.clone(), relays: self.relays.clone().into() };
        let hold = Hold { voice, gatekeeper: self.gatekeeper.clone(), lookup };
        endpoint::bind(&self.key, listen, &self.relays, Some(hold)).await
    }

    /// Where to listen to be found at the ports of before.
    fn again(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        let everywhere = [SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0))];
        let listen = if self.listen.is_empty() { &everywhere[..] } else { &self.listen };
        let port = |at: &SocketAddr| bound.iter().find(|b| b.ip() == at.ip()).map_or(0, SocketAddr::port);
        listen.iter().map(|at| if at.port() == 0 { SocketAddr::new(at.ip(), port(at)) } else { *at }).collect()
    }
}

/// The protocols that are served, and the router that serves them at the endpoint there is now.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) place: Place,
    line: Line,
    handlers: BTreeMap<Vec<u8>, Supervised>,
    /// None where a node fell silent and found no place to listen again.
    router: Mutex<Option<Router>>,
}

/// Held while the node falls silent or takes part again, so that the last word counts.
pub(crate) struct Turn<'a> {
    front: &'a Front,
    router: MutexGuard<'a, Option<Router>>,
}

impl Front {
    /// Binds the endpoint. Nothing answers there before [`Self::open`].
    pub(crate) async fn line(place: &Place, voice: Voice) -> Result<Line, ListenError> {
        Ok(Line::new(place.bind(&place.listen, voice).await?))
    }

    /// Serves `handlers` on the line.
    pub(crate) fn open(place: Place, line: Line, handlers: BTreeMap<Vec<u8>, Supervised>) -> Self {
        let router = line.endpoint().map(|endpoint| router(&endpoint, &place.gatekeeper, &handlers));
        Self { place, line, handlers, router: Mutex::new(router) }
    }

    /// Waits until nobody else turns the node to silence or back.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn { front: self, router: self.router.lock().await }
    }

    /// Ends the protocols, then the endpoint.
    pub(crate) async fn close(&self) {
        end(self.router.lock().await.take(), self.line.endpoint()).await;
    }
}

impl Turn<'_> {
    /// Leaves the relays. The library never closes the connection to one that it uses, so that the endpoint goes, with its sockets,
    /// and another one comes in its place that knows of none.
    pub(crate) async fn leave_relays(&mut self) {
        if !self.front.place.relays.is_empty() {
            self.renew().await;
        }
    }

    /// Connects to the relays.
    pub(crate) async fn connect_relays(&mut self) {
        if self.router.is_none() {
            self.renew().await;
        }
        if let Some(endpoint) = self.front.line.endpoint() {
            endpoint::connect_relays(&endpoint, &self.front.place.relays).await;
        }
    }

    /// Binds another endpoint in place of the one there is, at the same ports, and serves the same protocols there.
    async fn renew(&mut self) {
        let Front { place, line, handlers, .. } = self.front;
        let old = line.endpoint();
        let again = place.again(&old.as_ref().map(Endpoint::bound_sockets).unwrap_or_default());
        line.replace(None);
        end(self.router.take(), old).await;
        let mut renewed = place.bind(&again, Voice::Silent).await;
        for _ in 0..TRIES {
            if renewed.is_ok() {
                break;
            }
            // A dial of the old endpoint's has not noticed yet that it is closed, and keeps its sockets open.
            tokio::time::sleep(BETWEEN).await;
            renewed = place.bind(&again, Voice::Silent).await;
        }
        if renewed.is_err() {
            // Somebody else took the port in that moment.
            renewed = place.bind(&place.listen, Voice::Silent).await;
        }
        match renewed {
            Ok(endpoint) => {
                *self.router = Some(router(&endpoint, &place.gatekeeper, handlers));
                line.replace(Some(endpoint));
            }
            Err(error) => {
                error!(%error, "silent, and without a place to listen; it is tried again when the node is to speak");
            }
        }
    }
}

/// Ends a router and its endpoint, and lets go of both.
async fn end(router: Option<Router>, endpoint: Option<Endpoint>) {
    if let Some(router) = router
        && let Err(error) = router.shutdown().await
    {
        warn!(%error, "the router did not end well");
    }
    if let Some(endpoint) = endpoint {
        endpoint.close().await;
    }
}

fn router(endpoint: &Endpoint, gatekeeper: &Gatekeeper, handlers: &BTreeMap<Vec<u8>, Supervised>) -> Router {
    let filter = gatekeeper.clone();
    let mut builder = Router::builder(endpoint.clone()).incoming_filter(Arc::new(move |_| match filter.is_online() {
        true => IncomingFilterOutcome::Accept,
        false => IncomingFilterOutcome::Ignore,
    }));
    for (alpn, handler) in handlers {
        builder = builder.accept(alpn, handler.clone());
    }
    builder.spawn()
}
