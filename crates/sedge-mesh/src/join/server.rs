//! The issuer's side.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use iroh::endpoint::Connection;
use iroh::protocol::{AcceptError, ProtocolHandler};
use sedge_statement::{Entry, NodeId, Object};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::{JoinRefusal, JoinReply, JoinRequest, MAX_ADDRESSES, MAX_MESSAGE, MAX_PEERS, Misunderstood};
use crate::actor::Command;
use crate::counters::Tally;
use crate::endpoint::remote_node;
use crate::line::Line;
use crate::peers::PeerTable;
use crate::wire::{Closing, FrameError, HELLO_DEADLINE, JOIN_ALPN, WRITE_DEADLINE, read_frame, write_frame};

/// How many newcomers may be connected at once.
const MAX_NEWCOMERS: usize = 16;

/// Judges requests to join. Called for one newcomer at a time, on a thread that may block, and not again before the
/// certificate it returned is kept and shown in the mesh's view: so a serial number read from the view is free.
pub trait Enroller: Send + Sync + 'static {
    /// Redeems the ticket that `request` carries for `peer`, whose key is proven, and issues its certificate. Whoever redeems
    /// the same ticket again with the same key lost our answer: give it the same certificate.
    ///
    /// # Errors
    /// [`JoinRefusal`], which the newcomer is told.
    fn redeem(&self, peer: NodeId, request: &JoinRequest) -> Result<Enrolment, JoinRefusal>;
}

/// A newcomer's place in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Its certificate, issued and not yet published: the mesh does that before it answers.
    pub certificate: Object,
}

/// Who enrols, if anyone: set once the agent is ready, emptied at the end.
#[derive(Clone, Default)]
pub(crate) struct EnrollerSlot(Arc<RwLock<Option<Arc<dyn Enroller>>>>);

impl EnrollerSlot {
    pub(crate) fn set(&self, enroller: Option<Arc<dyn Enroller>>) {
        *self.0.write().expect("nothing panics while it holds the enroller") = enroller;
    }

    fn get(&self) -> Option<Arc<dyn Enroller>> {
        self.0.read().expect("nothing panics while it holds the enroller").clone()
    }
}

impl std::fmt::Debug for EnrollerSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EnrollerSlot({})", if self.get().is_some() { "set" } else { "empty" })
    }
}

/// Serves `sedge/join/1`.
#[derive(Debug)]
pub(crate) struct JoinHandler {
    pub(crate) enroller: EnrollerSlot,
    pub(crate) actor: mpsc::Sender<Command>,
    pub(crate) line: Line,
    pub(crate) table: PeerTable,
    pub(crate) genesis: Vec<u8>,
    pub(crate) me: NodeId,
    pub(crate) tally: Arc<Tally>,
    newcomers: Semaphore,
    one_at_a_time: Mutex<()>,
}

impl JoinHandler {
    pub(crate) fn new(
        enroller: EnrollerSlot,
        actor: mpsc::Sender<Command>,
        line: Line,
        table: PeerTable,
        genesis: Vec<u8>,
        me: NodeId,
        tally: Arc<Tally>,
    ) -> Self {
        let newcomers = Semaphore::new(MAX_NEWCOMERS);
        Self { enroller, actor, line, table, genesis, me, tally, newcomers, one_at_a_time: Mutex::new(()) }
    }

    async fn serve(&self, connection: &Connection) -> Closing {
        let Ok(_permit) = self.newcomers.try_acquire() else {
            self.tally.refused.add_one();
            return Closing::Busy;
        };
        let peer = remote_node(connection);
        let asking = async {
            let (send, mut recv) = connection.accept_bi().await.map_err(|_| FrameError::Ended)?;
            Ok::<_, FrameError>((send, read_frame(&mut recv, MAX_MESSAGE).await?))
        };
        let (mut send, request) = match timeout(HELLO_DEADLINE, asking).await {
            Ok(Ok(asked)) => asked,
            Ok(Err(FrameError::Ended)) => return Closing::Done,
            _ => {
                self.tally.violations.add_one();
                return Closing::Violation;
            }
        };
        let reply = match self.answer(peer, &request).await {
            Ok(reply) => reply,
            Err(refusal) => {
                info!(peer = %peer.short(), reason = %refusal, "a newcomer is refused");
                JoinReply::Refused(refusal)
            }
        };
        let answering = async {
            write_frame(&mut send, super::encode(&reply).into()).await.ok()?;
            send.finish().ok()?;
            // The newcomer closes once it has read; closing first could throw the reply away.
            Some(connection.closed().await)
        };
        if timeout(WRITE_DEADLINE, answering).await.is_err() {
            debug!(peer = %peer.short(), "the newcomer did not take its answer");
        }
        Closing::Done
    }

    async fn answer(&self, peer: NodeId, request: &[u8]) -> Result<JoinReply, JoinRefusal> {
        let request: JoinRequest = super::decode(request).map_err(|e| {
            self.tally.violations.add_one();
            match e {
                Misunderstood::Version(_) => JoinRefusal::OtherVersion,
                Misunderstood::Malformed => JoinRefusal::Malformed,
            }
        })?;
        let enroller = self.enroller.get().ok_or(JoinRefusal::NotAllowed)?;
        let entry = self.entry(peer, &request)?;
        let turn = self.one_at_a_time.lock().await;
        let judging = tokio::task::spawn_blocking(move || enroller.redeem(peer, &request));
        let Enrolment { certificate } = judging.await.map_err(|e| failed(&e))??;
        let (reply, published) = oneshot::channel();
        self.ask(Command::Publish { object: certificate, reply }).await?;
        published.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let (reply, published) = oneshot::channel();
        self.ask(Command::Publish { object: entry, reply }).await?;
        if let Err(error) = published.await.map_err(|e| failed(&e))? {
            // Another enroller than this node may have issued the certificate.
            warn!(peer = %peer.short(), %error, "a newcomer's word of who enrolled it is not kept");
        }
        drop(turn);
        let (reply, path) = oneshot::channel();
        self.ask(Command::Path { node: peer, reply }).await?;
        let certificates = path.await.map_err(|e| failed(&e))?;
        info!(peer = %peer.short(), "a newcomer is enrolled");
        Ok(JoinReply::Enrolled { genesis: self.genesis.clone(), certificates, peers: self.peers() })
    }

    /// The newcomer's own word that this node enrols it.
    fn entry(&self, peer: NodeId, request: &JoinRequest) -> Result<Object, JoinRefusal> {
        // What came over the wire decodes without its signature being looked at.
        let object = Object::open(&request.entry.to_bytes(), request.mesh).map_err(|_| JoinRefusal::Malformed)?;
        let entry: Entry = object.body().map_err(|_| JoinRefusal::Malformed)?;
        if (object.signer(), entry.issuer) == (peer, self.me) { Ok(object) } else { Err(JoinRefusal::Malformed) }
    }

    async fn ask(&self, command: Command) -> Result<(), JoinRefusal> {
        self.actor.send(command).await.map_err(|e| failed(&e))
    }

    /// Where this node and its neighbours listen.
    fn peers(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        let mut own = self.line.addresses();
        own.truncate(MAX_ADDRESSES);
        let mut peers = vec![(self.me, own)];
        peers.extend(self.table.neighbours_places());
        peers.truncate(MAX_PEERS);
        peers.iter_mut().for_each(|(_, at)| at.truncate(MAX_ADDRESSES));
        peers
    }
}

fn failed(error: &dyn std::error::Error) -> JoinRefusal {
    warn!(%error, "failed to enrol a newcomer");
    JoinRefusal::IssuerFailed
}

impl ProtocolHandler for JoinHandler {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        debug_assert_eq!(connection.alpn(), JOIN_ALPN);
        self.serve(&connection).await.close(&connection);
        Ok(())
    }
}
