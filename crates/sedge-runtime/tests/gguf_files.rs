//! Files of version 3 that another program writes: one for each type of tensor that PyPI's `gguf` can make.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

#[expect(dead_code, unused_imports, reason = "each test file uses its own part")]
mod tiny;

use std::ops::ControlFlow;
use std::path::PathBuf;

use candle_transformers::generation::Sampling as Choice;
use sedge_runtime::{Candle, Loaded};
use sedge_statement::{Sampling, TextRequest};

const PROMPT: &str = "The cat sat on the mat, and then";
/// The types that the files are of.
const TYPES: [&str; 8] = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"];
const HOW: &str = "export SEDGE_GGUF_DATA=$(bash .ci/gguf-data)";

/// The folder of the files; none where they are not at hand, which continuous integration does not forgive.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SEDGE_GGUF_DATA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        assert!(std::env::var_os("SEDGE_CI").is_none_or(|v| v != "1"), "no files of another program: {HOW}");
        println!("skipped: no files of another program; to have them: {HOW}");
    }
    folder
}

#[test]
fn files_of_another_program_are_continued_as_candle_does() {
    let Some(folder) = folder() else { return };
    let dir = tempfile::tempdir().unwrap();
    for kind in TYPES {
        let bytes = std::fs::read(folder.join(format!("llama-{kind}.gguf"))).unwrap();
        assert_eq!(&bytes[..8], b"GGUF\x03\0\0\0", "{kind}");
        let facts = tiny::facts("llama", &[kind, "F32"], bytes.len() as u64);
        let model = Loaded::open(&Candle, &tiny::source(dir.path(), &bytes, facts, 1)).unwrap();
        for (temperature, seed) in [(0.0, 0), (0.9, 1), (0.9, 2)] {
            let sampling = Sampling { temperature, seed, ..Sampling::default() };
            let request = TextRequest { sampling, ..TextRequest::continue_text(PROMPT, 32) };
            let mut text = String::new();
            let mut on_text = |piece: &str| {
                text.push_str(piece);
                ControlFlow::Continue(())
            };
            model.generate(&request, &mut on_text).unwrap();
            let choice = if seed == 0 { Choice::ArgMax } else { Choice::All { temperature } };
            assert_eq!(text, tiny::plainly(&bytes, PROMPT, 32, seed, choice), "{kind}, seed {seed}");
        }
    }
    println!("{} texts of {} types are candle's own", 3 * TYPES.len(), TYPES.len());
}
