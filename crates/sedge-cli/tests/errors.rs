//! What the program says, and with which status it ends, where something cannot be done.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use support::sedge;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits");

/// What one command said, with the home's path made the same everywhere.
fn said(home: &Path, args: &[&str]) -> (i32, String) {
    let output: Output = sedge(home).args(args).output().expect("the program can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home.display().to_string(), "HOME");
    let told = [text(&output.stdout), text(&output.stderr)].concat();
    (output.status.code().unwrap_or(-1), told.trim_end().to_owned())
}

/// Each command with its status and its words, one after another.
fn transcript(home: &Path, commands: &[&[&str]]) -> String {
    let told = commands.iter().map(|args| {
        let (status, text) = said(home, args);
        format!("$ sedge {}\n{text}\nexit {status}\n", args.join(" ")).replace(MODELS, "MODELS")
    });
    let told: Vec<String> = told.collect();
    told.join("\n").replace(&home.display().to_string(), "HOME")
}

#[test]
fn without_an_agent_every_command_that_needs_one_says_so() {
    let home = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 10] = [
        &["status"],
        &["node", "list"],
        &["model", "list"],
        &["deploy", "digits"],
        &["rollout", "list"],
        &["rollout", "pause", "3f9a1c"],
        &["invite"],
        &["doctor"],
        &["agent", "offline"],
        &["agent", "stop"],
    ];
    for args in commands {
        let (status, text) = said(home.path(), args);
        assert_eq!(status, 5, "{args:?}: {text}");
        assert!(text.contains("no agent runs on HOME") && text.contains("sedge agent run"), "{args:?}: {text}");
    }
}

#[test]
fn errors_say_what_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let broken = dir.path().join("broken.onnx");
    let whole = fs::read(format!("{MODELS}/digits-2.0.0.onnx")).unwrap();
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    let told = transcript(
        &home,
        &[
            &["join", "nonsense"],
            &["join", "sedgeaaaa", "--name", "robot-1"],
            &["agent", "run"],
            &["init", "--name", "Acme"],
            &["model", "inspect", "missing.onnx"],
            &["model", "add", "missing.onnx"],
            &["model", "add", &format!("{MODELS}/digits-1.0.0.onnx"), "--probe", &format!("{MODELS}/README.md")],
            &["infer", "digits", "--input", "missing.json"],
            &["infer", "digits", "--input", &format!("{MODELS}/inputs")],
        ],
    );
    insta::assert_snapshot!(told);
    let (status, text) = said(&home, &["model", "inspect", &broken.display().to_string()]);
    assert_eq!(status, 3, "half a model is refused: {text}");
}

#[test]
fn a_home_belongs_to_one_mesh_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let init = ["init", "--name", "acme", "--node", "robot-1", "--json"];
    let made = sedge(home.path()).args(init).output().unwrap();
    assert!(made.status.success());
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&made["mesh"]["name"], &made["node"]["name"]), (&"acme".into(), &"robot-1".into()));
    let (status, text) = said(home.path(), &init);
    assert_eq!(status, 1);
    assert!(text.contains("already belongs to a mesh") && text.contains("--home"), "{text}");
}

#[test]
fn inspecting_a_model_needs_no_agent_and_prints_one_json_value() {
    let home = tempfile::tempdir().unwrap();
    let file = format!("{MODELS}/digits-2.0.0.onnx");
    let output = sedge(home.path()).args(["model", "inspect", &file, "--json"]).output().unwrap();
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&read["id"], &read["version"]), (&"digits".into(), &"2.0.0".into()));
    assert_eq!(read["size_bytes"], fs::metadata(&file).unwrap().len());
}

#[test]
fn completions_name_the_commands() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (status, script) = said(home.path(), &["completions", shell]);
        assert_eq!(status, 0);
        assert!(script.contains("rollout") && script.contains("deploy"), "{shell}");
    }
}
