//! `partition-heals`: one node goes silent, both sides publish and deploy, and once it is back all agree.

use anyhow::{Context, Result, bail};
use sedge_agent::api::RolloutSummary;

use super::{Conflict, NEWS, ROLLOUT, ROOT, Story};
use crate::demo::until::{Look, so_or, until};

impl Story<'_> {
    pub(super) async fn partition_heals(&mut self) -> Result<String> {
        let field = self.field();
        let away = self.mesh.name(field).to_owned();
        self.mesh.tell(field, &["agent", "offline"]).await?;
        self.is_cut_off(field).await?;
        let (_, served) = self.who_answers(field).await?;
        if Some(&served) != self.first.as_ref() {
            bail!("{away}, offline, answers with {served:.10}");
        }

        self.mesh.publish(ROOT, &self.material.second).await?;
        let ours = self.mesh.deploy(ROOT, &self.material.second, &[]).await?.rollout.to_string();
        self.mesh.publish(field, &self.material.field).await?;
        let theirs = self.mesh.deploy(field, &self.material.field, &[]).await?.rollout.to_string();
        if self.mesh.rollout(ROOT, &theirs).await?.is_some() || self.mesh.rollout(field, &ours).await?.is_some() {
            bail!("news crossed although {away} is offline");
        }

        self.mesh.tell(field, &["agent", "online"]).await?;
        let (winner, loser) = self.agreed(&ours, &theirs).await?;
        let mut release = None;
        for node in self.mesh.all() {
            let seen = self.rollout_ends(node, &winner, &["completed"], ROLLOUT).await?;
            let (answers, _) = self.who_answers(node).await?;
            if answers != seen.summary.release.to_string() {
                bail!("{} answers with {answers:.10} although {} won", self.mesh.name(node), seen.summary.model);
            }
            release = Some(seen);
        }
        let winner = release.context("no nodes")?;
        let view = self.views_agree().await?;
        let text = format!(
            "{away} was away while {} deployed on each side; back, all serve {} and all views are {view:.10}",
            format_args!("{}:{} and {}", self.material.slot, self.material.second.version, self.material.field.version),
            winner.summary.model
        );
        self.conflict = Some(Conflict { winner, loser });
        Ok(text)
    }

    /// Waits until nobody is connected with a node, by either side's account.
    async fn is_cut_off(&self, node: usize) -> Result<()> {
        let id = self.mesh.status(node).await?.node.id;
        until(&format!("{} being cut off", self.mesh.name(node)), NEWS, async || {
            let mut linked = Vec::new();
            for other in self.mesh.all() {
                let status = self.mesh.status(other).await?;
                let links = status.peers.iter().filter(|p| p.connected && (other == node || p.id == id));
                linked.extend(links.map(|_| self.mesh.name(other)));
            }
            Ok(so_or(linked.is_empty(), || format!("{linked:?} have a connection")))
        })
        .await
    }

    /// Waits until every node knows both rollouts, and that one of them, the same everywhere, superseded the other.
    async fn agreed(&self, ours: &str, theirs: &str) -> Result<(String, String)> {
        until("the same winner on every node", ROLLOUT, async || {
            let mut losers = Vec::new();
            for node in self.mesh.all() {
                let rollouts: Vec<RolloutSummary> = self.mesh.ask(node, &["rollout", "list"]).await?;
                let state = |id: &str| {
                    rollouts
                        .iter()
                        .find(|r| r.rollout.to_string() == id)
                        .map_or("unknown", |r| r.state.as_str())
                        .to_owned()
                };
                match (state(ours).as_str(), state(theirs).as_str()) {
                    ("superseded", other) if other != "unknown" && other != "superseded" => losers.push(ours),
                    (other, "superseded") if other != "unknown" && other != "superseded" => losers.push(theirs),
                    (a, b) => return Ok(Look::Not(format!("{} sees them {a} and {b}", self.mesh.name(node)))),
                }
            }
            let loser = losers[0];
            if losers.iter().any(|other| *other != loser) {
                return Ok(Look::Not("nodes disagree on who lost".to_owned()));
            }
            let winner = if loser == ours { theirs } else { ours };
            Ok(Look::Seen((winner.to_owned(), loser.to_owned())))
        })
        .await
    }
}
