//! What a header says, once it was found coherent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::TensorType;

/// The header of a GGUF model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GgufHeader {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// What every tensor's place in the file is a multiple of, bytes.
    pub alignment: u64,
    /// Bytes of the header, up to the end of the table of tensors.
    pub header_bytes: u64,
    /// Where the weights begin, bytes from the beginning of the file.
    pub data_offset: u64,
    /// Entries of metadata.
    pub keys: u64,
    /// `general.architecture`.
    pub architecture: String,
    /// `general.name`; empty where absent.
    pub name: String,
    /// Short texts of the author's: licence, organization, and so on, by the key without `general.`
    pub about: BTreeMap<String, String>,
    /// Every tensor, in the table's order.
    pub tensors: Vec<Tensor>,
    /// What the tensors of each type take together.
    pub types: BTreeMap<TensorType, Weights>,
    /// Elements over all tensors.
    pub parameters: u64,
    /// Bytes over all tensors, each padded to the alignment.
    pub weight_bytes: u64,
    /// How the weights are quantized.
    pub quantization: Quantized,
    /// Blocks of the network.
    pub layers: u32,
    /// Elements of the embedding.
    pub embedding: u32,
    /// Attention heads; of the layer with the most.
    pub heads: u32,
    /// Heads of keys and values; of the layer with the most.
    pub kv_heads: u32,
    /// Elements of one head's key.
    pub key_length: u32,
    /// Elements of one head's value.
    pub value_length: u32,
    /// The longest context it was trained for, tokens.
    pub context: u32,
    /// Tokens in the vocabulary; zero where neither metadata nor a tensor tells.
    pub vocabulary: u32,
    /// `tokenizer.ggml.model`; empty where the file carries no tokenizer.
    pub tokenizer: String,
    /// Merges of the tokenizer; zero where it has none.
    pub merges: u64,
    /// How positions are stretched for texts longer than the model was first trained on; empty where they are not.
    pub rope_scaling: String,
    /// What it keeps for each token of its context.
    pub kv: KvCache,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its dimensions, the length of a row first.
    pub shape: Vec<u64>,
    /// How its elements are stored.
    pub kind: TensorType,
    /// Its elements.
    pub elements: u64,
    /// Where its weights begin, bytes from the beginning of the file.
    pub offset: u64,
    /// Bytes of its weights.
    pub bytes: u64,
    /// The same, padded to the alignment.
    pub padded_bytes: u64,
    /// Where its entry in the table begins, bytes from the beginning of the file.
    pub(super) entry: usize,
}

/// What the tensors of one type take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Weights {
    /// Tensors.
    pub tensors: u64,
    /// Their elements.
    pub elements: u64,
    /// Their bytes, padded.
    pub bytes: u64,
}

/// How a model's weights are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Quantized {
    /// As `general.file_type` declares, and the tensors agree.
    Declared(&'static str),
    /// As most tensors are; nothing is declared, or a word that is not known here.
    Seen(&'static str),
    /// No type holds half of the weights, and nothing is declared.
    Mixed,
}

impl Quantized {
    /// The word for it, as `Q4_K_M` or `mixed`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Declared(word) | Self::Seen(word) => word,
            Self::Mixed => "mixed",
        }
    }
}

/// What a model keeps of keys and values for each token of its context, elements over all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KvCache {
    /// Over the layers that look at the whole context.
    pub per_token: u64,
    /// Over the layers that look at a sliding window.
    pub windowed_per_token: u64,
    /// The window's length, tokens; zero where no layer has one.
    pub window: u32,
    /// Whether these are what is kept, or the most that can be.
    pub certainty: Certainty,
}

/// Whether a figure is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The architecture is known, and keeps just this.
    Exact,
    /// The architecture, or which of its layers have the window, is not known: every layer is taken to keep all.
    UpperBound,
}
