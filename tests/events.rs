//! The audit trail: the same on every node, as it grows, and as a file that anybody proves. Real agents, real commands.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::models::{digits, word};
use support::node::{Node, list, text};
use support::outcome::exit;
use support::trio::{Trio, publish_and_deploy, three_nodes};
use support::until::{DEADLINE, so_or, until};
use tokio::time::timeout;

/// What a node tells, as (by, kind, standing).
async fn told(node: &Node) -> Result<Vec<(String, String, String)>> {
    let events = node.ask(&["events"]).await?;
    list(&events, "")?.iter().map(short).collect()
}

fn short(event: &Value) -> Result<(String, String, String)> {
    let field = |at: &str| text(event, at).map(str::to_owned);
    Ok((field("/name")?, field("/kind")?, field("/standing")?))
}

fn has(events: &[(String, String, String)], by: &str, kind: &str, standing: &str) -> bool {
    events.iter().any(|(b, k, s)| (b.as_str(), k.as_str(), s.as_str()) == (by, kind, standing))
}

/// Waits until a node tells of something.
async fn tells(node: &Node, by: &str, kind: &str, standing: &str) -> Result<()> {
    until(&format!("{} telling of a {kind} by {by} that {standing}", node.name), async || {
        let events = told(node).await?;
        Ok(so_or(has(&events, by, kind, standing), || format!("it tells {events:?}")))
    })
    .await
}

#[tokio::test]
async fn every_node_tells_who_said_what_and_what_of_it_counts() -> Result<()> {
    let trio = three_nodes().await?;
    let Trio { a, b, c, .. } = &trio;
    let rollout = publish_and_deploy(a, word(&digits("digits-1.0.0.onnx"))?, "1.0.0").await?;
    trio.rollout_is(a, &rollout, "completed").await?;
    b.ask(&["rollout", "halt", &rollout, "--reason", "drops frames"]).await?;
    trio.views_agree().await?;
    let mut all = Vec::new();
    for node in trio.all() {
        tells(node, "beta", "halt", "counts").await?;
        all.push(node.ask(&["events"]).await?);
    }
    ensure!(all.iter().all(|events| *events == all[0]), "one trail on every node: {all:?}");
    let events = told(c).await?;
    for (by, kind) in [("alpha", "genesis"), ("alpha", "certificate"), ("alpha", "release"), ("alpha", "deployment")] {
        ensure!(has(&events, by, kind, "counts"), "{by} {kind}: {events:?}");
    }
    let witnesses: BTreeSet<&str> =
        events.iter().filter(|(_, kind, _)| kind == "evidence").map(|(by, _, _)| by.as_str()).collect();
    ensure!(witnesses == BTreeSet::from(["alpha", "beta", "gamma"]), "{events:?}");
    let times: Vec<&str> = list(&all[0], "")?.iter().filter_map(|event| event["at"].as_str()).collect();
    ensure!(times.is_sorted(), "in the order of the times stated: {times:?}");
    let halt = list(&all[0], "")?.iter().find(|event| event["kind"] == "halt").context("no halt")?;
    ensure!(halt["about"] == rollout.as_str() && halt["link"] == 1, "{halt}");

    let since = text(halt, "/at")?;
    let late = c.ask(&["events", "--since", since]).await?;
    ensure!(list(&late, "")?.len() < times.len() && list(&late, "")?.contains(halt), "{late}");

    // What a stolen authority said after its last good link stays in the trail, and counts no more.
    let good_until = "2020-01-01T00:00:00Z";
    a.ask(&["node", "revoke", "beta", "--reason", "stolen", "--good-until", good_until]).await?;
    for node in [a, c] {
        tells(node, "beta", "halt", "past-last-good").await?;
        tells(node, "alpha", "revocation", "counts").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_follower_hears_what_is_said_and_ends_with_its_reader() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha");
    a.init().await?;
    a.start(&[]).await?;
    let (mut child, mut lines) = a.lines(&["events", "--follow"])?;
    let mut next = async || -> Result<(String, String, String)> {
        let line = timeout(DEADLINE, lines.next_line()).await.context("the follower says nothing")??;
        short(&serde_json::from_str(&line.context("the follower ended")?)?)
    };
    // Both are of the same moment, in whatever order.
    let mut begun = BTreeSet::new();
    while !(begun.contains("genesis") && begun.contains("certificate")) {
        begun.insert(next().await?.1);
    }
    a.ask(&["model", "add", word(&digits("digits-1.0.0.onnx"))?, "--id", "digits", "--version", "1.0.0"]).await?;
    ensure!(next().await? == ("alpha".to_owned(), "release".to_owned(), "counts".to_owned()));
    a.ask(&["deploy", "digits:1.0.0"]).await?;
    ensure!(next().await?.1 == "deployment");
    drop(lines);
    let status = timeout(DEADLINE, child.wait()).await.context("the follower does not end with its reader")??;
    ensure!(status.success(), "{status}");
    a.stop().await
}

#[tokio::test]
async fn an_exported_trail_is_proven_without_agent_or_home_and_a_changed_one_is_refused() -> Result<()> {
    let trio = three_nodes().await?;
    let Trio { a, c, dir, .. } = &trio;
    let rollout = publish_and_deploy(a, word(&digits("digits-1.0.0.onnx"))?, "1.0.0").await?;
    trio.rollout_is(c, &rollout, "completed").await?;
    trio.views_agree().await?;
    let file = dir.path().join("audit.sedge");
    let exported = c.ask(&["events", "--export", word(&file)?]).await?;
    ensure!(exported["bytes"] == std::fs::metadata(&file)?.len(), "{exported}");
    let mesh = text(&exported, "/mesh")?;

    let nowhere = Node::new(dir.path(), "nowhere");
    let proven = nowhere.ask(&["events", "--verify", word(&file)?, "--mesh", mesh]).await?;
    let told = c.ask(&["events"]).await?;
    ensure!(proven["events"] == told, "{proven} beside {told}");
    ensure!(!nowhere.home.exists(), "it needs no home, and makes none");
    let other = "ab".repeat(32);
    nowhere.run(&["events", "--verify", word(&file)?, "--mesh", &other]).await?.fails_with(exit::REFUSED, mesh)?;

    let whole = std::fs::read(&file)?;
    for (at, names) in
        [(0, "no archive"), (40, "genesis"), (whole.len() / 2, "does not hold"), (whole.len() - 1, "document")]
    {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        std::fs::write(&file, &changed)?;
        nowhere.run(&["events", "--verify", word(&file)?]).await?.fails_with(exit::REFUSED, names)?;
    }
    std::fs::write(&file, &whole[..whole.len() - 1])?;
    nowhere.run(&["events", "--verify", word(&file)?]).await?.fails_with(exit::REFUSED, "malformed")?;
    let missing = dir.path().join("missing");
    nowhere.run(&["events", "--verify", word(&missing)?]).await?.fails_with(exit::FAILED, "missing")?;
    let no_agent = nowhere.run(&["events", "--export", word(&file)?]).await?;
    ensure!(no_agent.status == Some(exit::NO_AGENT), "{no_agent}");
    Ok(())
}
