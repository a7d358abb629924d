//! Five nodes take releases wave by wave: what was planned happens in that order, a bad canary stops it, and operators steer it.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::models::{digits, variation, word};
use support::node::{Node, list, text};
use support::until::{so_or, until};
use tempfile::TempDir;

/// The node that is named as canary everywhere here: not the one that publishes, and not the first by rank.
const CANARY: &str = "gamma";
const PROBATION: [&str; 2] = ["--probation", "300ms"];

struct Five {
    nodes: Vec<Node>,
    dir: TempDir,
}

impl Five {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut nodes: Vec<Node> =
            ["alpha", "beta", "gamma", "delta", "epsilon"].map(|name| Node::new(dir.path(), name)).into();
        let (root, others) = nodes.split_first_mut().context("five nodes")?;
        root.init().await?;
        root.start(&[]).await?;
        for node in others {
            node.join(root, &[]).await?;
            node.start(&[]).await?;
            node.is_connected(&root.id().await?, true).await?;
        }
        Ok(Self { nodes, dir })
    }

    fn root(&self) -> &Node {
        &self.nodes[0]
    }

    /// Publishes the sample model under another digest and a version of its own.
    async fn publish(&self, version: &str, probe: Option<&str>) -> Result<()> {
        let file = variation(self.dir.path(), &format!("digits-{version}.onnx"), version)?;
        let probe = probe.map(|probe| ["--probe", probe]).into_iter().flatten();
        let add: Vec<&str> =
            ["model", "add", word(&file)?, "--id", "digits", "--version", version].into_iter().chain(probe).collect();
        self.root().ask(&add).await.map(drop)
    }

    /// Deploys a version with a canary, then the terms given; gives the rollout's id.
    async fn deploy(&self, version: &str, terms: &[&str]) -> Result<String> {
        let model = format!("digits:{version}");
        let deployed = self.root().ask(&[&["deploy", &model], &PROBATION[..], terms].concat()).await?;
        Ok(text(&deployed, "/rollout")?.to_owned())
    }

    async fn show(&self, rollout: &str) -> Result<Value> {
        self.root().ask(&["rollout", "show", rollout]).await
    }

    /// Follows a rollout to its end, and gives every state that was seen of it, and the exit status.
    async fn watch(&self, rollout: &str) -> Result<(Vec<Value>, Option<i32>)> {
        let outcome = self.root().run(&["rollout", "watch", rollout, "--timeout", "60s"]).await?;
        let lines: Result<Vec<Value>, _> = outcome.stdout.lines().map(serde_json::from_str).collect();
        let lines = lines.with_context(|| outcome.to_string())?;
        ensure!(!lines.is_empty(), "nothing was seen: {outcome}");
        Ok((lines, outcome.status))
    }

    /// Waits until the rollout, as its author sees it, is as wanted.
    async fn until(&self, rollout: &str, what: &str, is: impl Fn(&Value) -> Result<bool>) -> Result<Value> {
        until(what, async || {
            let seen = self.show(rollout).await?;
            let so = is(&seen)?;
            Ok(so_or(so, || seen.to_string()).map(|()| seen))
        })
        .await
    }

    /// The version that each node itself says it serves.
    async fn versions(&self) -> Result<BTreeMap<String, String>> {
        let mut versions = BTreeMap::new();
        for node in &self.nodes {
            versions.insert(node.name.clone(), text(&node.status().await?, "/slots/0/version")?.to_owned());
        }
        Ok(versions)
    }
}

fn state_of<'a>(rollout: &'a Value, node: &str) -> Result<&'a str> {
    let found = list(rollout, "/nodes")?.iter().find(|n| n["node"] == node);
    text(found.with_context(|| format!("no {node} in {rollout}"))?, "/state")
}

/// The names in each wave, in the order of waves.
fn waves_of(nodes: &[Value]) -> Result<BTreeMap<u64, BTreeSet<String>>> {
    let mut waves: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for node in nodes {
        let wave = node["wave"].as_u64().with_context(|| format!("no wave: {node}"))?;
        waves.entry(wave).or_default().insert(text(node, "/node")?.to_owned());
    }
    Ok(waves)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_go_wave_by_wave_as_planned_and_as_they_are_steered() -> Result<()> {
    let five = Five::start().await?;
    five.publish("1.0.0", None).await?;
    let first = five.deploy("1.0.0", &["--waves", "100%"]).await?;
    five.until(&first, "the first model everywhere", |r| Ok(r["state"] == "completed")).await?;
    let seen = as_planned(&five).await?;
    a_bad_canary_halts(&five).await?;
    a_pause_holds(&five).await?;
    a_cancel_leaves_what_is_active(&five).await?;
    the_deadline_names_the_unreached(&five).await?;
    println!(
        "5 nodes, 6 rollouts: {seen} changes seen in the planned order, 1 halted, 1 paused, 1 cancelled, 1 out of time"
    );
    Ok(())
}

/// What `--plan` shows is what happens, and no node goes ahead of its wave; gives how many changes were looked at.
async fn as_planned(five: &Five) -> Result<usize> {
    five.publish("2.0.0", None).await?;
    let terms = ["--canary", CANARY, "--waves", "50%,100%", "--soak", "1s"];
    let words = [&["deploy", "digits:2.0.0", "--plan"], &PROBATION[..], &terms].concat();
    let plan = five.root().ask(&words).await?;
    ensure!(plan["gets"] == 5, "five should get it: {plan}");
    let listed = five.root().ask(&["rollout", "list"]).await?;
    ensure!(list(&listed, "")?.len() == 1, "the plan was published: {listed}");
    let rollout = five.deploy("2.0.0", &terms).await?;
    let (seen, status) = five.watch(&rollout).await?;
    ensure!(status == Some(0), "watching a rollout that completes ends with {status:?}");
    let last = seen.last().context("something was seen")?;
    let waves = waves_of(list(last, "/nodes")?)?;
    let mut planned: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for wave in list(&plan, "/waves")? {
        let n = wave["wave"].as_u64().context("a number")?;
        for node in list(wave, "/nodes")? {
            planned.entry(n).or_default().insert(text(node, "/node")?.to_owned());
        }
    }
    ensure!(waves == planned, "planned {planned:?}, done {waves:?}");
    ensure!(waves[&0] == BTreeSet::from([CANARY.to_owned()]), "the canary is {:?}", waves[&0]);
    ensure!([&waves[&1], &waves[&2]].map(BTreeSet::len) == [2, 2], "half of five, rounded up, then all: {waves:?}");
    for value in &seen {
        for (wave, names) in waves.iter().skip(1) {
            let before = &value["waves"][usize::try_from(*wave - 1)?];
            for name in names {
                let ahead = matches!(state_of(value, name)?, "testing" | "activating" | "probation" | "committed");
                ensure!(!ahead || before["soaked"] == before["needed"], "{name} went ahead of its wave: {value}");
            }
        }
    }
    five.until(&rollout, "every node serving it", |r| Ok(r["state"] == "completed")).await?;
    ensure!(five.versions().await?.values().all(|v| v == "2.0.0"), "{:?}", five.versions().await?);
    Ok(seen.len())
}

async fn a_bad_canary_halts(five: &Five) -> Result<()> {
    let probe = digits("digits-3.0.0-bad-probe/digits-3.0.0.bad-probe.json");
    five.publish("3.0.0", Some(word(&probe)?)).await?;
    let rollout = five.deploy("3.0.0", &["--canary", CANARY, "--waves", "100%"]).await?;
    let (seen, status) = five.watch(&rollout).await?;
    let last = seen.last().context("something was seen")?;
    ensure!(status == Some(1) && last["state"] == "halted", "{status:?}: {last}");
    ensure!(last["failures"] == serde_json::json!([CANARY]), "{last}");
    for value in &seen {
        for node in list(value, "/nodes")?.iter().filter(|node| node["node"] != CANARY) {
            ensure!(matches!(text(node, "/state")?, "offered" | "waiting" | "cancelled"), "{node} went on");
        }
    }
    ensure!(five.versions().await?.values().all(|v| v == "2.0.0"), "{:?}", five.versions().await?);
    Ok(())
}

async fn a_pause_holds(five: &Five) -> Result<()> {
    five.publish("4.0.0", None).await?;
    let rollout = five.deploy("4.0.0", &["--canary", CANARY, "--soak", "2s"]).await?;
    five.until(&rollout, "the canary committed", |r| Ok(state_of(r, CANARY)? == "committed")).await?;
    five.root().ask(&["rollout", "pause", &rollout, "--reason", "night shift"]).await?;
    // The evidence that would open the next wave is there, and it stays shut.
    let held = five.until(&rollout, "the soak over", |r| Ok(r["waves"][0]["soaked"] == 1)).await?;
    ensure!(held["state"] == "paused" && text(&held, "/reason")?.contains("night shift"), "{held}");
    ensure!(held["controls"][0]["by"] == "alpha" && held["controls"][0]["action"] == "pause", "{held}");
    holds_still(five, &held).await?;
    // Every node has since heard of something newer than the evidence, and nothing has moved.
    five.publish("4.1.0", None).await?;
    for node in &five.nodes {
        node.knows_model("digits", "4.1.0").await?;
    }
    holds_still(five, &five.show(&rollout).await?).await?;
    let why = five.root().ask(&["rollout", "explain", &rollout, "beta"]).await?;
    ensure!(why.to_string().contains("alpha paused the rollout"), "{why}");
    five.root().ask(&["rollout", "resume", &rollout]).await?;
    let (seen, status) = five.watch(&rollout).await?;
    ensure!(status == Some(0), "{status:?}: {:?}", seen.last());
    ensure!(five.versions().await?.values().all(|v| v == "4.0.0"), "{:?}", five.versions().await?);
    Ok(())
}

/// The second wave is shut, none of its nodes has begun, and each serves what it served.
async fn holds_still(five: &Five, paused: &Value) -> Result<()> {
    ensure!(paused["state"] == "paused" && paused["waves"][1]["open"] == false, "{paused}");
    for node in list(paused, "/nodes")?.iter().filter(|node| node["node"] != CANARY) {
        ensure!(matches!(text(node, "/state")?, "offered" | "waiting" | "paused"), "{node} went on: {paused}");
    }
    for (name, version) in five.versions().await? {
        let wanted = if name == CANARY { "4.0.0" } else { "2.0.0" };
        ensure!(version == wanted, "{name} serves {version} while paused");
    }
    Ok(())
}

async fn a_cancel_leaves_what_is_active(five: &Five) -> Result<()> {
    five.publish("5.0.0", None).await?;
    let rollout = five.deploy("5.0.0", &["--canary", CANARY, "--soak", "1h"]).await?;
    five.until(&rollout, "the canary committed", |r| Ok(state_of(r, CANARY)? == "committed")).await?;
    five.root().ask(&["rollout", "cancel", &rollout, "--reason", "wrong model"]).await?;
    let (seen, status) = five.watch(&rollout).await?;
    let last = seen.last().context("something was seen")?;
    ensure!(status == Some(1) && last["state"] == "cancelled", "{status:?}: {last}");
    let done = five
        .until(&rollout, "the others withdrawn", |r| {
            let nodes = list(r, "/nodes")?.iter().filter(|node| node["node"] != CANARY);
            Ok(nodes.into_iter().all(|node| node["state"] == "cancelled"))
        })
        .await?;
    ensure!(state_of(&done, CANARY)? == "committed", "{done}");
    for (name, version) in five.versions().await? {
        ensure!(version == if name == CANARY { "5.0.0" } else { "4.0.0" }, "{name} serves {version}");
    }
    Ok(())
}

async fn the_deadline_names_the_unreached(five: &Five) -> Result<()> {
    five.publish("6.0.0", None).await?;
    let terms = ["--canary", CANARY, "--soak", "1h", "--deadline", "4s"];
    let rollout = five.deploy("6.0.0", &terms).await?;
    let (seen, status) = five.watch(&rollout).await?;
    let last = seen.last().context("something was seen")?;
    ensure!(status == Some(4) && last["state"] == "stalled", "{status:?}: {last}");
    let why = text(last, "/reason")?;
    let unreached = why.split("not reached: ").nth(1).with_context(|| why.to_owned())?;
    for node in five.nodes.iter().filter(|node| node.name != CANARY) {
        ensure!(unreached.contains(&node.name), "{} is missing in {why}", node.name);
    }
    Ok(())
}
