//! `canary-first`: no other node goes beyond holding the model before the canary has committed to it.

use anyhow::{Context, Result, bail};
use sedge_agent::api::{Rollout, StatusSlot};
use sedge_statement::{SlotState, Timestamp, millis};

use super::{ROLLOUT, ROOT, Story};
use crate::demo::mesh::PROBATION;
use crate::demo::until::{Look, until};
use crate::words::show_duration;

impl Story<'_> {
    pub(super) async fn canary_first(&mut self) -> Result<String> {
        let deployed = self.mesh.deploy(ROOT, &self.material.first, &[]).await?;
        let rollout = deployed.rollout.to_string();
        let mut samples = 0usize;
        let last = until("the rollout's completion, sampled", ROLLOUT, async || {
            let Some(seen) = self.mesh.rollout(ROOT, &rollout).await? else {
                return Ok(Look::Not("its own author does not know it".to_owned()));
            };
            self.sample(&seen).await?;
            samples += 1;
            match seen.summary.state.as_str() {
                "completed" => Ok(Look::Seen(seen)),
                "failed" | "halted" | "cancelled" | "superseded" | "expired" => {
                    bail!("it is {}", super::describe(&seen))
                }
                _ => Ok(Look::Not(super::describe(&seen))),
            }
        })
        .await?;
        let canary = canary_of(&last)?;
        let ahead = self.ahead(&last).await?;
        let name = self.mesh.name(canary).to_owned();
        self.rollout = Some(rollout);
        let nodes = self.mesh.nodes.len();
        Ok(format!(
            "{name} committed {} before any other activated; {samples} samples of {nodes} nodes saw nothing else",
            show_duration(ahead)
        ))
    }

    /// Looks at every node itself, the canary last: whatever another node was seen doing, the canary had done before.
    async fn sample(&self, seen: &Rollout) -> Result<()> {
        let canary = canary_of(seen)?;
        let mut ahead = Vec::new();
        for node in self.mesh.all().filter(|node| *node != canary) {
            let Some(slot) = self.own_slot(node, seen).await? else { continue };
            if is_beyond_staged(slot.state) {
                ahead.push((node, slot.state));
            }
            // Each node's own view must agree with the rule too: the second wave is closed until the first is through.
            let Some(view) = self.mesh.rollout(node, &seen.summary.rollout.to_string()).await? else { continue };
            if let [first, rest @ ..] = view.waves.as_slice()
                && rest.iter().any(|wave| wave.open)
                && first.committed < first.total
            {
                bail!("{} opened the second wave while the canary had not committed", self.mesh.name(node));
            }
        }
        let state = self.own_slot(canary, seen).await?.map(|slot| slot.state);
        match ahead.first() {
            Some((node, at)) if state != Some(SlotState::Committed) => bail!(
                "{} was {at} while the canary {} was {}",
                self.mesh.name(*node),
                self.mesh.name(canary),
                state.map_or("not begun".to_owned(), |s| s.to_string())
            ),
            _ => Ok(()),
        }
    }

    /// By the nodes' own clocks, which are one here: how long the canary had been committed when the next one took
    /// over, which is a probation before that one committed.
    async fn ahead(&self, last: &Rollout) -> Result<std::time::Duration> {
        let canary = canary_of(last)?;
        let committed = self.committed_since(canary, last).await?;
        let mut next = None;
        for node in self.mesh.all().filter(|node| *node != canary) {
            let since = self.committed_since(node, last).await?;
            let began = Timestamp::from_millis(since.as_millis().saturating_sub(millis(PROBATION)));
            if began < committed {
                bail!(
                    "{} took over before {} had committed, by their own clocks",
                    self.mesh.name(node),
                    self.mesh.name(canary)
                );
            }
            next = next.into_iter().chain([began]).min();
        }
        Ok(next.context("no second node")?.since(committed))
    }

    async fn committed_since(&self, node: usize, rollout: &Rollout) -> Result<Timestamp> {
        let slot = self.own_slot(node, rollout).await?;
        let committed = slot.filter(|slot| slot.state == SlotState::Committed);
        Ok(committed.with_context(|| format!("{} does not say it committed", self.mesh.name(node)))?.since)
    }

    /// What a node says of its own slot, where that follows this rollout.
    async fn own_slot(&self, node: usize, rollout: &Rollout) -> Result<Option<StatusSlot>> {
        let slot = self.mesh.slot(node, rollout.summary.slot.as_str()).await?;
        Ok(slot.filter(|slot| slot.rollout == Some(rollout.summary.rollout)))
    }
}

fn canary_of(rollout: &Rollout) -> Result<usize> {
    let first: Vec<_> = rollout.nodes.iter().filter(|node| node.wave == Some(0)).collect();
    let [canary] = first.as_slice() else { bail!("the first wave has {} nodes, where one was asked for", first.len()) };
    // Nodes are called node-1, node-2, …
    let number = canary.node.as_str().rsplit('-').next().and_then(|n| n.parse::<usize>().ok());
    number.and_then(|n| n.checked_sub(1)).with_context(|| format!("{} is none of the demo's nodes", canary.node))
}

fn is_beyond_staged(state: SlotState) -> bool {
    matches!(state, SlotState::Testing | SlotState::Activating | SlotState::Probation | SlotState::Committed)
}
