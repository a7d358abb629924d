//! Staying with a rollout until it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sedge_agent::Client;
use sedge_agent::api::{Request, Rollout, RolloutNode};
use sedge_statement::{NodeId, RolloutId, SlotState};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::rollout;
use crate::failure::{Exit, Failure};
use crate::paint::{Paint, tone_of};
use crate::screen::Screen;
use crate::words::show_duration;

/// Longer than anybody stays.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// Stays until the rollout ends or `limit` passes; `--json` prints how it ended.
pub(super) async fn wait(
    client: &mut Client,
    id: RolloutId,
    limit: Duration,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let (exit, last) = follow(client, &id.to_string(), limit, Follower::new(screen)).await?;
    last.map_or(Ok(()), |last| screen.show(&last, rollout::text))?;
    Ok(exit)
}

/// Follows the rollout until it ends or `limit` passes; `--json` prints a line for each change.
pub(super) async fn watch(
    client: &mut Client,
    rollout: String,
    limit: Option<Duration>,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let follower = Follower { changes: true, ..Follower::new(screen) };
    let (exit, last) = follow(client, &rollout, limit.unwrap_or(FOR_EVER), follower).await?;
    // The last line of JSON has said it.
    if let Some(last) = last.filter(|_| !screen.is_json()) {
        screen.show(&last, rollout::text)?;
    }
    Ok(exit)
}

/// Shows each change until the end, and gives how it ended; nothing where it was interrupted, or nobody reads on. Every change is awaited from
/// the agent, none is polled for.
async fn follow(
    client: &mut Client,
    id: &str,
    limit: Duration,
    mut follower: Follower<'_>,
) -> Result<(Exit, Option<Rollout>), Failure> {
    let deadline = Instant::now() + limit;
    let mut after = None;
    let last = loop {
        let request = Request::RolloutShow { rollout: id.to_owned(), after };
        let answer = tokio::select! {
            answer = client.ask::<Rollout>(&request) => follower.screen.tamed(answer?)?,
            () = sleep_until(deadline) => {
                follower.finish();
                return Err(Failure {
                    exit: Exit::NotInTime,
                    what: format!("the rollout did not end within {}", show_duration(limit)),
                    remedy: format!("It goes on; look at it with `sedge rollout show {id:.10}`."),
                });
            }
            _ = tokio::signal::ctrl_c() => {
                follower.finish();
                return Ok((Exit::Interrupted, None));
            }
        };
        follower.follow(&answer)?;
        if let Some(exit) = outcome(&answer) {
            follower.finish();
            break (exit, Some(answer));
        }
        if follower.tells_nobody() {
            return Ok((Exit::Done, None));
        }
        after = Some(answer.revision);
    };
    Ok(last)
}

/// The exit status of a rollout that is over; none while it is not. Only a completed one is success.
fn outcome(rollout: &Rollout) -> Option<Exit> {
    rollout.terms.over.then(|| exit(&rollout.summary.state))
}

fn exit(state: &str) -> Exit {
    match state {
        "completed" => Exit::Done,
        // Its time was over first.
        "expired" | "stalled" => Exit::NotInTime,
        _ => Exit::Failed,
    }
}

/// Shows changes: a bar a node on a terminal, a line a change where piped; with `--json` a value a change, or nothing.
struct Follower<'a> {
    screen: &'a Screen,
    /// Whether each change is what is asked for, and not how it ends: then `--json` prints it, and nothing is left to do when
    /// nobody reads on.
    changes: bool,
    /// What was last printed as JSON, less what changes with time alone.
    printed: Option<Value>,
    /// The rollout's state and which waves are open, as last shown.
    whole: (String, Vec<bool>),
    bars: MultiProgress,
    seen: BTreeMap<NodeId, (Option<SlotState>, Option<ProgressBar>)>,
}

impl<'a> Follower<'a> {
    fn new(screen: &'a Screen) -> Self {
        let bars = MultiProgress::new();
        Self { screen, changes: false, printed: None, whole: Default::default(), bars, seen: BTreeMap::new() }
    }

    fn follow(&mut self, rollout: &Rollout) -> Result<(), Failure> {
        if self.screen.is_json() {
            return self.print(rollout);
        }
        self.tell(rollout)?;
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

    /// Whether whoever asked for the changes went away.
    fn tells_nobody(&self) -> bool {
        self.changes && !self.screen.is_read()
    }

    /// One line of JSON, where anything changed that time alone does not change.
    fn print(&mut self, rollout: &Rollout) -> Result<(), Failure> {
        if !self.changes {
            return Ok(());
        }
        let mut lasting = rollout.clone();
        lasting.revision = 0;
        lasting.waves.iter_mut().for_each(|wave| wave.evidence.soak_left_ms = None);
        let lasting = serde_json::to_value(&lasting).expect("answers are plain data");
        if self.printed.as_ref() == Some(&lasting) {
            return Ok(());
        }
        self.printed = Some(lasting);
        self.screen.print(rollout)
    }

    /// Says what became of the rollout and its waves.
    fn tell(&mut self, rollout: &Rollout) -> Result<(), Failure> {
        let (state, open) = &self.whole;
        let mut news: Vec<String> = rollout
            .waves
            .iter()
            .filter(|wave| open.get(wave.wave).is_none_or(|was| *was != wave.open))
            .map(|wave| wave.reason.clone())
            .collect();
        // Where a rollout is held, each of its waves gives the same reason.
        news.dedup();
        if *state != rollout.summary.state {
            let why = rollout.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            news.insert(0, format!("rollout {} {}{why}", rollout.summary.rollout.short(), rollout.summary.state));
        }
        self.whole = (rollout.summary.state.clone(), rollout.waves.iter().map(|wave| wave.open).collect());
        for line in news {
            if !self.screen.is_live() {
                self.screen.line(&line)?;
            } else if let Err(error) = self.bars.println(&line) {
                return Err(Failure::failed(format!("the terminal takes no more text: {error}"), ""));
            }
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
        bar.set_position(node.state.map_or(0, step));
        let why = node.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        bar.set_message(format!("{}{why}", Paint::stderr().tone(tone_of(node.word()), node.word())));
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
    format!("{} {}{why}", node.node, node.word())
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
    fn only_a_completed_rollout_is_success_and_one_whose_time_was_over_was_not_reached() {
        assert_eq!(exit("completed"), Exit::Done);
        for ended in ["failed", "halted", "cancelled", "superseded"] {
            assert_eq!(exit(ended), Exit::Failed, "{ended}");
        }
        for late in ["expired", "stalled"] {
            assert_eq!(exit(late), Exit::NotInTime, "{late}");
        }
    }
}
