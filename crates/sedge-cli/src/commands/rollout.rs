//! `sedge rollout`

use std::path::Path;
use std::time::Duration;

use sedge_agent::Client;
use sedge_agent::api::{Explanation, Request, Rollout, RolloutNode, RolloutSummary, RolloutWave};
use sedge_statement::{ControlAction, SlotState};

use super::wait::watch;
use super::{ask, or_empty};
use crate::failure::{Exit, Failure};
use crate::grammar::{ControlArgs, RolloutCommand};
use crate::paint::{Paint, Tone, tone_of};
use crate::screen::Screen;
use crate::table::{Table, cell, state};
use crate::words::{now, show_age, show_duration};

/// Carries out a command.
pub(crate) async fn run(home: &Path, command: RolloutCommand, screen: &Screen) -> Result<Exit, Failure> {
    let done = match command {
        RolloutCommand::Watch { rollout, timeout } => {
            return watch(&mut Client::connect(home).await?, rollout, timeout, screen).await;
        }
        RolloutCommand::List => {
            let rollouts: Vec<RolloutSummary> = ask(home, &Request::RolloutList).await?;
            screen.show(&rollouts, |rollouts, paint| list(rollouts, paint))
        }
        RolloutCommand::Show { rollout } => {
            let rollout: Rollout = ask(home, &Request::RolloutShow { rollout, after: None }).await?;
            screen.show(&rollout, text)
        }
        RolloutCommand::Explain { rollout, node } => {
            let answer: Explanation = ask(home, &Request::RolloutExplain { rollout, node }).await?;
            screen.show(&answer, explanation)
        }
        RolloutCommand::Approve { rollout } => {
            let rollout: Rollout = ask(home, &Request::RolloutApprove { rollout }).await?;
            screen.show(&rollout, text)
        }
        RolloutCommand::Pause(args) => control(home, args, ControlAction::Pause, screen).await,
        RolloutCommand::Resume(args) => control(home, args, ControlAction::Resume, screen).await,
        RolloutCommand::Cancel(args) => control(home, args, ControlAction::Cancel, screen).await,
        RolloutCommand::Halt(args) => control(home, args, ControlAction::Halt, screen).await,
    };
    done.map(|()| Exit::Done)
}

async fn control(home: &Path, args: ControlArgs, action: ControlAction, screen: &Screen) -> Result<(), Failure> {
    let request = Request::RolloutControl { rollout: args.rollout, action, reason: args.reason };
    let rollout: Rollout = ask(home, &request).await?;
    if matches!(action, ControlAction::Cancel | ControlAction::Halt) {
        screen.remark(&left_active(&rollout));
    }
    screen.show(&rollout, text)
}

fn explanation(explanation: &Explanation, _: Paint) -> String {
    explanation.reasons.join("\n")
}

/// What a withdrawal leaves as it is: whoever had gone over keeps the model, and says so.
fn left_active(rollout: &Rollout) -> String {
    use SlotState::{Activating, Committed, Probation, RollingBack};
    let is_active = |state| matches!(state, Activating | Probation | Committed | RollingBack);
    let active = |node: &&RolloutNode| node.state.is_some_and(is_active);
    let kept: Vec<String> = rollout.nodes.iter().filter(active).map(|node| node.node.to_string()).collect();
    match kept.as_slice() {
        [] => "It is active nowhere; every node keeps what it serves.".to_owned(),
        kept => format!("Too late for, and left active on: {}.", kept.join(", ")),
    }
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
            cell(format!("{} of {}{}", rollout.committed, rollout.total, unknown(rollout.unknown))),
            cell(rollout.failed),
            cell(&rollout.author),
            cell(show_age(rollout.created_at, now())),
        ]);
    }
    table.render(paint)
}

/// How many nodes are not counted, since nothing is known of them here.
fn unknown(nodes: usize) -> String {
    if nodes == 0 { String::new() } else { format!(" ({nodes} unknown here)") }
}

/// One rollout: what, which waves, which nodes.
pub(super) fn text(rollout: &Rollout, paint: Paint) -> String {
    let summary = &rollout.summary;
    let why = rollout.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let why = format!("{why}{}", unknown(summary.unknown));
    let state_word = paint.tone(tone_of(&summary.state), &summary.state);
    let head = format!(
        "{}  {} in {} on {}  {state_word}{why}",
        paint.tone(Tone::Strong, &summary.rollout.short()),
        summary.model,
        summary.slot,
        rollout.selector
    );
    let mut by = format!("by {} {}", summary.author, show_age(summary.created_at, now()));
    for (what, approvals) in [("it", &rollout.approvals), ("its release", &rollout.release_approvals)] {
        if approvals.needed > 1 {
            let (given, who) = (approvals.by.len(), approvals.by.join(", "));
            by.push_str(&format!("; {given} of {} agree to {what} ({who})", approvals.needed));
        }
    }
    let mut waves = Table::new(["WAVE", "IS", "COMMITTED", "FAILED", "PENDING", "QUORUM", "WHY"]);
    for wave in &rollout.waves {
        waves.row([
            cell(wave.wave),
            cell(if wave.open { "open" } else { "closed" }),
            cell(format!("{} of {}", wave.committed, wave.total)),
            cell(wave.failed),
            cell(wave.pending),
            cell(quorum(wave)),
            cell(&wave.reason),
        ]);
    }
    let mut nodes = Table::new(["NODE", "WAVE", "STATE", "DIGEST", "SINCE", "WHY"]);
    for node in &rollout.nodes {
        nodes.row([
            cell(&node.node),
            cell(or_empty(node.wave)),
            state(node.word()),
            cell(or_empty(node.sha256.map(|s| s.short()))),
            cell(or_empty(node.since.map(|since| show_age(since, now())))),
            cell(or_empty(node.reason.as_ref())),
        ]);
    }
    let mut parts =
        vec![head, by, terms(rollout), String::new(), waves.render(paint), String::new(), nodes.render(paint)];
    if !rollout.terms.controls.is_empty() {
        let mut controls = Table::new(["CONTROL", "BY", "WHEN", "WHY"]);
        for given in &rollout.terms.controls {
            controls.row([cell(&given.action), cell(&given.by), cell(show_age(given.at, now())), cell(&given.reason)]);
        }
        parts.extend([String::new(), controls.render(paint)]);
    }
    parts.join("\n")
}

/// What the rollout was given, and how much of it is used up.
fn terms(rollout: &Rollout) -> String {
    let terms = &rollout.terms;
    let failures: Vec<String> = terms.failures.iter().map(ToString::to_string).collect();
    let who = if failures.is_empty() { String::new() } else { format!(" ({})", failures.join(", ")) };
    let left = terms.deadline.since(now());
    let deadline =
        if left.is_zero() { "its time is over".to_owned() } else { format!("ends in {}", show_duration(left)) };
    format!(
        "quorum {}, {} of {} failures borne{who}, soak {}, {deadline}",
        terms.quorum,
        failures.len(),
        terms.max_failed,
        show_duration(Duration::from_millis(terms.soak_ms))
    )
}

/// `1 of 2`, and how long the last witness still has to serve.
fn quorum(wave: &RolloutWave) -> String {
    let evidence = &wave.evidence;
    let soak =
        evidence.soak_left_ms.map(|left| format!(", soaks about {}", show_duration(Duration::from_millis(left))));
    format!("{} of {}{}", evidence.soaked, evidence.needed, soak.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::screen::hostile::{WORDS, is_shown_harmless};

    #[test]
    fn reasons_are_shown_on_their_line_and_obeyed_by_no_terminal() {
        let time = "2026-01-01T00:00:00Z";
        let mut answer = json!({
            "rollout": "ab".repeat(32), "slot": "detector", "model": "digits:1.0.0", "release": "cd".repeat(32),
            "state": "halted", "author": "laptop", "created_at": time, "total": 1, "committed": 0, "failed": 1,
            "selector": "cell=**", "reason": WORDS,
            "approvals": {"by": [WORDS], "needed": 2}, "release_approvals": {"by": ["laptop"], "needed": 1},
            "quorum": "80%", "max_failed": 0, "failures": ["robot-1"], "soak_ms": 1, "probation_ms": 1,
            "deadline": time, "start_by": null, "over": true,
            "controls": [{"action": "halt", "by": "laptop", "reason": WORDS, "at": time}],
            "waves": [{
                "wave": 0, "open": true, "reason": WORDS, "total": 1, "committed": 0, "failed": 1, "pending": 0,
                "witnesses": 1, "needed": 1, "soaked": 0, "soaking": [], "soak_left_ms": null, "excused": [],
                "waiting_for": [], "superseded": 0,
            }],
            "nodes": [{
                "node": "robot-1", "id": "ef".repeat(32), "wave": 0, "state": "failed", "reason": WORDS,
                "since": time, "sha256": null,
            }],
            "revision": 1,
        });
        answer["unknown"] = json!(0);
        is_shown_harmless(&answer, 5, text);
        let explained = json!({"rollout": "ab".repeat(32), "node": "robot-1", "reasons": [WORDS, WORDS]});
        is_shown_harmless(&explained, 2, explanation);
    }
}
