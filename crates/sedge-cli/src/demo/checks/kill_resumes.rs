//! `kill-resumes`: an agent that is killed in the middle of a large fetch goes on where it was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sedge_agent::api::{FetchProgress, StatusSlot};
use sedge_statement::{ByteSize, SlotState};

use super::{ROOT, Story, VICTIM};
use crate::demo::until::{Look, until};
use crate::words::show_duration;

/// The longest that the large artifact may take, at the capped rate and on a busy machine.
const LARGE: Duration = Duration::from_secs(90);
/// The least that an artifact must have to be called large.
const LEAST: u64 = 64 << 20;
/// What must be held before the kill: enough that beginning anew would show.
const ENOUGH: u64 = 16 << 20;

impl Story<'_> {
    pub(super) async fn kill_resumes(&mut self) -> Result<String> {
        let name = self.mesh.name(VICTIM).to_owned();
        let large = self.material.large.clone();
        let model = self.mesh.publish(ROOT, &large).await?;
        let variant = model.variants.first().context("a model without variants")?;
        if variant.size_bytes < LEAST {
            bail!("the artifact has only {}", ByteSize(variant.size_bytes));
        }
        self.mesh.deploy(ROOT, &large, &["--to", &format!("node={name}")]).await?;

        let before = self.mid_fetch(&large.id).await?;
        self.mesh.nodes[VICTIM].kill().await;
        self.mesh.start(VICTIM).await?;
        let back = Instant::now();
        let after = self.fetching_again(&large.id, before).await?;
        let rest = after.total - after.held;
        let slot = self.settled(&large.id, after.held).await?;
        if slot.sha256 != Some(variant.sha256) {
            bail!("{name} committed to other bytes than were published");
        }
        self.mesh.infer(VICTIM, &large.id, &self.material.cases[0].input).await?;
        Ok(format!(
            "{name} was killed with {} of {}; back, it held {}, fetched the remaining {} and served it after {}",
            ByteSize(before.held),
            ByteSize(before.total),
            ByteSize(after.held),
            ByteSize(rest),
            show_duration(back.elapsed())
        ))
    }

    async fn victims_slot(&self, slot: &str) -> Result<Option<StatusSlot>> {
        self.mesh.slot(VICTIM, slot).await
    }

    /// Waits until a good part of the artifact, and not all of it, is held.
    async fn mid_fetch(&self, slot: &str) -> Result<FetchProgress> {
        until("a fetch half-way", LARGE, async || {
            let Some(slot) = self.victims_slot(slot).await? else { return Ok(Look::Not("no slot yet".to_owned())) };
            match slot.fetch {
                Some(fetch) if fetch.held >= ENOUGH && fetch.held < fetch.total => Ok(Look::Seen(fetch)),
                Some(fetch) => Ok(Look::Not(format!("{} of {}", ByteSize(fetch.held), ByteSize(fetch.total)))),
                None if matches!(slot.state, SlotState::Verifying | SlotState::Staged) || slot.state.is_final() => {
                    bail!("it is {} already: the fetch was never seen half-way", slot.state)
                }
                None => Ok(Look::Not(format!("it is {}", slot.state))),
            }
        })
        .await
    }

    /// Waits until the restarted agent tells what it holds, and holds it to what was held at the kill.
    async fn fetching_again(&self, slot: &str, before: FetchProgress) -> Result<FetchProgress> {
        let now = until("the fetch going on", LARGE, async || {
            let Some(slot) = self.victims_slot(slot).await? else { return Ok(Look::Not("no slot yet".to_owned())) };
            match slot.fetch {
                Some(fetch) => Ok(Look::Seen(fetch)),
                None if slot.state.is_final() => bail!("it is {} already: the rest was never seen to move", slot.state),
                None => Ok(Look::Not(format!("it is {}", slot.state))),
            }
        })
        .await?;
        if now.held < before.held {
            let (now, before) = (ByteSize(now.held), ByteSize(before.held));
            bail!("after the kill it holds {now}, where it had held {before}");
        }
        Ok(now)
    }

    /// Waits until the artifact is whole and serves; what is held must never shrink on the way.
    async fn settled(&self, slot: &str, from: u64) -> Result<StatusSlot> {
        let mut held = from;
        until("the large model serving", LARGE, async || {
            let Some(slot) = self.victims_slot(slot).await? else { bail!("the slot is gone") };
            if let Some(fetch) = slot.fetch {
                if fetch.held < held {
                    bail!("it held {}, and now only {}", ByteSize(held), ByteSize(fetch.held));
                }
                held = fetch.held;
            }
            match slot.state {
                SlotState::Committed => Ok(Look::Seen(slot)),
                state if state.is_final() => bail!("it is {state}: {}", slot.reason.unwrap_or_default()),
                state => Ok(Look::Not(format!("it is {state}, holding {}", ByteSize(held)))),
            }
        })
        .await
    }
}
