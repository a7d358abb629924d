//! The newcomer's side.

use std::collections::BTreeSet;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::{ConnectError, Connection};
use sedge_statement::{Architecture, Entry, GenesisError, HardwareClass, NodeId, NodeName, Object, SecretKey, Ticket};
use tokio::time::{sleep, timeout};

use super::{JoinRefusal, JoinReply, JoinRequest, MAX_ADDRESSES, MAX_MESSAGE, MAX_PEERS, Misunderstood, verify};
use crate::PeerAddr;
use crate::clock::now;
use crate::endpoint::{self, ListenError, endpoint_addr, remote_address};
use crate::mdns::Search;
use crate::peers::is_plausible;
use crate::wire::{Closing, JOIN_ALPN, read_frame, write_frame};

/// How long reaching the issuer may take.
const REACH_DEADLINE: Duration = Duration::from_secs(15);
/// How long the issuer has to answer where its ticket says, before the local network is asked too.
const NEARBY_AFTER: Duration = Duration::from_secs(1);
/// How many answers of the local network are tried, and how long each.
const MAX_ANSWERS: usize = 16;
const ANSWER_TRIED_FOR: Duration = Duration::from_secs(3);
/// How long the issuer may take to answer: it syncs to disk more than once.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// What a newcomer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// The name it would like.
    pub name: NodeName,
    /// Its architecture.
    pub architecture: Architecture,
    /// Its class of hardware.
    pub class: HardwareClass,
}

/// What a newcomer has once it joined, all of it verified: keep it, then start the mesh with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The canonical bytes of the mesh's genesis.
    pub genesis: Vec<u8>,
    /// The certificates that prove the newcomer, its own first. Publish them, last first, into its new fleet, and keep what that
    /// persists, before the mesh is started.
    pub certificates: Vec<Object>,
    /// Peers to dial, the issuer first.
    pub peers: Vec<(NodeId, Vec<SocketAddr>)>,
}

impl Joined {
    /// The peers as [`crate::MeshConfig::peers`] takes them.
    pub fn peer_addrs(&self) -> Vec<PeerAddr> {
        let peers = self.peers.iter();
        peers.flat_map(|(id, at)| at.iter().map(|addr| PeerAddr { id: Some(*id), addr: *addr })).collect()
    }
}

/// Why a node did not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Nothing could be bound on this machine to dial from.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The ticket names no address. Ask for one made while its issuer is on the network.
    #[error("the ticket names no address of its issuer")]
    NoAddress,
    /// The ticket's time is over, by this machine's clock. Check the clock, or ask for a new ticket.
    #[error("the ticket has expired")]
    Expired,
    /// The issuer was not reached. See that it runs, and that its address and port can be reached from here.
    #[error("failed to reach the ticket's issuer")]
    Unreachable(#[source] Box<ConnectError>),
    /// The issuer was not reached in time, which a firewall can cause.
    #[error("the ticket's issuer was not reached in time")]
    TimedOut,
    /// The connection ended before there was an answer. Try again; the issuer's log may say more.
    #[error("the issuer ended the connection without an answer")]
    NoAnswer,
    /// The issuer said no.
    #[error("{0}")]
    Refused(#[from] JoinRefusal),
    /// The issuer answered in a version that this program does not know. Update it.
    #[error("the issuer answers in version {0}")]
    Newer(u8),
    /// The answer cannot be read. The issuer is broken, or not what it says.
    #[error("the issuer's answer is malformed")]
    Malformed,
    /// The genesis is not that of the ticket's mesh. Do not trust this issuer.
    #[error("the issuer's genesis does not hold: {0}")]
    Genesis(#[source] GenesisError),
    /// The certificates do not prove this node a member. Do not trust this issuer.
    #[error("the issuer's certificates do not make this node a member")]
    NotProven,
}

/// How a newcomer looks for its ticket's issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Looking {
    /// At the ticket's addresses and through its relays; where it is not there at once, on the local network too.
    #[default]
    Nearby,
    /// At the ticket's addresses and through its relays only.
    AtTicket,
}

/// Redeems a ticket at its issuer, from an endpoint that exists only for that. The key is the one that the node will keep.
///
/// # Errors
/// See [`JoinError`]. A ticket whose answer was lost can be redeemed again by the same key.
pub async fn join(key: &SecretKey, ticket: &Ticket, applicant: Applicant) -> Result<Joined, JoinError> {
    join_by(key, ticket, applicant, Looking::default()).await
}

/// As [`join`], looking for the issuer as it is told.
///
/// # Errors
/// See [`JoinError`].
pub async fn join_by(
    key: &SecretKey,
    ticket: &Ticket,
    applicant: Applicant,
    looking: Looking,
) -> Result<Joined, JoinError> {
    if ticket.expires <= now() {
        return Err(JoinError::Expired);
    }
    let names_no_place = ticket.addresses.is_empty() && ticket.relays.is_empty();
    if names_no_place && looking == Looking::AtTicket {
        return Err(JoinError::NoAddress);
    }
    let endpoint = endpoint::bind(key, &[], &ticket.relays, None).await?;
    let entry = Object::sign(key, ticket.mesh, &Entry { issuer: ticket.issuer });
    let result = redeem(&endpoint, ticket, applicant, entry, looking).await;
    endpoint.close().await;
    let (reply, reached) = result?;
    check(reply, key.node_id(), ticket, reached)
}

/// Connects to the issuer wherever it answers first. Why it was not reached where its ticket says is left in `failed` while the
/// local network is still asked.
async fn reach(
    endpoint: &Endpoint,
    ticket: &Ticket,
    looking: Looking,
    failed: &mut Option<JoinError>,
) -> Result<Connection, JoinError> {
    let unreachable = |e| JoinError::Unreachable(Box::new(e));
    let named = async {
        if ticket.addresses.is_empty() && ticket.relays.is_empty() {
            return Err(JoinError::NoAddress);
        }
        let issuer = endpoint_addr(ticket.issuer, ticket.addresses.iter().copied(), &ticket.relays);
        endpoint.connect(issuer.ok_or(JoinError::NoAddress)?, JOIN_ALPN).await.map_err(unreachable)
    };
    if looking == Looking::AtTicket {
        return named.await;
    }
    let nearby = async {
        if !ticket.addresses.is_empty() || !ticket.relays.is_empty() {
            sleep(NEARBY_AFTER).await;
        }
        let mut search = Search::begin(ticket.mesh, ticket.issuer).await;
        for _ in 0..MAX_ANSWERS {
            let at = search.next().await.into_iter().filter(|addr| is_plausible(*addr, None));
            let issuer = endpoint_addr(ticket.issuer, at, &[]).ok_or(JoinError::NoAddress)?;
            // Somebody may have answered in its name; another answer may be true.
            if let Ok(Ok(connection)) = timeout(ANSWER_TRIED_FOR, endpoint.connect(issuer, JOIN_ALPN)).await {
                return Ok(connection);
            }
        }
        pending().await
    };
    tokio::pin!(named, nearby);
    tokio::select! {
        reached = &mut nearby => reached,
        reached = &mut named => match reached {
            Ok(connection) => Ok(connection),
            // Not where the ticket says, which leaves the local network.
            Err(error) => {
                *failed = Some(error).filter(|error| matches!(error, JoinError::Unreachable(_)));
                nearby.await
            }
        },
    }
}

async fn redeem(
    endpoint: &Endpoint,
    ticket: &Ticket,
    applicant: Applicant,
    entry: Object,
    looking: Looking,
) -> Result<(JoinReply, Option<SocketAddr>), JoinError> {
    let mut failed = None;
    let reached = timeout(REACH_DEADLINE, reach(endpoint, ticket, looking, &mut failed)).await;
    let connection = reached.unwrap_or_else(|_| Err(failed.unwrap_or(JoinError::TimedOut)))?;
    let reached = remote_address(&connection);
    let request = JoinRequest {
        mesh: ticket.mesh,
        secret: ticket.secret.clone(),
        name: applicant.name,
        architecture: applicant.architecture,
        class: applicant.class,
        entry,
    };
    let exchange = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(|_| JoinError::NoAnswer)?;
        write_frame(&mut send, super::encode(&request).into()).await.map_err(|_| JoinError::NoAnswer)?;
        read_frame(&mut recv, MAX_MESSAGE).await.map_err(|e| match e.is_violation() {
            true => JoinError::Malformed,
            false => JoinError::NoAnswer,
        })
    };
    let answer = timeout(ANSWER_DEADLINE, exchange).await.unwrap_or(Err(JoinError::NoAnswer));
    Closing::Done.close(&connection);
    let reply = super::decode(&answer?).map_err(|e| match e {
        Misunderstood::Version(version) => JoinError::Newer(version),
        Misunderstood::Malformed => JoinError::Malformed,
    })?;
    Ok((reply, reached))
}

/// Believes nothing of the reply that does not follow from the ticket; where peers are is a hint, and tried as such.
fn check(reply: JoinReply, me: NodeId, ticket: &Ticket, reached: Option<SocketAddr>) -> Result<Joined, JoinError> {
    let (genesis, certificates, mut peers) = match reply {
        JoinReply::Enrolled { genesis, certificates, peers } => (genesis, certificates, peers),
        JoinReply::Refused(refusal) => return Err(refusal.into()),
    };
    verify::membership(&genesis, ticket.mesh, me, &certificates, now())?;
    let said = peers.iter().find(|(node, _)| *node == ticket.issuer).map(|(_, at)| at.clone()).unwrap_or_default();
    peers.retain(|(node, _)| *node != me && *node != ticket.issuer);
    let mut known = BTreeSet::new();
    let issuer = reached.into_iter().chain(said).chain(ticket.addresses.iter().copied());
    peers.insert(0, (ticket.issuer, issuer.filter(|addr| known.insert(*addr)).collect()));
    peers.truncate(MAX_PEERS);
    for (_, addresses) in &mut peers {
        addresses.retain(|a| a.port() != 0 && !a.ip().is_unspecified());
        addresses.truncate(MAX_ADDRESSES);
    }
    Ok(Joined { genesis, certificates, peers })
}
