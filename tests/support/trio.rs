//! Three nodes of one mesh, each connected with both others.

use anyhow::{Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::models::{digits, word};
use super::node::{Node, list, text};
use super::until::{so_or, until};

/// Three nodes. `a` made the mesh, `b` may publish and deploy too, `c` is a device.
#[derive(Debug)]
pub(crate) struct Trio {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) c: Node,
    pub(crate) dir: TempDir,
}

/// What a node answers, and with which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) release: String,
    pub(crate) sha256: String,
}

/// Makes a mesh of three nodes.
pub(crate) async fn three_nodes() -> Result<Trio> {
    let dir = tempfile::tempdir()?;
    let node = |name| Node::new(dir.path(), name);
    let (mut a, mut b, mut c) = (node("alpha"), node("beta"), node("gamma"));
    a.init().await?;
    a.start(&[]).await?;
    b.join(&a, &["--role", "device", "--role", "release", "--role", "deploy"]).await?;
    c.join(&a, &[]).await?;
    b.start(&[]).await?;
    // So that these two have a connection of their own, which outlives the one that brought them in.
    c.start(&["--peer", &b.address().await?]).await?;
    let trio = Trio { a, b, c, dir };
    for node in trio.all() {
        for other in trio.all().into_iter().filter(|other| other.name != node.name) {
            node.is_connected(&other.id().await?, true).await?;
        }
    }
    trio.views_agree().await?;
    Ok(trio)
}

impl Trio {
    pub(crate) fn all(&self) -> [&Node; 3] {
        [&self.a, &self.b, &self.c]
    }

    /// Waits until every node makes the same of what it knows.
    pub(crate) async fn views_agree(&self) -> Result<String> {
        until("one view on every node", async || {
            let mut views = Vec::new();
            for node in self.all() {
                views.push(text(&node.status().await?, "/sync/view")?.to_owned());
            }
            let same = views.iter().all(|view| *view == views[0]);
            Ok(so_or(same, || format!("{views:?}")).map(|()| views.swap_remove(0)))
        })
        .await
    }

    /// Waits until a node sees the rollout in that state.
    pub(crate) async fn rollout_is(&self, node: &Node, rollout: &str, state: &str) -> Result<Value> {
        until(&format!("rollout {rollout:.10} being {state} as {} sees it", node.name), async || {
            let outcome = node.run(&["rollout", "show", rollout]).await?;
            if outcome.status != Some(0) {
                return Ok(Err(outcome.to_string()));
            }
            let shown = outcome.json()?;
            Ok(if shown["state"] == state { Ok(shown) } else { Err(format!("it is {shown}")) })
        })
        .await
    }
}

/// Publishes a file as a version of the digits, and deploys it into the slot of that name, at once everywhere.
pub(crate) async fn publish_and_deploy(node: &Node, file: &str, version: &str) -> Result<String> {
    node.ask(&["model", "add", file, "--id", "digits", "--version", version]).await?;
    let model = format!("digits:{version}");
    let deployed = node.ask(&["deploy", &model, "--waves", "3", "--probation", "500ms"]).await?;
    Ok(text(&deployed, "/rollout")?.to_owned())
}

/// Asks a node what digit it sees. Its three must be a three.
pub(crate) async fn answer(node: &Node) -> Result<Answer> {
    let input = digits("inputs/three.json");
    let answer = node.ask(&["infer", "digits", "--input", word(&input)?]).await?;
    let label = list(&answer, "/outputs")?.iter().find(|output| output["name"] == "label");
    ensure!(label.is_some_and(|label| label["data"][0] == 3), "{} says {answer}", node.name);
    Ok(Answer { release: text(&answer, "/release")?.to_owned(), sha256: text(&answer, "/sha256")?.to_owned() })
}

/// Waits until a node answers with the release.
pub(crate) async fn answers_with(node: &Node, release: &str) -> Result<Answer> {
    until(&format!("{} answering with {release:.10}", node.name), async || {
        let found = answer(node).await?;
        Ok(if found.release == release { Ok(found) } else { Err(format!("{found:?}")) })
    })
    .await
}
