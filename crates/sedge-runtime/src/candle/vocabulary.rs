//! The tokenizer that a model's own file holds. The file names the rule by which text is split before its vocabulary is asked;
//! candle takes any name that it does not know for GPT-2's rule with a space put before the text, so that names are looked up
//! here first.

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use super::weights::refused;
use crate::fault::LoadError;

const PRE: &str = "tokenizer.ggml.pre";
const IGNORE_MERGES: &str = "tokenizer.ggml.ignore_merges";
const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";

/// How a text is split into the words whose bytes are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    /// Digits by three; whole words of the vocabulary are taken unmerged, and a text has a beginning, unless the file says
    /// otherwise.
    Llama3,
    /// As Llama 3's, with merges alone.
    Smaug,
    /// Digits one by one.
    Qwen2,
    /// GPT-2's, digits with one another.
    Gpt2,
    /// GPT-2's, digits one by one.
    SmolLm,
}

impl Split {
    /// The rule of that name.
    fn of(name: Option<&str>) -> Option<Self> {
        Some(match name {
            Some("llama-bpe" | "llama-v3" | "llama3" | "falcon3" | "lfm2") => Self::Llama3,
            Some("smaug-bpe") => Self::Smaug,
            Some("qwen2" | "deepseek-r1-qwen") => Self::Qwen2,
            None | Some("default" | "gpt-2") => Self::Gpt2,
            Some("smollm") => Self::SmolLm,
            Some(_) => return None,
        })
    }

    /// The name by which candle knows it, or has it changed afterwards.
    const fn candles(self) -> &'static str {
        match self {
            Self::Llama3 => "llama3",
            Self::Smaug => "smaug-bpe",
            Self::Qwen2 => "qwen2",
            Self::Gpt2 | Self::SmolLm => "gpt-2",
        }
    }

    /// What takes the place of candle's own.
    fn instead(self) -> Option<PreTokenizerWrapper> {
        let gpt2 = ByteLevel::new(false, true, true);
        match self {
            Self::Gpt2 => Some(gpt2.into()),
            Self::SmolLm => Some(Sequence::new(vec![Digits::new(true).into(), gpt2.into()]).into()),
            _ => None,
        }
    }
}

/// Reads the tokenizer out of a model's metadata, in which names and defaults are put as candle knows them.
pub(super) fn read(content: &mut Content) -> Result<Tokenizer, LoadError> {
    let named = match content.metadata.get(PRE) {
        None => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(other) => return Err(refused(format!("{PRE} is {:?}, and not text", other.value_type()))),
    };
    let split = Split::of(named.as_deref()).ok_or_else(|| {
        let name: String = named.unwrap_or_default().chars().take(64).collect();
        refused(format!(
            "its text is split by the rule {name:?}, which is not known; give its tokenizer.json beside it"
        ))
    })?;
    content.metadata.insert(PRE.to_owned(), Value::String(split.candles().to_owned()));
    if split == Split::Llama3 {
        // What files of this rule leave out.
        for key in [IGNORE_MERGES, ADD_BOS] {
            content.metadata.entry(key.to_owned()).or_insert(Value::Bool(true));
        }
    }
    let mut tokenizer = Tokenizer::from_gguf(content).map_err(refused)?;
    if let Some(instead) = split.instead() {
        tokenizer.with_pre_tokenizer(Some(instead));
    }
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::quantized::gguf_file::VersionedMagic;

    use super::*;

    /// A vocabulary of few letters and words, and the rule of that name.
    fn content(name: Option<&str>) -> Content {
        let texts = |all: &[&str]| Value::Array(all.iter().map(|text| Value::String((*text).to_owned())).collect());
        let words = ["<s>", "a", "b", "Ġ", "1", "2", "11", "111", "1111", "Ġa", "ab", "22"];
        let mut metadata = HashMap::from([
            ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
            ("tokenizer.ggml.tokens".to_owned(), texts(&words)),
            ("tokenizer.ggml.merges".to_owned(), texts(&["Ġ a", "1 1", "11 1", "11 11"])),
            ("tokenizer.ggml.bos_token_id".to_owned(), Value::U32(0)),
        ]);
        if let Some(name) = name {
            metadata.insert(PRE.to_owned(), Value::String(name.to_owned()));
        }
        Content { magic: VersionedMagic::GgufV3, metadata, tensor_infos: HashMap::new(), tensor_data_offset: 0 }
    }

    fn tokens(name: Option<&str>, text: &str) -> Vec<String> {
        let tokenizer = read(&mut content(name)).unwrap();
        tokenizer.encode(text, true).unwrap().get_tokens().to_vec()
    }

    #[test]
    fn every_rule_splits_as_its_models_were_trained_and_puts_no_space_before_a_text() {
        let text = "a 1111 a";
        for name in ["llama-bpe", "llama-v3", "llama3", "falcon3"] {
            assert_eq!(tokens(Some(name), text), ["<s>", "a", "Ġ", "111", "1", "Ġa"], "{name}");
        }
        for name in ["qwen2", "smollm"] {
            assert_eq!(tokens(Some(name), text), ["a", "Ġ", "1", "1", "1", "1", "Ġa"], "{name}");
        }
        for name in [None, Some("default"), Some("gpt-2")] {
            assert_eq!(tokens(name, text), ["a", "Ġ", "1111", "Ġa"], "{name:?}");
        }
    }

    #[test]
    fn a_whole_word_of_llama_3_needs_no_merges() {
        assert_eq!(tokens(Some("llama-bpe"), "ab"), ["<s>", "ab"]);
        assert_eq!(tokens(Some("smaug-bpe"), "ab"), ["a", "b"]);
        let mut said = content(Some("llama-bpe"));
        said.metadata.insert(ADD_BOS.to_owned(), Value::Bool(false));
        assert_eq!(read(&mut said).unwrap().encode("ab", true).unwrap().get_tokens(), ["ab"]);
    }

    #[test]
    fn a_rule_that_is_not_known_is_refused_by_its_name() {
        let error = read(&mut content(Some("tekken"))).unwrap_err().to_string();
        assert!(error.contains("\"tekken\"") && error.contains("tokenizer.json"), "{error}");
        let mut number = content(None);
        number.metadata.insert(PRE.to_owned(), Value::U32(1));
        assert!(read(&mut number).is_err());
    }
}
