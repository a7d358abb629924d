//! `conflict-superseded`: the losing wish is not lost: every node shows both, and says which one lost.

use anyhow::{Context, Result, bail};
use sedge_agent::api::RolloutSummary;

use super::Story;

impl Story<'_> {
    pub(super) async fn conflict_superseded(&mut self) -> Result<String> {
        let conflict = self.conflict.as_ref().context("no conflict")?;
        let winner = &conflict.winner.summary;
        let mut lost = None;
        for node in self.mesh.all() {
            let name = self.mesh.name(node);
            let rollouts: Vec<RolloutSummary> = self.mesh.ask(node, &["rollout", "list"]).await?;
            let won = rollouts.iter().find(|r| r.rollout == winner.rollout);
            let loser = rollouts.iter().find(|r| r.rollout.to_string() == conflict.loser);
            let (Some(won), Some(loser)) = (won, loser) else { bail!("{name} does not show both") };
            if won.state != "completed" || loser.state != "superseded" {
                bail!("{name} shows them {} and {}", won.state, loser.state);
            }
            let detail = self.mesh.rollout(node, &conflict.loser).await?.with_context(|| format!("{name} lost it"))?;
            lost = Some((loser.clone(), detail.reason));
        }
        let (lost, reason) = lost.context("no nodes")?;
        let why = reason.map(|why| format!(": {why}")).unwrap_or_default();
        Ok(format!(
            "every node shows {} by {} completed and {} by {} superseded{why}",
            winner.model, winner.author, lost.model, lost.author
        ))
    }
}
