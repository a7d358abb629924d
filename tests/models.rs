//! Models that others made, through the whole demo: those that PyPI's `onnx` ships for testing runtimes, and language
//! models that PyPI's `gguf` writes.

#[path = "support/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Networks of known architectures, whose weights are made up as they load; no inputs are given with them.
const LIGHT: [&str; 2] = ["light_squeezenet", "light_shufflenet"];
/// Single layers, with inputs and the outputs that PyTorch gave.
const CONVERTED: [&str; 4] = ["test_Linear", "test_Conv2d_depthwise", "test_BatchNorm2d_eval", "test_Softmax"];
/// Language models of version 3, by the type of their weights.
const LANGUAGE: [&str; 4] = ["F16", "Q8_0", "Q5_1", "Q4_0"];
/// How many demos run at once: they mostly wait for probations and rate limits.
static PLACES: Semaphore = Semaphore::const_new(3);
/// The longest that one may take among others.
const LIMIT: Duration = Duration::from_secs(240);
/// How to have the language models.
const HOW_GGUF: &str = "export SEDGE_GGUF_DATA=$(bash .ci/gguf-data)";
/// How to have the models.
const HOW: &str = "python3 -m venv .venv && .venv/bin/pip install onnx==1.23.2, then name the folder \
                   onnx/backend/test/data in it with SEDGE_ONNX_DATA";

#[tokio::test(flavor = "multi_thread")]
async fn models_of_others_go_through_the_whole_demo() -> Result<()> {
    let Some(data) = data().await? else {
        return skip::skip("the models of PyPI's onnx are missing", HOW);
    };
    let light = LIGHT.map(|name| (data.join("light").join(format!("{name}.onnx")), false));
    let converted = CONVERTED.map(|name| (data.join("pytorch-converted").join(name).join("model.onnx"), true));
    all_pass(light.into_iter().chain(converted)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn language_models_of_others_go_through_the_whole_demo() -> Result<()> {
    let Some(data) = std::env::var_os("SEDGE_GGUF_DATA").filter(|named| !named.is_empty()) else {
        return skip::skip("the models that PyPI's gguf writes are missing", HOW_GGUF);
    };
    let data = PathBuf::from(data);
    all_pass(LANGUAGE.map(|kind| (data.join(format!("llama-{kind}.gguf")), false))).await
}

/// Runs a demo with each, and tells of all that failed.
async fn all_pass(models: impl IntoIterator<Item = (PathBuf, bool)>) -> Result<()> {
    let mut demos = JoinSet::new();
    for (file, given) in models {
        demos.spawn(async move {
            let _place = PLACES.acquire().await?;
            demo(&file, given).await.with_context(|| file.display().to_string())
        });
    }
    let (mut passed, mut failed) = (0, Vec::new());
    // All are waited for whatever becomes of the first: a demo that ends by itself leaves nothing behind.
    while let Some(demo) = demos.join_next().await {
        match demo? {
            Ok(line) => {
                println!("{line}");
                passed += 1;
            }
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    ensure!(failed.is_empty(), "{passed} models passed, and these failed:\n{}", failed.join("\n"));
    ensure!(passed > 0, "no model was tried");
    println!("models: ok, {passed} of others");
    Ok(())
}

/// The folder of test models: the one that is named, or that of the `onnx` which Python finds.
async fn data() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("SEDGE_ONNX_DATA").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(named.join("pytorch-converted").is_dir(), "SEDGE_ONNX_DATA names {}, with no models", named.display());
        return Ok(Some(named));
    }
    let asked = Command::new("python3").args(["-c", "import onnx; print(onnx.__path__[0])"]).output().await;
    let Ok(asked) = asked else { return Ok(None) };
    let found = Path::new(String::from_utf8_lossy(&asked.stdout).trim()).join("backend/test/data");
    Ok((asked.status.success() && found.is_dir()).then_some(found))
}

/// Runs the demo with one model; every check must pass, and answers must be those given where there are some.
async fn demo(file: &Path, given: bool) -> Result<String> {
    let child = Command::new(env!("CARGO_BIN_EXE_sedge"))
        .args(["demo", "--json", "--model"])
        .arg(file)
        .env_remove("SEDGE_HOME")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, child).await.context("the demo does not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    let whole: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {said}"))?;
    let checks = whole["checks"].as_array().context("no checks")?;
    let failed: Vec<&Value> = checks.iter().filter(|check| check["ok"] != true).collect();
    ensure!(failed.is_empty() && whole["ok"] == true, "{failed:?}\n{said}");
    ensure!(output.status.success(), "{}: {said}", output.status);
    let answers = checks.iter().find(|check| check["name"] == "answers-match").context("answers were not compared")?;
    let answers = answers["detail"].as_str().unwrap_or_default();
    ensure!(!given || !answers.contains("no outputs are given"), "the outputs given were not compared: {answers}");
    Ok(format!("{}: {} checks in {} ms; {answers}", file.display(), checks.len(), whole["elapsed_ms"]))
}
