//! Staying with a rollout until it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sedge_agent::Client;
use sedge_agent::api::{Request, Rollout, RolloutNode};
use sedge_statement::{NodeId, RolloutId, SlotState};
use tokio::time::{Instant, timeout_at};

use super::rollout;
use crate::failure::{Exit, Failure};
use crate::paint::{Paint, tone_of};
use crate::screen::Screen;
use crate::words::show_duration;

/// Stays until the rollout ends or `limit` passes. Every change is awaited from the agent, none is polled for.
pub(super) async fn wait(
    client: &mut Client,
    id: RolloutId,
    limit: Duration,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let deadline = Instant::now() + limit;
    let mut follower = Follower::new(screen);
    let mut after = None;
    let last = loop {
        let request = Request::RolloutShow { rollout: id.to_string(), after };
        let Ok(answer) = timeout_at(deadline, client.ask::<Rollout>(&request)).await else {
            follower.finish();
            return Err(Failure {
                exit: Exit::NotInTime,
                what: format!("the rollout did not end within {}", show_duration(limit)),
                remedy: format!("It goes on; look at it with `sedge rollout show {}`.", id.short()),
            });
        };
        let rollout = answer?;
        follower.follow(&rollout)?;
        if let Some(exit) = outcome(&rollout.summary.state) {
            follower.finish();
            screen.show(&rollout, rollout::text)?;
            break exit;
        }
        after = Some(rollout.revision);
    };
    Ok(last)
}

/// The exit status of a rollout that has ended; none while it has not. Only a completed one is success.
fn outcome(state: &str) -> Option<Exit> {
    match state {
        "completed" => Some(Exit::Done),
        "failed" | "halted" | "cancelled" | "superseded" | "expired" => Some(Exit::Failed),
        _ => None,
    }
}

/// Shows changes: a bar a node on a terminal, a line a change where piped, nothing with `--json`.
struct Follower<'a> {
    screen: &'a Screen,
    bars: MultiProgress,
    seen: BTreeMap<NodeId, (SlotState, Option<ProgressBar>)>,
}

impl<'a> Follower<'a> {
    fn new(screen: &'a Screen) -> Self {
        Self { screen, bars: MultiProgress::new(), seen: BTreeMap::new() }
    }

    fn follow(&mut self, rollout: &Rollout) -> Result<(), Failure> {
        if self.screen.is_json() {
            return Ok(());
        }
        for node in &rollout.nodes {
            if self.seen.get(&node.id).is_some_and(|(state, _)| *state == node.state) {
                continue;
            }
            let bar = if self.screen.is_live() {
                Some(self.draw(node))
            } else {
                self.screen.line(&line(node))?;
                None
            };
            self.seen.insert(node.id, (node.state, bar));
        }
        Ok(())
    }

    fn draw(&mut self, node: &RolloutNode) -> ProgressBar {
        let known = self.seen.get(&node.id).and_then(|(_, bar)| bar.clone());
        let bar = known.unwrap_or_else(|| {
            let bar = self.bars.add(ProgressBar::new(STEPS));
            let style = ProgressStyle::with_template("{prefix:16} [{bar:24}] {msg}").expect("the template is valid");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(node.node.to_string());
            bar
        });
        bar.set_position(step(node.state));
        let why = node.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        bar.set_message(format!("{}{why}", Paint::stderr().tone(tone_of(node.state.word()), node.state.word())));
        bar
    }

    fn finish(&mut self) {
        for (_, bar) in self.seen.values() {
            bar.iter().for_each(ProgressBar::abandon);
        }
    }
}

fn line(node: &RolloutNode) -> String {
    let why = node.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {}{why}", node.node, node.state)
}

/// The length of a bar.
const STEPS: u64 = 7;

/// How far along the way to `committed` a state is; states off that way show where they left it.
fn step(state: SlotState) -> u64 {
    match state {
        SlotState::Offered => 0,
        SlotState::Accepted | SlotState::Waiting | SlotState::Paused => 1,
        SlotState::Fetching => 2,
        SlotState::Verifying => 3,
        SlotState::Staged => 4,
        SlotState::Testing | SlotState::Activating => 5,
        SlotState::Probation | SlotState::RollingBack => 6,
        _ => STEPS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_completed_rollout_is_success_and_a_running_one_has_no_outcome() {
        assert_eq!(outcome("completed"), Some(Exit::Done));
        for ended in ["failed", "halted", "cancelled", "superseded", "expired"] {
            assert_eq!(outcome(ended), Some(Exit::Failed), "{ended}");
        }
        for running in ["awaiting-approval", "running", "paused", "stalled"] {
            assert_eq!(outcome(running), None, "{running}");
        }
    }
}
