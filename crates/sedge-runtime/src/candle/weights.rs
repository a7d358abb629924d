//! The loaders of the architectures, and the state of one text that is being continued.

use std::fmt::Display;
use std::io::Cursor;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::{quantized_llama, quantized_phi3, quantized_qwen2, quantized_qwen3};

use super::{MAX_CONTEXT, NAME};
use crate::fault::{Complaint, LoadError};

/// How much of a prompt is computed at once, tokens: scores over a whole long prompt would take gigabytes, and between two
/// pieces a caller who has left is noticed.
pub(super) const PIECE: usize = 256;

/// The architectures that are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Phi3,
}

impl Family {
    /// Their names, for messages.
    pub(super) const NAMES: &str = "llama, qwen2, qwen3, phi3";

    /// That of `general.architecture`. Others have loaders too, which are left out: `gemma3`'s makes a table of 128 Mi a layer
    /// and cannot go on from a part of a prompt, and the rest cannot be begun anew without being loaded again.
    pub(super) fn of(architecture: &str) -> Option<Self> {
        match architecture {
            "llama" => Some(Self::Llama),
            "qwen2" => Some(Self::Qwen2),
            "qwen3" => Some(Self::Qwen3),
            "phi3" => Some(Self::Phi3),
            _ => None,
        }
    }

    /// The prefix of its keys.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi3 => "phi3",
        }
    }
}

/// A model's weights. A copy shares their memory and has keys and values of its own; one that was never run has none.
pub(super) enum Weights {
    Llama(quantized_llama::ModelWeights),
    /// This loader's weights cannot be copied: one text after the other.
    Qwen2(Mutex<quantized_qwen2::ModelWeights>),
    Qwen3(quantized_qwen3::ModelWeights),
    Phi3(quantized_phi3::ModelWeights),
}

impl Weights {
    /// Makes the weights of a file whose shape was checked.
    pub(super) fn load(family: Family, mut content: Content, bytes: &[u8]) -> Result<Self> {
        // Loaders make tables as long as the file's context, which only has to be as long as what is served.
        let context = content.metadata.get_mut(&format!("{}.context_length", family.prefix()));
        if let Some(value) = context
            && value.to_u64().is_ok_and(|n| n > u64::from(MAX_CONTEXT))
        {
            *value = Value::U32(MAX_CONTEXT);
        }
        let (mut reader, device) = (Cursor::new(bytes), Device::Cpu);
        Ok(match family {
            Family::Llama => Self::Llama(quantized_llama::ModelWeights::from_gguf(content, &mut reader, &device)?),
            Family::Qwen2 => {
                Self::Qwen2(Mutex::new(quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &device)?))
            }
            Family::Qwen3 => Self::Qwen3(quantized_qwen3::ModelWeights::from_gguf(content, &mut reader, &device)?),
            Family::Phi3 => Self::Phi3(quantized_phi3::ModelWeights::from_gguf(false, content, &mut reader, &device)?),
        })
    }

    /// Begins a text. Waits for the one before it where the weights cannot be copied.
    pub(super) fn begin(&self) -> Text<'_> {
        match self {
            Self::Llama(weights) => Text::Llama(Box::new(weights.clone())),
            Self::Qwen2(weights) => {
                let mut weights = weights.lock().unwrap_or_else(PoisonError::into_inner);
                weights.clear_kv_cache();
                Text::Qwen2(weights)
            }
            Self::Qwen3(weights) => Text::Qwen3(Box::new(weights.clone())),
            Self::Phi3(weights) => Text::Phi3(Box::new(weights.clone())),
        }
    }
}

/// A text that is being continued: keys and values of what it has so far.
pub(super) enum Text<'a> {
    Llama(Box<quantized_llama::ModelWeights>),
    Qwen2(MutexGuard<'a, quantized_qwen2::ModelWeights>),
    Qwen3(Box<quantized_qwen3::ModelWeights>),
    Phi3(Box<quantized_phi3::ModelWeights>),
}

impl Text<'_> {
    /// Takes further tokens, of which the first is at place `at`, and gives the scores of what may follow the last.
    pub(super) fn forward(&mut self, tokens: &[u32], at: usize) -> Result<Tensor> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let scores = match self {
            Self::Llama(weights) => weights.forward(&input, at)?,
            Self::Qwen2(weights) => weights.forward(&input, at)?,
            Self::Qwen3(weights) => weights.forward(&input, at)?,
            Self::Phi3(weights) => weights.forward(&input, at)?,
        };
        scores.flatten_all()
    }

    /// How many tokens of a prompt to take next, of so many that are left. The loader that keeps a mask for every length it
    /// saw is given powers of two, of which there are few.
    pub(super) fn piece(&self, left: usize) -> usize {
        let piece = left.min(PIECE);
        match self {
            Self::Qwen2(_) if piece > 0 => 1 << piece.ilog2(),
            _ => piece,
        }
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if let Self::Qwen2(weights) = self {
            weights.clear_kv_cache();
        }
    }
}

/// The backend cannot run the model.
pub(super) fn refused(why: impl Display) -> LoadError {
    LoadError::Refused { backend: NAME, complaint: Complaint::new(&why.to_string()) }
}
