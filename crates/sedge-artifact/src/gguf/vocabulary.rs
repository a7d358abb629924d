//! The tokenizer's tables: as long as one another, and every special token among them.

use std::ops::RangeInclusive;

use super::header::Tensor;
use super::metadata::Metadata;
use super::value::{Value, ValueType};
use super::{Counted, GgufError, Limits};

const PREFIX: &str = "tokenizer.ggml.";
const TOKENS: &str = "tokenizer.ggml.tokens";

/// The types of tokens that are neither ordinary nor single bytes.
const SPECIAL: RangeInclusive<i128> = 2..=5;

/// What there is to say of the tokens.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) tokens: u32,
    pub(super) tokenizer: String,
    pub(super) merges: u64,
}

impl Vocabulary {
    pub(super) fn read(
        architecture: &str,
        metadata: &Metadata<'_>,
        tensors: &[Tensor],
        limits: &Limits,
    ) -> Result<Self, GgufError> {
        let key = "tokenizer.ggml.model";
        let tokenizer = metadata.text(key)?.unwrap_or_default().to_owned();
        if !tokenizer.is_empty() && !super::is_word(&tokenizer) {
            return Err(GgufError::BadName { at: metadata.place(key), what: "name of a tokenizer" });
        }
        let tokens = strings(metadata, TOKENS)?;
        let said = format!("{architecture}.vocab_size");
        let size = metadata.count(&said)?.map(u64::from);
        if let (Some(tokens), Some(size)) = (tokens, size)
            && tokens != size
        {
            return Err(GgufError::TokenCount { at: metadata.place(TOKENS), found: tokens, vocabulary: size });
        }
        let rows = || tensors.iter().find(|tensor| tensor.name == "token_embd.weight").and_then(|t| t.shape.get(1));
        let vocabulary = tokens.or(size).or_else(|| rows().copied()).unwrap_or(0);
        for (key, expected) in [("scores", "an array of floats"), ("token_type", "an array of integers")] {
            let key = format!("{PREFIX}{key}");
            let Some(array) = metadata.array(&key, expected)? else { continue };
            let is_right = match array.kind {
                ValueType::F32 | ValueType::F64 => expected.ends_with("floats"),
                kind => kind.is_integer() && expected.ends_with("integers"),
            };
            if !is_right {
                return Err(GgufError::WrongType { at: metadata.place(&key), expected, found: array.kind });
            }
            if array.count != vocabulary {
                return Err(GgufError::TokenCount { at: metadata.place(&key), found: array.count, vocabulary });
            }
        }
        few_special(metadata, limits)?;
        let merges = strings(metadata, "tokenizer.ggml.merges")?.unwrap_or(0);
        for key in metadata.keys().filter(|key| key.starts_with(PREFIX) && key.ends_with("_token_id")) {
            let found = u64::from(metadata.count(key)?.unwrap_or(0));
            if found >= vocabulary {
                return Err(GgufError::TokenId { at: metadata.place(key), found, vocabulary });
            }
        }
        for key in metadata.keys().filter(|key| key.starts_with(PREFIX) && key.ends_with("_token_ids")) {
            let Some(ids) = metadata.array(key, "an array of integers")?.and_then(|array| array.integers()) else {
                continue;
            };
            for id in ids {
                let found = u64::try_from(id).unwrap_or(u64::MAX);
                if found >= vocabulary {
                    return Err(GgufError::TokenId { at: metadata.place(key), found, vocabulary });
                }
            }
        }
        let expected = "a count of 32 bits";
        let tokens = u32::try_from(vocabulary).map_err(|_| {
            let found = vocabulary.into();
            GgufError::OutOfRange { at: metadata.place(&said), found, expected }
        })?;
        Ok(Self { tokens, tokenizer, merges })
    }
}

/// Whoever runs the model looks for each special token in every text.
fn few_special(metadata: &Metadata<'_>, limits: &Limits) -> Result<(), GgufError> {
    let key = "tokenizer.ggml.token_type";
    let kinds = metadata.array(key, "an array of integers")?.and_then(|array| array.integers());
    let found = kinds.into_iter().flatten().filter(|kind| SPECIAL.contains(kind)).count() as u64;
    if found <= limits.special {
        return Ok(());
    }
    Err(GgufError::TooMany { at: metadata.place(key), what: Counted::Special, found, limit: limits.special })
}

/// How many strings an array of them has.
fn strings(metadata: &Metadata<'_>, key: &str) -> Result<Option<u64>, GgufError> {
    let expected = "an array of text";
    match metadata.get(key) {
        Some(Value::Array(array)) if array.kind != ValueType::Text => {
            Err(GgufError::WrongType { at: metadata.place(key), expected, found: array.kind })
        }
        _ => Ok(metadata.array(key, expected)?.map(|array| array.count)),
    }
}
