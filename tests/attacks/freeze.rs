//! A neighbour that keeps things back until they are stale.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sedge_fleet::testing::{doc_id, want_frame};
use sedge_statement::{DocKind, NodeId};

use crate::hostile::now;
use crate::siege::Siege;
use crate::support::models::{digits, word};
use crate::support::node::text;
use crate::support::until::{so_or, until};

/// For how long the deployment may be begun.
const START_BY: Duration = Duration::from_secs(6);
/// The first byte of a frame of links.
const LINKS: u8 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn indefinite_freeze_by_the_only_neighbour_starts_nothing_that_is_stale_and_stops_nothing() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    siege.honest.stop().await?;
    let model = digits("digits-2.0.0.onnx");
    siege.victim.ask(&["model", "add", word(&model)?, "--id", "digits", "--version", "2.0.0"]).await?;
    let start_by = format!("{}s", START_BY.as_secs());
    let to = ["--to", "node=honest", "--probation", "300ms", "--start-by", &start_by];
    let deployed = siege.victim.ask(&[&["deploy", "digits:2.0.0"], &to[..]].concat()).await?;
    let (rollout, over) = (text(&deployed, "/rollout")?.to_owned(), now().plus(START_BY));

    // The intruder hears everything, and is the only one that the honest node will hear.
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let author: NodeId = siege.victim.id().await?.parse()?;
    session.say(&want_frame(doc_id(author, DocKind::Authority, 0), 1)).await?;
    let tells = |frame: &[u8]| {
        frame.first() == Some(&LINKS) && frame.windows(rollout.len()).any(|part| part == rollout.as_bytes())
    };
    session.hears("the deployment", tells).await?;
    let kept: Vec<Vec<u8>> = session.heard().into_iter().filter(|frame| frame.first() == Some(&LINKS)).collect();
    drop(session);
    siege.victim.stop().await?;

    siege.honest.start(&[]).await?;
    let mut session = intruder.greet(&siege.honest).await?;
    until("the time to start being over", async || {
        Ok(so_or(now() > over, || format!("{} to go", over.since(now()).as_secs())))
    })
    .await?;
    let known = siege.honest.run(&["rollout", "show", &rollout]).await?;
    ensure!(known.status != Some(0), "it heard of the deployment, so that nothing was kept back: {known}");
    session.say_all(kept).await?;
    let shown = until("the deployment being known", async || {
        let shown = siege.honest.run(&["rollout", "show", &rollout]).await?;
        if shown.status != Some(0) {
            return Ok(Err(shown.to_string()));
        }
        let shown = shown.json()?;
        let node = shown["nodes"][0].clone();
        // Said once the node has planned by it.
        Ok(if node["reason"].is_null() { Err(shown.to_string()) } else { Ok(node) })
    })
    .await?;
    let why = shown["reason"].as_str().context("no reason")?;
    ensure!(why.contains("start"), "{shown}");
    ensure!(["waiting", "offered", "expired"].map(Some).contains(&shown["state"].as_str()), "{shown}");
    let answer = crate::support::trio::answer(&siege.honest).await?;
    ensure!(answer.release == served.release, "it serves {answer:?}");

    siege.victim.start(&["--peer", &siege.honest.address().await?]).await?;
    siege.holds().await
}
