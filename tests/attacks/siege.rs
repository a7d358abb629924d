//! Two honest nodes under attack, and what must hold of them throughout.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sedge_statement::NodeId;
use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio::time::Instant;

use crate::hostile::Intruder;
use crate::support::models::{digits, variation, word};
use crate::support::node::{Node, list, text};
use crate::support::trio::answer;
use crate::support::until::{so_or, until};

/// How much more memory the agent may ever have held than before the attack, bytes: less than the smallest bomb here makes
/// when it goes off, and many times what the members that join meanwhile cost.
pub(crate) const ROOM: u64 = 32 << 20;
/// What the compressed bomb inflates to, bytes.
pub(crate) const INFLATED: usize = 48 << 20;
/// How soon a node under attack answers `sedge status`, the start of that process included.
const SOON: Duration = Duration::from_secs(5);

/// A node under attack, an honest one beside it, and intruders one after another.
pub(crate) struct Siege {
    pub(crate) victim: Node,
    pub(crate) honest: Node,
    pub(crate) dir: TempDir,
    before: u64,
    intruders: u8,
    rounds: u8,
    _under_way: RwLockReadGuard<'static, ()>,
}

/// What both nodes serve.
pub(crate) struct Served {
    pub(crate) rollout: String,
    pub(crate) release: String,
}

static UNDER_WAY: RwLock<()> = RwLock::const_new(());

/// Held by every case while it runs.
pub(crate) async fn under_way() -> RwLockReadGuard<'static, ()> {
    UNDER_WAY.read().await
}

/// Waits until every case that has begun is over.
pub(crate) async fn all_over() {
    drop(UNDER_WAY.write().await);
}

impl Siege {
    pub(crate) async fn lay() -> Result<Self> {
        let turn = under_way().await;
        let dir = tempfile::tempdir()?;
        let (mut victim, mut honest) = (Node::new(dir.path(), "victim"), Node::new(dir.path(), "honest"));
        victim.init().await?;
        victim.start(&[]).await?;
        honest.join(&victim, &["--role", "device", "--role", "release"]).await?;
        honest.start(&[]).await?;
        honest.is_connected(&victim.id().await?, true).await?;
        let mut siege = Self { victim, honest, dir, before: 0, intruders: 100, rounds: 0, _under_way: turn };
        siege.in_sync().await?;
        siege.before = siege.victim.peak_memory()?;
        Ok(siege)
    }

    /// A new member, so that what is found of it is found of nobody before.
    pub(crate) async fn intruder(&mut self) -> Result<Intruder> {
        self.intruder_as(&[]).await
    }

    /// As [`Self::intruder`], with a ticket that was made with these flags.
    pub(crate) async fn intruder_as(&mut self, invite: &[&str]) -> Result<Intruder> {
        self.intruders += 1;
        Intruder::join_as(&self.victim, self.intruders, invite).await
    }

    /// Somebody without a certificate.
    pub(crate) async fn stranger(&mut self) -> Result<Intruder> {
        self.intruders += 1;
        let status = self.victim.status().await?;
        Intruder::stranger(text(&status, "/mesh/id")?.parse()?, self.intruders).await
    }

    /// Says one frame as a new member, and waits until the victim names it with that kind and reason.
    pub(crate) async fn refuses(
        &mut self,
        kind: &str,
        why: &str,
        frame: impl FnOnce(&Intruder) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let intruder = self.intruder().await?;
        let mut session = intruder.greet(&self.victim).await?;
        session.say(&frame(&intruder)?).await?;
        self.names(&self.victim, intruder.id(), kind, why).await?;
        self.is_unharmed().await.with_context(|| format!("after {kind} of {why}"))
    }

    /// Waits until a node names somebody.
    pub(crate) async fn names(&self, node: &Node, whom: NodeId, kind: &str, why: &str) -> Result<()> {
        let begins = format!("{kind} by {}", whom.short());
        until(&format!("{} finding {begins} … {why}", node.name), async || {
            let status = node.status().await?;
            let findings = list(&status, "/findings")?;
            let is = |finding: &&str| finding.starts_with(&begins) && finding.contains(why);
            let found = findings.iter().filter_map(|finding| finding.as_str()).find(is);
            Ok(so_or(found.is_some(), || format!("it finds {findings:?}")))
        })
        .await
    }

    pub(crate) fn both(&self) -> [&Node; 2] {
        [&self.victim, &self.honest]
    }

    /// As [`Self::names`], of both nodes.
    pub(crate) async fn both_name(&self, whom: NodeId, kind: &str, why: &str) -> Result<()> {
        for node in self.both() {
            self.names(node, whom, kind, why).await?;
        }
        Ok(())
    }

    /// Publishes a version of the sample model and deploys it to both nodes, and waits until both serve it.
    pub(crate) async fn serves(&self, version: &str) -> Result<Served> {
        let file = digits(&format!("digits-{version}.onnx"));
        self.victim.ask(&["model", "add", word(&file)?, "--id", "digits", "--version", version]).await?;
        let model = format!("digits:{version}");
        let to = ["--to", "node=honest|victim", "--waves", "2", "--probation", "300ms"];
        let deployed = self.victim.ask(&[&["deploy", &model], &to[..]].concat()).await?;
        let served = Served {
            rollout: text(&deployed, "/rollout")?.to_owned(),
            release: text(&deployed, "/release")?.to_owned(),
        };
        for node in self.both() {
            until(&format!("{} serving {version}", node.name), async || {
                let shown = node.run(&["rollout", "show", &served.rollout]).await?;
                let done = shown.status == Some(0) && shown.json()?["state"] == "completed";
                Ok(so_or(done, || shown.to_string()))
            })
            .await?;
        }
        self.still_serve(&served).await?;
        Ok(served)
    }

    /// Checks that both nodes answer with that release, and rightly.
    pub(crate) async fn still_serve(&self, served: &Served) -> Result<()> {
        for node in self.both() {
            let answer = answer(node).await?;
            ensure!(answer.release == served.release, "{} answers with {answer:?}", node.name);
        }
        Ok(())
    }

    /// Waits until a node's slot is in a state for a reason.
    pub(crate) async fn slot_is(&self, node: &Node, slot: &str, state: &str, why: &str) -> Result<()> {
        until(&format!("slot {slot} of {} being {state} because of {why:?}", node.name), async || {
            let status = node.status().await?;
            let slots = list(&status, "/slots")?;
            let is = |found: &&serde_json::Value| {
                let reason = found["reason"].as_str().unwrap_or_default();
                found["slot"] == slot && found["state"] == state && reason.contains(why)
            };
            Ok(so_or(slots.iter().find(is).is_some(), || format!("the slots are {slots:?}")))
        })
        .await
    }

    /// Checks that neither node has a rollout in its list.
    pub(crate) async fn nobody_lists(&self, rollout: &str) -> Result<()> {
        for node in self.both() {
            let rollouts = node.ask(&["rollout", "list"]).await?;
            let listed = list(&rollouts, "")?.iter().any(|listed| listed["rollout"] == rollout);
            ensure!(!listed, "{} lists {rollout}", node.name);
        }
        Ok(())
    }

    /// Checks that the victim answers soon and never held much more memory than before.
    pub(crate) async fn is_unharmed(&self) -> Result<()> {
        let asked = self.victim.run(&["status"]).await?;
        asked.json()?;
        ensure!(asked.took < SOON, "it took {:?} to answer", asked.took);
        let grown = self.victim.peak_memory()?.saturating_sub(self.before);
        ensure!(grown < ROOM, "its memory grew by {grown} bytes, above {ROOM}");
        Ok(())
    }

    /// Publishes on either side, and waits until the other has it.
    pub(crate) async fn in_sync(&mut self) -> Result<()> {
        self.rounds += 1;
        for (from, to) in [(&self.honest, &self.victim), (&self.victim, &self.honest)] {
            let (id, version) = (format!("by-{}", from.name), format!("1.0.{}", self.rounds));
            let note = format!("{id} {version}");
            let file = variation(self.dir.path(), &format!("{id}.onnx"), &note)?;
            from.ask(&["model", "add", word(&file)?, "--id", &id, "--version", &version]).await?;
            to.knows_model(&id, &version).await?;
        }
        Ok(())
    }

    /// As [`Self::in_sync`], within so long.
    pub(crate) async fn in_sync_within(&mut self, limit: Duration) -> Result<()> {
        let began = Instant::now();
        self.in_sync().await?;
        ensure!(began.elapsed() < limit, "honest neighbours took {:?} to hear of each other", began.elapsed());
        Ok(())
    }

    /// What is checked when an attack is over.
    pub(crate) async fn holds(mut self) -> Result<()> {
        self.is_unharmed().await?;
        self.in_sync().await?;
        until("both nodes having one view", async || {
            let (ours, theirs) = (self.victim.status().await?, self.honest.status().await?);
            let (ours, theirs) = (text(&ours, "/sync/view")?.to_owned(), text(&theirs, "/sync/view")?.to_owned());
            Ok(so_or(ours == theirs, || format!("{ours} and {theirs}")))
        })
        .await?;
        let grown = self.victim.peak_memory()?.saturating_sub(self.before) >> 20;
        println!("{} intruders; memory grew by {grown} MiB of {} allowed", self.intruders - 100, ROOM >> 20);
        Ok(())
    }
}
