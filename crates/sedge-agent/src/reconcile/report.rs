//! Writes what this node says of itself. One writer, behind a bounded queue: a document is a chain, and grows by one link a
//! write, so reports that pile up meanwhile are written together and of each thing only the last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sedge_fleet::{Edit, FleetView};
use sedge_statement::{Blake3, CellPath, DocKind, Profile, RolloutId, SlotName};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::core::Core;

/// Edits waiting to be written. An update of a slot makes about ten.
const QUEUE: usize = 256;
/// How long a stopping agent gives the writer for what it was given.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The most edits in one change: each takes up to nine operations of the 512 that a change may have.
const BATCH: usize = 40;

/// The writer's front.
pub(super) struct Reporter {
    queue: mpsc::Sender<(DocKind, Edit)>,
    writer: JoinHandle<()>,
}

/// What an edit is about: of two about the same thing, the later counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Profile,
    Slot(SlotName),
    Artifact(Blake3),
    Rollout(RolloutId),
    Other,
}

impl Reporter {
    /// Starts the writer, which first brings profile and holdings up to date.
    pub(super) fn start(core: Arc<Core>, profile: Profile) -> Self {
        let (queue, mut edits) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(async move {
            let mut view = core.mesh.view();
            let mut cell = own_cell(&core, &view.borrow());
            write(&core, DocKind::Node, stale(&core, profile)).await;
            move_in(&core).await;
            let mut batch = Vec::new();
            loop {
                tokio::select! {
                    count = edits.recv_many(&mut batch, QUEUE) => {
                        if count == 0 {
                            break;
                        }
                        for (kind, edits) in sort(std::mem::take(&mut batch)) {
                            write(&core, kind, edits).await;
                        }
                    }
                    Ok(()) = view.changed() => {
                        let now = own_cell(&core, &view.borrow_and_update());
                        if std::mem::replace(&mut cell, now.clone()) != now {
                            move_in(&core).await;
                        }
                    }
                }
            }
        });
        Self { queue, writer }
    }

    /// Queues an edit.
    pub(super) fn send(&self, kind: DocKind, edit: Edit) {
        if self.queue.try_send((kind, edit)).is_err() {
            tracing::error!(
                "a report was dropped: the writer is far behind; the next one of the same slot replaces it"
            );
        }
    }

    /// Waits until the writer ended by itself, which it never does but by a panic.
    pub(super) async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Writes what is queued, and ends.
    pub(super) async fn finish(self) {
        drop(self.queue);
        if tokio::time::timeout(LAST_WORDS, self.writer).await.is_err() {
            tracing::warn!("stopped before every report was written; they are made again at the next start");
        }
    }
}

fn sort(batch: Vec<(DocKind, Edit)>) -> BTreeMap<DocKind, Vec<Edit>> {
    let mut latest: BTreeMap<(DocKind, About), Edit> = BTreeMap::new();
    for (kind, edit) in batch {
        let about = match &edit {
            Edit::PutProfile(_) => About::Profile,
            Edit::PutSlot(report) => About::Slot(report.slot.clone()),
            Edit::RemoveSlot(slot) => About::Slot(slot.clone()),
            Edit::PutArtifact { blake3, .. } | Edit::RemoveArtifact(blake3) => About::Artifact(*blake3),
            Edit::PutGate(report) => About::Rollout(report.rollout),
            _ => About::Other,
        };
        // A failure that is said stays said: nothing that comes after it takes its place.
        let failed = |held: &Edit| matches!(held, Edit::PutGate(report) if report.state.is_failure());
        if !latest.get(&(kind, about.clone())).is_some_and(failed) {
            latest.insert((kind, about), edit);
        }
    }
    let mut sorted: BTreeMap<DocKind, Vec<Edit>> = BTreeMap::new();
    for ((kind, _), edit) in latest {
        sorted.entry(kind).or_default().push(edit);
    }
    sorted
}

async fn write(core: &Core, kind: DocKind, edits: Vec<Edit>) {
    // Nobody hears a revoked node; what serves here serves on.
    if core.view().revoked.contains_key(&core.me()) {
        return;
    }
    for edits in edits.chunks(BATCH) {
        match core.mesh.write(kind, edits.to_vec()).await {
            Ok(()) => {}
            // A write that still waited for the first neighbour; said anew at the next start.
            Err(error) if core.stop.is_cancelled() => tracing::debug!(%error, %kind, "not written any more"),
            Err(error) => tracing::error!(%error, %kind, "this node's document could not be written"),
        }
    }
}

fn own_cell(core: &Core, view: &FleetView) -> Option<CellPath> {
    view.members.get(&core.me()).map(|certificate| certificate.cell.clone())
}

/// Has the node's document stand in the node's cell, after a move or where an older version wrote it: it carries on there. Writes nothing where it does.
async fn move_in(core: &Core) {
    if core.view().revoked.contains_key(&core.me()) {
        return;
    }
    if let Err(error) = core.mesh.write(DocKind::Node, Vec::new()).await {
        tracing::warn!(%error, "this node's document could not be moved to its cell; it is with the next report");
    }
}

/// What the node's document says wrongly of profile and holdings: they may have changed while it was off.
fn stale(core: &Core, profile: Profile) -> Vec<Edit> {
    let view = core.view();
    let me = core.me();
    let held: BTreeMap<Blake3, u64> = core.blobs.held().iter().map(|f| (f.blake3, f.size.get())).collect();
    let said: BTreeSet<Blake3> =
        view.holders.iter().filter(|(_, nodes)| nodes.contains(&me)).map(|(blake3, _)| *blake3).collect();
    let mut edits = Vec::new();
    if view.profiles.get(&me) != Some(&profile) {
        edits.push(Edit::PutProfile(profile));
    }
    let new = held.iter().filter(|(blake3, _)| !said.contains(blake3));
    edits.extend(new.map(|(blake3, size)| Edit::PutArtifact { blake3: *blake3, size: *size }));
    edits.extend(said.iter().filter(|b| !held.contains_key(b)).map(|b| Edit::RemoveArtifact(*b)));
    edits
}
