//! A hostile member: enrolled like anybody, with a key of its own, and then saying by hand what no node would.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use iroh::address_lookup::MemoryLookup;
use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use sedge_fleet::testing::{doc_id, head, hello_frame, links_frame, stored_link};
use sedge_fleet::{Edit, Effect, Fleet};
use sedge_mesh::{Applicant, Joined, PeerAddr, SYNC_ALPN};
use sedge_statement::{Certificate, DocId, DocKind, Frontier, MeshId, NodeId, Object, SecretKey, Ticket, Timestamp};
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
    pub(crate) endpoint: Endpoint,
    places: MemoryLookup,
    certificates: Vec<Object>,
    genesis: Vec<u8>,
}

impl Intruder {
    /// Joins the victim's mesh with a ticket of its own, under a key made from `seed`.
    pub(crate) async fn join(victim: &Node, seed: u8) -> Result<Self> {
        Self::join_as(victim, seed, &[]).await
    }

    /// As [`Self::join`], with a ticket that was made with these flags.
    pub(crate) async fn join_as(victim: &Node, seed: u8, invite: &[&str]) -> Result<Self> {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let ticket: Ticket = victim.ticket(invite).await?.parse()?;
        let applicant = Applicant {
            name: format!("intruder-{seed}").parse()?,
            architecture: "x86_64".parse()?,
            class: "x86-server".parse()?,
        };
        let joined = sedge_mesh::join(&key, &ticket, applicant).await?;
        let Joined { certificates, genesis, .. } = joined;
        let places = MemoryLookup::new();
        let endpoint = endpoint(&key, &places).await?;
        Ok(Self { key, mesh: ticket.mesh, endpoint, places, certificates, genesis })
    }

    /// Nobody's member.
    pub(crate) async fn stranger(mesh: MeshId, seed: u8) -> Result<Self> {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let places = MemoryLookup::new();
        let endpoint = endpoint(&key, &places).await?;
        Ok(Self { key, mesh, endpoint, places, certificates: Vec::new(), genesis: Vec::new() })
    }

    pub(crate) fn id(&self) -> NodeId {
        self.key.node_id()
    }

    /// A document of its own, that was never heard of.
    pub(crate) fn doc(&self) -> DocId {
        doc_id(self.id(), DocKind::Node, 0)
    }

    /// The certificate that the victim gave it.
    pub(crate) fn certificate(&self) -> Result<Certificate> {
        Ok(self.certificates.first().context("a stranger has no certificate")?.body()?)
    }

    /// All certificates that were issued before its own and its own: whom a deployment of its making names.
    pub(crate) fn frontier(&self) -> Result<Frontier> {
        let own = self.certificate()?;
        Ok(Frontier([(own.issuer, own.serial)].into()))
    }

    /// Its documents, written as any program writes them.
    pub(crate) fn author(&self) -> Result<Author> {
        let mut fleet = Fleet::open(&self.genesis, self.mesh, self.id(), [])?;
        for certificate in self.certificates.iter().rev() {
            fleet.publish(certificate.clone(), now())?;
        }
        Ok(Author { fleet, key: self.key.clone() })
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

    /// Learns where a node is, for programs that dial by id.
    pub(crate) async fn knows(&self, node: &Node) -> Result<EndpointAddr> {
        let at: PeerAddr = node.address().await?.parse()?;
        let id = EndpointId::from_bytes(at.id.context("an address without an id")?.as_bytes())?;
        let address = EndpointAddr::new(id).with_ip_addr(at.addr);
        self.places.set_endpoint_info(address.clone());
        Ok(address)
    }

    /// Dials a node on any protocol.
    pub(crate) async fn dial(&self, victim: &Node, protocol: &[u8]) -> Result<Connection> {
        let address = self.knows(victim).await?;
        Ok(timeout(DEADLINE, self.endpoint.connect(address, protocol)).await??)
    }

    /// Dials a node's sync protocol and says the first frame.
    pub(crate) async fn greet_with(&self, victim: &Node, first: &[u8]) -> Result<Session> {
        self.open(victim, first, listen).await
    }

    /// Greets as a member does, and reads nothing of what is answered.
    pub(crate) async fn greet_deaf(&self, victim: &Node) -> Result<Session> {
        self.open(victim, &self.hello(), hold).await
    }

    /// Greets as a member does, and forgets whatever is answered.
    pub(crate) async fn greet_heedless(&self, victim: &Node) -> Result<Session> {
        self.open(victim, &self.hello(), forget).await
    }

    async fn open<F>(&self, victim: &Node, first: &[u8], hear: impl FnOnce(RecvStream, Heard) -> F) -> Result<Session>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let connection = self.dial(victim, SYNC_ALPN).await?;
        let (send, recv) = connection.open_bi().await?;
        let heard = Heard::default();
        let listener = tokio::spawn(hear(recv, Arc::clone(&heard)));
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

/// Who writes documents whose every link is as it should be, and says in them what it likes.
#[derive(Debug)]
pub(crate) struct Author {
    fleet: Fleet,
    key: SecretKey,
}

impl Author {
    /// Writes one link, and gives the frames that tell of it.
    pub(crate) fn writes(&mut self, edits: &[Edit]) -> Result<Vec<Vec<u8>>> {
        let kind = edits.first().context("nothing to write")?.kind();
        let effects = self.fleet.write(&self.key, kind, now(), edits)?;
        let writes = effects.iter().filter_map(|effect| match effect {
            Effect::Persist(writes) => Some(writes),
            _ => None,
        });
        let links = writes.flatten().filter_map(stored_link);
        links
            .map(|link| Ok(links_frame(link.head.context("a link without a head")?, link.seq, vec![link.raw])))
            .collect()
    }
}

/// The time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(0).plus(since)
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

/// The frames that came.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// A connection on which anything can be said.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    send: SendStream,
    heard: Heard,
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

    /// As [`Self::say`], one after another.
    pub(crate) async fn say_all(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
        for frame in frames {
            self.say(&frame).await?;
        }
        Ok(())
    }

    /// Everything that the node said so far.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection that it is on.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
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

/// Reads nothing.
async fn hold(recv: RecvStream, _: Heard) {
    std::future::pending::<()>().await;
    drop(recv);
}

/// Reads everything and keeps nothing, however much comes.
async fn forget(mut recv: RecvStream, _: Heard) {
    let mut some = vec![0; 64 << 10];
    while let Ok(Some(_)) = recv.read(&mut some).await {}
}

/// Reads everything, so that nobody can call this a slow reader.
async fn listen(mut recv: RecvStream, heard: Heard) {
    let mut length = [0; 4];
    while recv.read_exact(&mut length).await.is_ok() {
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        if recv.read_exact(&mut frame).await.is_err() {
            return;
        }
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
    }
}

async fn endpoint(key: &SecretKey, places: &MemoryLookup) -> Result<Endpoint> {
    let builder = Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key.to_bytes()))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .address_lookup(places.clone());
    Ok(builder.bind().await?)
}
