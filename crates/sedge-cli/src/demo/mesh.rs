//! All the agents of a demo, and what one asks them again and again.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sedge_agent::api::{Deployed, Inference, Model, Rollout, Status, StatusSlot};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use super::material::Publication;
use super::node::{Node, Refused};
use super::said::Said;
use super::until::{Look, until};

/// The longest an agent may take from its start to its first answer.
const START_LIMIT: Duration = Duration::from_secs(20);
/// `sedge`'s exit status where no agent runs.
const NO_AGENT: i32 = 5;
/// How long a new model is watched: long enough to be seen, short enough to be waited for.
pub(super) const PROBATION: Duration = Duration::from_secs(1);
/// The same as a word of the command line.
const PROBATION_WORD: &str = "1s";
/// How far a language model goes on: enough to be told from another, and soon there on a slow machine.
const MOST_TOKENS: &str = "16";

/// The agents.
#[derive(Debug)]
pub(super) struct Mesh {
    dir: TempDir,
    pub(super) nodes: Vec<Node>,
    /// Whose log tells most about a failure: the node asked last.
    asked: Cell<usize>,
}

impl Mesh {
    /// So many homes in a new temporary directory; nothing runs yet.
    pub(super) fn new(nodes: usize) -> Result<Self> {
        // Short, because the path of a socket has at most about a hundred bytes.
        let dir = tempfile::Builder::new().prefix("sedge-demo-").tempdir().context("a temporary directory")?;
        let nodes = (1..=nodes).map(|n| Node::new(&format!("node-{n}"), dir.path())).collect::<Result<_>>()?;
        Ok(Self { dir, nodes, asked: Cell::new(0) })
    }

    /// Where everything lies.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Every node's number.
    pub(super) fn all(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    /// A node's name.
    pub(super) fn name(&self, node: usize) -> &str {
        &self.nodes[node].name
    }

    /// Gives a node a command.
    pub(super) async fn ask<T: DeserializeOwned>(&self, node: usize, args: &[&str]) -> Result<T> {
        self.asked.set(node);
        self.nodes[node].ask(args).await
    }

    /// Gives a node a command whose answer does not matter.
    pub(super) async fn tell(&self, node: usize, args: &[&str]) -> Result<()> {
        self.ask::<Value>(node, args).await.map(drop)
    }

    /// Starts a node's agent and waits for its first answer.
    pub(super) async fn start(&mut self, node: usize) -> Result<Status> {
        self.nodes[node].start()?;
        self.asked.set(node);
        let this = &mut self.nodes[node];
        let status: Status = until(&format!("an answer of {}", this.name), START_LIMIT, async || {
            if let Some(status) = this.ended() {
                bail!("the agent of {} ended with {status}", this.name);
            }
            match this.ask(&["status"]).await {
                Ok(status) => Ok(Look::Seen(status)),
                Err(error) if is_refused_with(&error, NO_AGENT) => Ok(Look::Not(error.to_string())),
                Err(error) => Err(error),
            }
        })
        .await?;
        this.listen = status.node.listen.first().map(ToString::to_string);
        Ok(status)
    }

    /// A node at a glance.
    pub(super) async fn status(&self, node: usize) -> Result<Status> {
        self.ask(node, &["status"]).await
    }

    /// A node's slot, if it has it.
    pub(super) async fn slot(&self, node: usize, slot: &str) -> Result<Option<StatusSlot>> {
        let status = self.status(node).await?;
        Ok(status.slots.into_iter().find(|s| s.slot.as_str() == slot))
    }

    /// A rollout as a node sees it; none where the node has not heard of it.
    pub(super) async fn rollout(&self, node: usize, rollout: &str) -> Result<Option<Rollout>> {
        match self.ask(node, &["rollout", "show", rollout]).await {
            Ok(rollout) => Ok(Some(rollout)),
            Err(error) if is_refused_with(&error, 1) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Publishes a model.
    pub(super) async fn publish(&self, node: usize, model: &Publication) -> Result<Model> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let file = path(&model.file);
        let more: Vec<String> = model.more.iter().map(|p| path(p)).collect();
        let mut args = vec!["model", "add", &file];
        args.extend(more.iter().map(String::as_str));
        args.extend(["--id", &model.id, "--version", &model.version]);
        let probes: Vec<String> = model.probes.iter().map(|p| path(p)).collect();
        probes.iter().for_each(|probe| args.extend(["--probe", probe]));
        self.ask(node, &args).await
    }

    /// Deploys a model with one canary and a short probation.
    pub(super) async fn deploy(&self, node: usize, model: &Publication, flags: &[&str]) -> Result<Deployed> {
        let name = format!("{}:{}", model.id, model.version);
        let mut args = vec!["deploy", &name, "--waves", "1", "--probation", PROBATION_WORD];
        args.extend(flags);
        self.ask(node, &args).await
    }

    /// Asks the model in a node's slot.
    pub(super) async fn infer(&self, node: usize, slot: &str, input: &Path) -> Result<(Inference, Said)> {
        let args = ["infer", slot, "--input", &input.to_string_lossy(), "--max-tokens", MOST_TOKENS];
        let inference: Inference = self.ask(node, &args).await?;
        let said = Said::of(&inference)?;
        Ok((inference, said))
    }

    /// The last lines of the log that tells most, under its node's name.
    pub(super) fn tail(&self) -> Vec<String> {
        let node = &self.nodes[self.asked.get()];
        let mut lines = vec![format!("the log of {} ends:", node.name)];
        lines.extend(node.tail());
        lines
    }

    /// Ends whatever still runs, and removes the directory unless it is to be kept.
    pub(super) async fn end(mut self, keep: bool) {
        for node in &mut self.nodes {
            node.kill().await;
        }
        if keep {
            let _kept = self.dir.keep();
        }
    }
}

/// Whether an error is a command's, of that exit status.
fn is_refused_with(error: &anyhow::Error, status: i32) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == status)
}
