//! The list of attacks, and the cases that perform each: found by their names in all crates, printed, and none missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::siege::all_over;

/// An attack, and how the names of its cases begin.
struct Row(&'static str, &'static [&'static str]);

/// The attacks that are answered for, each by its own words.
const ATTACKS: [Row; 25] = [
    Row("arbitrary installation", &["arbitrary_installation"]),
    Row("rollback to an old version", &["rollback_to_an_old_version"]),
    Row("fast-forward of a generation", &["fast_forward_of_a_generation"]),
    Row("indefinite freeze, drop requests", &["indefinite_freeze", "drop_requests"]),
    Row("mix and match", &["mix_and_match"]),
    Row("extraneous files", &["extraneous_files"]),
    Row("endless data", &["endless_data"]),
    Row("slow retrieval", &["slow_retrieval"]),
    Row("wrong software for the device", &["wrong_software_for_the_device"]),
    Row("key compromise", &["key_compromise"]),
    Row(
        "expired or not yet valid certificate of an authority",
        &["an_expired_certificate_of_an_authority", "expired_certificate", "not_yet_valid_certificate"],
    ),
    Row("delegation widening", &["delegation_widening"]),
    Row("replay of a joining ticket", &["replay_of_a_joining_ticket"]),
    Row("equivocation, cloned node, restored backup", &["equivocation", "a_cloned_node", "a_restored_backup"]),
    Row("poisoned time, clock set back", &["poisoned_time", "clock_set_back"]),
    Row("a thief opens a new epoch", &["a_thief_opens_a_new_epoch"]),
    Row("self-declared label or hardware", &["self_declared_label", "self_declared_hardware"]),
    Row("lying aggregator, forged wave evidence", &["lying_aggregator", "forged_wave_evidence"]),
    Row("forged author, gap or orphan", &["forged_author", "a_forged_author", "a_gap_", "an_orphan"]),
    Row("malformed or huge frames, change bombs", &["malformed_or_huge_frames", "change_bombs"]),
    Row("path traversal", &["path_traversal"]),
    Row("malicious model file", &["malicious_model_file"]),
    Row("revoked peer still connected", &["revoked_peer_still_connected"]),
    Row("unauthenticated blob download", &["unauthenticated_blob_download"]),
    Row("local user on the device", &["local_user_on_the_device"]),
];

/// What suites of update frameworks ask beside, in the words of this project, and what resources ask.
const BESIDE: [Row; 8] = [
    Row("expiry of each role", &["expiry_of_"]),
    Row("thresholds, keys and signatures counted once", &["threshold_"]),
    Row("rollback of each document", &["rollback_of_"]),
    Row("fast-forward recovery by new roots", &["fast_forward_recovery"]),
    Row("graphs of delegation", &["delegation_graph_"]),
    Row("rotation step by step", &["rotation_"]),
    Row("a revoked key added again", &["a_revoked_key_"]),
    Row("floods and bounds", &["floods_"]),
];

/// What is not there to be attacked yet, and the crate that will bring it.
const NOT_BUILT: [(&str, &str); 1] = [("poisoned federated update", "crates/sedge-federated")];

/// The least number of cases in all.
const AT_LEAST: usize = 60;

/// A test: its name, and the command that runs its file.
type Case = (String, String);

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_has_a_case_that_is_named_after_it() -> Result<()> {
    // The table is the last thing said.
    all_over().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let cases = cases(&root)?;
    let here = compiled_here()?;
    let (mut lines, mut named, mut without) = (Vec::new(), BTreeSet::new(), Vec::new());
    for Row(attack, prefixes) in ATTACKS.iter().chain(&BESIDE) {
        let of = |case: &&Case| prefixes.iter().any(|prefix| case.0.starts_with(prefix));
        let found: Vec<&Case> = cases.iter().filter(of).collect();
        if found.is_empty() {
            without.push(*attack);
        }
        lines.push(format!("{attack}: {}", found.len()));
        let mut by_command: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        found.iter().for_each(|(name, command)| by_command.entry(command).or_default().push(name));
        for (command, names) in by_command {
            lines.push(format!("  {command}"));
            lines.extend(names.iter().map(|name| format!("    {name}")));
        }
        named.extend(found);
    }
    for (name, command) in named.iter().filter(|(_, command)| command.ends_with("--test attacks -p sedge-cli")) {
        ensure!(here.contains(name), "{name} stands in a file of {command} that is not compiled");
    }
    for (attack, lives_in) in NOT_BUILT {
        ensure!(!root.join(lives_in).exists(), "{lives_in} is there, and {attack} has no row");
        lines.push(format!("{attack}: not built, and so not attacked"));
    }
    println!("{}", lines.join("\n"));
    ensure!(without.is_empty(), "no case is named after: {without:?}");
    ensure!(named.len() >= AT_LEAST, "only {} cases", named.len());
    println!("{} attacks and {} further groups, {} cases, none without", ATTACKS.len(), BESIDE.len(), named.len());
    Ok(())
}

/// The tests of this program, by their last names.
fn compiled_here() -> Result<BTreeSet<String>> {
    let listed = Command::new(std::env::current_exe()?).arg("--list").output()?;
    let text = String::from_utf8(listed.stdout)?;
    let names = text.lines().filter_map(|line| line.strip_suffix(": test")?.rsplit("::").next());
    Ok(names.map(str::to_owned).collect())
}

/// Every test of the repository with the command that runs it.
fn cases(root: &Path) -> Result<Vec<Case>> {
    let mut files = Vec::new();
    for dir in ["tests", "crates"] {
        rust_files(&root.join(dir), &mut files)?;
    }
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        if let Some(command) = command(file.strip_prefix(root)?) {
            cases.extend(tests_in(&text).map(|name| (name.to_owned(), command.clone())));
        }
    }
    cases.sort();
    ensure!(cases.len() > 500, "only {} tests were found, so that the search is broken", cases.len());
    Ok(cases)
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["target", "fuzz", "bench", "fixtures"].contains(&name) {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The names of the functions that stand behind an attribute of a test.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
            return None;
        }
        let behind = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
        std::mem::take(&mut is_test).then(|| behind.split(['(', '<']).next().unwrap_or(behind))
    })
}

/// The command that runs the tests of a file.
fn command(file: &Path) -> Option<String> {
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let stem = |part: &str| part.trim_end_matches(".rs").to_owned();
    match parts[..] {
        ["tests", target, ..] => Some(format!("cargo test --test {} -p sedge-cli", stem(target))),
        ["crates", package, "tests", target, ..] => Some(format!("cargo test --test {} -p {package}", stem(target))),
        ["crates", package, "src", ..] => Some(format!("cargo test --lib -p {package}")),
        _ => None,
    }
}
