//! What a language model takes in memory, by what its header says.

use serde::{Deserialize, Serialize};

use crate::{ByteSize, GgufFacts, KvShape};

/// What loads a model, and with what manner of keeping keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// llama.cpp as it is by default: keys and values in 16 bits, layers with a window keep the window.
    LlamaCpp,
    /// candle: keys and values in 32 bits, every layer keeps the whole context, and so do the embeddings take 32 bits.
    Candle,
}

impl Loader {
    const fn bytes_of_an_element(self) -> u64 {
        match self {
            Self::LlamaCpp => 2,
            Self::Candle => 4,
        }
    }

    const fn kept(self, kv: KvShape) -> KvShape {
        match self {
            Self::LlamaCpp => kv,
            Self::Candle => KvShape {
                per_token: kv.per_token.saturating_add(kv.windowed_per_token),
                windowed_per_token: 0,
                window: 0,
            },
        }
    }

    /// How many tensors of attention scores are alive at once: candle's softmax does not work in place.
    const fn scores(self) -> u64 {
        match self {
            Self::LlamaCpp => 1,
            Self::Candle => 2,
        }
    }
}

/// An estimate of what a model takes at a context, before it was ever loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryNeed {
    /// The context, tokens.
    pub context: u32,
    /// The weights, exact.
    pub weights: ByteSize,
    /// Keys and values.
    pub kv: ByteSize,
    /// What is computed at a time, for a batch of [`MemoryNeed::BATCH`] tokens.
    pub compute: ByteSize,
    /// What the loader keeps beside these.
    pub overhead: ByteSize,
    /// All of it.
    pub total: ByteSize,
}

impl MemoryNeed {
    /// The most tokens that are taken to be computed at once, as llama.cpp does unless told otherwise.
    pub const BATCH: u32 = 512;
}

impl GgufFacts {
    /// The context that a published requirement is for, where the model was trained for as much: enough for a
    /// conversation, and small beside the weights of most models. A longer one takes more than the requirement says.
    pub const DEFAULT_CONTEXT: u32 = 4096;

    /// The shorter of what the model was trained for and [`GgufFacts::DEFAULT_CONTEXT`].
    pub fn default_context(&self) -> u32 {
        self.context.min(Self::DEFAULT_CONTEXT)
    }

    /// What the model takes at a context of so many tokens.
    ///
    /// The compute buffer is that of plain attention over one batch: the scores of every head and the mask, or the
    /// logits of every token where those are more, beside four rows of the embedding's length.
    pub fn memory(&self, context: u32, loader: Loader) -> MemoryNeed {
        const F32: u64 = 4;
        let product = |factors: &[u64]| factors.iter().fold(1_u64, |all, factor| all.saturating_mul(*factor));
        let (length, batch) = (u64::from(context), u64::from(MemoryNeed::BATCH.min(context)));
        let kv = loader.kept(self.kv).elements(context).saturating_mul(loader.bytes_of_an_element());
        let scores = product(&[u64::from(self.heads), length, batch, F32, loader.scores()]);
        let logits = product(&[u64::from(self.vocabulary), batch, F32]);
        let mask = product(&[length, batch, F32]);
        let rows = product(&[u64::from(self.embedding), batch, F32, 4]);
        let compute = scores.max(logits).saturating_add(mask).saturating_add(rows);
        let overhead = match loader {
            Loader::LlamaCpp => 0,
            Loader::Candle => product(&[u64::from(self.vocabulary), u64::from(self.embedding), F32]),
        };
        let parts = [self.weight_bytes.get(), kv, compute, overhead];
        MemoryNeed {
            context,
            weights: self.weight_bytes,
            kv: ByteSize(kv),
            compute: ByteSize(compute),
            overhead: ByteSize(overhead),
            total: ByteSize(parts.into_iter().fold(0, u64::saturating_add)),
        }
    }

    /// Contexts to show: powers of two from 2048 up, then what the model was trained for.
    pub fn contexts(&self) -> Vec<u32> {
        let powers = (11..32).map(|power| 1 << power).take_while(|context| *context < self.context);
        powers.chain([self.context]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn facts() -> GgufFacts {
        GgufFacts {
            version: 3,
            architecture: "gemma3".into(),
            name: String::new(),
            parameters: 0,
            weight_bytes: ByteSize(1000),
            types: BTreeMap::new(),
            layers: 6,
            embedding: 8,
            heads: 2,
            kv_heads: 1,
            context: 5000,
            vocabulary: 10,
            tokenizer: String::new(),
            kv: KvShape { per_token: 8, windowed_per_token: 40, window: 100 },
        }
    }

    #[test]
    fn a_window_caps_what_its_layers_keep_unless_the_loader_keeps_all() {
        let (facts, at) = (facts(), 2000);
        assert_eq!(facts.memory(at, Loader::LlamaCpp).kv, ByteSize((8 * 2000 + 40 * 100) * 2));
        assert_eq!(facts.memory(at, Loader::Candle).kv, ByteSize(48 * 2000 * 4));
        assert_eq!(facts.memory(at, Loader::Candle).overhead, ByteSize(10 * 8 * 4));
    }

    #[test]
    fn a_total_is_the_sum_of_its_parts_and_never_wraps() {
        let mut facts = facts();
        let need = facts.memory(2048, Loader::Candle);
        assert_eq!(need.total.get(), 1000 + need.kv.get() + need.compute.get() + need.overhead.get());
        facts.kv.per_token = u64::MAX;
        facts.heads = u32::MAX;
        assert_eq!(facts.memory(u32::MAX, Loader::Candle).total, ByteSize(u64::MAX));
    }

    #[test]
    fn contexts_double_up_to_the_trained_one() {
        let mut facts = facts();
        assert_eq!(facts.contexts(), [2048, 4096, 5000]);
        facts.context = 4096;
        assert_eq!(facts.contexts(), [2048, 4096]);
        facts.context = 77;
        assert_eq!((facts.contexts(), facts.default_context()), (vec![77], 77));
        facts.context = u32::MAX;
        assert_eq!(facts.contexts().len(), 22);
    }
}
