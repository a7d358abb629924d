//! The floors of the crates, held by a test.
//!
//! `crates/ARCHITECTURE.md` says that each crate depends only on crates of lower floors, and that floors 0 and 1 are
//! pure: no runtime, no network, no clock, no file, no environment, no random source. Cargo would accept any of them
//! with one line in a manifest, so this reads the manifests, what they resolve to, and the sources. Each check is
//! first shown a made-up violation, since a check that cannot fail proves nothing.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "floors/closure.rs"]
mod closure;
#[path = "floors/manifests.rs"]
mod manifests;
#[path = "floors/sources.rs"]
mod sources;
#[path = "floors/tokens.rs"]
mod tokens;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates and their floors.
const FLOORS: [(&str, u8); 12] = [
    ("sedge-statement", 0),
    ("sedge-artifact", 1),
    ("sedge-scheduler", 1),
    ("sedge-slot", 1),
    ("sedge-fleet", 1),
    ("sedge-sim", 2),
    ("sedge-mesh", 2),
    ("sedge-blobs", 2),
    ("sedge-runtime", 2),
    ("sedge-hardware", 2),
    ("sedge-agent", 3),
    ("sedge-cli", 4),
];

/// Crates that only tests may depend on.
const TEST_ONLY: [&str; 1] = ["sedge-sim"];

/// The highest floor that is pure.
const HIGHEST_PURE: u8 = 1;

fn pure_crates() -> impl Iterator<Item = &'static str> {
    FLOORS.into_iter().filter(|(_, floor)| *floor <= HIGHEST_PURE).map(|(name, _)| name)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What cargo prints for `arguments`. Offline: whatever built this test has downloaded what it asks about.
fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).arg("--offline").current_dir(workspace()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n  {}\n", violations.join("\n  "));
}

#[test]
fn every_crate_has_a_floor_and_depends_only_on_lower_ones() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    assert_none(&manifests::violations(&manifests::read(&metadata), &FLOORS, &TEST_ONLY));
}

#[test]
fn no_pure_crate_depends_on_a_runtime_a_network_a_clock_or_a_random_source() {
    let violations: Vec<_> = pure_crates()
        .flat_map(|name| {
            let tree = cargo(&[
                "tree",
                "--package",
                name,
                "--edges",
                "normal",
                "--no-dedupe",
                "--prefix",
                "depth",
                "--format",
                " {p} [{f}]",
            ]);
            assert!(tree.starts_with(&format!("0 {name} ")), "not a tree of {name}: {tree}");
            closure::violations(&tree)
        })
        .collect();
    assert_none(&violations);
}

#[test]
fn no_source_of_a_pure_crate_is_async_or_reads_a_clock_a_file_the_environment_or_a_random_source() {
    let crates = workspace().join("crates");
    let mut read = 0;
    let violations: Vec<_> = pure_crates()
        .flat_map(|name| {
            let files = sources::files(&crates.join(name).join("src"));
            read += files.len();
            sources::violations(&files)
        })
        .collect();
    assert!(read > pure_crates().count(), "only {read} files found under {}", crates.display());
    assert_none(&violations);
}
