//! Models that continue text.

use std::ops::ControlFlow;
use std::time::Duration;

use sedge_statement::{TextRequest, TextRequestError};

use crate::fault::RunError;

/// The side of a model that continues text.
pub trait LanguageModel: Send + Sync {
    /// The most tokens that a prompt and its continuation have together here.
    fn context(&self) -> u32;

    /// Continues a text, or answers a conversation. `on_text` is called after every step with the text that has become
    /// certain, whole characters, often none; where it breaks, the generation ends. Blocks; several threads may ask at
    /// once, and some of them may have to wait for their turn.
    ///
    /// # Errors
    /// See [`RunError`]. Text that was given before an error is not taken back.
    fn generate(
        &self,
        request: &TextRequest,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated, RunError>;
}

/// What it took to continue a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens that were added.
    pub completion_tokens: u32,
    /// Why no more came.
    pub finish: Finish,
    /// From the beginning to the first token.
    pub first: Duration,
    /// From the beginning to the last.
    pub took: Duration,
}

impl Generated {
    /// Thousandths of tokens a second, of those after the first; none where there is no such token.
    pub fn millitokens_per_second(&self) -> Option<u64> {
        let tokens = u128::from(self.completion_tokens.checked_sub(1)?);
        let nanos = self.took.saturating_sub(self.first).as_nanos();
        let rate = (tokens * 1_000_000_000_000).checked_div(nanos)?;
        if tokens == 0 { None } else { u64::try_from(rate).ok() }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, or a stop text came.
    Stop,
    /// It has as many tokens as were asked for, or as the context holds.
    Length,
    /// Whoever asked no longer listens.
    Cancelled,
    /// The time for the request was over.
    TimeLimit,
}

impl Finish {
    /// The word in JSON; the first two are those of other services.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
            Self::TimeLimit => "time",
        }
    }
}

/// Why a model does not take a request for text. Each message says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// The request makes no sense.
    #[error(transparent)]
    Request(#[from] TextRequestError),
    /// Say less, or begin a new conversation.
    #[error("the prompt has {tokens} tokens, and {context} are the most that the model takes here")]
    TooLong {
        /// Its tokens.
        tokens: usize,
        /// The context.
        context: u32,
    },
    /// The prompt holds nothing that the model knows: say something else.
    #[error("the prompt has no token")]
    NoTokens,
    /// Ask a slot where a language model serves.
    #[error("the model answers tensors, not text")]
    TakesTensors,
    /// Ask it for text.
    #[error("the model continues text, and takes no tensors")]
    TakesText,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_what_came_after_the_first_token() {
        let generated = |completion_tokens, took| Generated {
            prompt_tokens: 1,
            completion_tokens,
            finish: Finish::Stop,
            first: Duration::from_millis(500),
            took: Duration::from_millis(took),
        };
        assert_eq!(generated(11, 1500).millitokens_per_second(), Some(10_000));
        for (tokens, took) in [(0, 500), (1, 1500), (5, 500)] {
            assert_eq!(generated(tokens, took).millitokens_per_second(), None, "{tokens} in {took}");
        }
    }
}
