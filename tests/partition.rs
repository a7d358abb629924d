//! Two nodes are cut off from a third, both sides deploy, and once they hear each other again all three are of one mind.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::fs;

use anyhow::{Context, Result, ensure};
use sedge_statement::Sha256;
use support::models::{digits, variation, word};
use support::node::{list, text};
use support::trio::{Trio, answer, answers_with, publish_and_deploy, three_nodes};
use support::until::{so_or, until};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_cut_off_from_one_agree_with_it_once_they_hear_it_again() -> Result<()> {
    let trio = three_nodes().await?;
    let (a, b, c) = (&trio.a, &trio.b, &trio.c);
    let first = digits("digits-1.0.0.onnx");
    let begun = publish_and_deploy(a, word(&first)?, "1.0.0").await?;
    for node in trio.all() {
        let shown = trio.rollout_is(node, &begun, "completed").await?;
        answers_with(node, text(&shown, "/release")?).await?;
    }

    shows_how_stale_it_is(a).await?;
    cut_off(&trio).await?;
    let served = answer(a).await?;
    ensure!(served.sha256 == Sha256::of(&fs::read(&first)?).to_string(), "the silent node answers {served:?}");

    // Different bytes on either side, so that a digest tells whose model answers.
    let ours = variation(trio.dir.path(), "ours.onnx", "made by alpha")?;
    let theirs = variation(trio.dir.path(), "theirs.onnx", "made by beta")?;
    let by_a = publish_and_deploy(a, word(&ours)?, "2.0.0").await?;
    let by_b = publish_and_deploy(b, word(&theirs)?, "2.1.0").await?;
    let releases = [release_of(&trio.a, &by_a).await?, release_of(&trio.b, &by_b).await?];
    // Each side goes its own way as far as it reaches.
    answers_with(a, &releases[0]).await?;
    answers_with(b, &releases[1]).await?;
    answers_with(c, &releases[1]).await?;
    for (node, unheard) in [(a, &by_b), (b, &by_a), (c, &by_a)] {
        node.run(&["rollout", "show", unheard]).await?.fails_with(1, "no rollout")?;
    }

    until("the silent node saying for how long it heard of no change", async || {
        let alone = a.ask(&["status"]).await?["sync"]["stale_ms"].as_u64().context("how stale the silent node is")?;
        Ok(so_or(alone > 500, || format!("{alone} ms")))
    })
    .await?;

    a.ask(&["agent", "online"]).await?;
    let (winner, loser) = agreed(&trio, &by_a, &by_b).await?;
    let release = &releases[usize::from(winner == by_b)];
    let mut answers = Vec::new();
    for node in trio.all() {
        let won = trio.rollout_is(node, &winner, "completed").await?;
        ensure!(list(&won, "/nodes")?.iter().all(|n| n["state"] == "committed"), "{} sees {won}", node.name);
        trio.rollout_is(node, &loser, "superseded").await?;
        answers.push(answers_with(node, release).await?);
    }
    ensure!(answers.iter().all(|answer| *answer == answers[0]), "the nodes answer with {answers:?}");
    let file = if winner == by_a { &ours } else { &theirs };
    let proven = Sha256::of(&fs::read(file)?).to_string();
    ensure!(answers[0].sha256 == proven, "{} answers, and not the file that won, {proven}", answers[0].sha256);
    let view = trio.views_agree().await?;
    for node in trio.all() {
        shows_how_stale_it_is(node).await?;
    }
    println!("3 nodes, 1 partition, 2 commands: {winner:.10} won over {loser:.10}; one view, {view:.10}");
    Ok(())
}

/// Silences `a`, and waits until both sides have noticed while the other two still hear each other.
async fn cut_off(trio: &Trio) -> Result<()> {
    trio.a.ask(&["agent", "offline"]).await?;
    let (a, b, c) = (trio.a.id().await?, trio.b.id().await?, trio.c.id().await?);
    for (node, other, connected) in [
        (&trio.b, &a, false),
        (&trio.c, &a, false),
        (&trio.a, &b, false),
        (&trio.a, &c, false),
        (&trio.b, &c, true),
        (&trio.c, &b, true),
    ] {
        node.is_connected(other, connected).await?;
    }
    Ok(())
}

/// Waits until a node says that a neighbour holds the same as it does of what the whole mesh holds, and what its neighbours say of themselves.
async fn shows_how_stale_it_is(node: &support::node::Node) -> Result<()> {
    until("neighbours that agree", async || {
        let status = node.ask(&["status"]).await?;
        let sync = &status["sync"];
        let mesh = list(sync, "/scopes")?.iter().find(|scope| scope["scope"] == "mesh").cloned().unwrap_or_default();
        let agrees = mesh["agreed"] == mesh["digest"] && sync["stale_ms"].as_u64().is_some_and(|ms| ms < 60_000);
        let says = |peer: &serde_json::Value| peer["presence"]["gauges"]["load_hundredths"].is_u64();
        let present = list(&status, "/peers")?.iter().all(says);
        let authorities = list(sync, "/authorities")?;
        let dated = !authorities.is_empty() && authorities.iter().all(|one| one["newest_ms"].is_u64());
        Ok(so_or(agrees && present && dated, || format!("{} says {status}", node.name)))
    })
    .await?;
    let own = node.ask(&["node", "show", &node.name]).await?;
    ensure!(own["presence"]["gauges"]["memory_free_bytes"].is_u64(), "{own}");
    Ok(())
}

async fn release_of(node: &support::node::Node, rollout: &str) -> Result<String> {
    let shown = node.ask(&["rollout", "show", rollout]).await?;
    Ok(text(&shown, "/release")?.to_owned())
}

/// Waits until every node lists both commands and the same one of them as superseded; gives the winner, then the loser.
async fn agreed(trio: &Trio, one: &str, other: &str) -> Result<(String, String)> {
    until("every node naming the same loser", async || {
        let mut losers = Vec::new();
        for node in trio.all() {
            let rollouts = node.ask(&["rollout", "list"]).await?;
            let rollouts = list(&rollouts, "")?;
            let state = |id: &str| rollouts.iter().find(|r| r["rollout"] == id).map(|r| r["state"].clone());
            let (Some(first), Some(second)) = (state(one), state(other)) else {
                return Ok(Err(format!("{} does not list both: {rollouts:?}", node.name)));
            };
            losers.extend((first == "superseded").then_some(one));
            losers.extend((second == "superseded").then_some(other));
        }
        let same = losers.len() == 3 && losers.iter().all(|loser| *loser == losers[0]);
        Ok(so_or(same, || format!("superseded are {losers:?}")).map(|()| losers[0]))
    })
    .await
    .map(|loser| (if loser == one { other } else { one }.to_owned(), loser.to_owned()))
    .context("the two sides do not come to one mind")
}
