//! `committed-everywhere`: every node serves the release, and every node knows that every node does.

use anyhow::{Context, Result, bail};
use sedge_statement::SlotState;

use super::{ROLLOUT, Story};

impl Story<'_> {
    pub(super) async fn committed_everywhere(&mut self) -> Result<String> {
        let rollout = self.rollout.clone().context("no rollout")?;
        let digest = self.first.clone().context("no release")?;
        for node in self.mesh.all() {
            let name = self.mesh.name(node);
            let seen = self.rollout_ends(node, &rollout, &["completed"], ROLLOUT).await?;
            let committed = |n: &sedge_agent::api::RolloutNode| {
                n.state == SlotState::Committed && n.sha256.is_some_and(|s| s.to_string() == digest)
            };
            if seen.nodes.len() != self.mesh.nodes.len() || !seen.nodes.iter().all(committed) {
                bail!("{name} sees it {}", super::describe(&seen));
            }
            let slot =
                self.mesh.slot(node, &self.material.slot).await?.with_context(|| format!("{name} has no slot"))?;
            if slot.state != SlotState::Committed || slot.sha256.map(|s| s.to_string()).as_ref() != Some(&digest) {
                bail!("{name} says its slot is {}", slot.state);
            }
        }
        Ok(format!("{} nodes serve {digest:.10}, and each knows it of each", self.mesh.nodes.len()))
    }
}
