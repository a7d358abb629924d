//! The figures that were kept: for each bench and line its ratio to the anchor, which another machine gives too.

use std::path::PathBuf;

use serde_json::{Map, Value};

/// The kept file: `{ bench: { what: ratio } }`.
#[derive(Debug)]
pub(super) struct Baseline {
    path: PathBuf,
    benches: Map<String, Value>,
}

impl Baseline {
    /// Reads it; empty where there is none.
    pub(super) fn read() -> Self {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench/baseline.json");
        let path = std::env::var_os("SEDGE_BENCH_BASELINE").map_or_else(|| PathBuf::from(kept), PathBuf::from);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Self { benches: serde_json::from_str(&text).unwrap_or_default(), path }
    }

    /// What was kept of a line.
    pub(super) fn ratio(&self, bench: &str, what: &str) -> Option<f64> {
        self.benches.get(bench)?.get(what)?.as_f64()
    }

    /// Replaces what was kept of a line, rounded so that the file changes only where something did.
    pub(super) fn keep(&mut self, bench: &str, what: &str, ratio: f64) {
        let lines = self.benches.entry(bench).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(lines) = lines {
            lines.insert(what.to_owned(), Value::from((ratio * 1000.0).round() / 1000.0));
        }
    }

    /// Writes the file.
    pub(super) fn write(&self) {
        let text = serde_json::to_string_pretty(&self.benches).expect("a map of numbers encodes");
        match std::fs::write(&self.path, text + "\n") {
            Ok(()) => println!("\nkept in {}", self.path.display()),
            Err(error) => println!("\nnot kept in {}: {error}", self.path.display()),
        }
    }
}
