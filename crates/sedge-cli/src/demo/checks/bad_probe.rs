//! `bad-probe-keeps-old`: a release whose probe fails is tried by the canary alone, which keeps the model it has.

use anyhow::{Context, Result, bail};
use sedge_agent::api::RolloutNode;
use sedge_statement::SlotState;

use super::{ROLLOUT, ROOT, Story};

impl Story<'_> {
    pub(super) async fn bad_probe_keeps_old(&mut self) -> Result<String> {
        let case = self.material.cases.first().context("no case")?;
        let (_, answer) = self.mesh.infer(ROOT, &self.material.slot, &case.input).await?;
        let wrong = self.material.wrong(&answer)?;
        let mut before = Vec::new();
        for node in self.mesh.all() {
            before.push(self.who_answers(node).await?);
        }

        self.mesh.publish(ROOT, &wrong).await?;
        let rollout = self.mesh.deploy(ROOT, &wrong, &[]).await?.rollout.to_string();
        let mut tried = None;
        for node in self.mesh.all() {
            let seen = self.rollout_ends(node, &rollout, &["halted"], ROLLOUT).await?;
            let (canary, others): (Vec<&RolloutNode>, Vec<&RolloutNode>) =
                seen.nodes.iter().partition(|node| node.wave == Some(0));
            let [canary] = canary.as_slice() else { bail!("there is no one canary: {}", super::describe(&seen)) };
            let reason = canary.reason.clone().unwrap_or_default();
            if !matches!(canary.state, Some(SlotState::Failed | SlotState::RolledBack)) || !reason.contains("probe") {
                bail!("the canary did not fail by its probe: {}", super::describe(&seen));
            }
            if let Some(other) = others.iter().find(|other| other.state.is_none_or(has_started)) {
                bail!("{} went on although the canary failed: {}", other.node, super::describe(&seen));
            }
            tried = Some((canary.node.clone(), reason));
        }
        for node in self.mesh.all() {
            if self.who_answers(node).await? != before[node] {
                bail!("{} no longer answers with the model it had", self.mesh.name(node));
            }
        }
        let (canary, reason) = tried.context("no nodes")?;
        Ok(format!("{canary} kept what it had ({reason}); the rollout halted, no other began, all answer as before"))
    }
}

fn has_started(state: SlotState) -> bool {
    use SlotState::{Activating, Committed, Failed, Probation, RollbackFailed, RolledBack, RollingBack, Testing};
    matches!(state, Testing | Activating | Probation | Committed | Failed | RollingBack | RolledBack | RollbackFailed)
}
