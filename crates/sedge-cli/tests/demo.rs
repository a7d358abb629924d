//! The demo, as a person runs it: real processes, real files, real sockets.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::sedge;

/// The longest to wait for something of one agent.
const SOON: Duration = Duration::from_secs(30);

/// The number of entries that the demo has under its temporary directory; none where it has no directory.
fn demo_dirs(under: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(under).unwrap().flatten().map(|e| e.path());
    entries.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("sedge-demo-")).collect()
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < SOON, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn every_check_of_the_demo_is_made_and_passes() {
    let temporary = tempfile::tempdir().unwrap();
    let output = sedge(temporary.path()).args(["demo", "--json"]).env("TMPDIR", temporary.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(whole["ok"], true, "{whole:#}\n{told}");
    assert!(output.status.success());
    assert_eq!(whole["nodes"], 3);
    assert!(whole["elapsed_ms"].as_u64().unwrap() > 0);
    let names: Vec<&str> = whole["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let promised = [
        "enrolled",
        "replicated",
        "canary-first",
        "committed-everywhere",
        "answers-match",
        "partition-heals",
        "conflict-superseded",
        "tampered-refused",
        "bad-probe-keeps-old",
        "kill-resumes",
        "nothing-left",
    ];
    assert_eq!(names, promised);
    assert!(demo_dirs(temporary.path()).is_empty());
}

#[test]
fn an_interrupted_demo_leaves_no_file() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = sedge(temporary.path());
    demo.args(["demo", "--nodes", "2"]).env("TMPDIR", temporary.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut demo = demo.spawn().unwrap();
    until("an agent", || demo_dirs(temporary.path()).iter().any(|dir| dir.join("node-1/agent.sock").exists()));
    signal(&demo, Signal::INT);
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    assert!(demo_dirs(temporary.path()).is_empty());
}

#[test]
fn an_agent_ends_in_order_when_it_is_signalled() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    assert!(sedge(&home).args(["init", "--node", "robot-1"]).output().unwrap().status.success());
    for (sent, status) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let mut agent = sedge(&home);
        agent.args(["agent", "run", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut agent = agent.spawn().unwrap();
        until("an answer", || sedge(&home).arg("status").output().unwrap().status.success());
        signal(&agent, sent);
        assert_eq!(agent.wait().unwrap().code(), Some(status), "{sent:?}");
        assert!(!home.join("agent.sock").exists());
    }
}
