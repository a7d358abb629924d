//! The words of a manifest: what a model is for, its format, how its weights are stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
