//! This program again, for a part that is measured in a process of its own.

use std::process::Stdio;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{bare, churn, provider, sync};

/// The argument that makes this program a part.
pub(crate) const WORD: &str = "part";

/// A part that runs until this is dropped, or its end is awaited.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
    /// What it printed first.
    pub(crate) said: Value,
}

/// Runs a part and reads its one line.
pub(crate) async fn start(words: &[&str]) -> Part {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .arg(WORD)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program starts again");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).await.expect("it can be read");
    let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{words:?} said {line:?}: {error}"));
    Part { child, said }
}

/// Runs a part to its end.
pub(crate) async fn figures<T: DeserializeOwned>(words: &[&str]) -> T {
    let Part { mut child, said } = start(words).await;
    drop(child.stdin.take());
    let status = child.wait().await.expect("it can be waited for");
    assert!(status.success(), "{words:?} ended with {status}");
    serde_json::from_value(said).expect("a part says figures")
}

/// What a part does.
pub(crate) async fn run(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse().expect("a number of endpoints");
    match words.as_slice() {
        ["sync", nodes] => say(&sync::run(number(nodes)).await),
        ["churn", nodes] => say(&churn::run(number(nodes)).await),
        ["bare", nodes] => say(&bare::run(number(nodes)).await),
        ["sedge", home, file] => provider::sedge(home.as_ref(), file.as_ref()).await,
        ["iroh-blobs", home, file] => provider::iroh_blobs(home.as_ref(), file.as_ref()).await,
        _ => panic!("no part is called {words:?}"),
    }
}

/// Prints a part's one line.
pub(crate) fn say(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string(value).expect("figures encode"));
}

/// Waits until whoever started this part lets go of it.
pub(crate) async fn until_let_go() {
    let mut nothing = Vec::new();
    let _gone = tokio::io::stdin().read_to_end(&mut nothing).await;
}
