//! A hostile member: enrolled like anybody, with a key of its own, and then saying by hand what no node would.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use sedge_fleet::testing::{doc_id, head, hello_frame, links_frame};
use sedge_mesh::{Applicant, PeerAddr, SYNC_ALPN};
use sedge_statement::{DocId, DocKind, MeshId, NodeId, Object, SecretKey, Ticket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::node::Node;
use crate::support::until::{DEADLINE, so_or, until};

/// How many streams are filled.
const STREAMS: usize = 12;
/// How much is sent on one connection, bytes. Of more the node's transport ends it, for the pieces that it came in.
const MOST: u64 = 4 << 20;
/// After how long a stream that takes nothing is full.
const BLOCKED: Duration = Duration::from_millis(200);

/// Somebody who can reach a node. As [`Intruder::stranger`] it has a key and nothing else.
#[derive(Debug)]
pub(crate) struct Intruder {
    pub(crate) key: SecretKey,
    pub(crate) mesh: MeshId,
    certificates: Vec<Object>,
    endpoint: Endpoint,
}

impl Intruder {
    /// Joins the victim's mesh with a ticket of its own, under a key made from `seed`.
    pub(crate) async fn join(victim: &Node, seed: u8) -> Result<Self> {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let ticket: Ticket = victim.ticket(&[]).await?.parse()?;
        let applicant = Applicant {
            name: format!("intruder-{seed}").parse()?,
            architecture: "x86_64".parse()?,
            class: "x86-server".parse()?,
        };
        let joined = sedge_mesh::join(&key, &ticket, applicant).await?;
        let endpoint = endpoint(&key).await?;
        Ok(Self { key, mesh: ticket.mesh, certificates: joined.certificates, endpoint })
    }

    /// Nobody's member.
    pub(crate) async fn stranger(mesh: MeshId, seed: u8) -> Result<Self> {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let endpoint = endpoint(&key).await?;
        Ok(Self { key, mesh, certificates: Vec::new(), endpoint })
    }

    pub(crate) fn id(&self) -> NodeId {
        self.key.node_id()
    }

    /// A document of its own, that was never heard of.
    pub(crate) fn doc(&self) -> DocId {
        doc_id(self.id(), DocKind::Node, 0)
    }

    /// Links of its own document up to `seq`, under its own signature.
    pub(crate) fn links(&self, first_seq: u64, links: Vec<Vec<u8>>) -> Result<Vec<u8>> {
        let last = links.last().context("no links")?;
        let seq = first_seq + links.len() as u64 - 1;
        let head = head(&self.key, self.mesh, &self.doc(), seq, last);
        Ok(links_frame(head, first_seq, links))
    }

    /// What a member says first.
    pub(crate) fn hello(&self) -> Vec<u8> {
        hello_frame(self.mesh, &self.certificates)
    }

    /// Dials a node on any protocol.
    pub(crate) async fn dial(&self, victim: &Node, protocol: &[u8]) -> Result<Connection> {
        let at: PeerAddr = victim.address().await?.parse()?;
        let id = EndpointId::from_bytes(at.id.context("an address without an id")?.as_bytes())?;
        let address = EndpointAddr::new(id).with_ip_addr(at.addr);
        Ok(timeout(DEADLINE, self.endpoint.connect(address, protocol)).await??)
    }

    /// Dials a node's sync protocol and says the first frame.
    pub(crate) async fn greet_with(&self, victim: &Node, first: &[u8]) -> Result<Session> {
        let connection = self.dial(victim, SYNC_ALPN).await?;
        let (send, recv) = connection.open_bi().await?;
        let heard = Arc::default();
        let listener = tokio::spawn(listen(recv, Arc::clone(&heard)));
        let mut session = Session { connection, send, heard, listener };
        session.say(first).await?;
        Ok(session)
    }

    /// As [`Self::greet_with`], the way a member does; waits until the node has greeted back.
    pub(crate) async fn greet(&self, victim: &Node) -> Result<Session> {
        let session = self.greet_with(victim, &self.hello()).await?;
        session.hears("a greeting", |frame| frame.first() == Some(&0)).await?;
        Ok(session)
    }
}

/// Sends on streams of every kind, one after another, as much as the node lets it and its transport bears. Says how many bytes
/// went out, and keeps the streams open.
pub(crate) async fn fill(connection: &Connection) -> (u64, Vec<SendStream>) {
    let (mut open, mut said) = (Vec::new(), 0);
    for n in 0..STREAMS {
        let opening = async {
            Ok::<_, ConnectionError>(if n % 2 == 0 {
                connection.open_uni().await?
            } else {
                connection.open_bi().await?.0
            })
        };
        let Ok(Ok(mut send)) = timeout(BLOCKED, opening).await else { continue };
        while said < MOST
            && let Ok(Ok(())) = timeout(BLOCKED, send.write_all(&[0xff; 16 << 10])).await
        {
            said += 16 << 10;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        open.push(send);
    }
    (connection.stats().udp_tx.bytes, open)
}

/// A connection on which anything can be said.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    send: SendStream,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    listener: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Session {
    /// Says a frame. A node that has closed the connection meanwhile is not told.
    pub(crate) async fn say(&mut self, frame: &[u8]) -> Result<()> {
        let length = u32::try_from(frame.len())?.to_le_bytes();
        self.say_raw(&[&length, frame].concat()).await;
        Ok(())
    }

    /// Writes bytes as they are.
    pub(crate) async fn say_raw(&mut self, bytes: &[u8]) {
        // The node may close at any byte, which is what the callers wait for.
        let _ = timeout(DEADLINE, self.send.write_all(bytes)).await;
    }

    /// Waits until the node said a frame of that kind.
    pub(crate) async fn hears(&self, what: &str, is: impl Fn(&[u8]) -> bool) -> Result<()> {
        until(&format!("hearing {what}"), async || {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let closed = self.connection.close_reason();
            Ok(so_or(heard.iter().any(|frame| is(frame)), || format!("{} other frames, {closed:?}", heard.len())))
        })
        .await
    }

    /// Waits until the node closes the connection, and gives its reason.
    pub(crate) async fn is_closed(&self) -> Result<String> {
        Ok(timeout(DEADLINE, self.connection.closed()).await.context("the node does not close")?.to_string())
    }
}

/// Reads everything, so that nobody can call this a slow reader.
async fn listen(mut recv: RecvStream, heard: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut length = [0; 4];
    while recv.read_exact(&mut length).await.is_ok() {
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        if recv.read_exact(&mut frame).await.is_err() {
            return;
        }
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
    }
}

async fn endpoint(key: &SecretKey) -> Result<Endpoint> {
    let builder = Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key.to_bytes()))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?;
    Ok(builder.bind().await?)
}
