//! The same 32 bytes under the names of two vocabularies.

use iroh::EndpointId;
use iroh_blobs::Hash;
use sedge_statement::{Blake3, NodeId};

/// The transport's name of a node; `None` where the bytes are no point of the curve, so no node can have them.
pub(crate) fn endpoint_id(node: NodeId) -> Option<EndpointId> {
    EndpointId::from_bytes(node.as_bytes()).ok()
}

/// The node behind a connection.
pub(crate) fn node_id(endpoint: EndpointId) -> NodeId {
    NodeId::from_bytes(*endpoint.as_bytes())
}

/// The store's name of a file's bytes.
pub(crate) fn hash(blake3: Blake3) -> Hash {
    Hash::from_bytes(*blake3.as_bytes())
}

/// A file's bytes, as the store names them.
pub(crate) fn blake3(hash: Hash) -> Blake3 {
    Blake3::from_bytes(*hash.as_bytes())
}
