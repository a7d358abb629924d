//! `tampered-refused`: a byte flipped on the disk of a node that holds a model staged is found before the model is
//! opened, and the old model serves all the while.

use anyhow::{Context, Result, bail};
use sedge_statement::SlotState;

use super::{ROLLOUT, ROOT, Story, VICTIM};
use crate::demo::node::flip_a_byte;
use crate::demo::until::{Look, until};

impl Story<'_> {
    pub(super) async fn tampered_refused(&mut self) -> Result<String> {
        let name = self.mesh.name(VICTIM).to_owned();
        let to = format!("node={name}");
        let before = self.who_answers(VICTIM).await?;
        let model = self.mesh.publish(ROOT, &self.material.staged).await?;
        let digest = model.variants.first().context("a model without variants")?.sha256.to_string();

        let flags = ["--to", to.as_str(), "--stage-only"];
        let staged = self.mesh.deploy(ROOT, &self.material.staged, &flags).await?.rollout.to_string();
        self.is_in(VICTIM, &staged, &[SlotState::Staged]).await?;
        if self.who_answers(VICTIM).await? != before {
            bail!("{name} was to hold the model only, and serves it");
        }
        let file = self.mesh.nodes[VICTIM].model_file(&digest)?;
        flip_a_byte(&file)?;

        let rollout = self.mesh.deploy(ROOT, &self.material.staged, &["--to", &to]).await?.rollout.to_string();
        let ends = [SlotState::Failed, SlotState::RolledBack, SlotState::Committed];
        let (state, reason) = self.is_in(VICTIM, &rollout, &ends).await?;
        if state != SlotState::Failed {
            bail!("{name} ended {state} with a model whose bytes were changed on its disk");
        }
        let reason = reason.unwrap_or_default();
        if !(reason.contains("SHA-256") && reason.contains(&digest)) {
            bail!("{name} failed, but not because of the digest: {reason}");
        }
        if self.who_answers(VICTIM).await? != before {
            bail!("the old model of {name} no longer answers");
        }
        Ok(format!("{name} refused it ({}); the old model answers", reason.replace(&digest, &format!("{digest:.10}…"))))
    }

    /// Waits until a node's slot, following this rollout, is in one of these states; until then, and then, the model
    /// must answer.
    async fn is_in(&self, node: usize, rollout: &str, states: &[SlotState]) -> Result<(SlotState, Option<String>)> {
        let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
        let what = format!("{} being {}", self.mesh.name(node), words.join(" or "));
        until(&what, ROLLOUT, async || {
            self.who_answers(node).await.context("the slot stopped answering")?;
            let slot = self.mesh.slot(node, &self.material.slot).await?;
            let slot = slot.filter(|slot| slot.rollout.is_some_and(|r| r.to_string() == rollout));
            let Some(slot) = slot else { return Ok(Look::Not("its slot follows another rollout".to_owned())) };
            if states.contains(&slot.state) {
                return Ok(Look::Seen((slot.state, slot.reason)));
            }
            if slot.state.is_final() {
                bail!("{} is {}: {}", self.mesh.name(node), slot.state, slot.reason.unwrap_or_default());
            }
            Ok(Look::Not(format!("it is {}", slot.state)))
        })
        .await
    }
}
