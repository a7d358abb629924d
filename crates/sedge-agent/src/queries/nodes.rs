//! Members.

use sedge_fleet::FleetView;
use sedge_statement::{Certificate, NodeId, SlotReport};

use super::member;
use crate::api::{ApiError, Node, NodeDetail, StatusSlot};
use crate::core::Core;

impl Core {
    /// Every member, by name.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let view = self.view();
        let mut nodes: Vec<Node> = view.members.values().map(|c| self.node_of(c)).collect();
        nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        nodes
    }

    /// One member, whole.
    pub(crate) fn node(&self, text: &str) -> Result<NodeDetail, ApiError> {
        let view = self.view();
        let id = member(&view, text)?;
        let slots = view.slots.range((id, lowest_slot())..).take_while(|((node, _), _)| *node == id);
        Ok(NodeDetail {
            node: self.node_of(&view.members[&id]),
            held: view.knows(&id),
            profile: view.profiles.get(&id).cloned(),
            slots: slots.map(|(_, report)| slot_of(&view, report)).collect(),
        })
    }

    fn node_of(&self, certificate: &Certificate) -> Node {
        Node {
            id: certificate.subject,
            name: certificate.name.clone(),
            cell: certificate.cell.clone(),
            roles: certificate.roles.clone(),
            labels: certificate.labels.clone(),
            arch: certificate.architecture.clone(),
            class: certificate.class.clone(),
            connected: certificate.subject == self.me() || self.is_connected(certificate.subject),
        }
    }
}

/// The least slot name there is: ranges over a node's slots begin with it.
fn lowest_slot() -> sedge_statement::SlotName {
    "0".parse().expect("a digit is a name")
}

/// A slot as its node reports it.
pub(super) fn slot_of(view: &FleetView, report: &SlotReport) -> StatusSlot {
    let manifest = report.serving.and_then(|id| view.releases.get(&id)).map(|r| &r.release.manifest);
    StatusSlot {
        slot: report.slot.clone(),
        state: report.state,
        rollout: report.rollout,
        model: manifest.map(|m| m.id.clone()),
        version: manifest.map(|m| m.version.clone()),
        release: report.serving,
        sha256: report.sha256,
        since: report.since,
        reason: report.reason.clone(),
        fetch: None,
    }
}

impl Core {
    /// Whether a connection with the node is open.
    pub(crate) fn is_connected(&self, node: NodeId) -> bool {
        self.mesh.peers().iter().any(|peer| peer.id == node && peer.connected)
    }
}
