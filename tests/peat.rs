//! Peat's documents, to the real program: manifests become drafts, files complete them, commands become deployments, what is bad
//! is refused by name, and everything comes back as it was.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::models::{digits, word};
use support::node::{Node, list, text};
use support::outcome::exit::{FAILED, REFUSED, USAGE};
use support::trio::three_nodes;
use support::until::{so_or, until};
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/peat")
}

fn fixture(name: &str) -> Result<String> {
    Ok(word(&fixtures().join(name))?.to_owned())
}

fn read(path: &str) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// A mesh of one node, its agent running.
struct Alone {
    node: Node,
    dir: TempDir,
}

impl Alone {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut node = Node::new(dir.path(), "robot-1");
        node.init().await?;
        node.start(&[]).await?;
        Ok(Self { node, dir })
    }

    fn write(&self, name: &str, json: &Value) -> Result<String> {
        let path = self.dir.path().join(name);
        fs::write(&path, json.to_string())?;
        Ok(word(&path)?.to_owned())
    }

    /// Checks that a command fails as promised and keeps neither a draft more nor a draft less.
    async fn refuses(&self, args: &[&str], status: i32, why: &str) -> Result<()> {
        let before = (self.drafts().await?, self.node.ask(&["model", "list"]).await?);
        self.node.run(args).await?.fails_with(status, why)?;
        let after = (self.drafts().await?, self.node.ask(&["model", "list"]).await?);
        ensure!(before == after, "{args:?} changed {before:?} to {after:?}");
        Ok(())
    }

    async fn drafts(&self) -> Result<Vec<Value>> {
        drafts(&self.node).await
    }
}

async fn drafts(node: &Node) -> Result<Vec<Value>> {
    Ok(list(&node.ask(&["model", "list", "--drafts"]).await?, "")?.to_vec())
}

/// Peat's description of the second sample model, its file known or not.
async fn describe(node: &Node, known: bool) -> Result<Value> {
    let inspected = node.ask(&["model", "inspect", word(&digits("digits-2.0.0.onnx"))?]).await?;
    Ok(json!({
        "model_id": "digits", "name": "Handwritten digits", "model_type": "custom", "format": "onnx", "version": "2.0.0",
        "quantization": inspected["quantization"],
        "size_bytes": if known { inspected["size_bytes"].clone() } else { 0.into() },
        "sha256": if known { inspected["sha256"].clone() } else { "".into() },
        "requirements": {
            "min_vram_mb": 2, "recommended_vram_mb": 8, "min_ram_mb": 3,
            "execution_providers": ["cpu"], "architectures": ["x86_64", "aarch64"],
        },
        "features": ["digits"], "license": "CC-BY-4.0", "source": "scikit-learn",
        "created_at": "2026-01-15T12:00:00Z", "download_url": "https://models.example/digits.onnx",
        "metadata": {"input": {"shape": [1, 64]}, "scale": 0.1}, "x_of_tomorrow": [1, null, {"a": "b"}],
    }))
}

fn set(mut json: Value, key: &str, value: impl Into<Value>) -> Value {
    json[key] = value.into();
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_is_a_draft_that_is_listed_shown_given_back_and_never_deployed() -> Result<()> {
    let mut alone = Alone::start().await?;
    let names = ["ministral-3b", "ministral-8b", "yolov8n"];
    let files: Vec<String> = names.iter().map(|n| fixture(&format!("{n}.manifest.json"))).collect::<Result<_>>()?;
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let imported = alone.node.ask(&[&["model", "import"], files.as_slice()].concat()).await?;
    ensure!(list(&imported, "")?.iter().all(|one| one["model"] == "draft"), "{imported}");
    // They outlive the agent, and are no releases.
    alone.node.stop().await?;
    alone.node.start(&[]).await?;
    let drafts = alone.drafts().await?;
    ensure!(drafts.iter().map(|d| d["id"].clone()).eq(names), "{drafts:?}");
    ensure!(drafts.iter().all(|draft| draft["draft"] == true), "{drafts:?}");
    ensure!(alone.node.ask(&["model", "list"]).await? == json!([]), "a draft is in the list of releases");
    for (name, file) in names.iter().zip(&files) {
        let shown = alone.node.ask(&["model", "show", name]).await?;
        ensure!(shown["draft"] == true && shown["manifest"] == read(file)?, "{shown}");
        ensure!(alone.node.ask(&["model", "show", name, "--peat"]).await? == read(file)?, "{name} came back changed");
        alone.refuses(&["deploy", name], REFUSED, "is a draft").await?;
        alone.refuses(&["model", "verify", name], FAILED, name).await?;
    }
    // Again, corrected, and dropped.
    let again = alone.node.ask(&["model", "import", files[2]]).await?;
    ensure!(text(&again, "/0/model")? == "same", "{again}");
    let full = fixture("yolov8n-full.manifest.json")?;
    alone.refuses(&["model", "import", files[2], &full], REFUSED, "two documents that differ").await?;
    let corrected = alone.node.ask(&["model", "import", &full]).await?;
    ensure!(text(&corrected, "/0/model")? == "replaced", "{corrected}");
    ensure!(alone.node.ask(&["model", "show", "yolov8n:8.0.0", "--peat"]).await? == read(&full)?, "another came back");
    alone.node.ask(&["model", "forget", "yolov8n:8.0.0"]).await?;
    alone.refuses(&["model", "forget", "yolov8n:8.0.0"], FAILED, "no draft").await?;
    ensure!(alone.drafts().await?.len() == 2, "the draft is still there");
    println!("{} manifests imported, kept over a restart and given back equal", names.len() + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_document_is_refused_by_its_place_and_takes_the_good_ones_with_it() -> Result<()> {
    let alone = Alone::start().await?;
    let bad = fixtures().join("bad");
    let wanted: BTreeMap<String, String> = serde_json::from_str(&fs::read_to_string(bad.join("expected.json"))?)?;
    let good = fixture("ministral-3b.manifest.json")?;
    for (name, at) in &wanted {
        let file = bad.join(name);
        alone.node.run(&["model", "import", &good, word(&file)?]).await?.fails_with(REFUSED, at)?;
    }
    let large = alone.write("large.manifest.json", &json!("x".repeat(70_000)))?;
    alone.refuses(&["model", "import", &good, &large], REFUSED, "bytes").await?;
    let latin = alone.dir.path().join("latin.manifest.json");
    fs::write(&latin, b"{\"model_id\": \"\xe9\"}")?;
    alone.refuses(&["model", "import", &good, word(&latin)?], REFUSED, "not JSON").await?;
    alone.refuses(&["model", "import", &good, word(alone.dir.path())?], USAGE, "regular file").await?;
    alone.refuses(&["model", "import", &good, "missing.json"], FAILED, "missing.json").await?;
    alone.refuses(&["model", "import", &good, "--deploy"], USAGE, "none of the documents is a command").await?;
    let command = fixture("update-broadcast.command.json")?;
    alone.refuses(&["model", "import", &good, &command, "--deploy"], REFUSED, "has no release yet").await?;
    ensure!(alone.drafts().await?.is_empty(), "something was half imported");
    println!("{} bad documents refused by their place, nothing kept", wanted.len() + 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_takes_only_the_file_that_it_describes_and_becomes_a_release_of_all_its_facts() -> Result<()> {
    let alone = Alone::start().await?;
    let model = digits("digits-2.0.0.onnx");
    let model = word(&model)?;
    let right = describe(&alone.node, true).await?;
    let other = if right["quantization"] == "F16" { "F32" } else { "F16" };
    let wrong = [
        (set(right.clone(), "sha256", "9f".repeat(32)), "sha256 says 9f9f"),
        (set(right.clone(), "size_bytes", 1), "size_bytes says 1"),
        (set(right.clone(), "format", "gguf"), "format says gguf, and the file has onnx"),
        (set(right.clone(), "quantization", other), "quantization says"),
        (set(set(right.clone(), "sha256", ""), "size_bytes", 0), "file name says digits-2_0_0-"),
    ];
    for (manifest, why) in &wrong {
        let file = alone.write("digits.manifest.json", manifest)?;
        alone.node.ask(&["model", "import", &file]).await?;
        alone.refuses(&["model", "add", model, "--completes", "digits:2.0.0"], REFUSED, why).await?;
        // The same where nobody named the draft: the file's name says id and version.
        alone.refuses(&["model", "add", model], REFUSED, why).await?;
    }
    // The draft of unknown content takes the file under the name that it gives.
    let open = describe(&alone.node, false).await?;
    let named = text(&alone.node.ask(&["model", "show", "digits"]).await?, "/file_name")?.to_owned();
    let renamed = alone.dir.path().join(&named);
    fs::copy(model, &renamed)?;
    let file = alone.write("digits.manifest.json", &open)?;
    alone.node.ask(&["model", "import", &file]).await?;
    alone.refuses(&["model", "add", word(&renamed)?, "--license", "MIT"], USAGE, "another licence").await?;
    let words = ["model", "add", word(&renamed)?, "--completes", "digits", "--license", "MIT"];
    alone.node.run(&words).await?.fails_with(USAGE, "--license")?;
    alone.node.ask(&["model", "add", word(&renamed)?]).await?;
    ensure!(alone.drafts().await?.is_empty(), "the draft is still one");
    let shown = alone.node.ask(&["model", "show", "digits:2.0.0"]).await?;
    let manifest = &shown["manifest"];
    ensure!(manifest["license"] == "CC-BY-4.0" && manifest["source"] == "scikit-learn", "{manifest}");
    ensure!(manifest["variants"][0]["requirements"]["memory"] == 3 << 20, "{manifest}");
    ensure!(manifest["variants"][0]["files"][0]["name"] == named.as_str(), "{manifest}");
    ensure!(manifest["metadata"]["peat.download_url"] == "\"https://models.example/digits.onnx\"", "{manifest}");
    let back = alone.node.ask(&["model", "show", "digits:2.0.0", "--peat"]).await?;
    ensure!(back == right, "{back} came back for {right}");
    // Published, it is no draft again; and another file under its name is refused.
    let again = alone.node.ask(&["model", "import", &file]).await?;
    ensure!(text(&again, "/0/model")? == "released", "{again}");
    let file = alone.write("digits.manifest.json", &wrong[0].0)?;
    alone.refuses(&["model", "import", &file], REFUSED, "already published").await?;
    println!("{} wrong fields refused, the release gave the document back equal", wrong.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_one_deployment_to_the_nodes_that_it_names() -> Result<()> {
    let trio = three_nodes().await?;
    let a = &trio.a;
    let manifest = describe(a, true).await?;
    let id = "0c9d6c0a-8f1e-4c1b-9a53-6b8f5d2f7e01";
    let gamma = trio.c.id().await?;
    let command = json!({
        "command_id": id, "manifest": manifest, "target_nodes": ["beta", gamma], "priority": 2, "auto_load": true,
        "rollback_model_id": "digits-before", "timestamp": "2026-01-15T12:00:00Z", "x_more": {"y": [1.5]},
    });
    let write = |name: &str, json: &Value| -> Result<String> {
        let path = trio.dir.path().join(name);
        fs::write(&path, json.to_string())?;
        Ok(word(&path)?.to_owned())
    };
    let file = write("update.command.json", &command)?;
    // Told, not done; the model that nobody has is a draft now, and its file makes it a release.
    let told = a.ask(&["model", "import", &file]).await?;
    ensure!(told[0]["model"] == "draft" && told[0]["command"]["deployed"].is_null(), "{told}");
    ensure!(text(&told, "/0/command/selector")? == "node=beta|gamma", "{told}");
    ensure!(text(&told, "/0/command/rollback_model_id")? == "digits-before", "{told}");
    a.run(&["model", "import", &file, "--deploy"]).await?.fails_with(REFUSED, "has no release yet")?;
    let model = digits("digits-2.0.0.onnx");
    a.ask(&["model", "add", word(&model)?]).await?;
    ensure!(list(&a.ask(&["rollout", "list"]).await?, "")?.is_empty(), "a command was deployed though nobody asked");
    let lost = write("lost.command.json", &set(command.clone(), "target_nodes", json!(["beta", "delta"])))?;
    a.run(&["model", "import", &lost, "--deploy"]).await?.fails_with(REFUSED, "$.target_nodes[1]")?;
    trio.views_agree().await?;
    trio.c.run(&["model", "import", &file, "--deploy"]).await?.fails_with(REFUSED, "role `deploy`")?;

    // Two commands of one id: neither is deployed, though each could be.
    let twin = write("twin.command.json", &set(command.clone(), "target_nodes", json!(["gamma"])))?;
    let both = ["model", "import", &file, &twin, "--deploy"];
    a.run(&both).await?.fails_with(REFUSED, "stands in two documents that differ")?;
    ensure!(list(&a.ask(&["rollout", "list"]).await?, "")?.is_empty(), "one of two commands was deployed");

    let done = a.ask(&["model", "import", &file, "--deploy"]).await?;
    let rollout = text(&done, "/0/command/deployed/rollout")?.to_owned();
    ensure!(done[0]["command"]["deployed"]["nodes"] == 2 && done[0]["command"]["again"] == false, "{done}");
    let shown = trio.rollout_is(a, &rollout, "completed").await?;
    let nodes: Vec<&str> = list(&shown, "/nodes")?.iter().filter_map(|node| node["node"].as_str()).collect();
    ensure!(nodes.len() == 2 && nodes.contains(&"beta") && nodes.contains(&"gamma"), "{shown}");
    ensure!(list(&trio.a.status().await?, "/slots")?.is_empty(), "a node that was not named has the slot");
    for node in [&trio.b, &trio.c] {
        until(&format!("{} answering", node.name), async || {
            let outcome = node.run(&["infer", "digits", "--input", word(&digits("inputs/three.json"))?]).await?;
            Ok(so_or(outcome.status == Some(0), || outcome.to_string()))
        })
        .await?;
    }
    // The same again, here and on another node that may deploy; something else under its id.
    trio.views_agree().await?;
    for node in [&trio.a, &trio.b] {
        let again = node.ask(&["model", "import", &file, "--deploy"]).await?;
        ensure!(again[0]["command"]["again"] == true, "{again}");
        ensure!(text(&again, "/0/command/deployed/rollout")? == rollout, "{again}");
        ensure!(list(&node.ask(&["rollout", "list"]).await?, "")?.len() == 1, "the command was deployed twice");
    }
    let changed = write("changed.command.json", &set(command.clone(), "priority", 5))?;
    a.run(&["model", "import", &changed, "--deploy"]).await?.fails_with(REFUSED, "$.command_id")?;
    let back = a.ask(&["model", "show", id, "--peat"]).await?;
    ensure!(back == command, "{back} came back for {command}");

    // Staged only, everywhere.
    let stage = set(set(command, "auto_load", false), "target_nodes", json!([]));
    let stage = set(stage, "command_id", "0c9d6c0a-8f1e-4c1b-9a53-6b8f5d2f7e02");
    let file = write("stage.command.json", &stage)?;
    let done = a.ask(&["model", "import", &file, "--deploy", "--slot", "spare"]).await?;
    ensure!(text(&done, "/0/command/action")? == "stage-only", "{done}");
    ensure!(done[0]["command"]["deployed"]["nodes"] == 3, "{done}");
    let status = until("the model being staged on the first node", async || {
        let status = a.status().await?;
        let staged = list(&status, "/slots")?.iter().any(|slot| slot["slot"] == "spare" && slot["state"] == "staged");
        Ok(if staged { Ok(status) } else { Err(status.to_string()) })
    })
    .await?;
    let spare = list(&status, "/slots")?.iter().find(|slot| slot["slot"] == "spare").context("no slot")?;
    ensure!(spare["release"].is_null(), "a model that was only to be held serves: {spare}");
    println!("one rollout to two of three nodes by three imports of one command");
    Ok(())
}
