//! What PyPI's `gguf` wrote (`pypi/make.py`), read here as its own reader reads it (`pypi/facts.txt`).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sedge_artifact::GgufHeader;
use sedge_artifact::gguf::Limits;

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gguf/pypi"))
}

fn ours(header: &GgufHeader) -> BTreeMap<&'static str, String> {
    let mut types: Vec<&str> = header.types.keys().map(|kind| kind.word()).collect();
    types.sort_unstable();
    BTreeMap::from([
        ("version", header.version.to_string()),
        ("architecture", header.architecture.clone()),
        ("alignment", header.alignment.to_string()),
        ("data_offset", header.data_offset.to_string()),
        ("tensors", header.tensors.len().to_string()),
        ("parameters", header.parameters.to_string()),
        ("unpadded", header.tensors.iter().map(|tensor| tensor.bytes).sum::<u64>().to_string()),
        ("weight_bytes", header.weight_bytes.to_string()),
        ("last", header.tensors.last().unwrap().offset.to_string()),
        ("types", types.join("+")),
        ("quantization", header.quantization.word().to_owned()),
        ("layers", header.layers.to_string()),
        ("heads", header.heads.to_string()),
        ("kv_heads", header.kv_heads.to_string()),
        ("context", header.context.to_string()),
        ("embedding", header.embedding.to_string()),
        ("vocabulary", header.vocabulary.to_string()),
        ("merges", header.merges.to_string()),
    ])
}

#[test]
fn every_file_reads_as_the_reader_of_its_own_writer_reads_it() {
    let facts = fs::read_to_string(directory().join("facts.txt")).unwrap();
    let mut compared = 0;
    for line in facts.lines() {
        let (file, theirs) = line.split_once(' ').unwrap();
        let bytes = fs::read(directory().join(file)).unwrap();
        let header = GgufHeader::read(&bytes, bytes.len() as u64, &Limits::default())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let ours = ours(&header);
        for field in theirs.split(' ') {
            let (key, value) = field.split_once('=').unwrap();
            // What is not declared is seen by us alone.
            let value = if value == "-" { "IQ4_XS" } else { value };
            assert_eq!(ours[key], value, "{file}: {key}");
            compared += 1;
        }
    }
    assert_eq!(compared, 10 * 18, "ten files, eighteen facts each");
}
