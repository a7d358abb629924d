//! What is known of a model version: its variants, files, requirements and probes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::id::digest_in;
use crate::{
    Architecture, Blake3, ByteSize, FileName, Generation, ModelId, ReleaseId, Sha256, TensorSpec, Timestamp,
    VariantName, Version,
};

/// Why a word is not one of a fixed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}; use one of {known}")]
pub struct UnknownWord {
    /// What was expected.
    pub what: &'static str,
    /// The words there are.
    pub known: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $known:literal, { $($(#[$vdoc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word on the command line and in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { what: $what, known: $known }),
                }
            }
        }
    };
}

words!(
    /// What a model is for.
    ModelType, "model type", "detector, llm, tracker, embedder, vlm, whisper, custom, classifier", {
        /// Finds objects in images.
        Detector => "detector",
        /// Continues text.
        Llm => "llm",
        /// Follows objects over time.
        Tracker => "tracker",
        /// Maps inputs to vectors.
        Embedder => "embedder",
        /// Reads images and text.
        Vlm => "vlm",
        /// Turns speech to text.
        Whisper => "whisper",
        /// Anything else.
        Custom => "custom",
        /// Names what an input is.
        Classifier => "classifier",
    }
);

words!(
    /// A file format of weights.
    ModelFormat, "model format", "onnx, gguf, tensorrt, pytorch, safetensors", {
        /// ONNX.
        Onnx => "onnx",
        /// GGUF.
        Gguf => "gguf",
        /// A TensorRT engine: for external slots.
        TensorRt => "tensorrt",
        /// A `PyTorch` archive: for external slots.
        PyTorch => "pytorch",
        /// Safetensors: for external slots.
        Safetensors => "safetensors",
    }
);

words!(
    /// How weights are stored.
    Quantization, "quantization", "F32, F16, BF16, INT8, Q4_0, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, Q8_0, mixed, Q2_K, Q2_K_S, Q3_K_S, Q3_K_M, Q3_K_L, Q4_1, Q5_0, Q5_1, IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ2_M, IQ3_XXS, IQ3_XS, IQ3_S, IQ3_M, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0", {
        /// IEEE single precision.
        F32 => "F32",
        /// IEEE half precision.
        F16 => "F16",
        /// bfloat16.
        Bf16 => "BF16",
        /// 8-bit integers.
        Int8 => "INT8",
        /// llama.cpp `Q4_0`.
        Q4_0 => "Q4_0",
        /// llama.cpp `Q4_K_S`.
        Q4KS => "Q4_K_S",
        /// llama.cpp `Q4_K_M`.
        Q4KM => "Q4_K_M",
        /// llama.cpp `Q5_K_S`.
        Q5KS => "Q5_K_S",
        /// llama.cpp `Q5_K_M`.
        Q5KM => "Q5_K_M",
        /// llama.cpp `Q6_K`.
        Q6K => "Q6_K",
        /// llama.cpp `Q8_0`.
        Q8_0 => "Q8_0",
        /// No single type holds most of the weights.
        Mixed => "mixed",
        /// llama.cpp `Q2_K`.
        Q2K => "Q2_K",
        /// llama.cpp `Q2_K_S`.
        Q2KS => "Q2_K_S",
        /// llama.cpp `Q3_K_S`.
        Q3KS => "Q3_K_S",
        /// llama.cpp `Q3_K_M`.
        Q3KM => "Q3_K_M",
        /// llama.cpp `Q3_K_L`.
        Q3KL => "Q3_K_L",
        /// llama.cpp `Q4_1`.
        Q4_1 => "Q4_1",
        /// llama.cpp `Q5_0`.
        Q5_0 => "Q5_0",
        /// llama.cpp `Q5_1`.
        Q5_1 => "Q5_1",
        /// llama.cpp `IQ1_S`.
        Iq1S => "IQ1_S",
        /// llama.cpp `IQ1_M`.
        Iq1M => "IQ1_M",
        /// llama.cpp `IQ2_XXS`.
        Iq2Xxs => "IQ2_XXS",
        /// llama.cpp `IQ2_XS`.
        Iq2Xs => "IQ2_XS",
        /// llama.cpp `IQ2_S`.
        Iq2S => "IQ2_S",
        /// llama.cpp `IQ2_M`.
        Iq2M => "IQ2_M",
        /// llama.cpp `IQ3_XXS`.
        Iq3Xxs => "IQ3_XXS",
        /// llama.cpp `IQ3_XS`.
        Iq3Xs => "IQ3_XS",
        /// llama.cpp `IQ3_S`.
        Iq3S => "IQ3_S",
        /// llama.cpp `IQ3_M`.
        Iq3M => "IQ3_M",
        /// llama.cpp `IQ4_NL`.
        Iq4Nl => "IQ4_NL",
        /// llama.cpp `IQ4_XS`.
        Iq4Xs => "IQ4_XS",
        /// llama.cpp `TQ1_0`.
        Tq1_0 => "TQ1_0",
        /// llama.cpp `TQ2_0`.
        Tq2_0 => "TQ2_0",
        /// llama.cpp `MXFP4`.
        Mxfp4 => "MXFP4",
        /// llama.cpp `NVFP4`.
        Nvfp4 => "NVFP4",
        /// llama.cpp `Q1_0`.
        Q1_0 => "Q1_0",
    }
);

/// One file of a release: the closed set that may be fetched, exported and opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its name, a single component.
    pub name: FileName,
    /// Its exact length, bytes.
    pub size: ByteSize,
    /// Its provenance, proven before anything opens it.
    pub sha256: Sha256,
    /// Its transport name.
    pub blake3: Blake3,
}

/// What a node must have to run a variant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HardwareRequirements {
    /// Memory to run it, bytes; zero where unknown.
    pub memory: ByteSize,
    /// Architectures it runs on; empty for any.
    pub architectures: BTreeSet<Architecture>,
}

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

/// The files of a model for one kind of hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name inside the release.
    pub name: VariantName,
    /// The format of its first file.
    pub format: ModelFormat,
    /// How its weights are stored.
    pub quantization: Quantization,
    /// Its files; the first is the one that is opened.
    pub files: Vec<ModelFile>,
    /// What it needs.
    pub requirements: HardwareRequirements,
    /// What its header says.
    pub facts: ModelFacts,
}

impl Variant {
    /// The file that is opened.
    pub fn entry(&self) -> &ModelFile {
        self.files.first().expect("Manifest::check refuses a variant without files")
    }

    /// The size of all files.
    pub fn size(&self) -> ByteSize {
        ByteSize(self.files.iter().fold(0, |n, f| n.saturating_add(f.size.get())))
    }
}

/// Everything known of a model version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model.
    pub id: ModelId,
    /// Its version.
    pub version: Version,
    /// What it is for.
    pub model_type: ModelType,
    /// Its licence as an SPDX expression or name; empty where unknown.
    pub license: String,
    /// Where it comes from; empty where unknown.
    pub source: String,
    /// Its variants, at least one.
    pub variants: Vec<Variant>,
    /// A file of probes (JSON, see [`crate::Probe::read_all`]), one more member of the closed set.
    pub probes: Option<ModelFile>,
    /// Anything else, by key.
    pub metadata: BTreeMap<String, String>,
}

/// Why a manifest is not one to publish or to act upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Add at least one file.
    #[error("the manifest lists no variant")]
    NoVariant,
    /// Every variant needs the file that is opened.
    #[error("variant {0} lists no file")]
    NoFile(VariantName),
    /// Names inside a release are unique; rename one.
    #[error("variant {0} is listed twice")]
    TwiceNamed(VariantName),
    /// Names inside a variant are unique; rename one.
    #[error("file {0} is listed twice")]
    TwiceListed(FileName),
    /// A file of no bytes proves nothing.
    #[error("file {0} is empty")]
    EmptyFile(FileName),
    /// Shorten licence, source or metadata.
    #[error("the text fields take {0} bytes, above {limit}", limit = Manifest::MAX_TEXT)]
    TooMuchText(usize),
    /// The bytes do not decode.
    #[error("{0}")]
    Codec(#[from] CodecError),
}

impl Manifest {
    /// The most that licence, source and metadata may take together, bytes.
    pub const MAX_TEXT: usize = 16 << 10;

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.variants.is_empty() {
            return Err(ManifestError::NoVariant);
        }
        let mut names = BTreeSet::new();
        for variant in &self.variants {
            if !names.insert(&variant.name) {
                return Err(ManifestError::TwiceNamed(variant.name.clone()));
            }
            if variant.files.is_empty() {
                return Err(ManifestError::NoFile(variant.name.clone()));
            }
            let mut files = BTreeSet::new();
            for file in variant.files.iter().chain(&self.probes) {
                if !files.insert(&file.name) {
                    return Err(ManifestError::TwiceListed(file.name.clone()));
                }
                if file.size.get() == 0 {
                    return Err(ManifestError::EmptyFile(file.name.clone()));
                }
            }
        }
        let metadata: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        let text = self.license.len() + self.source.len() + metadata;
        if text > Self::MAX_TEXT { Err(ManifestError::TooMuchText(text)) } else { Ok(()) }
    }

    /// Every file of every variant, and the probes.
    pub fn files(&self) -> impl Iterator<Item = &ModelFile> {
        self.variants.iter().flat_map(|v| &v.files).chain(&self.probes)
    }
}

/// A published manifest. Immutable; its digest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What is published.
    pub manifest: Manifest,
    /// Orders the releases of one model: a slot goes down in it only by an explicit downgrade.
    pub generation: Generation,
    /// When, by the publisher's clock.
    pub published_at: Timestamp,
}

impl Release {
    /// The largest encoding, bytes: one release fits one change of a document.
    pub const MAX_BYTES: usize = 48 << 10;

    const CONTEXT: &str = "sedge release id 1";

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads and checks the canonical bytes.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let release: Self = codec::decode(bytes, Self::MAX_BYTES)?;
        release.manifest.check()?;
        Ok(release)
    }

    /// The release's name.
    pub fn id(&self) -> ReleaseId {
        ReleaseId::from_bytes(digest_in(Self::CONTEXT, &self.to_bytes()))
    }
}
