//! From the fleet's words to the scheduler's: two crates that do not know each other.

use std::collections::{BTreeMap, BTreeSet};

use sedge_fleet::{ControlState as Said, FleetView};
use sedge_scheduler::{ControlState, Plan, PlanInput, Wish, plan};
use sedge_statement::Timestamp;

/// Plans from a view.
pub(crate) fn plan_of(view: &FleetView, now: Timestamp) -> Plan {
    let deployments: BTreeMap<_, _> = view
        .deployments
        .iter()
        .map(|(id, published)| {
            let control = match published.control {
                Said::Running => ControlState::Running,
                Said::Paused(_) => ControlState::Paused,
                Said::Cancelled(_) => ControlState::Cancelled,
                Said::Halted(_) => ControlState::Halted,
            };
            (*id, Wish { deployment: published.deployment.clone(), control })
        })
        .collect();
    let releases: BTreeSet<_> = view.releases.keys().copied().collect();
    plan(&PlanInput {
        certificates: &view.certificates,
        frontier: &view.frontier,
        deployments: &deployments,
        releases: &releases,
        gates: &view.gates,
        slots: &view.slots,
        now,
    })
}
