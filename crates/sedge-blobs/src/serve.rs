//! Serving weights to other nodes: who may, what, and how fast.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iroh::endpoint::{Connection, RecvStream, SendStream};
use iroh::protocol::{AcceptError, ProtocolHandler};
use iroh_blobs::protocol::{ERR_PERMISSION, Request};
use iroh_blobs::provider::events::EventSender;
use iroh_blobs::provider::{self, StreamPair};
use n0_future::task::AbortOnDropHandle;
use sedge_statement::{Blake3, ByteSize, NodeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use crate::limit::Limiter;
use crate::metered::{Meter, Metered};
use crate::node;
use crate::store::BlobStore;

/// Requests served at once on one connection; the next waits. A fetching Sedge asks for two at a time.
const STREAMS_PER_CONNECTION: usize = 16;
/// A request is under a kilobyte: whoever takes longer to send it is not asking.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Requests answered at once, over all nodes; the next waits. Each may hold what its connection sends ahead of its reader.
const ANSWERS: usize = 64;
/// How many of them may be one node's.
const ANSWERS_TO_ONE: usize = 8;

/// Who may have what. Asked on every connection and again on every request, so that a revocation or the end of a
/// wish counts at once.
pub trait Admission: fmt::Debug + Send + Sync + 'static {
    /// Whether a node may connect for weights at all.
    fn may_connect(&self, peer: NodeId) -> bool;
    /// Whether a node may have these bytes.
    fn may_fetch(&self, peer: NodeId, blob: Blake3) -> bool;
}

/// Everything on its way out of this node.
pub(crate) struct Uplink {
    limiter: Arc<Limiter>,
    served: Arc<AtomicU64>,
    refused: AtomicU64,
    answers: Arc<Semaphore>,
    traffic: Mutex<Traffic>,
}

#[derive(Default)]
struct Traffic {
    next: u64,
    turns: BTreeMap<NodeId, Arc<Semaphore>>,
    connections: BTreeMap<u64, Connection>,
    requests: BTreeMap<u64, (Blake3, AbortHandle)>,
    withheld: BTreeSet<Blake3>,
}

/// Keeps bytes from being served until dropped.
pub(crate) struct Withheld<'a> {
    uplink: &'a Uplink,
    blob: Blake3,
}

impl Drop for Withheld<'_> {
    fn drop(&mut self) {
        self.uplink.traffic().withheld.remove(&self.blob);
    }
}

impl Uplink {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            limiter: Arc::new(Limiter::new(rate)),
            served: Arc::default(),
            refused: AtomicU64::new(0),
            answers: Arc::new(Semaphore::new(ANSWERS)),
            traffic: Mutex::default(),
        }
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a node's next request may be answered: first behind its own, so that it crowds out nobody, then behind all.
    async fn turn(&self, peer: NodeId) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = {
            let mut traffic = self.traffic();
            traffic.turns.retain(|_, turns| Arc::strong_count(turns) > 1);
            let turns = traffic.turns.entry(peer);
            Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(ANSWERS_TO_ONE))))
        };
        let own = own.acquire_owned().await.ok()?;
        Some((own, Arc::clone(&self.answers).acquire_owned().await.ok()?))
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends all uploads of some bytes, and serves them to nobody until the guard is dropped.
    pub(crate) fn withhold(&self, blob: Blake3) -> Withheld<'_> {
        let mut traffic = self.traffic();
        traffic.withheld.insert(blob);
        traffic.requests.values().filter(|(b, _)| *b == blob).for_each(|(_, request)| request.abort());
        Withheld { uplink: self, blob }
    }

    /// Closes every connection that weights are served on.
    pub(crate) fn end_all(&self) {
        for connection in self.traffic().connections.values() {
            connection.close(0_u32.into(), b"closing");
        }
    }
}

/// Serves this store's weights under [`iroh_blobs::ALPN`]. Never panics, whatever the other side sends.
#[derive(Debug, Clone)]
pub struct Server {
    store: BlobStore,
    admission: Arc<dyn Admission>,
}

impl ProtocolHandler for Server {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        // A panic here would close the whole endpoint; in a task of its own it costs this connection.
        let served = tokio::spawn(self.clone().connection(connection));
        if let Err(error) = AbortOnDropHandle::new(served).await {
            tracing::error!(%error, "serving weights failed");
        }
        Ok(())
    }
}

impl Server {
    async fn connection(self, connection: Connection) {
        let uplink = &self.store.inner.uplink;
        let peer = node::node_id(connection.remote_id());
        if !self.admission.may_connect(peer) {
            uplink.refuse();
            connection.close(ERR_PERMISSION, b"not admitted");
            return;
        }
        let id = {
            let mut traffic = uplink.traffic();
            traffic.next += 1;
            let id = traffic.next;
            traffic.connections.insert(id, connection.clone());
            id
        };
        let mut requests = JoinSet::new();
        while let Ok((send, recv)) = connection.accept_bi().await {
            while requests.len() >= STREAMS_PER_CONNECTION {
                requests.join_next().await;
            }
            while requests.try_join_next().is_some() {}
            // Dropping `requests` ends this one too, through its handle.
            requests.spawn(self.clone().request(peer, connection.stable_id(), send, recv));
        }
        drop(requests);
        uplink.traffic().connections.remove(&id);
    }

    /// Reads one request, asks whether it may be answered, and has it answered where [`Uplink::withhold`] can end it.
    async fn request(self, peer: NodeId, connection: usize, send: SendStream, mut recv: RecvStream) {
        let uplink = &self.store.inner.uplink;
        let read = tokio::time::timeout(REQUEST_DEADLINE, Request::read_async(&mut recv)).await;
        let Ok(Ok((request, _))) = read else {
            return tracing::debug!(peer = %peer.short(), "no readable request for weights");
        };
        let wanted = match &request {
            // Sequences of hashes would have us follow what a blob names; only single files are ever served.
            Request::Get(get) if get.ranges.is_blob() => Some(node::blake3(get.hash)),
            // Nor is anybody told for as long as it likes how much of a file is here: a node that fetches just asks.
            _ => None,
        };
        let Some(_turn) = uplink.turn(peer).await else { return };
        let blob = wanted.filter(|blob| self.admission.may_connect(peer) && self.admission.may_fetch(peer, *blob));
        let Some(blob) = blob else {
            uplink.refuse();
            tracing::debug!(peer = %peer.short(), "refused a request for weights");
            return refuse(send, recv);
        };
        let (connection, events) = (connection as u64, EventSender::DEFAULT);
        let meter = Meter {
            limiter: uplink.limiter.clone(),
            served: uplink.served.clone(),
            admission: self.admission.clone(),
            peer,
        };
        let store = self.store.inner.fs.deref().clone();
        let answered = {
            let mut traffic = uplink.traffic();
            if traffic.withheld.contains(&blob) {
                return;
            }
            let answering = tokio::spawn(async move {
                let Request::Get(get) = request else { return Ok(()) };
                let pair = StreamPair::new(connection, recv, Metered::new(send, meter), events);
                provider::handle_get(pair, store, get).await
            });
            traffic.next += 1;
            let id = traffic.next;
            traffic.requests.insert(id, (blob, answering.abort_handle()));
            (id, AbortOnDropHandle::new(answering))
        };
        let (id, answering) = answered;
        let _gone = Answering { uplink, id };
        match answering.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(peer = %peer.short(), %error, "a request for weights ended early"),
            Err(error) => tracing::debug!(peer = %peer.short(), %error, "a request for weights was ended"),
        }
    }
}

/// Says no in a way that the other side can tell from not having the bytes.
fn refuse(mut send: SendStream, mut recv: RecvStream) {
    let _connection_gone = send.reset(ERR_PERMISSION);
    let _connection_gone = recv.stop(ERR_PERMISSION);
}

/// Takes a request off the list when it ends, however it ends.
struct Answering<'a> {
    uplink: &'a Uplink,
    id: u64,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.uplink.traffic().requests.remove(&self.id);
    }
}

impl BlobStore {
    /// The handler to put under iroh's `Router` for [`iroh_blobs::ALPN`].
    pub fn protocol_handler(&self, admission: Arc<dyn Admission>) -> Server {
        Server { store: self.clone(), admission }
    }

    /// How many connections and requests were refused since the start.
    pub fn refused(&self) -> u64 {
        self.inner.uplink.refused.load(Ordering::Relaxed)
    }

    /// How many bytes of weights went out since the start.
    pub fn served(&self) -> ByteSize {
        ByteSize(self.inner.uplink.served.load(Ordering::Relaxed))
    }
}
