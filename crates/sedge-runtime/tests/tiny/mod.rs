//! Tiny language models as releases have them.

#![expect(unreachable_pub, reason = "a module of tests is of no crate's interface")]

mod file;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use sedge_runtime::ModelSource;
use sedge_statement::{
    Blake3, ByteSize, GgufFacts, HardwareRequirements, KvShape, ModelFacts, ModelFile, ModelFormat, Quantization,
    ReleaseId, Sha256, Variant,
};
use tokenizers::Tokenizer;

pub use file::{CONTEXT, gguf, plainly, with};

/// What a header of such a file says, as far as the backend asks for it.
pub fn facts(architecture: &str, types: &[&str], bytes: u64) -> GgufFacts {
    GgufFacts {
        version: 2,
        architecture: architecture.to_owned(),
        name: String::new(),
        parameters: 0,
        weight_bytes: ByteSize(bytes),
        types: types.iter().map(|name| ((*name).to_owned(), ByteSize(bytes / types.len() as u64))).collect(),
        layers: 2,
        embedding: 256,
        heads: 4,
        kv_heads: 2,
        context: CONTEXT,
        vocabulary: 265,
        tokenizer: "gpt2".to_owned(),
        kv: KvShape { per_token: 2 * 2 * 2 * 64, ..KvShape::default() },
    }
}

/// Writes the file, and says what to open. The release's id is made of `release`.
pub fn source(dir: &Path, bytes: &[u8], facts: GgufFacts, release: u8) -> ModelSource {
    let path = dir.join(format!("model-{release}.gguf"));
    std::fs::write(&path, bytes).unwrap();
    let variant = Variant {
        name: "gguf".parse().unwrap(),
        format: ModelFormat::Gguf,
        quantization: Quantization::Mixed,
        files: vec![file("model.gguf", bytes)],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Gguf(facts),
    };
    ModelSource { release: ReleaseId::from_bytes([release; 32]), variant, path, beside: Vec::new() }
}

/// Puts a file beside a source's first one.
pub fn beside(dir: &Path, source: &mut ModelSource, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    source.variant.files.push(file(name, bytes));
    source.beside.push(path.clone());
    path
}

fn file(name: &str, bytes: &[u8]) -> ModelFile {
    ModelFile {
        name: name.parse().unwrap(),
        size: ByteSize(bytes.len() as u64),
        sha256: Sha256::of(bytes),
        blake3: Blake3::of(bytes),
    }
}

/// The vocabulary of a file as a `tokenizer.json`.
pub fn tokenizer_json(bytes: &[u8]) -> Vec<u8> {
    let content = Content::read(&mut Cursor::new(bytes)).unwrap();
    Tokenizer::from_gguf(&content).unwrap().to_string(false).unwrap().into_bytes()
}
