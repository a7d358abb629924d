//! Joining without a network: a request that goes to an enroller as a file, and an approval that comes back as one.
//!
//! Layout of both texts: see `armor.rs`; the prefixes are `sedgerequest` and `sedgeapproval`. The body of a request is `postcard(node, name,
//! architecture, class, signature)`, the signature over `"sedge/enrol/1\0" ‖ postcard(node, name, architecture, class)`: whoever asks holds the key.
//! The body of an approval is `postcard(mesh, mesh name, genesis, objects, peers, relays)`; its objects prove themselves.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::armor::{self, ArmorError};
use crate::key::{self, SecretKey, Signature};
use crate::{Architecture, HardwareClass, MeshId, MeshName, NodeId, NodeName, RelayAddress, codec};

const REQUEST: &str = "sedgerequest";
const APPROVAL: &str = "sedgeapproval";
const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"sedge/enrol/1\0";

/// Why text is no request, or no approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// It does not begin as such; give the file that the other node wrote.
    #[error("does not look like one")]
    NotThis,
    /// A character was lost or changed; carry it over again.
    #[error("is damaged")]
    Damaged,
    /// Whoever wrote it does not hold the key that it names. Do not approve it.
    #[error("is not signed by the node that it names")]
    Forged,
    /// Made by a newer Sedge; update this one.
    #[error("has version {0}, which this program does not know")]
    Newer(u8),
}

impl From<ArmorError> for EnrolmentError {
    fn from(error: ArmorError) -> Self {
        match error {
            ArmorError::NotThis => Self::NotThis,
            ArmorError::Damaged => Self::Damaged,
        }
    }
}

/// A node that asks to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The node.
    pub node: NodeId,
    /// The name that it would like.
    pub name: NodeName,
    /// Its architecture.
    pub architecture: Architecture,
    /// Its class of hardware.
    pub class: HardwareClass,
    signature: Signature,
}

impl EnrolRequest {
    /// The longest text, bytes.
    pub const MAX_TEXT: usize = 2048;

    /// Asks in the name of the key's node.
    pub fn sign(key: &SecretKey, name: NodeName, architecture: Architecture, class: HardwareClass) -> Self {
        let node = key.node_id();
        let signature = key.sign(&message(&node, &name, &architecture, &class));
        Self { node, name, architecture, class, signature }
    }
}

fn message(node: &NodeId, name: &NodeName, architecture: &Architecture, class: &HardwareClass) -> Vec<u8> {
    [DOMAIN.to_vec(), codec::encode(&(node, name, architecture, class))].concat()
}

impl fmt::Display for EnrolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&armor::write(REQUEST, VERSION, &codec::encode(self)))
    }
}

impl FromStr for EnrolRequest {
    type Err = EnrolmentError;
    fn from_str(text: &str) -> Result<Self, EnrolmentError> {
        let body = body(REQUEST, text, Self::MAX_TEXT)?;
        let request: Self = codec::decode(&body, Self::MAX_TEXT).map_err(|_| EnrolmentError::Damaged)?;
        let message = message(&request.node, &request.name, &request.architecture, &request.class);
        key::verify(&request.node, &message, &request.signature).map_err(|_| EnrolmentError::Forged)?;
        Ok(request)
    }
}

/// What an enroller gives back: all that the newcomer needs to prove itself, and where to find others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolApproval {
    /// The mesh.
    pub mesh: MeshId,
    /// Its name, for people.
    pub mesh_name: MeshName,
    /// The canonical bytes of its genesis.
    pub genesis: Vec<u8>,
    /// The canonical bytes of the newcomer's certificate, of those above it and of later versions of the roots, to be taken in from the last to the first.
    pub objects: Vec<Vec<u8>>,
    /// Where members may be reached.
    pub peers: Vec<(NodeId, Vec<SocketAddr>)>,
    /// Relays through which they are reached from elsewhere.
    pub relays: Vec<RelayAddress>,
}

impl EnrolApproval {
    /// The longest text, bytes: sixteen certificates with every label there can be, and the roots' history.
    pub const MAX_TEXT: usize = 256 << 10;
}

impl fmt::Display for EnrolApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&armor::write(APPROVAL, VERSION, &codec::encode(self)))
    }
}

impl FromStr for EnrolApproval {
    type Err = EnrolmentError;
    fn from_str(text: &str) -> Result<Self, EnrolmentError> {
        let body = body(APPROVAL, text, Self::MAX_TEXT)?;
        codec::decode(&body, Self::MAX_TEXT).map_err(|_| EnrolmentError::Damaged)
    }
}

fn body(prefix: &str, text: &str, max: usize) -> Result<Vec<u8>, EnrolmentError> {
    match armor::read(prefix, text, max)? {
        (VERSION, body) => Ok(body),
        (version, _) => Err(EnrolmentError::Newer(version)),
    }
}
