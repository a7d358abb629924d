//! Heads, and what attention keeps for each token.

use super::header::{Certainty, KvCache};
use super::metadata::{Metadata, PerLayer};
use super::value::Value;
use super::{GgufError, Limits};

/// Architectures whose blocks are the plain ones: attention with keys and values of every layer, by the keys of the
/// metadata. Shapes are held against the metadata for these alone.
const PLAIN: &[&str] =
    &["llama", "mistral3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma", "gemma2", "gemma3", "phi3", "glm4"];

/// Architectures in which all but every so-manieth layer look at a window only.
const WINDOWED: &[(&str, u32)] =
    &[("gemma2", 2), ("gemma3", 6), ("gemma3n", 5), ("cohere2", 4), ("gpt-oss", 2), ("exaone4", 4), ("olmo2", 4)];

/// Whether an architecture's blocks are the plain ones.
pub(super) fn is_plain(architecture: &str) -> bool {
    PLAIN.contains(&architecture)
}

/// The numbers of a model's attention.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) layers: u32,
    pub(super) embedding: u32,
    pub(super) context: u32,
    pub(super) heads: PerLayer,
    pub(super) kv_heads: PerLayer,
    pub(super) key_length: u32,
    pub(super) value_length: u32,
}

impl Attention {
    pub(super) fn read(architecture: &str, metadata: &Metadata<'_>, limits: &Limits) -> Result<Self, GgufError> {
        let key = |rest: &str| format!("{architecture}.{rest}");
        let layers = metadata.positive(&key("block_count"))?;
        if layers > limits.layers {
            let (at, what) = (metadata.place(&key("block_count")), super::Counted::Layers);
            return Err(GgufError::TooMany { at, what, found: layers.into(), limit: limits.layers.into() });
        }
        let embedding = metadata.positive(&key("embedding_length"))?;
        let context = metadata.positive(&key("context_length"))?;

        let heads_key = key("attention.head_count");
        let heads = metadata.per_layer(&heads_key, layers)?;
        let heads = heads.ok_or_else(|| GgufError::MissingKey { key: heads_key.clone() })?;
        if heads.max() == 0 {
            let expected = "above zero: models without attention are not measured here";
            return Err(GgufError::OutOfRange { at: metadata.place(&heads_key), found: 0, expected });
        }
        let kv_key = key("attention.head_count_kv");
        let kv_heads = metadata.per_layer(&kv_key, layers)?.unwrap_or_else(|| heads.clone());
        if kv_heads.max() == 0 {
            let expected = "above zero";
            return Err(GgufError::OutOfRange { at: metadata.place(&kv_key), found: 0, expected });
        }
        let said_length = |name: &str| match metadata.get(&key(name)) {
            Some(_) => metadata.positive(&key(name)).map(Some),
            None => Ok(None),
        };
        let (key_length, value_length) = (said_length("attention.key_length")?, said_length("attention.value_length")?);
        for layer in 0..layers {
            let (of_layer, kv) = (heads.of(layer), kv_heads.of(layer));
            let derived = key_length.is_none() || value_length.is_none();
            if derived && of_layer > 0 && !embedding.is_multiple_of(of_layer) {
                let at = metadata.place(&heads_key);
                let of = "the embedding's length";
                return Err(GgufError::DoesNotDivide { at, found: of_layer, whole: embedding, of });
            }
            if of_layer > 0 && kv > 0 && !of_layer.is_multiple_of(kv) {
                let at = metadata.place(&kv_key);
                return Err(GgufError::DoesNotDivide { at, found: kv, whole: of_layer, of: "the heads" });
            }
        }
        let derived = embedding / heads.max();
        let (key_length, value_length) = (key_length.unwrap_or(derived), value_length.unwrap_or(derived));
        Ok(Self { layers, embedding, context, heads, kv_heads, key_length, value_length })
    }

    /// What is kept for each token.
    pub(super) fn cache(&self, architecture: &str, metadata: &Metadata<'_>) -> Result<KvCache, GgufError> {
        let key = |rest: &str| format!("{architecture}.{rest}");
        let window = metadata.count(&key("attention.sliding_window"))?.unwrap_or(0);
        let pattern = self.windows(architecture, metadata)?;
        let known = is_plain(architecture) || pattern.is_some();
        let (mut per_token, mut windowed_per_token, mut certainty) = (0_u64, 0_u64, Certainty::Exact);
        if !known || (window > 0 && pattern.is_none()) {
            certainty = Certainty::UpperBound;
        }
        let lengths = |key_length: u32, value_length: u32| u64::from(key_length) + u64::from(value_length);
        let in_window = lengths(
            metadata.count(&key("attention.key_length_swa"))?.unwrap_or(self.key_length),
            metadata.count(&key("attention.value_length_swa"))?.unwrap_or(self.value_length),
        );
        let whole = lengths(self.key_length, self.value_length);
        for layer in 0..self.layers {
            // A layer that keeps no keys keeps a state of its own: never more than attention would, in those known.
            let kv = if known { self.kv_heads.of(layer) } else { self.kv_heads.max() };
            let is_windowed = window > 0 && pattern.as_ref().is_some_and(|pattern| pattern.is_windowed(layer));
            let (sum, length) = match is_windowed {
                true => (&mut windowed_per_token, in_window),
                false => (&mut per_token, if known { whole } else { whole.max(in_window) }),
            };
            *sum = sum.saturating_add(u64::from(kv).saturating_mul(length));
        }
        let window = if windowed_per_token > 0 { window } else { 0 };
        Ok(KvCache { per_token, windowed_per_token, window, certainty })
    }

    /// Which layers look at the window, where that can be known.
    fn windows(&self, architecture: &str, metadata: &Metadata<'_>) -> Result<Option<Windows>, GgufError> {
        let key = format!("{architecture}.attention.sliding_window_pattern");
        if let Some(Value::Array(_)) = metadata.get(&key) {
            return Ok(metadata.per_layer(&key, self.layers)?.map(Windows::Each));
        }
        let known = WINDOWED.iter().find(|(name, _)| *name == architecture).map(|(_, every)| *every);
        let every = metadata.count(&key)?.or(known);
        Ok(every.map(Windows::AllButEvery))
    }
}

/// Which layers look at a window only.
#[derive(Debug)]
enum Windows {
    /// The last of every so many looks at everything; none does where that is zero.
    AllButEvery(u32),
    /// Those with a number above zero.
    Each(PerLayer),
}

impl Windows {
    fn is_windowed(&self, layer: u32) -> bool {
        match self {
            Self::AllButEvery(0) => true,
            Self::AllButEvery(every) => layer % every < every - 1,
            Self::Each(each) => each.of(layer) > 0,
        }
    }
}
