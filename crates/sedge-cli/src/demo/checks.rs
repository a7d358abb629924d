//! What the demo shows, one file a check. Each really does what its name says, and says what it saw.

mod answers_match;
mod bad_probe;
mod canary_first;
mod committed_everywhere;
mod conflict_superseded;
mod enrolled;
mod kill_resumes;
mod nothing_left;
mod partition_heals;
mod replicated;
mod tampered;

use std::time::Duration;

use anyhow::{Result, bail};
use sedge_agent::api::Rollout;

use super::material::{Material, OtherSlot};
use super::mesh::Mesh;
use super::until::{Look, until};

/// The longest that news may take to reach every node.
const NEWS: Duration = Duration::from_secs(20);
/// The longest that a rollout of a small model over the mesh may take.
const ROLLOUT: Duration = Duration::from_secs(45);

/// The last check, which is made whatever failed before.
pub(super) const LAST: &str = "nothing-left";

/// Every check, in order.
pub(super) const CHECKS: [&str; 11] = [
    "enrolled",
    "replicated",
    "canary-first",
    "committed-everywhere",
    "answers-match",
    "partition-heals",
    "conflict-superseded",
    "tampered-refused",
    "bad-probe-keeps-old",
    "kill-resumes",
    LAST,
];

/// What checks leave for those after them.
pub(super) struct Story<'a> {
    pub(super) mesh: &'a mut Mesh,
    material: Material,
    /// What serves beside it.
    other: OtherSlot,
    keep: bool,
    /// The digest of the first version, once it is published.
    first: Option<String>,
    /// The digest in the other slot, once it is published.
    other_digest: Option<String>,
    /// The rollout of the first version.
    rollout: Option<String>,
    /// The two rollouts of the partition: who won, who lost.
    conflict: Option<Conflict>,
}

/// How a conflict ended.
struct Conflict {
    winner: Rollout,
    loser: String,
}

/// The node that made the mesh and publishes.
const ROOT: usize = 0;
/// The node whose disk and process are treated badly.
const VICTIM: usize = 1;

impl<'a> Story<'a> {
    /// Nothing has happened yet.
    pub(super) fn new(mesh: &'a mut Mesh, material: Material, other: OtherSlot, keep: bool) -> Self {
        Self { mesh, material, other, keep, first: None, other_digest: None, rollout: None, conflict: None }
    }

    /// Makes one check. The text says what was seen.
    pub(super) async fn check(&mut self, name: &str) -> Result<String> {
        match name {
            "enrolled" => self.enrolled().await,
            "replicated" => self.replicated().await,
            "canary-first" => self.canary_first().await,
            "committed-everywhere" => self.committed_everywhere().await,
            "answers-match" => self.answers_match().await,
            "partition-heals" => self.partition_heals().await,
            "conflict-superseded" => self.conflict_superseded().await,
            "tampered-refused" => self.tampered_refused().await,
            "bad-probe-keeps-old" => self.bad_probe_keeps_old().await,
            "kill-resumes" => self.kill_resumes().await,
            LAST => self.nothing_left().await,
            other => bail!("there is no check {other}"),
        }
    }

    /// The node that may publish by itself, and that leaves the mesh for a while: the last one.
    fn field(&self) -> usize {
        self.mesh.nodes.len() - 1
    }

    /// Waits until a node sees a rollout in one of these states, and tells how it stands then.
    async fn rollout_ends(&self, node: usize, rollout: &str, states: &[&str], within: Duration) -> Result<Rollout> {
        let what = format!("rollout {:.10} being {}", rollout, states.join(" or "));
        until(&what, within, async || {
            let Some(seen) = self.mesh.rollout(node, rollout).await? else {
                return Ok(Look::Not(format!("{} has not heard of it", self.mesh.name(node))));
            };
            if states.contains(&seen.summary.state.as_str()) {
                return Ok(Look::Seen(seen));
            }
            if ["completed", "failed", "halted", "cancelled", "superseded", "expired"]
                .contains(&seen.summary.state.as_str())
            {
                bail!("the rollout is {}", describe(&seen));
            }
            Ok(Look::Not(format!("{} sees it {}", self.mesh.name(node), describe(&seen))))
        })
        .await
    }

    /// Waits until every node's view has the same digest, and tells it.
    async fn views_agree(&self) -> Result<String> {
        until("one view on every node", NEWS, async || {
            let mut views = Vec::new();
            for node in self.mesh.all() {
                views.push(self.mesh.status(node).await?.sync.view);
            }
            let same = views.iter().all(|view| *view == views[0]);
            let short: Vec<String> = views.iter().map(|view| format!("{view:.10}")).collect();
            Ok(if same {
                Look::Seen(views.swap_remove(0))
            } else {
                Look::Not(format!("views are {}", short.join(", ")))
            })
        })
        .await
    }

    /// Asks the slot's model the first case on a node, and tells which release and digest answered.
    async fn who_answers(&self, node: usize) -> Result<(String, String)> {
        let (answer, _) = self.mesh.infer(node, &self.material.slot, &self.material.cases[0].input).await?;
        Ok((answer.release.to_string(), answer.sha256.to_string()))
    }
}

/// A rollout and its nodes in a line.
fn describe(rollout: &Rollout) -> String {
    let node = |node: &sedge_agent::api::RolloutNode| {
        let why = node.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{} {}{why}", node.node, node.word())
    };
    let nodes: Vec<String> = rollout.nodes.iter().map(node).collect();
    let why = rollout.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}{why}: {}", rollout.summary.state, nodes.join(", "))
}
