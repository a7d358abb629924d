//! Tells the endpoint where members are, for whoever dials one of them by its id alone on any protocol.

use std::sync::Arc;

use iroh::EndpointId;
use iroh::address_lookup::{AddressLookup, EndpointInfo, Error, Item};
use n0_future::boxed::BoxStream;
use n0_future::stream;
use sedge_statement::{NodeId, RelayAddress};

use crate::endpoint::endpoint_addr;
use crate::peers::PeerTable;

/// The table of peers, asked by the endpoint. What it says is what the table would dial: hints, which a handshake then proves.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) table: PeerTable,
    pub(crate) relays: Arc<[RelayAddress]>,
}

impl AddressLookup for Lookup {
    fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
        let node = NodeId::from_bytes(*id.as_bytes());
        let known = endpoint_addr(node, self.table.places(node), &self.relays)?;
        if known.addrs.is_empty() {
            return None;
        }
        let item = Item::new(EndpointInfo::from(known), "peers", None);
        Some(Box::pin(stream::iter([Ok(item)])))
    }
}
