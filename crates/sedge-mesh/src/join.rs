//! Joining a mesh with a ticket (`sedge/join/1`).
//!
//! Goals: one round trip, on a connection whose both ends prove their keys, so that a ticket is bound to the key that redeems it
//! and a reply to the node that issued it. Non-goals: approval by people, joining without a network.
//!
//! Layout: the newcomer opens one bidirectional stream. Each way one frame of `length (u32, little-endian) ‖ version 2
//! (1 byte) ‖ canonical postcard`, at most 64 KiB: a [`JoinRequest`] there, a reply back. A version that the other end does not know
//! is answered with that end's own, so that the words "update this program" can be said at all.
//!
//! The newcomer says in the request, signed, under whom it enters the mesh; without that it gets no certificate.

mod client;
mod server;
mod verify;

use std::net::SocketAddr;

use sedge_statement::{Architecture, HardwareClass, MeshId, NodeId, NodeName, Object, TicketSecret, codec};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use client::{Applicant, JoinError, Joined, Looking, join, join_by};
pub use server::{Enroller, Enrolment};
pub(crate) use server::{EnrollerSlot, JoinHandler};

/// The version spoken here.
const VERSION: u8 = 2;
/// The longest message either way, bytes: a path of certificates and the addresses of a few peers fit many times over.
const MAX_MESSAGE: usize = 64 << 10;
/// How many peers a reply may name.
const MAX_PEERS: usize = 16;
/// How many addresses of each.
const MAX_ADDRESSES: usize = 8;

/// What a newcomer asks with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The mesh that its ticket is for.
    pub mesh: MeshId,
    /// The ticket's secret. Compare its digest with what was kept when the ticket was issued.
    pub secret: TicketSecret,
    /// The name it would like.
    pub name: NodeName,
    /// Its architecture.
    pub architecture: Architecture,
    /// Its class of hardware.
    pub class: HardwareClass,
    /// Its [`sedge_statement::Entry`]: that this issuer enrols it.
    pub entry: Object,
}

/// Why a newcomer was not enrolled. Numbers are the wire's by order; new ones go last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum JoinRefusal {
    /// No ticket has this secret, or it was withdrawn. Ask for a new ticket.
    #[error("the ticket is not known to its issuer")]
    UnknownTicket,
    /// The ticket's time is over. Ask for a new ticket.
    #[error("the ticket has expired")]
    Expired,
    /// The ticket was redeemed as often as it could be. Ask for a new ticket.
    #[error("the ticket was used already")]
    AlreadyUsed,
    /// Another node has the name. Choose another one.
    #[error("another node of the mesh has that name")]
    NameTaken,
    /// The issuer is a member of another mesh. Check that the ticket is the right one.
    #[error("the issuer belongs to another mesh")]
    NotForThisMesh,
    /// The node that was reached does not enrol, or no longer may. Ask for a ticket of another issuer.
    #[error("the issuer may not enrol")]
    NotAllowed,
    /// The issuer speaks another version. Update the older of the two.
    #[error("the issuer does not speak this version")]
    OtherVersion,
    /// The request could not be understood.
    #[error("the issuer did not understand the request")]
    Malformed,
    /// The issuer could not keep the certificate. Look at the issuer's log, then try again with the same ticket.
    #[error("the issuer failed to enrol the node")]
    IssuerFailed,
}

/// What comes back. The genesis and the certificates are canonical bytes, checked by the newcomer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum JoinReply {
    /// Welcome.
    Enrolled { genesis: Vec<u8>, certificates: Vec<Object>, peers: Vec<(NodeId, Vec<SocketAddr>)> },
    /// Not welcome.
    Refused(JoinRefusal),
}

/// Why a message was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misunderstood {
    Version(u8),
    Malformed,
}

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(codec::encode(message));
    bytes
}

fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Misunderstood> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => codec::decode(rest, MAX_MESSAGE).map_err(|_| Misunderstood::Malformed),
        Some((&version, _)) => Err(Misunderstood::Version(version)),
        None => Err(Misunderstood::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use sedge_statement::{Entry, SecretKey};

    use super::*;

    fn entry() -> Object {
        let key = SecretKey::from_bytes(&[5; 32]);
        Object::sign(&key, MeshId::from_bytes([1; 32]), &Entry { issuer: NodeId::from_bytes([3; 32]) })
    }

    fn request() -> JoinRequest {
        JoinRequest {
            mesh: MeshId::from_bytes([1; 32]),
            secret: TicketSecret::from_bytes([2; 16]),
            name: "unit-7".parse().expect("a name"),
            architecture: "aarch64".parse().expect("an architecture"),
            class: "jetson-orin".parse().expect("a class"),
            entry: entry(),
        }
    }

    #[test]
    fn a_request_has_these_bytes_for_ever() {
        let mut golden = vec![2];
        golden.extend([1; 32]);
        golden.extend([2; 16]);
        golden.extend(b"\x06unit-7\x07aarch64\x0bjetson-orin");
        golden.extend(entry().to_bytes());
        assert_eq!(encode(&request()), golden);
        assert_eq!(decode::<JoinRequest>(&golden), Ok(request()));
    }

    #[test]
    fn a_reply_has_these_bytes_for_ever() {
        let peers = vec![(NodeId::from_bytes([3; 32]), vec!["10.0.0.1:9000".parse().expect("an address")])];
        let welcome = JoinReply::Enrolled { genesis: vec![9, 9], certificates: Vec::new(), peers };
        let mut golden = vec![2, 0, 2, 9, 9, 0, 1];
        golden.extend([3; 32]);
        golden.extend([1, 0, 10, 0, 0, 1, 0xa8, 0x46]);
        assert_eq!(encode(&welcome), golden);
        assert_eq!(decode::<JoinReply>(&golden), Ok(welcome));
        let refusals = [
            JoinRefusal::UnknownTicket,
            JoinRefusal::Expired,
            JoinRefusal::AlreadyUsed,
            JoinRefusal::NameTaken,
            JoinRefusal::NotForThisMesh,
            JoinRefusal::NotAllowed,
            JoinRefusal::OtherVersion,
            JoinRefusal::Malformed,
            JoinRefusal::IssuerFailed,
        ];
        for (number, refusal) in (0u8..).zip(refusals) {
            assert_eq!(encode(&JoinReply::Refused(refusal)), [2, 1, number]);
        }
    }

    #[test]
    fn every_truncation_and_other_version_is_told_apart_without_a_panic() {
        let bytes = encode(&request());
        for cut in 0..bytes.len() {
            assert_eq!(decode::<JoinRequest>(&bytes[..cut]), Err(Misunderstood::Malformed), "cut at {cut}");
        }
        let mut newer = bytes;
        newer[0] = 3;
        assert_eq!(decode::<JoinRequest>(&newer), Err(Misunderstood::Version(3)));
    }
}
