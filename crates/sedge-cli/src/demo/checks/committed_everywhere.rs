//! `committed-everywhere`: every node serves the release, and every node knows that every node does; and so in a second
//! slot, with a model of the other format.

use anyhow::{Context, Result, bail};
use sedge_statement::SlotState;

use super::{ROLLOUT, ROOT, Story};

impl Story<'_> {
    pub(super) async fn committed_everywhere(&mut self) -> Result<String> {
        let rollout = self.rollout.clone().context("no rollout")?;
        let digest = self.first.clone().context("no release")?;
        self.all_serve(&self.material.slot, &rollout, &digest).await?;

        let published = self.mesh.publish(ROOT, &self.other.model).await?;
        let other_digest = published.variants.first().context("a model without variants")?.sha256.to_string();
        let other = self.mesh.deploy(ROOT, &self.other.model, &["--slot", &self.other.slot]).await?;
        self.all_serve(&self.other.slot, &other.rollout.to_string(), &other_digest).await?;
        let (slot, other) = (&self.material.slot, &self.other.slot);
        let text = format!(
            "{} nodes serve {digest:.10} in {slot} and {other_digest:.10} in {other}, and each knows it of each",
            self.mesh.nodes.len()
        );
        self.other_digest = Some(other_digest);
        Ok(text)
    }

    /// Waits until every node serves the digest in the slot, by its own account and by every other's.
    async fn all_serve(&self, slot: &str, rollout: &str, digest: &str) -> Result<()> {
        for node in self.mesh.all() {
            let name = self.mesh.name(node);
            let seen = self.rollout_ends(node, rollout, &["completed"], ROLLOUT).await?;
            let committed = |n: &sedge_agent::api::RolloutNode| {
                n.state == Some(SlotState::Committed) && n.sha256.is_some_and(|s| s.to_string() == digest)
            };
            if seen.nodes.len() != self.mesh.nodes.len() || !seen.nodes.iter().all(committed) {
                bail!("{name} sees it {}", super::describe(&seen));
            }
            let own = self.mesh.slot(node, slot).await?.with_context(|| format!("{name} has no slot"))?;
            if own.state != SlotState::Committed || own.sha256.map(|s| s.to_string()).as_deref() != Some(digest) {
                bail!("{name} says its slot is {}", own.state);
            }
        }
        Ok(())
    }
}
