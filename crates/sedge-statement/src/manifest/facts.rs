//! What a model's own header says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ByteSize, TensorSpec};

/// What an ONNX header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnnxFacts {
    /// The IR version.
    pub ir_version: u32,
    /// Operator set versions by domain; `""` is the standard one.
    pub opsets: BTreeMap<String, u32>,
    /// The program that wrote it.
    pub producer: String,
    /// Inputs that a caller gives.
    pub inputs: Vec<TensorSpec>,
    /// Outputs.
    pub outputs: Vec<TensorSpec>,
    /// Elements over all initializers.
    pub parameters: u64,
    /// Bytes of all initializers, exact.
    pub weight_bytes: ByteSize,
}

/// How much a language model keeps per token of its context: keys and values, over all layers, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KvShape {
    /// Over the layers that look at the whole context.
    pub per_token: u64,
    /// Over the layers that look at a sliding window only.
    pub windowed_per_token: u64,
    /// The window's length, tokens; zero where no layer has one.
    pub window: u32,
}

impl KvShape {
    /// Elements kept at a context of so many tokens.
    pub fn elements(self, context: u32) -> u64 {
        let (all, windowed) = (u64::from(context), u64::from(context.min(self.window)));
        self.per_token.saturating_mul(all).saturating_add(self.windowed_per_token.saturating_mul(windowed))
    }
}

/// What a GGUF header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GgufFacts {
    /// The format's version.
    pub version: u32,
    /// `general.architecture`, as `llama`.
    pub architecture: String,
    /// `general.name`; empty where absent.
    pub name: String,
    /// Elements over all tensors.
    pub parameters: u64,
    /// Bytes of all tensors, each padded to the file's alignment, exact.
    pub weight_bytes: ByteSize,
    /// The same by the tensors' type, as `Q4_K`.
    pub types: BTreeMap<String, ByteSize>,
    /// Blocks.
    pub layers: u32,
    /// The embedding's length, elements.
    pub embedding: u32,
    /// Attention heads; of the layer with the most, where they differ.
    pub heads: u32,
    /// Heads of keys and values; of the layer with the most, where they differ.
    pub kv_heads: u32,
    /// The longest context it was trained for, tokens.
    pub context: u32,
    /// Tokens in its vocabulary.
    pub vocabulary: u32,
    /// `tokenizer.ggml.model`, as `gpt2`; empty where the file carries no tokenizer.
    pub tokenizer: String,
    /// What it keeps per token.
    pub kv: KvShape,
}

/// What the model's own header says, by format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelFacts {
    /// Read from an ONNX header.
    Onnx(OnnxFacts),
    /// Read from a GGUF header.
    Gguf(GgufFacts),
}

impl ModelFacts {
    /// Bytes of all weights, exact.
    pub fn weight_bytes(&self) -> ByteSize {
        match self {
            Self::Onnx(facts) => facts.weight_bytes,
            Self::Gguf(facts) => facts.weight_bytes,
        }
    }
}
