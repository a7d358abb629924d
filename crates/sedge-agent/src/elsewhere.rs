//! What is asked may lie in cells whose documents this node does not hold. It then wants them for a while, and waits a moment for them.
//!
//! Whoever publishes a rollout follows it in the same way until it is over, without being asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::FleetView;
use sedge_statement::{CellPath, NodeId, Role};

use crate::api::Request;
use crate::core::{Core, Planned};
use crate::queries::{by_prefix, find_release, member};

/// How long a question waits for documents of another cell. A neighbour there answers within a second; where there is none, the answer says of which
/// nodes nothing is held.
const PATIENCE: Duration = Duration::from_secs(5);
/// In how many cells the nodes of a question are looked for: half of what a node may want at once, so that two rollouts do not push each other out. Cells of
/// a hundred nodes make that 1,600 nodes, more than a person reads.
const LOOKED_INTO: usize = sedge_fleet::MAX_WANTED / 2;

impl Core {
    /// Sees to it that what the answer to a request says of nodes elsewhere is as fresh as can be had.
    pub(crate) async fn look_elsewhere(&self, request: &Request) {
        let planned = self.plan();
        let nodes = about(&planned, request);
        let cells = cells_of(&planned.view, nodes.iter().copied());
        if cells.is_empty() {
            return;
        }
        let are_new = cells.iter().any(|cell| !planned.view.held.contains(cell));
        self.mesh.want(cells.clone()).await;
        if !are_new {
            return;
        }
        let stands_there = |node: &&NodeId| {
            planned.view.members.get(node).is_some_and(|certificate| cells.contains(&certificate.cell))
        };
        let nodes: Vec<NodeId> = nodes.iter().filter(stands_there).copied().collect();
        let mut newer = self.planned.clone();
        // Every node says what machine it is before it says anything else.
        let came = newer.wait_for(|planned| nodes.iter().all(|node| planned.view.profiles.contains_key(node)));
        // Both ways out are fine: what did not come is told as not held.
        let _ = tokio::time::timeout(PATIENCE, came).await;
    }
}

/// The cells of the rollouts that this node published and that are not over.
pub(crate) fn followed(planned: &Planned, me: NodeId) -> BTreeSet<CellPath> {
    let is_own = |id| planned.view.deployments.get(id).is_some_and(|published| published.author == me);
    let own = planned.plan.rollouts.iter().filter(|(id, plan)| !plan.over && is_own(id));
    cells_of(&planned.view, own.flat_map(|(_, plan)| plan.nodes.keys().copied()))
}

/// The nodes of whose documents a request's answer is made.
fn about(planned: &Planned, request: &Request) -> BTreeSet<NodeId> {
    let (view, plan) = (&planned.view, &planned.plan);
    match request {
        Request::NodeShow { node } | Request::RolloutExplain { node, .. } => member(view, node).into_iter().collect(),
        Request::RolloutShow { rollout, .. } => {
            let id = by_prefix("rollout", rollout, plan.rollouts.keys().copied(), "sedge rollout list");
            let named = id.ok().and_then(|id| plan.rollouts.get(&id));
            named.into_iter().flat_map(|plan| plan.nodes.keys().copied()).collect()
        }
        Request::ModelShow { model } => {
            let release = find_release(view, model).ok();
            let rollouts = plan.rollouts.values().filter(|plan| Some(plan.release) == release);
            rollouts.flat_map(|plan| plan.nodes.keys().copied()).collect()
        }
        Request::DeployPlan(request) => {
            let named = view.members.iter().filter(|(_, c)| c.may(Role::Device) && request.draft.selector.matches(c));
            named.map(|(node, _)| *node).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// The cells that most of these nodes are in, as many as are looked into.
fn cells_of(view: &FleetView, nodes: impl Iterator<Item = NodeId>) -> BTreeSet<CellPath> {
    let mut counts: BTreeMap<&CellPath, usize> = BTreeMap::new();
    for certificate in nodes.filter_map(|node| view.members.get(&node)) {
        *counts.entry(&certificate.cell).or_default() += 1;
    }
    let mut cells: Vec<(&CellPath, usize)> = counts.into_iter().collect();
    cells.sort_by_key(|(cell, count)| (Reverse(*count), *cell));
    cells.into_iter().take(LOOKED_INTO).map(|(cell, _)| cell.clone()).collect()
}
