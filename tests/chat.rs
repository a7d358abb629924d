//! A language model on three nodes: equal seeds tell equal text everywhere, which is candle's own; an answer under way is the
//! old model's to its end while the next one is the new model's; a release that says something else is not taken.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;
#[path = "../crates/sedge-runtime/tests/tiny/file.rs"]
mod tiny;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_transformers::generation::Sampling as Choice;
use sedge_agent::api::{ApiError, ChatRequest};
use sedge_agent::{Client, Heard};
use sedge_statement::TextRequest;
use serde_json::{Value as Json, json};
use support::models::word;
use support::node::{Node, text};
use support::trio::{Trio, three_nodes};
use support::until::DEADLINE;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

const PROMPT: &str = "The cat sat on the mat, and then";
/// So large that a long answer takes longer than an update.
const SIZE: tiny::Size = tiny::Size { layers: 6, context: 4096 };
/// How long that answer takes, in rollouts of the time that the first one took, at the rate of the answers before it.
const LONG: f64 = 4.0;

/// The connections that an agent serves at once, and how many of them may ask models.
const CONNECTIONS: usize = 32;
const ASKING: usize = 24;

/// What a chat printed.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    text: String,
    pieces: usize,
    end: Json,
}

impl Told {
    fn read(lines: &[Json]) -> Result<Self> {
        let (end, parts) = lines.split_last().context("nothing was printed")?;
        let parts = parts.iter().map(|part| text(part, "/text")).collect::<Result<Vec<_>>>()?;
        Ok(Self { text: parts.concat(), pieces: parts.len(), end: end.clone() })
    }

    fn sha256(&self) -> Result<&str> {
        text(&self.end, "/sha256")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_model_serves_everywhere_and_is_updated_under_an_answer() -> Result<()> {
    let trio = three_nodes().await?;
    let (first, second) = (model(&trio, 7), model(&trio, 8));
    let bytes = fs::read(&first)?;
    let plain = tiny::plainly(&bytes, PROMPT, 48, 5, Choice::TopKThenTopP { k: 20, p: 0.9, temperature: 0.8 });
    let likeliest = tiny::plainly(&bytes, PROMPT, 8, 0, Choice::ArgMax);
    let probe = probe(&trio, "right.json", &likeliest)?;
    publish(&trio.a, &first, "1.0.0", Some(&probe)).await?;
    let begun = Instant::now();
    let deployed = deploy(&trio.a, "1.0.0").await?;
    trio.rollout_is(&trio.a, &deployed, "completed").await?;
    let rollout = begun.elapsed().as_secs_f64();

    let (mut old, mut rate, mut first_pieces) = (None, 0.0, 0);
    for node in trio.all() {
        let told = chat(node, &["--temperature", "0.8", "--top-k", "20", "--top-p", "0.9", "--seed", "5"]).await?;
        ensure!(told.text == plain, "{} says {:?}, candle by itself {plain:?}", node.name, told.text);
        ensure!(told.pieces > 10, "{} said it in {} pieces", node.name, told.pieces);
        ensure!(told.end["usage"]["completion_tokens"] == 48, "{}", told.end);
        old.get_or_insert(told.sha256()?.to_owned());
        first_pieces = told.pieces;
        rate = told.end["tokens_per_second"].as_f64().context("no rate")?;
    }
    let old = old.context("no node")?;
    continues(&trio, &bytes).await?;

    let under_way = Chat::begin(&trio.c, rate * rollout * LONG).await?;
    publish(&trio.a, &second, "2.0.0", None).await?;
    let update = deploy(&trio.a, "2.0.0").await?;
    let done = trio.rollout_is(&trio.a, &update, "completed").await?;
    let updated = under_way.begun.elapsed();
    let next = chat(&trio.c, &[]).await?;
    ensure!(next.sha256()? != old, "the old model answered after the update");
    ensure!(text(&done, "/release")? == text(&next.end, "/release")?, "{}", next.end);
    let told = under_way.end().await?;
    let said = model_time(&told)?;
    ensure!(
        said > updated,
        "the answer ended {said:?} after its first word and the update {updated:?}: it shows nothing"
    );
    ensure!(told.sha256()? == old, "the answer began with {old} and ended as {}", told.end);
    ensure!(told.text.starts_with(&likeliest), "{:?} is not the old model's", told.text);
    ensure!(told.end["finish_reason"] == "length", "{}", told.end);

    wrong_words_are_refused(&trio, &next).await?;
    chats_leave_places_for_the_operator(&trio.b).await?;
    println!(
        "3 nodes told the same {} characters in {} pieces; an answer of {} tokens outlived its model's update",
        plain.chars().count(),
        first_pieces,
        told.end["usage"]["completion_tokens"]
    );
    Ok(())
}

/// From an answer's first token to its last, as the model had it.
fn model_time(told: &Told) -> Result<Duration> {
    let millis = |key: &str| told.end[key].as_u64().with_context(|| format!("no {key}"));
    Ok(Duration::from_millis(millis("took_ms")?.saturating_sub(millis("first_token_ms")?)))
}

/// Text is continued by `sedge infer` too, in the Open Inference Protocol's form.
async fn continues(trio: &Trio, bytes: &[u8]) -> Result<()> {
    let file = trio.dir.path().join("prompt.txt");
    fs::write(&file, format!("{PROMPT}\n"))?;
    let answer = trio.b.ask(&["infer", "writer", "--input", word(&file)?, "--max-tokens", "32"]).await?;
    let output = &answer["outputs"][0];
    ensure!(output["name"] == "text_output" && output["datatype"] == "BYTES", "{answer}");
    let wanted = tiny::plainly(bytes, PROMPT, 32, 0, Choice::ArgMax);
    ensure!(answer["finish_reason"] == "length", "{answer}");
    ensure!(output["data"] == json!([wanted]), "{answer}, where {wanted:?} is meant");
    let none = trio.b.run(&["chat", "reader", "--prompt", "x"]).await?;
    none.fails_with(support::outcome::exit::FAILED, "no model serves in slot reader")?;
    let hot = trio.b.run(&["chat", "writer", "--prompt", "x", "--temperature", "1000"]).await?;
    hot.fails_with(support::outcome::exit::USAGE, "temperature")
}

/// As many chats as there are connections: some are refused, and whoever steers the node is heard.
async fn chats_leave_places_for_the_operator(node: &Node) -> Result<()> {
    let mut chats = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let client = Client::connect(&node.home).await?;
        let slot = "writer".parse().context("a slot")?;
        let request = ChatRequest { slot, request: TextRequest::continue_text(PROMPT, 4000) };
        chats.spawn(async move {
            let mut chat = client.chat(request).await?;
            while !matches!(chat.next().await?, Heard::End(_)) {}
            Ok::<(), ApiError>(())
        });
    }
    for _ in 0..CONNECTIONS - ASKING {
        let ended = timeout(DEADLINE, chats.join_next()).await.context("no chat is refused")?.context("no chat")??;
        let Err(error) = ended else { bail!("a chat ended before others were refused") };
        ensure!(error.message.contains("being answered already"), "{error}");
    }
    ensure!(chats.len() == ASKING, "{} chats go on", chats.len());
    node.ask(&["status"]).await.map(drop)
}

/// A release whose probe expects other words is tried, found wanting, and not taken.
async fn wrong_words_are_refused(trio: &Trio, serving: &Told) -> Result<()> {
    let probe = probe(trio, "wrong.json", "Nevermore, quoth")?;
    publish(&trio.a, &model(trio, 9), "3.0.0", Some(&probe)).await?;
    let rollout = deploy(&trio.a, "3.0.0").await?;
    let failed = trio.rollout_is(&trio.a, &rollout, "halted").await?;
    let reasons = failed["nodes"].to_string();
    ensure!(reasons.contains("Nevermore, quoth"), "no reason says what was expected: {reasons}");
    for node in trio.all() {
        let told = chat(node, &[]).await?;
        ensure!(told.sha256()? == serving.sha256()?, "{} says {}", node.name, told.end);
        ensure!(told.text == serving.text, "{} says {:?}", node.name, told.text);
    }
    Ok(())
}

fn model(trio: &Trio, seed: u64) -> PathBuf {
    let path = trio.dir.path().join(format!("writer-{seed}.gguf"));
    if !path.exists() {
        let bytes = tiny::sized("llama", GgmlDType::Q8_0, seed, SIZE, endless);
        fs::write(&path, bytes).expect("the directory of the test can be written");
    }
    path
}

/// Has a model's last token, by which it would end, be one like the others.
fn endless(metadata: &mut BTreeMap<String, Value>, _: &mut Vec<(String, QTensor)>) {
    metadata.remove("tokenizer.ggml.eos_token_id");
    if let Some(Value::Array(tokens)) = metadata.get_mut("tokenizer.ggml.tokens") {
        tokens.pop();
        tokens.push(Value::String("<|never|>".to_owned()));
    }
}

fn probe(trio: &Trio, name: &str, prefix: &str) -> Result<PathBuf> {
    let path = trio.dir.path().join(name);
    let probe = json!({"name": "how it begins", "prompt": PROMPT, "max_tokens": 8, "text_prefix": prefix});
    fs::write(&path, probe.to_string())?;
    Ok(path)
}

async fn publish(node: &Node, file: &Path, version: &str, probe: Option<&PathBuf>) -> Result<()> {
    let mut args = vec!["model", "add", word(file)?, "--id", "writer", "--version", version, "--type", "llm"];
    if let Some(probe) = probe {
        args.extend(["--probe", word(probe)?]);
    }
    node.ask(&args).await.map(drop)
}

async fn deploy(node: &Node, version: &str) -> Result<String> {
    let model = format!("writer:{version}");
    let deployed = node.ask(&["deploy", &model, "--waves", "3", "--probation", "500ms"]).await?;
    Ok(text(&deployed, "/rollout")?.to_owned())
}

async fn chat(node: &Node, flags: &[&str]) -> Result<Told> {
    let outcome = node.run(&[&["chat", "writer", "--prompt", PROMPT, "--max-tokens", "48"], flags].concat()).await?;
    ensure!(outcome.status == Some(0), "{outcome}\n{}", node.tail());
    let lines = outcome.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Json>, _>>()?;
    Told::read(&lines)
}

/// A long answer that is being read, all the time: a program that waits for its reader would seem to be under way.
struct Chat {
    child: Child,
    lines: JoinHandle<Result<Vec<Json>>>,
    /// When its first piece came.
    begun: Instant,
}

impl Chat {
    async fn begin(node: &Node, tokens: f64) -> Result<Self> {
        let tokens = format!("{:.0}", tokens.clamp(200.0, 2000.0));
        let mut command = Command::new(env!("CARGO_BIN_EXE_sedge"));
        command.arg("--home").arg(&node.home).args(["--json", "chat", "writer", "--prompt", PROMPT]);
        command.args(["--max-tokens", &tokens]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let first = timeout(DEADLINE, lines.next_line()).await.context("nothing is said")??;
        let mut all = vec![serde_json::from_str(&first.context("it ended")?)?];
        let begun = Instant::now();
        let lines = tokio::spawn(async move {
            while let Some(line) = timeout(DEADLINE, lines.next_line()).await.context("it does not go on")?? {
                all.push(serde_json::from_str(&line)?);
            }
            Ok(all)
        });
        Ok(Self { child, lines, begun })
    }

    async fn end(mut self) -> Result<Told> {
        let lines = self.lines.await??;
        let status = timeout(DEADLINE, self.child.wait()).await.context("it does not end")??;
        if !status.success() {
            bail!("the answer ended with {status}");
        }
        Told::read(&lines)
    }
}
