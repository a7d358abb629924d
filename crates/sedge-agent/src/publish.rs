//! What an authority says through this agent: releases, deployments, controls.

mod deploy;
mod model;
mod preview;

use std::time::Duration;

use sedge_fleet::{Edit, FleetView};
use sedge_statement::DocKind;
use tokio::sync::watch;

use crate::api::ApiError;
use crate::core::Core;

/// How long what was just written may take to show in this node's own view. It is already on disk by then.
const SETTLE: Duration = Duration::from_secs(10);

impl Core {
    /// Writes one change of this node's own document.
    pub(crate) async fn write(&self, kind: DocKind, edits: Vec<Edit>) -> Result<(), ApiError> {
        self.mesh.write(kind, edits).await.map_err(|error| {
            ApiError::failed(
                format!("failed to write this node's {kind} document: {error}"),
                "See `sedge doctor`; nothing was published.",
            )
        })
    }

    /// Waits until what was just written shows.
    pub(crate) async fn settle<T: Clone>(
        &self,
        mut from: watch::Receiver<T>,
        shows: impl FnMut(&T) -> bool,
    ) -> Result<(), ApiError> {
        match tokio::time::timeout(SETTLE, from.wait_for(shows)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(ApiError::failed(
                "published, but this node does not take it into account",
                "See the findings of `sedge status`.",
            )),
        }
    }
}

/// The next generation after those there are, under the roots that count now.
fn next_generation(
    view: &FleetView,
    taken: impl Iterator<Item = sedge_statement::Generation>,
) -> sedge_statement::Generation {
    let epoch = view.roots.version;
    let last = taken.filter(|generation| generation.epoch == epoch).max();
    last.unwrap_or(sedge_statement::Generation { epoch, n: 0 }).next()
}

/// How many nodes hold every file of the release, this one apart.
fn other_holders(view: &FleetView, manifest: &sedge_statement::Manifest, me: sedge_statement::NodeId) -> usize {
    let holders = |file: &sedge_statement::ModelFile| view.holders.get(&file.blake3);
    let mut candidates = manifest.files().next().and_then(holders).cloned().unwrap_or_default();
    candidates.remove(&me);
    candidates.retain(|node| manifest.files().all(|file| holders(file).is_some_and(|h| h.contains(node))));
    candidates.len()
}
