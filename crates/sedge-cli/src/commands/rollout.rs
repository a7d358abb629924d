//! `sedge rollout`

use std::path::Path;

use sedge_agent::api::{Explanation, Request, Rollout, RolloutSummary};
use sedge_statement::ControlAction;

use super::{ask, or_empty};
use crate::failure::Failure;
use crate::grammar::{ControlArgs, RolloutCommand};
use crate::paint::{Paint, Tone, tone_of};
use crate::screen::Screen;
use crate::table::{Table, cell, state};
use crate::words::{now, show_age};

/// Carries out a command.
pub(crate) async fn run(home: &Path, command: RolloutCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        RolloutCommand::List => {
            let rollouts: Vec<RolloutSummary> = ask(home, &Request::RolloutList).await?;
            screen.show(&rollouts, |rollouts, paint| list(rollouts, paint))
        }
        RolloutCommand::Show { rollout } => {
            let rollout: Rollout = ask(home, &Request::RolloutShow { rollout, after: None }).await?;
            screen.show(&rollout, text)
        }
        RolloutCommand::Explain { rollout, node } => {
            let explanation: Explanation = ask(home, &Request::RolloutExplain { rollout, node }).await?;
            screen.show(&explanation, |explanation, _| explanation.reasons.join("\n"))
        }
        RolloutCommand::Pause(args) => control(home, args, ControlAction::Pause, screen).await,
        RolloutCommand::Resume(args) => control(home, args, ControlAction::Resume, screen).await,
        RolloutCommand::Cancel(args) => control(home, args, ControlAction::Cancel, screen).await,
        RolloutCommand::Halt(args) => control(home, args, ControlAction::Halt, screen).await,
    }
}

async fn control(home: &Path, args: ControlArgs, action: ControlAction, screen: &Screen) -> Result<(), Failure> {
    let request = Request::RolloutControl { rollout: args.rollout, action, reason: args.reason };
    let rollout: Rollout = ask(home, &request).await?;
    screen.show(&rollout, text)
}

fn list(rollouts: &[RolloutSummary], paint: Paint) -> String {
    if rollouts.is_empty() {
        return "No rollout yet; start one with `sedge deploy MODEL`.".to_owned();
    }
    let mut table = Table::new(["ROLLOUT", "SLOT", "MODEL", "STATE", "COMMITTED", "FAILED", "BY", "WHEN"]);
    for rollout in rollouts {
        table.row([
            cell(rollout.rollout.short()),
            cell(&rollout.slot),
            cell(&rollout.model),
            state(&rollout.state),
            cell(format!("{} of {}", rollout.committed, rollout.total)),
            cell(rollout.failed),
            cell(&rollout.author),
            cell(show_age(rollout.created_at, now())),
        ]);
    }
    table.render(paint)
}

/// One rollout: what, which waves, which nodes.
pub(super) fn text(rollout: &Rollout, paint: Paint) -> String {
    let summary = &rollout.summary;
    let why = rollout.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let state_word = paint.tone(tone_of(&summary.state), &summary.state);
    let head = format!(
        "{}  {} in {} on {}  {state_word}{why}",
        paint.tone(Tone::Strong, &summary.rollout.short()),
        summary.model,
        summary.slot,
        rollout.selector
    );
    let by = format!("by {} {}", summary.author, show_age(summary.created_at, now()));
    let mut waves = Table::new(["WAVE", "IS", "COMMITTED", "FAILED", "PENDING", "WHY"]);
    for wave in &rollout.waves {
        waves.row([
            cell(wave.wave),
            cell(if wave.open { "open" } else { "closed" }),
            cell(format!("{} of {}", wave.committed, wave.total)),
            cell(wave.failed),
            cell(wave.pending),
            cell(&wave.reason),
        ]);
    }
    let mut nodes = Table::new(["NODE", "WAVE", "STATE", "DIGEST", "SINCE", "WHY"]);
    for node in &rollout.nodes {
        nodes.row([
            cell(&node.node),
            cell(or_empty(node.wave)),
            state(node.state),
            cell(or_empty(node.sha256.map(|s| s.short()))),
            cell(or_empty(node.since.map(|since| show_age(since, now())))),
            cell(or_empty(node.reason.as_ref())),
        ]);
    }
    format!("{head}\n{by}\n\n{}\n\n{}", waves.render(paint), nodes.render(paint))
}
