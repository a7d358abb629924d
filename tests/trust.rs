//! Who is trusted changes while everything runs: a stolen node, a lost root, a second pair of eyes. Real agents, real commands.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;
use support::models::{digits, word};
use support::node::{Node, list, text};
use support::outcome::exit;
use support::trio::{Trio, answer, answers_with, publish_and_deploy, three_nodes};
use support::until::{so_or, until};

/// The names that a node lists as members.
async fn members(node: &Node) -> Result<Vec<String>> {
    let nodes = node.ask(&["node", "list"]).await?;
    list(&nodes, "")?.iter().map(|node| Ok(text(node, "/name")?.to_owned())).collect()
}

async fn members_are(node: &Node, names: &[&str]) -> Result<()> {
    until(&format!("the members being {names:?} as {} sees it", node.name), async || {
        let found = members(node).await?;
        Ok(so_or(found == names, || format!("they are {found:?}")))
    })
    .await
}

/// The version of the roots and who they are, as a node sees it.
async fn roots(node: &Node) -> Result<(u64, Vec<String>)> {
    let shown = node.ask(&["mesh", "show"]).await?;
    let names = list(&shown, "/roots/keys")?.iter().map(|root| Ok(root["name"].as_str().unwrap_or("?").to_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok((shown["roots"]["version"].as_u64().unwrap_or(0), names))
}

async fn roots_are(node: &Node, version: u64, names: &[&str]) -> Result<()> {
    until(&format!("version {version} of the roots being {names:?} as {} sees it", node.name), async || {
        let found = roots(node).await?;
        let so = found.0 == version && found.1 == names;
        Ok(so_or(so, || format!("they are {found:?}")))
    })
    .await
}

#[tokio::test]
async fn revoked_peer_still_connected_is_cut_off_and_the_rest_go_on() -> Result<()> {
    let trio = three_nodes().await?;
    let Trio { a, b, c, .. } = &trio;
    let first = publish_and_deploy(a, word(&digits("digits-1.0.0.onnx"))?, "1.0.0").await?;
    trio.rollout_is(a, &first, "completed").await?;
    let (beta, gamma) = (b.id().await?, c.id().await?);

    let done = a.ask(&["node", "revoke", "gamma", "--reason", "stolen from the van"]).await?;
    ensure!(done["counts"] == true && done["node"] == gamma.as_str(), "{done}");
    for node in [a, b] {
        members_are(node, &["alpha", "beta"]).await?;
        node.is_connected(&gamma, false).await?;
    }
    c.is_connected(&beta, false).await?;
    until("gamma knowing of it", async || {
        let shown = c.ask(&["mesh", "show"]).await?;
        Ok(so_or(list(&shown, "/revoked")?.iter().any(|node| node["id"] == gamma.as_str()), || shown.to_string()))
    })
    .await?;
    let doctor = c.run(&["doctor"]).await?;
    ensure!(doctor.stdout.contains("revoked"), "its doctor says so: {doctor}");

    let second = publish_and_deploy(a, word(&digits("digits-2.0.0.onnx"))?, "2.0.0").await?;
    let shown = trio.rollout_is(b, &second, "completed").await?;
    let named: BTreeSet<Option<&str>> = list(&shown, "/nodes")?.iter().map(|node| node["node"].as_str()).collect();
    ensure!(named == BTreeSet::from([Some("alpha"), Some("beta")]), "nobody waits for it: {named:?}");
    let release = answer(a).await?.release;
    answers_with(b, &release).await?;
    ensure!(answer(c).await?.release != release, "it serves on what it had, and gets nothing new");

    let again = a.run(&["node", "revoke", "gamma"]).await?;
    ensure!(again.status == Some(exit::REFUSED), "no more would be taken back: {again}");
    let narrower = a.ask(&["node", "revoke", &gamma[..12], "--good-until", "2000-01-01T00:00:00Z"]).await?;
    ensure!(narrower["counts"] == true, "its evidence was kept until then: {narrower}");
    let not_above = b.run(&["node", "revoke", "alpha"]).await?;
    ensure!(not_above.status == Some(exit::REFUSED), "a deployer revokes nobody: {not_above}");
    Ok(())
}

/// Two roots propose two versions; the third is asked which, and signs the one whose id it gives.
async fn signs_the_one_of_two_that_it_names(trio: &Trio) -> Result<()> {
    let Trio { a, b, c, .. } = trio;
    a.ask(&["mesh", "rotate", "--deploy-approvals", "3"]).await?;
    b.ask(&["mesh", "rotate", "--release-approvals", "2"]).await?;
    let id = until("both proposals having come to gamma", async || {
        let shown = c.ask(&["mesh", "show"]).await?;
        let proposed = list(&shown, "/proposed")?;
        let wanted = proposed.iter().find(|proposal| proposal["roots"]["release_approvals"] == 2);
        let wanted = wanted.filter(|_| proposed.len() == 2).map(|wanted| text(wanted, "/roots/id")).transpose()?;
        Ok(wanted.map(str::to_owned).ok_or_else(|| shown.to_string()))
    })
    .await?;
    let which = c.run(&["mesh", "approve"]).await?;
    ensure!(which.status == Some(exit::REFUSED) && which.to_string().contains(&id[..10]), "it names both: {which}");
    let unknown = c.run(&["mesh", "approve", "ffffffffff"]).await?;
    ensure!(unknown.status == Some(exit::FAILED), "nothing of that id waits: {unknown}");
    let signed = c.ask(&["mesh", "approve", &id[..10]]).await?;
    ensure!(signed["roots"]["id"] == id.as_str() && signed["roots"]["release_approvals"] == 2, "{signed}");
    for node in trio.all() {
        roots_are(node, 2, &["alpha", "beta", "gamma"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_root_enrols_after_the_first_is_lost_and_rotates_it_out() -> Result<()> {
    let mut trio = three_nodes().await?;
    let proposed = trio.a.ask(&["mesh", "rotate", "--add", "beta", "--add", "gamma"]).await?;
    ensure!(proposed["proposed"][0]["lacks_new"] == 1 && proposed["roots"]["version"] == 0, "{proposed}");
    until("the proposal having come to beta", async || {
        let shown = trio.b.ask(&["mesh", "show"]).await?;
        Ok(so_or(!list(&shown, "/proposed")?.is_empty(), || shown.to_string()))
    })
    .await?;
    let early = trio.b.run(&["mesh", "rotate", "--remove", "alpha"]).await?;
    ensure!(early.status == Some(exit::REFUSED), "it is no root yet: {early}");
    trio.b.ask(&["mesh", "approve"]).await?;
    for node in trio.all() {
        roots_are(node, 1, &["alpha", "beta", "gamma"]).await?;
    }
    trio.views_agree().await?;
    signs_the_one_of_two_that_it_names(&trio).await?;

    let gone = trio.a.id().await?;
    trio.a.end_by(rustix::process::Signal::KILL).await?;
    let mut d = Node::new(trio.dir.path(), "delta");
    until("beta being able to enrol", async || {
        let invited = trio.b.run(&["invite"]).await?;
        Ok(so_or(invited.status == Some(0), || invited.to_string()))
    })
    .await?;
    d.join(&trio.b, &[]).await?;
    d.start(&[]).await?;
    d.is_connected(&trio.b.id().await?, true).await?;
    roots_are(&d, 2, &["alpha", "beta", "gamma"]).await?;
    members_are(&trio.c, &["alpha", "beta", "delta", "gamma"]).await?;

    trio.b.ask(&["mesh", "rotate", "--remove", "alpha"]).await?;
    until("gamma having heard of it, and signed", async || {
        let signed = trio.c.run(&["mesh", "approve"]).await?;
        Ok(so_or(signed.status == Some(0), || signed.to_string()))
    })
    .await?;
    for node in [&trio.b, &trio.c, &d] {
        roots_are(node, 3, &["beta", "gamma"]).await?;
        members_are(node, &["beta", "delta", "gamma"]).await?;
    }
    trio.a.start(&["--peer", &trio.b.address().await?]).await?;
    until("the lost root learning that it is none any more", async || {
        let shown = trio.a.ask(&["mesh", "show"]).await?;
        Ok(so_or(list(&shown, "/revoked")?.iter().any(|node| node["id"] == gone.as_str()), || shown.to_string()))
    })
    .await?;
    let refused = trio.a.run(&["invite"]).await?;
    ensure!(refused.status == Some(exit::REFUSED), "it enrols nobody: {refused}");
    Ok(())
}

#[tokio::test]
async fn arbitrary_installation_by_one_authority_waits_for_the_approval_of_another() -> Result<()> {
    let trio = three_nodes().await?;
    let Trio { a, b, c, .. } = &trio;
    a.ask(&["mesh", "rotate", "--deploy-approvals", "2"]).await?;
    let rollout = publish_and_deploy(a, word(&digits("digits-1.0.0.onnx"))?, "1.0.0").await?;
    for node in trio.all() {
        let shown = trio.rollout_is(node, &rollout, "awaiting-approval").await?;
        ensure!(
            shown["approvals"]["needed"] == 2 && shown["approvals"]["by"] == serde_json::json!(["alpha"]),
            "{shown}"
        );
    }
    let own = a.run(&["rollout", "approve", &rollout]).await?;
    ensure!(own.status == Some(exit::REFUSED), "the author agrees already: {own}");
    let device = c.run(&["rollout", "approve", &rollout]).await?;
    ensure!(device.status == Some(exit::REFUSED), "a device agrees to nothing: {device}");
    for node in trio.all() {
        let slots = node.status().await?;
        ensure!(list(&slots, "/slots")?.iter().all(|slot| slot["sha256"].is_null()), "nothing serves yet: {slots}");
    }
    b.ask(&["rollout", "approve", &rollout]).await?;
    trio.rollout_is(c, &rollout, "completed").await?;
    answer(c).await.map(drop)
}

#[tokio::test]
async fn a_node_moves_to_another_cell_and_a_selector_follows_it() -> Result<()> {
    let trio = three_nodes().await?;
    let Trio { a, c, .. } = &trio;
    let moved = a.ask(&["node", "label", "gamma", "site=oslo", "--cell", "plant-8"]).await?;
    ensure!(moved["cell"] == "plant-8" && moved["labels"]["site"] == "oslo", "{moved}");
    until("gamma knowing where it stands", async || {
        let status = c.status().await?;
        Ok(so_or(status["node"]["cell"] == "plant-8", || status.to_string()))
    })
    .await?;
    a.ask(&["model", "add", word(&digits("digits-1.0.0.onnx"))?, "--id", "digits", "--version", "1.0.0"]).await?;
    let deployed = a.ask(&["deploy", "digits:1.0.0", "--to", "cell=plant-8/**,label.site=oslo", "--wait"]).await?;
    let named: Vec<&Value> = list(&deployed, "/nodes")?.iter().map(|node| &node["node"]).collect();
    ensure!(named == ["gamma"], "{deployed}");
    // It says of itself what only its cell holds, and whoever asks.
    let shown = a.ask(&["node", "show", "gamma"]).await?;
    ensure!(shown["held"] == true && shown["slots"][0]["state"] == "committed", "{shown}");
    ensure!(shown["profile"].is_object(), "{shown}");
    let cells = a.status().await?["sync"]["cells"].clone();
    ensure!(cells == serde_json::json!(["/", "plant-8"]), "{cells}");
    a.ask(&["node", "label", "gamma", "site-"]).await?;
    let nobody = a.run(&["deploy", "digits:1.0.0", "--to", "label.site=oslo"]).await?;
    ensure!(nobody.status == Some(exit::USAGE), "nobody bears it any more: {nobody}");
    let same = a.run(&["node", "label", "gamma", "--cell", "plant-8"]).await?;
    ensure!(same.status == Some(exit::USAGE), "nothing would change: {same}");
    Ok(())
}

#[tokio::test]
async fn a_node_without_a_network_joins_by_two_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha");
    a.init().await?;
    a.start(&[]).await?;
    let (mut d, e) = (Node::new(dir.path(), "delta"), Node::new(dir.path(), "epsilon"));
    let written = |name: &str, text: &str| -> Result<String> {
        let path = dir.path().join(name);
        std::fs::write(&path, text)?;
        Ok(word(&path)?.to_owned())
    };
    let request = d.ask(&["enroll", "request", "--name", "delta"]).await?;
    let request = written("delta.request", text(&request, "/request")?)?;
    let approve = ["enroll", "approve", &request, "--cell", "plant-7", "--label", "site=oslo"];
    let approved = a.ask(&approve).await?;
    let approval = written("delta.approval", text(&approved, "/approval")?)?;

    e.ask(&["enroll", "request", "--name", "epsilon"]).await?;
    let stolen = e.run(&["join", "--approval", &approval]).await?;
    ensure!(stolen.status == Some(exit::REFUSED), "an approval is of one key alone: {stolen}");
    let cut = written("cut.approval", &text(&approved, "/approval")?[..200])?;
    let damaged = d.run(&["join", "--approval", &cut]).await?;
    ensure!(damaged.status == Some(exit::USAGE), "a damaged file is named as such: {damaged}");
    let swapped = a.run(&["enroll", "approve", &approval]).await?;
    ensure!(swapped.status == Some(exit::USAGE), "an approval is no request: {swapped}");

    let joined = d.ask(&["join", "--approval", &approval]).await?;
    ensure!(joined["node"]["name"] == "delta" && joined["node"]["cell"] == "plant-7", "{joined}");
    d.start(&[]).await?;
    d.is_connected(&a.id().await?, true).await?;
    members_are(&d, &["alpha", "delta"]).await?;
    let again = a.ask(&approve).await?;
    ensure!(again["node"] == approved["node"] && members(&a).await?.len() == 2, "it is enrolled once: {again}");
    let name = written("twin.request", text(&e.ask(&["enroll", "request", "--name", "delta"]).await?, "/request")?)?;
    let taken = a.run(&["enroll", "approve", &name]).await?;
    ensure!(taken.status == Some(exit::REFUSED), "a name is one node's: {taken}");
    Ok(())
}
