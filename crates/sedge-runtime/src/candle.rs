//! GGUF language models by `candle`: pure Rust, on the processor, nothing to install.

mod detokenize;
mod model;
mod sampler;
mod shape;
mod stops;
mod template;
mod tokens;
mod vocabulary;
mod weights;

use sedge_statement::{ByteSize, GgufFacts, ModelFacts, ModelFile, ModelFormat, Variant};

use crate::backend::{Backend, Provider, RunningModel, Unsupported, Unusable};
use crate::fault::LoadError;
use crate::host::GENERATING_PER_SLOT;
use crate::source::ModelSource;
use weights::Family;

/// The name in profiles, reports and errors.
pub(crate) const NAME: &str = "candle";

/// The version that the workspace's lock file holds; a test compares.
const VERSION: &str = "0.11.1";

/// The longest context that is served, tokens, whatever a model was trained for: the tables of positions of `llama` end there,
/// and keys and values of a longer one would take more than a small device has.
pub(crate) const MAX_CONTEXT: u32 = 4096;

/// The name of the file that holds a tokenizer where the model's own file has none that is read.
pub(crate) const TOKENIZER_JSON: &str = "tokenizer.json";

/// The longest tokenizer file, bytes: some times those of the largest vocabularies there are.
const MAX_TOKENIZER: u64 = 64 << 20;

/// The backend of language models that is always there.
///
/// It runs models of the architectures `llama` (Mistral and others are of it), `qwen2`, `qwen3` and `phi3`, in float or
/// in quantizations of which every one is a type of llama.cpp's older or `K` families. A vocabulary of the type `gpt2` is read
/// from the model's own file, any other from a `tokenizer.json` beside it. Nothing is mapped: the model is made from bytes that
/// were read and proven first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candle;

impl Candle {
    /// What the smallest model costs beside its weights: tokenizer, tables of positions, scratch.
    const OVERHEAD: u64 = 48 << 20;
    /// What a word of the vocabulary takes in metadata and tokenizer, bytes.
    const WORD: u64 = 200;
    /// How many times its length a tokenizer's file takes once it is read.
    const READ: u64 = 8;
}

impl Backend for Candle {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn providers(&self) -> Result<Vec<Provider>, Unusable> {
        Ok(vec![Provider::Cpu])
    }

    fn supports(&self, variant: &Variant) -> Result<(), Unsupported> {
        let facts = facts(variant)?;
        if Family::of(&facts.architecture).is_none() {
            return Err(Unsupported::Architecture { found: facts.architecture.clone(), known: Family::NAMES });
        }
        if let Some(unknown) = facts.types.keys().find(|name| !TYPES.contains(&name.as_str())) {
            return Err(Unsupported::Quantization(unknown.clone()));
        }
        match tokenizer(variant)? {
            None if facts.tokenizer != tokens::OWN => Err(Unsupported::NoTokenizer(facts.tokenizer.clone())),
            Some(file) if file.size.get() > MAX_TOKENIZER => Err(Unsupported::TokenizerTooLong(file.size)),
            _ => Ok(()),
        }
    }

    /// While it loads, the file's bytes lie beside the weights made of them, and the token embeddings exist as floats; while
    /// it runs, keys and values of the texts that are being continued do.
    fn memory(&self, variant: &Variant) -> ByteSize {
        let Ok(facts) = facts(variant) else { return variant.entry().size };
        // Half-width floats are widened.
        let widened = |(name, bytes): (&String, &ByteSize)| match name.as_str() {
            "F16" | "BF16" => bytes.get().saturating_mul(2),
            _ => bytes.get(),
        };
        let weights = facts.types.iter().map(widened).fold(0, u64::saturating_add).max(facts.weight_bytes.get());
        let (vocabulary, embedding) = (u64::from(facts.vocabulary), u64::from(facts.embedding));
        let embeddings = vocabulary.saturating_mul(embedding).saturating_mul(4);
        let beside = variant.files.iter().skip(1).fold(0, |all: u64, file| all.saturating_add(file.size.get()));
        let words = vocabulary.saturating_mul(Self::WORD).saturating_add(beside.saturating_mul(Self::READ));
        let resident = weights.saturating_add(embeddings).saturating_add(words).saturating_add(Self::OVERHEAD);
        let loading = resident.saturating_add(variant.entry().size.get());
        let texts = texts(facts).saturating_mul(GENERATING_PER_SLOT as u64);
        ByteSize(loading.max(resident.saturating_add(texts)))
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn RunningModel>, LoadError> {
        facts(&source.variant).map_err(weights::refused)?;
        let beside = match tokenizer(&source.variant).map_err(weights::refused)? {
            Some(file) => Some(source.read_beside(&file.name)?),
            None => None,
        };
        Ok(Box::new(model::CandleModel::open(source.read()?, beside.as_deref())?))
    }
}

/// What one text of the whole context takes: its keys and values, once more those of a layer that is being lengthened and
/// spread over its heads, and the scores of the heads over a piece of the prompt.
fn texts(facts: &GgufFacts) -> u64 {
    let context = facts.context.clamp(1, MAX_CONTEXT);
    let kept = facts.kv.elements(context).saturating_mul(4);
    let spread = 2 + u64::from(facts.heads / facts.kv_heads.max(1));
    let layer = kept / u64::from(facts.layers.max(1));
    let scores = u64::from(facts.heads) * u64::from(context) * weights::PIECE as u64 * 4 * 3;
    kept.saturating_add(layer.saturating_mul(spread)).saturating_add(scores)
}

/// The types of tensors that it computes with, by their names in a header.
const TYPES: [&str; 13] =
    ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"];

fn facts(variant: &Variant) -> Result<&GgufFacts, Unsupported> {
    // A manifest states the format beside the facts; one that disagrees with itself is no GGUF model.
    match (&variant.facts, variant.format) {
        (ModelFacts::Gguf(facts), ModelFormat::Gguf) => Ok(facts),
        (_, format) => Err(Unsupported::Format(format)),
    }
}

/// The tokenizer's file, where the variant has one; no other file beside the first is ever opened.
fn tokenizer(variant: &Variant) -> Result<Option<&ModelFile>, Unsupported> {
    match &variant.files[..] {
        [_] => Ok(None),
        [_, second] if second.name.as_str() == TOKENIZER_JSON => Ok(Some(second)),
        [_, second] => Err(Unsupported::UnknownFile(second.name.clone())),
        files => Err(Unsupported::SeveralFiles(files.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_lock_files() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"candle-transformers\"\nversion = \"{VERSION}\"\n")));
    }
}
