//! The choice of the next token.

use candle_core::{DType, Result, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as Choice};
use candle_transformers::utils::apply_repeat_penalty;
use sedge_statement::Sampling;

/// How many of the last tokens a repeat penalty looks at.
const REMEMBERED: usize = 64;

/// Chooses tokens, the same ones for the same scores and seed.
pub(super) struct Sampler {
    choice: LogitsProcessor,
    penalty: f32,
}

/// What a choice came to.
pub(super) enum Chosen {
    /// This token.
    Token(u32),
    /// A score is no number: the model computes nonsense.
    NotFinite,
}

impl Sampler {
    pub(super) fn new(sampling: &Sampling) -> Self {
        let temperature = sampling.temperature;
        let (k, p) = (usize::try_from(sampling.top_k).unwrap_or(usize::MAX), sampling.top_p);
        let choice = if temperature < 1e-7 {
            Choice::ArgMax
        } else {
            match (k > 0, p < 1.0) {
                (false, false) => Choice::All { temperature },
                (true, false) => Choice::TopK { k, temperature },
                (false, true) => Choice::TopP { p, temperature },
                (true, true) => Choice::TopKThenTopP { k, p, temperature },
            }
        };
        Self { choice: LogitsProcessor::from_sampling(sampling.seed, choice), penalty: sampling.repeat_penalty }
    }

    /// Chooses what follows `before`.
    pub(super) fn choose(&mut self, scores: &Tensor, before: &[u32]) -> Result<Chosen> {
        let scores = scores.to_dtype(DType::F32)?;
        if !scores.to_vec1::<f32>()?.iter().all(|score| score.is_finite()) {
            return Ok(Chosen::NotFinite);
        }
        let scores = if self.penalty == 1.0 {
            scores
        } else {
            apply_repeat_penalty(&scores, self.penalty, &before[before.len().saturating_sub(REMEMBERED)..])?
        };
        self.choice.sample(&scores).map(Chosen::Token)
    }
}
