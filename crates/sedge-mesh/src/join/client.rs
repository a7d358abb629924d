//! The newcomer's side.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::ConnectError;
use sedge_statement::{Architecture, GenesisError, HardwareClass, NodeId, NodeName, Object, SecretKey, Ticket};
use tokio::time::timeout;

use super::{JoinRefusal, JoinReply, JoinRequest, MAX_ADDRESSES, MAX_MESSAGE, MAX_PEERS, Misunderstood, verify};
use crate::PeerAddr;
use crate::clock::now;
use crate::endpoint::{self, ListenError, endpoint_addr};
use crate::wire::{Closing, JOIN_ALPN, read_frame, write_frame};

/// How long reaching the issuer may take.
const REACH_DEADLINE: Duration = Duration::from_secs(15);
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

/// Redeems a ticket at its issuer, from an endpoint that exists only for that. The key is the one that the node will keep.
///
/// # Errors
/// See [`JoinError`]. A ticket whose answer was lost can be redeemed again by the same key.
pub async fn join(key: &SecretKey, ticket: &Ticket, applicant: Applicant) -> Result<Joined, JoinError> {
    if ticket.addresses.is_empty() {
        return Err(JoinError::NoAddress);
    }
    if ticket.expires <= now() {
        return Err(JoinError::Expired);
    }
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let endpoint = endpoint::bind(key, any, None).await?;
    let result = redeem(&endpoint, ticket, applicant).await;
    endpoint.close().await;
    check(result?, key.node_id(), ticket)
}

async fn redeem(endpoint: &Endpoint, ticket: &Ticket, applicant: Applicant) -> Result<JoinReply, JoinError> {
    let issuer = endpoint_addr(ticket.issuer, ticket.addresses.iter().copied()).ok_or(JoinError::NoAddress)?;
    let connection = timeout(REACH_DEADLINE, endpoint.connect(issuer, JOIN_ALPN))
        .await
        .map_err(|_| JoinError::TimedOut)?
        .map_err(|e| JoinError::Unreachable(Box::new(e)))?;
    let request = JoinRequest {
        mesh: ticket.mesh,
        secret: ticket.secret.clone(),
        name: applicant.name,
        architecture: applicant.architecture,
        class: applicant.class,
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
    super::decode(&answer?).map_err(|e| match e {
        Misunderstood::Version(version) => JoinError::Newer(version),
        Misunderstood::Malformed => JoinError::Malformed,
    })
}

/// Believes nothing of the reply that does not follow from the ticket.
fn check(reply: JoinReply, me: NodeId, ticket: &Ticket) -> Result<Joined, JoinError> {
    let (genesis, certificates, mut peers) = match reply {
        JoinReply::Enrolled { genesis, certificates, peers } => (genesis, certificates, peers),
        JoinReply::Refused(refusal) => return Err(refusal.into()),
    };
    verify::membership(&genesis, ticket.mesh, me, &certificates, now())?;
    peers.retain(|(node, _)| *node != me && *node != ticket.issuer);
    peers.insert(0, (ticket.issuer, ticket.addresses.clone()));
    peers.truncate(MAX_PEERS);
    for (_, addresses) in &mut peers {
        addresses.retain(|a| a.port() != 0 && !a.ip().is_unspecified());
        addresses.truncate(MAX_ADDRESSES);
    }
    Ok(Joined { genesis, certificates, peers })
}
