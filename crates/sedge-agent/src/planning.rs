//! From the fleet's words to the scheduler's: two crates that do not know each other.

use std::collections::{BTreeMap, BTreeSet};

use sedge_fleet::{ControlState as Said, FleetView, SetBy};
use sedge_scheduler::{Approvals, ControlState, Plan, PlanInput, SteeredBy, Wish, plan};
use sedge_statement::{Deployment, Timestamp};

/// Plans from a view.
pub(crate) fn plan_of(view: &FleetView, now: Timestamp) -> Plan {
    plan_with(view, None, now)
}

/// Plans from a view as if a deployment that is only thought of had been published.
pub(crate) fn plan_with(view: &FleetView, thought: Option<&Deployment>, now: Timestamp) -> Plan {
    let by = |set: &SetBy| SteeredBy { node: set.author, reason: set.reason.clone(), at: set.at };
    let mut deployments: BTreeMap<_, _> = view
        .deployments
        .iter()
        .map(|(id, published)| {
            let control = match &published.control {
                Said::Cancelled(set) => ControlState::Cancelled(by(set)),
                Said::Halted(set) => ControlState::Halted(by(set)),
                _ if !published.is_approved() => ControlState::AwaitingApproval(approvals(published)),
                Said::Running => ControlState::Running,
                Said::Paused(set) => ControlState::Paused(by(set)),
            };
            (*id, Wish { deployment: published.deployment.clone(), control })
        })
        .collect();
    if let Some(deployment) = thought {
        let wish = Wish { deployment: deployment.clone(), control: ControlState::Running };
        deployments.insert(deployment.id(), wish);
    }
    let releases: BTreeSet<_> = view.releases.keys().copied().collect();
    plan(&PlanInput {
        certificates: &view.certificates,
        frontier: &view.frontier,
        deployments: &deployments,
        releases: &releases,
        gates: &view.gates,
        slots: &view.slots,
        now: now.max(view.verified),
    })
}

/// Who agrees, and how many must.
fn approvals(published: &sedge_fleet::PublishedDeployment) -> Approvals {
    let votes = |agreement: &sedge_fleet::Agreement| (agreement.counted, usize::from(agreement.needed));
    Approvals { deployment: votes(&published.agreement), release: votes(&published.release_agreement) }
}
