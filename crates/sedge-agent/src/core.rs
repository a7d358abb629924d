//! What every part of a running agent shares.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sedge_blobs::BlobStore;
use sedge_fleet::FleetView;
use sedge_mesh::Mesh;
use sedge_runtime::ModelHost;
use sedge_scheduler::Plan;
use sedge_statement::{Certificate, ModelFile, NodeId, Role, SecretKey, SlotReport, Timestamp};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::api::ApiError;
use crate::events::Events;
use crate::store::Store;

/// The fleet as this node last saw it, and what it means for every node.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The view that was planned from.
    pub(crate) view: Arc<FleetView>,
    /// The plan.
    pub(crate) plan: Plan,
    /// Counts plans since the start.
    pub(crate) revision: u64,
}

/// The name under which `meta` keeps whether the node is to be silent.
pub(crate) const OFFLINE: &str = "offline";
/// Its value where it is.
pub(crate) const SILENT: &[u8] = b"yes";

/// A slot as its machine has it.
#[derive(Debug, Clone)]
pub(crate) struct ShownSlot {
    /// What the machine reports.
    pub(crate) report: SlotReport,
    /// The files of an update that is fetching them.
    pub(crate) files: Option<Vec<ModelFile>>,
}

/// The parts of a running agent.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) home: PathBuf,
    pub(crate) key: SecretKey,
    pub(crate) store: Arc<Store>,
    pub(crate) mesh: Mesh,
    pub(crate) blobs: BlobStore,
    pub(crate) host: ModelHost,
    pub(crate) planned: watch::Receiver<Arc<Planned>>,
    pub(crate) shown: watch::Receiver<Vec<ShownSlot>>,
    pub(crate) events: Events,
    /// One statement of an authority at a time: each counts on from the one before.
    pub(crate) authoring: Mutex<()>,
    /// One certificate at a time: serials count without gaps.
    pub(crate) issuing: Arc<std::sync::Mutex<()>>,
    pub(crate) stop: CancellationToken,
    /// Whether it stops because it cannot go on.
    pub(crate) failed: AtomicBool,
    /// Whether the loop is to panic.
    #[cfg(test)]
    pub(crate) loop_panics: AtomicBool,
}

impl Core {
    /// This node.
    pub(crate) fn me(&self) -> NodeId {
        self.key.node_id()
    }

    /// The fleet as this node sees it now.
    pub(crate) fn view(&self) -> Arc<FleetView> {
        Arc::clone(&self.mesh.view().borrow())
    }

    /// The newest plan, with the view it was made from.
    pub(crate) fn plan(&self) -> Arc<Planned> {
        Arc::clone(&self.planned.borrow())
    }

    /// This node's slots.
    pub(crate) fn shown_slots(&self) -> Vec<ShownSlot> {
        self.shown.borrow().clone()
    }

    /// This node's certificate, where it lets it say what `role` says.
    pub(crate) fn authority(&self, view: &FleetView, role: Role) -> Result<Certificate, ApiError> {
        match view.members.get(&self.me()) {
            Some(certificate) if certificate.may(role) => Ok(certificate.clone()),
            _ => Err(ApiError::refused(
                format!("this node's certificate does not give it the role `{role}`"),
                "Do it on a node that has the role (`sedge node list` shows who), or join with a ticket that gives it.",
            )),
        }
    }

    /// Ends the agent because it cannot go on.
    pub(crate) fn fail(&self) {
        // Said first: whoever learns that it stops learns why.
        self.failed.store(true, Ordering::Release);
        self.stop.cancel();
    }

    /// Tells the agent to stop.
    pub(crate) fn request_stop(&self) {
        self.stop.cancel();
    }

    /// Begins or ends radio silence.
    pub(crate) async fn set_offline(&self, offline: bool) -> Result<(), ApiError> {
        // Kept first: a node that was told to be silent stays silent over a power cut.
        self.store.set_meta(&[(OFFLINE, if offline { SILENT } else { b"no" })])?;
        if offline {
            self.mesh.offline().await;
        } else {
            self.mesh.online().await;
        }
        Ok(())
    }
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    chrono::Utc::now().into()
}
