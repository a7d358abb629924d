//! One node at a glance, and what is wrong with it.

use std::net::SocketAddr;

use sedge_statement::{
    CellPath, MeshId, MeshName, ModelId, NodeId, NodeName, ReleaseId, RolloutId, Sha256, SlotName, SlotState,
    Timestamp, Version,
};
use serde::{Deserialize, Serialize};

/// This node at a glance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Who this is.
    pub node: StatusNode,
    /// Its mesh.
    pub mesh: StatusMesh,
    /// Other members that it knows an address of, or is connected with.
    pub peers: Vec<StatusPeer>,
    /// How far replication is.
    pub sync: StatusSync,
    /// Its slots.
    pub slots: Vec<StatusSlot>,
    /// Statements that were refused or ignored, and whose.
    pub findings: Vec<String>,
    /// What was refused on the network since the start, before it could be a statement.
    pub refused: StatusRefused,
    /// The agent's version.
    pub version: String,
}

/// What was refused on the network since the start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StatusRefused {
    /// Connections of strangers, or too many of one node.
    pub connections: u64,
    /// Connections ended because the peer broke a protocol: frames too long, cut short, late or not understood.
    pub violations: u64,
    /// Connections ended because the peer did not read, or said nothing.
    pub stalled: u64,
    /// Requests for weights by strangers, or for what no release names.
    pub weights: u64,
}

/// Who a node is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusNode {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its cell.
    pub cell: CellPath,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Whether it keeps radio silence.
    pub offline: bool,
}

/// Which mesh.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusMesh {
    /// Its id.
    pub id: MeshId,
    /// Its name.
    pub name: MeshName,
}

/// A peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusPeer {
    /// Its id.
    pub id: NodeId,
    /// Its name, where its certificate is known.
    pub name: Option<NodeName>,
    /// Whether a connection is open.
    pub connected: bool,
    /// How long ago anything came from it; absent if never since the start.
    pub last_seen_ms: Option<u64>,
    /// How it is connected, where it is: `direct IP:PORT` or `relay URL`.
    pub path: Option<String>,
    /// Where it worked or is said to be, the best first.
    pub addresses: Vec<SocketAddr>,
}

/// How far replication is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusSync {
    /// Documents held.
    pub documents: usize,
    /// Documents of which a peer said it has more than this node.
    pub behind: usize,
    /// How long ago anything came from any peer; absent if never since the start.
    pub stale_ms: Option<u64>,
    /// A digest of what this node makes of it all: equal on nodes that agree and hold the same cells.
    pub view: String,
    /// A digest of what it makes of what the whole mesh holds: equal on all nodes that agree.
    pub mesh_view: String,
    /// The cells whose nodes' documents are held: the node's own, and those that somebody here asked for within ten minutes.
    pub cells: Vec<CellPath>,
}

/// A slot of this node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusSlot {
    /// The slot.
    pub slot: SlotName,
    /// The state of its newest update.
    pub state: SlotState,
    /// The rollout of its newest update.
    pub rollout: Option<RolloutId>,
    /// The model that serves.
    pub model: Option<ModelId>,
    /// Its version.
    pub version: Option<Version>,
    /// Its release.
    pub release: Option<ReleaseId>,
    /// The digest of the file that answers requests.
    pub sha256: Option<Sha256>,
    /// Since when the state holds.
    pub since: Timestamp,
    /// Why, where the state needs a reason.
    pub reason: Option<String>,
    /// Bytes of the update's files held, and their total, while it is fetching.
    pub fetch: Option<FetchProgress>,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct FetchProgress {
    /// Bytes held and verified.
    pub held: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What was looked at: `disk`, `peers`, `authority`…
    pub check: String,
    /// Whether it is well.
    pub ok: bool,
    /// One sentence of what was found.
    pub finding: String,
    /// One sentence of what to do; empty where all is well.
    pub remedy: String,
}
