//! Tickets: an invitation that its issuer redeems once.
//!
//! Layout of the text: see `armor.rs`; the prefix is `sedge`. The body of version 1 is `postcard(mesh, name, issuer, addresses, secret, expires)`;
//! version 2 is the same followed by the relays, and written only where there are any.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::armor::{self, ArmorError};
use crate::{MeshId, MeshName, NodeId, RelayAddress, Timestamp, codec};

const PREFIX: &str = "sedge";
/// Without relays.
const DIRECT: u8 = 1;
/// With relays.
const RELAYED: u8 = 2;
const MAX_TEXT: usize = 2048;

/// The one-time secret of a ticket. Its issuer keeps only a digest of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketSecret([u8; 16]);

impl TicketSecret {
    /// Wraps 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What the issuer keeps, and compares.
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key("sedge ticket secret 1", &self.0)
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketSecret({}…)", HEXLOWER.encode(&self.digest()[..2]))
    }
}

/// An invitation into a mesh. Roles, cell and labels stay with the issuer, so a ticket cannot be edited into more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The mesh.
    pub mesh: MeshId,
    /// Its name, for people.
    pub mesh_name: MeshName,
    /// The node that redeems it.
    pub issuer: NodeId,
    /// Where that node listens.
    pub addresses: Vec<SocketAddr>,
    /// The secret.
    pub secret: TicketSecret,
    /// Not redeemed from then on.
    pub expires: Timestamp,
    /// Relays through which that node is reached from elsewhere.
    pub relays: Vec<RelayAddress>,
}

/// What every version begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body {
    mesh: MeshId,
    mesh_name: MeshName,
    issuer: NodeId,
    addresses: Vec<SocketAddr>,
    secret: TicketSecret,
    expires: Timestamp,
}

impl Body {
    fn of(ticket: &Ticket) -> Self {
        Self {
            mesh: ticket.mesh,
            mesh_name: ticket.mesh_name.clone(),
            issuer: ticket.issuer,
            addresses: ticket.addresses.clone(),
            secret: ticket.secret.clone(),
            expires: ticket.expires,
        }
    }

    fn with(self, relays: Vec<RelayAddress>) -> Ticket {
        let Self { mesh, mesh_name, issuer, addresses, secret, expires } = self;
        Ticket { mesh, mesh_name, issuer, addresses, secret, expires, relays }
    }
}

/// Why text is not a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// Tickets begin with `sedge`; copy the whole line that `sedge invite` printed.
    #[error("does not look like a ticket")]
    NotATicket,
    /// A character was lost or changed; copy it again.
    #[error("is damaged")]
    Damaged,
    /// Made by a newer Sedge; update this one.
    #[error("has version {0}, which this program does not know")]
    Newer(u8),
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self.relays.as_slice() {
            [] => armor::write(PREFIX, DIRECT, &codec::encode(&Body::of(self))),
            relays => armor::write(PREFIX, RELAYED, &codec::encode(&(Body::of(self), relays))),
        })
    }
}

impl FromStr for Ticket {
    type Err = TicketError;
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let (version, body) = armor::read(PREFIX, text, MAX_TEXT).map_err(|error| match error {
            ArmorError::NotThis => TicketError::NotATicket,
            ArmorError::Damaged => TicketError::Damaged,
        })?;
        match version {
            DIRECT => {
                let body: Body = codec::decode(&body, MAX_TEXT).map_err(|_| TicketError::Damaged)?;
                Ok(body.with(Vec::new()))
            }
            RELAYED => match codec::decode::<(Body, Vec<RelayAddress>)>(&body, MAX_TEXT) {
                Ok((body, relays)) if !relays.is_empty() => Ok(body.with(relays)),
                _ => Err(TicketError::Damaged),
            },
            version => Err(TicketError::Newer(version)),
        }
    }
}
