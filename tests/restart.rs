//! A node is killed in the midst of an update: the model that served before serves again at once, and the update goes on.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use support::models::{digits, word};
use support::node::text;
use support::trio::{answer, answers_with, publish_and_deploy, three_nodes};
use support::until::until;

/// So slow that the second sample, of 20 kB, is on its way for seconds after its first bytes.
const SLOW: &str = "1KiB";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_in_mid_fetch_serves_the_old_model_until_the_new_one_is_there() -> Result<()> {
    let mut trio = three_nodes().await?;
    let first = digits("digits-1.0.0.onnx");
    let begun = publish_and_deploy(&trio.a, word(&first)?, "1.0.0").await?;
    trio.rollout_is(&trio.a, &begun, "completed").await?;
    let old = answer(&trio.c).await?;

    // The issuer's address is remembered, so the node finds its way back by itself.
    trio.c.stop().await?;
    trio.c.start(&["--download-limit", SLOW]).await?;
    answers_with(&trio.c, &old.release).await?;
    let second = digits("digits-2.0.0.onnx");
    let rollout = publish_and_deploy(&trio.a, word(&second)?, "2.0.0").await?;
    fetches(&trio.c, &rollout).await?;
    trio.c.end_by(Signal::KILL).await?;

    // Without the others nothing more comes: the update stays on its way for as long as this is looked at.
    trio.a.stop().await?;
    trio.b.stop().await?;
    trio.c.start(&["--download-limit", SLOW]).await?;
    let again = answers_with(&trio.c, &old.release).await?;
    ensure!(again == old, "{again:?} answers, where {old:?} did");
    fetches(&trio.c, &rollout).await?;
    let during = answer(&trio.c).await?;
    ensure!(during == old, "{during:?} answers while the new one is on its way");

    let address = trio.c.address().await?;
    trio.a.start(&["--peer", &address]).await?;
    trio.b.start(&["--peer", &address]).await?;
    let done = trio.rollout_is(&trio.a, &rollout, "completed").await?;
    answers_with(&trio.c, text(&done, "/release")?).await?;
    println!("1 kill -9 in mid-fetch: the old model answered through it, then the new one");
    Ok(())
}

/// Waits until the node has begun to fetch for the rollout, and has not ended.
async fn fetches(node: &support::node::Node, rollout: &str) -> Result<()> {
    until(&format!("{} fetching for {rollout:.10}", node.name), async || {
        let status = node.status().await?;
        let slot = &status["slots"][0];
        let fetching = slot["rollout"] == rollout && slot["state"] == "fetching";
        Ok(if fetching { Ok(()) } else { Err(format!("its slot is {slot}")) })
    })
    .await
}
