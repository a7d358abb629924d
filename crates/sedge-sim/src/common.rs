//! What views have in common: the whole mesh's part is one everywhere, and a cell's part is one among its members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sedge_fleet::FleetView;
use sedge_statement::{CellPath, NodeId};

use crate::World;

impl World {
    /// How many different views the believed nodes have: of the mesh, or, where that is one, of the cell that has most. None where one of them is
    /// down.
    pub(crate) fn views_apart(&mut self) -> Option<usize> {
        let seats = self.believed();
        let views: Vec<(NodeId, Arc<FleetView>)> =
            seats.into_iter().map(|seat| Some((self.id(seat), self.view(seat)?))).collect::<Option<_>>()?;
        let mut of_mesh: Vec<&FleetView> = Vec::new();
        let mut of_cells: BTreeMap<Option<&CellPath>, Vec<&FleetView>> = BTreeMap::new();
        for (id, view) in &views {
            if !of_mesh.iter().any(|other| is_one_mesh(other, view)) {
                of_mesh.push(view);
            }
            let cell = view.members.get(id).map(|certificate| &certificate.cell);
            let known = of_cells.entry(cell).or_default();
            if !known.iter().any(|other| is_one_cell(other, view, cell)) {
                known.push(view);
            }
        }
        Some(of_cells.values().map(Vec::len).max().unwrap_or(0).max(of_mesh.len()))
    }
}

/// Whether two views are one in all that every node holds.
fn is_one_mesh(one: &FleetView, other: &FleetView) -> bool {
    let sizes = |v: &FleetView| (v.mesh, v.verified, v.certificates.len(), v.releases.len(), v.deployments.len());
    sizes(one) == sizes(other)
        && one.roots == other.roots
        && one.proposed == other.proposed
        && one.revoked == other.revoked
        && one.pending_revocations == other.pending_revocations
        && one.certificates == other.certificates
        && one.members == other.members
        && one.frontier == other.frontier
        && one.releases == other.releases
        && one.deployments == other.deployments
        && one.gates == other.gates
}

/// Whether two views are one in what the members of a cell say of themselves.
fn is_one_cell(one: &FleetView, other: &FleetView, cell: Option<&CellPath>) -> bool {
    let here = |view: &FleetView, id: &NodeId| view.members.get(id).map(|certificate| &certificate.cell) == cell;
    let profiles = |view: &'_ FleetView| -> Vec<_> {
        view.profiles.iter().filter(|(id, _)| here(view, id)).map(|(id, profile)| (*id, profile.clone())).collect()
    };
    let slots = |view: &'_ FleetView| -> Vec<_> {
        view.slots
            .iter()
            .filter(|((id, _), _)| here(view, id))
            .map(|(of, report)| (of.clone(), report.clone()))
            .collect()
    };
    let holders = |view: &'_ FleetView| -> BTreeSet<_> {
        let all = view.holders.iter().flat_map(|(file, ids)| ids.iter().map(move |id| (*file, *id)));
        all.filter(|(_, id)| here(view, id)).collect()
    };
    profiles(one) == profiles(other) && slots(one) == slots(other) && holders(one) == holders(other)
}
