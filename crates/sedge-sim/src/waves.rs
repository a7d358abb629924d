//! That waves open by evidence alone, counted anew and by other means than the planner's.

use std::time::Duration;

use sedge_fleet::FleetView;
use sedge_scheduler::{Go, MAX_WITNESSES, Plan};
use sedge_statement::{Action, Deployment, GateReport, NodeId, RolloutId, SlotState};

use crate::Broken;

/// No node may go on before each wave ahead of its own has its quorum.
pub(crate) fn check(view: &FleetView, plan: &Plan) -> Result<(), Broken> {
    for (rollout, planned) in &plan.rollouts {
        let Some(published) = view.deployments.get(rollout) else { continue };
        let shown = planned.waves.iter().map(|wave| has_shown(view, *rollout, &published.deployment, &wave.members));
        let Some(first) = shown.into_iter().position(|shown| !shown) else { continue };
        let behind = planned.waves.iter().enumerate().skip(first + 1);
        for (wave, node) in behind.flat_map(|(n, wave)| wave.members.iter().map(move |node| (n, node))) {
            let assignment = plan.assignments.get(&(*node, planned.slot.clone()));
            if assignment.is_some_and(|a| a.rollout == *rollout && a.go == Go::Now) {
                return Err(Broken::OpenedEarly { rollout: *rollout, wave });
            }
        }
    }
    Ok(())
}

/// Whether enough of a wave's witnesses committed and soaked.
fn has_shown(view: &FleetView, rollout: RolloutId, d: &Deployment, members: &[NodeId]) -> bool {
    let reports = |node: &NodeId| -> Option<&GateReport> { view.gates.get(&rollout)?.get(node) };
    let (wanted, soak) = match d.action {
        Action::Activate => (SlotState::Committed, d.gate.soak),
        Action::StageOnly => (SlotState::Staged, Duration::ZERO),
    };
    let witnesses: Vec<Option<&GateReport>> = members.iter().take(MAX_WITNESSES).map(reports).collect();
    let good = witnesses.iter().flatten().filter(|r| r.state == wanted && r.soaked >= soak).count();
    let excused = witnesses.iter().flatten().filter(|r| r.state == SlotState::Rejected).count();
    good >= 1 && good * 100 >= (witnesses.len() - excused) * usize::from(u8::from(d.gate.quorum))
}
