//! The committed fixtures are what the builder writes, and each meets its refusal.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use sedge_artifact::gguf::Limits;
use sedge_artifact::{GgufError, GgufHeader};

use super::builder::llama;
use super::defects::all;

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gguf"))
}

#[test]
fn the_committed_fixtures_are_what_the_builder_writes() {
    let built: Vec<(&str, Vec<u8>)> =
        all().into_iter().map(|defect| (defect.file, defect.bytes)).chain([("good.gguf", good())]).collect();
    let directory = directory();
    if std::env::var_os("SEDGE_BLESS").is_some() {
        fs::create_dir_all(&directory).unwrap();
        for (file, bytes) in &built {
            fs::write(directory.join(file), bytes).unwrap();
        }
    }
    for (file, bytes) in &built {
        let committed = fs::read(directory.join(file)).unwrap_or_default();
        assert!(committed == *bytes, "{file} differs from the builder; SEDGE_BLESS=1 rewrites it");
    }
    let committed: BTreeSet<String> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let named: BTreeSet<String> = built.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(committed, named, "every fixture has a builder");
    assert_eq!(named.len(), built.len(), "no two fixtures share a name");
}

#[test]
fn every_defect_meets_its_refusal() {
    let mut refusals = String::new();
    for defect in all() {
        match GgufHeader::read(&defect.bytes, defect.bytes.len() as u64, &Limits::default()) {
            Ok(header) => panic!("{} was accepted: {header:?}", defect.file),
            Err(error) => refusals += &format!("{}\n    {error}\n", defect.file),
        }
    }
    insta::assert_snapshot!("defects", refusals);
}

#[test]
fn a_good_model_reads_as_its_golden_header() {
    let header = GgufHeader::read(&good(), good().len() as u64, &Limits::default()).unwrap();
    insta::assert_debug_snapshot!("good", header);
}

/// What the whole file answers, from every beginning of it: more is asked for until the header ends, never beyond.
#[test]
fn a_beginning_asks_for_more_until_the_header_is_whole_and_then_says_the_same() {
    let good = good();
    let (limits, length) = (Limits::default(), good.len() as u64);
    let whole = GgufHeader::read(&good, length, &limits).unwrap();
    for have in 0..good.len() {
        match GgufHeader::read(&good[..have], length, &limits) {
            Ok(header) => {
                assert!(have as u64 >= whole.header_bytes, "the header was taken for whole after {have} bytes");
                assert_eq!(header, whole);
            }
            Err(GgufError::NeedMore { bytes }) => {
                assert!((have as u64) < bytes && bytes <= whole.header_bytes, "{bytes} asked for after {have}");
            }
            Err(error) => panic!("the first {have} bytes: {error}"),
        }
    }
}

#[test]
fn no_proper_beginning_of_a_model_is_a_model() {
    let good = good();
    for length in 0..good.len() {
        let error = GgufHeader::read(&good[..length], length as u64, &Limits::default()).unwrap_err();
        let told_apart =
            matches!(error, GgufError::Empty | GgufError::Truncated { .. } | GgufError::BeyondTheEnd { .. });
        assert!(told_apart, "the first {length} bytes: {error}");
    }
}

/// A model's bytes.
fn good() -> Vec<u8> {
    llama().bytes()
}
