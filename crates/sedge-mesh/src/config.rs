//! What a mesh is started with.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use sedge_statement::{NodeId, RelayAddress, SecretKey};

use crate::Sighting;
use crate::herald::PULSE;
use crate::peers::NEIGHBOURS;

/// Where a peer may be reached: `NODEID@IP:PORT`, or a bare `IP:PORT`.
///
/// A connection proves the remote's key, so dialling needs to know whose it is. A bare address is tried with the ids of
/// known members, a few at a time, until one of them proves to be there; naming the node saves those attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr {
    /// Who listens there, where that is known.
    pub id: Option<NodeId>,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// Why text is not the address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerAddrError {
    /// Write `IP:PORT`; host names are not resolved, since nothing may depend on a name server.
    #[error("is not IP:PORT or NODEID@IP:PORT")]
    BadAddress,
    /// A node's id is the 64 hexadecimal digits that `sedge status --json` and `sedge node show` print.
    #[error("has a node id that is not 64 hexadecimal digits")]
    BadId,
    /// A peer listens on a port other than 0 and on an address of its own.
    #[error("names no place to connect to")]
    Unspecified,
}

impl FromStr for PeerAddr {
    type Err = PeerAddrError;
    fn from_str(text: &str) -> Result<Self, PeerAddrError> {
        let (id, addr) = match text.split_once('@') {
            Some((id, addr)) => (Some(id.parse().map_err(|_| PeerAddrError::BadId)?), addr),
            None => (None, text),
        };
        let addr: SocketAddr = addr.parse().map_err(|_| PeerAddrError::BadAddress)?;
        if addr.port() == 0 || addr.ip().is_unspecified() {
            return Err(PeerAddrError::Unspecified);
        }
        Ok(Self { id, addr })
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{id}@{}", self.addr),
            None => write!(f, "{}", self.addr),
        }
    }
}

/// What a mesh is started with.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// The node's key: its identity on the network, and the author of its documents.
    pub key: SecretKey,
    /// The canonical bytes of the mesh's genesis, handed to whoever joins.
    pub genesis: Vec<u8>,
    /// Where to listen; everywhere, on a port of the system's choice, where it is empty. `0.0.0.0` also listens on every IPv6
    /// address, where the machine has IPv6 and none is named here.
    pub listen: Vec<SocketAddr>,
    /// Peers to keep dialling.
    pub peers: Vec<PeerAddr>,
    /// Where peers were before: hints, tried until there are enough neighbours.
    pub sightings: Vec<Sighting>,
    /// The operator's own relays, for peers that have no direct way to each other. None by default.
    pub relays: Vec<RelayAddress>,
    /// Whether members are looked for on the local network, by multicast, and may find this node there.
    pub nearby: bool,
    /// How many neighbours the node looks for by itself, beside the peers that are named here and whoever dials it.
    pub neighbours: usize,
    /// How often it tells neighbours that it is there.
    pub pulse: Duration,
    /// Whether it starts silent, as after [`crate::Mesh::offline`].
    pub offline: bool,
}

impl MeshConfig {
    /// A mesh that listens everywhere on a port of the system's choice, knows no peers and looks for none.
    pub fn new(key: SecretKey, genesis: Vec<u8>) -> Self {
        let (listen, peers, sightings, relays) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            key,
            genesis,
            listen,
            peers,
            sightings,
            relays,
            nearby: false,
            neighbours: NEIGHBOURS,
            pulse: PULSE,
            offline: false,
        }
    }

    /// Listens at `listen`, beside any other place named so.
    #[must_use]
    pub fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen.push(listen);
        self
    }

    /// Dials `peers`.
    #[must_use]
    pub fn peers(mut self, peers: impl IntoIterator<Item = PeerAddr>) -> Self {
        self.peers.extend(peers);
        self
    }

    /// Recalls where peers were.
    #[must_use]
    pub fn sightings(mut self, sightings: impl IntoIterator<Item = Sighting>) -> Self {
        self.sightings.extend(sightings);
        self
    }

    /// Looks for so many neighbours by itself.
    #[must_use]
    pub fn neighbours(mut self, neighbours: usize) -> Self {
        self.neighbours = neighbours;
        self
    }

    /// Tells neighbours so often that it is there. How soon a lost half of the mesh is looked for goes by it too: let it be the same on all nodes.
    #[must_use]
    pub fn pulse(mut self, pulse: Duration) -> Self {
        self.pulse = pulse;
        self
    }

    /// Starts silent: not one packet leaves before [`crate::Mesh::online`].
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Uses `relays`.
    #[must_use]
    pub fn relays(mut self, relays: impl IntoIterator<Item = RelayAddress>) -> Self {
        self.relays.extend(relays);
        self
    }

    /// Looks for members on the local network, and lets them find this node; or does not.
    #[must_use]
    pub fn nearby(mut self, nearby: bool) -> Self {
        self.nearby = nearby;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_printed() {
        let id = NodeId::from_bytes([7; 32]);
        for text in ["127.0.0.1:9000".to_owned(), "[::1]:9000".to_owned(), format!("{id}@10.0.0.2:1")] {
            assert_eq!(text.parse::<PeerAddr>().expect("parses").to_string(), text);
        }
    }

    #[test]
    fn an_address_that_names_no_place_is_refused() {
        assert_eq!("0.0.0.0:9000".parse::<PeerAddr>(), Err(PeerAddrError::Unspecified));
        assert_eq!("127.0.0.1:0".parse::<PeerAddr>(), Err(PeerAddrError::Unspecified));
        assert_eq!("host:9000".parse::<PeerAddr>(), Err(PeerAddrError::BadAddress));
        assert_eq!("abc@127.0.0.1:9000".parse::<PeerAddr>(), Err(PeerAddrError::BadId));
    }
}
