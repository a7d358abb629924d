//! Members, and how one becomes a member.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{
    Architecture, CellPath, HardwareClass, LabelKey, LabelValue, NodeId, NodeName, Profile, Role, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::StatusSlot;

/// What a ticket gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InviteRequest {
    /// The cell of whoever joins with it.
    pub cell: CellPath,
    /// Its roles; `device` where none is given.
    pub roles: BTreeSet<Role>,
    /// Its labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// How many nodes may join with it.
    pub uses: u32,
    /// How long it holds.
    pub expires_in: Duration,
}

/// A ticket, ready to hand over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invitation {
    /// The text for `sedge join`.
    pub ticket: String,
    /// Until when.
    pub expires: Timestamp,
}

/// A member in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its cell.
    pub cell: CellPath,
    /// Its roles.
    pub roles: BTreeSet<Role>,
    /// Its labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Its architecture.
    pub arch: Architecture,
    /// Its class of hardware.
    pub class: HardwareClass,
    /// Whether this node is connected with it; true for itself.
    pub connected: bool,
}

/// A member, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeDetail {
    /// As in the list.
    #[serde(flatten)]
    pub node: Node,
    /// Whether its documents are held here: only then does an absent profile or slot mean that it said nothing of it.
    pub held: bool,
    /// What it says of its hardware.
    pub profile: Option<Profile>,
    /// What it says of its slots.
    pub slots: Vec<StatusSlot>,
}

/// Enrols a node that asked by file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrollApprove {
    /// What `sedge enroll request` wrote there.
    pub request: String,
    /// Its cell.
    pub cell: CellPath,
    /// What it may do; `device` where there is none.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<LabelKey, LabelValue>,
}

/// A node that was enrolled by file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approved {
    /// What `sedge join --approval` takes there.
    pub approval: String,
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: NodeName,
}
