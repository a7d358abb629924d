//! Addresses of peers, remembered over a restart: a mesh whose every bridge died is found again by them.

use std::collections::BTreeMap;

use sedge_mesh::PeerAddr;
use sedge_statement::NodeId;

use crate::store::{Kind, Store, StoreError};

/// Addresses kept of one peer.
const MAX_ADDRESSES: usize = 8;

/// Keeps addresses, the newest first.
pub(crate) fn remember(store: &Store, peers: impl IntoIterator<Item = PeerAddr>) -> Result<(), StoreError> {
    let mut by_node: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    for peer in peers {
        if let Some(id) = peer.id {
            by_node.entry(id).or_default().push(peer.addr.to_string());
        }
    }
    for (id, mut addresses) in by_node {
        store.update(Kind::Peer, id.as_bytes(), |old| {
            let old = old.map(|o| String::from_utf8_lossy(&o).into_owned()).unwrap_or_default();
            for known in old.lines() {
                if !addresses.iter().any(|a| a == known) {
                    addresses.push(known.to_owned());
                }
            }
            addresses.truncate(MAX_ADDRESSES);
            ((), Some(addresses.join("\n").into_bytes()))
        })?;
    }
    Ok(())
}

/// The addresses kept.
pub(crate) fn known(store: &Store) -> Result<Vec<PeerAddr>, StoreError> {
    let mut peers = Vec::new();
    for (id, addresses) in store.list(Kind::Peer)? {
        let Ok(id) = <[u8; 32]>::try_from(id) else { continue };
        let id = Some(NodeId::from_bytes(id));
        let text = String::from_utf8_lossy(&addresses).into_owned();
        peers.extend(text.lines().filter_map(|line| Some(PeerAddr { id, addr: line.parse().ok()? })));
    }
    Ok(peers)
}
