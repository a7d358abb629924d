//! From the fleet's words to the scheduler's, as an agent does it.

use std::collections::{BTreeMap, BTreeSet};

use sedge_fleet::{ControlState as Said, FleetView, SetBy};
use sedge_scheduler::{Approvals, ControlState, Plan, PlanInput, SteeredBy, Wish, plan};
use sedge_statement::Timestamp;

/// What a node would do with its view.
pub fn plan_of(view: &FleetView, now: Timestamp) -> Plan {
    let wish = |published: &sedge_fleet::PublishedDeployment| {
        let by = |by: &SetBy| SteeredBy { node: by.author, reason: by.reason.clone(), at: by.at };
        let control = match &published.control {
            Said::Cancelled(set) => ControlState::Cancelled(by(set)),
            Said::Halted(set) => ControlState::Halted(by(set)),
            _ if !published.is_approved() => ControlState::AwaitingApproval(approvals(published)),
            Said::Running => ControlState::Running,
            Said::Paused(set) => ControlState::Paused(by(set)),
        };
        Wish { deployment: published.deployment.clone(), control }
    };
    let deployments: BTreeMap<_, _> = view.deployments.iter().map(|(id, published)| (*id, wish(published))).collect();
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
