//! How the plan of a deployment looks, and what it means for the exit status.

use std::time::Duration;

use sedge_agent::api::{DeployPlan, Outlook, PlannedNode};
use sedge_statement::{Action, ByteSize};

use super::or_empty;
use crate::failure::Exit;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Table, cell, toned};
use crate::words::show_duration;

/// Done where somebody would get it, refused where all who could would refuse to go back, failed otherwise.
pub(super) fn outcome(plan: &DeployPlan) -> Exit {
    match (plan.gets, plan.refused) {
        (1.., _) => Exit::Done,
        (0, 1..) => Exit::Refused,
        (0, 0) => Exit::Failed,
    }
}

/// Who would get it, when, and who not and why.
pub(super) fn text(plan: &DeployPlan, paint: Paint) -> String {
    let does = match plan.action {
        Action::Activate => "into",
        Action::StageOnly => "staged for",
    };
    let named: usize = plan.waves.iter().map(|wave| wave.nodes.len()).sum();
    let mut parts = vec![format!(
        "{} {does} slot {} on {}: {} of {named} named nodes would get it. Nothing was published.",
        paint.tone(Tone::Strong, &plan.model),
        plan.slot,
        plan.selector,
        plan.gets
    )];
    parts.push(format!(
        "quorum {}, {} failures borne, soak {}, probation {}; {} to move; ends at {}{}",
        plan.quorum,
        plan.max_failed,
        show_duration(Duration::from_millis(plan.soak_ms)),
        show_duration(Duration::from_millis(plan.probation_ms)),
        ByteSize(plan.move_bytes),
        plan.deadline,
        plan.start_by.map(|at| format!(", nothing starts after {at}")).unwrap_or_default()
    ));
    for wave in &plan.waves {
        parts.push(format!("\n{} opens {}", paint.tone(Tone::Strong, &format!("wave {}", wave.wave)), wave.opens));
        let mut table = Table::new(["NODE", "GETS IT", "VARIANT", "BY", "MEMORY", "TO MOVE", "WITNESS", "WHY"]);
        wave.nodes.iter().for_each(|node| table.row(row(node)));
        parts.push(if wave.nodes.is_empty() { "nobody".to_owned() } else { table.render(paint) });
    }
    if !plan.others.is_empty() {
        let mut table = Table::new(["NOT MEANT", "WHY"]);
        plan.others.iter().for_each(|other| table.row([cell(&other.node), cell(&other.why)]));
        parts.push(format!("\n{}", table.render(paint)));
    }
    let lost = |loser: &sedge_agent::api::PlannedLoser| {
        format!("takes the place of rollout {} ({}) on {} nodes", loser.rollout.short(), loser.model, loser.nodes)
    };
    if !plan.supersedes.is_empty() {
        parts.push(String::new());
        parts.extend(plan.supersedes.iter().map(lost));
    }
    parts.join("\n")
}

fn row(node: &PlannedNode) -> [Cell; 8] {
    let gets = match node.gets {
        Outlook::Yes => toned(Tone::Good, "yes"),
        Outlook::No => toned(Tone::Bad, "no"),
        Outlook::Unknown => toned(Tone::Warn, "unknown"),
    };
    [
        cell(&node.node),
        gets,
        cell(or_empty(node.variant.as_ref())),
        cell(or_empty(node.backend.as_ref())),
        cell(or_empty(node.memory_bytes.map(ByteSize))),
        cell(or_empty(node.move_bytes.map(ByteSize))),
        cell(if node.witness { "yes" } else { "" }),
        cell(&node.why),
    ]
}
