//! This node at a glance.

use super::name_of;
use super::nodes::slot_of;
use crate::api::{FetchProgress, Status, StatusMesh, StatusNode, StatusPeer, StatusRefused, StatusSlot, StatusSync};
use crate::core::{Core, now};
use sedge_statement::{ModelFile, Timestamp, millis};

impl Core {
    /// This node, its slots, peers and sync.
    pub(crate) async fn status(&self) -> Status {
        let view = self.view();
        let me = self.me();
        let now = now();
        let age = |at: Timestamp| millis(now.since(at));
        let peers = self.mesh.peers();
        let stats = self.mesh.stats();
        let peer = |p: &sedge_mesh::PeerStatus| StatusPeer {
            id: p.id,
            name: view.members.get(&p.id).map(|c| c.name.clone()),
            connected: p.connected,
            last_seen_ms: p.last_heard.map(age),
            path: p.path.as_ref().map(ToString::to_string),
            addresses: p.addresses.clone(),
        };
        Status {
            node: StatusNode {
                id: me,
                name: name_of(&view, me),
                cell: view.members.get(&me).map(|c| c.cell.clone()).unwrap_or_default(),
                listen: self.mesh.listen_addresses(),
                offline: !self.mesh.is_online(),
            },
            mesh: StatusMesh { id: view.mesh, name: view.genesis.name.clone() },
            peers: peers.iter().map(peer).collect(),
            sync: StatusSync {
                documents: stats.documents,
                behind: stats.behind,
                stale_ms: stats.last_heard.map(age),
                view: data_encoding::HEXLOWER.encode(&view.digest()),
                mesh_view: data_encoding::HEXLOWER.encode(&view.mesh_digest()),
                cells: view.held.iter().cloned().collect(),
            },
            slots: self.own_slots().await,
            findings: view.findings.iter().map(|finding| finding.to_string()).collect(),
            refused: self.refused(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn refused(&self) -> StatusRefused {
        let counters = self.mesh.counters();
        StatusRefused {
            connections: counters.refused_connections,
            violations: counters.violations,
            stalled: counters.slow_peers.saturating_add(counters.silent_peers),
            weights: self.blobs.refused(),
        }
    }

    /// The slots as the machines have them, which is newer than any document.
    pub(crate) async fn own_slots(&self) -> Vec<StatusSlot> {
        let view = self.view();
        let mut slots = Vec::new();
        for shown in self.shown_slots() {
            let mut slot = slot_of(&view, &shown.report);
            if let Some(files) = &shown.files {
                slot.fetch = Some(self.progress(files).await);
            }
            slots.push(slot);
        }
        slots
    }

    async fn progress(&self, files: &[ModelFile]) -> FetchProgress {
        let mut progress = FetchProgress { held: 0, total: 0 };
        for file in files {
            let missing = self.blobs.missing(file).await.unwrap_or(file.size);
            progress.total += file.size.get();
            progress.held += file.size.get().saturating_sub(missing.get());
        }
        progress
    }
}
