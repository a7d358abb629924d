//! What one asks of a language model: a text to continue or a conversation to answer, and how the words are chosen.

use serde::{Deserialize, Serialize};

/// A request for text. Equal requests to equal models on equal machines get equal text: chance comes from the seed alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextRequest {
    /// What to go on from.
    pub prompt: Prompt,
    /// The most tokens to add; the model's context may end it sooner.
    #[serde(default = "TextRequest::default_max_tokens")]
    pub max_tokens: u32,
    /// How the next token is chosen.
    #[serde(default)]
    pub sampling: Sampling,
    /// Texts that end the answer where they would come; they are not part of it.
    #[serde(default)]
    pub stop: Vec<String>,
}

/// What to go on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prompt {
    /// A text, continued as it stands.
    Text(String),
    /// A conversation, answered in the form that the model was trained on, where that form is known.
    Messages(Vec<Message>),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Speaker,
    /// What.
    pub content: String,
}

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// Whoever set the model up: how it is to answer.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Speaker {
    /// The word in JSON and in the forms of conversations.
    pub const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// How evenly: zero always takes the likeliest token, one takes each as often as the model says.
    pub temperature: f64,
    /// Among so many of the likeliest only; zero for all.
    pub top_k: u32,
    /// Among the likeliest that together reach this share only; one for all.
    pub top_p: f64,
    /// Where chance begins.
    pub seed: u64,
    /// Divides the odds of tokens that came before; one changes nothing.
    pub repeat_penalty: f32,
}

impl Default for Sampling {
    /// The likeliest token, always.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0, repeat_penalty: 1.0 }
    }
}

/// Why a request for text makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextRequestError {
    /// Say something.
    #[error("the prompt is empty")]
    Empty,
    /// Say less.
    #[error("the prompt has {0} bytes, above {max}", max = TextRequest::MAX_PROMPT)]
    TooLong(usize),
    /// Leave out the oldest messages.
    #[error("the conversation has {0} messages, above {max}", max = TextRequest::MAX_MESSAGES)]
    TooMany(usize),
    /// Ask for at least one token.
    #[error("no token is asked for")]
    NoTokens,
    /// Give zero to a hundred.
    #[error("the temperature is not a number from 0 to 100")]
    Temperature,
    /// Give more than zero, and one at most.
    #[error("top-p is not a number above 0 and up to 1")]
    TopP,
    /// Give a number from a hundredth to a hundred.
    #[error("the repeat penalty is not a number from 0.01 to 100")]
    RepeatPenalty,
    /// Give fewer or shorter ones.
    #[error(
        "stop texts are up to {count} of 1 to {bytes} bytes",
        count = TextRequest::MAX_STOPS,
        bytes = TextRequest::MAX_STOP
    )]
    Stop,
}

impl TextRequest {
    /// The longest prompt, bytes: many times the context that is served.
    pub const MAX_PROMPT: usize = 1 << 20;
    /// The most messages of a conversation.
    pub const MAX_MESSAGES: usize = 1024;
    /// The most stop texts.
    pub const MAX_STOPS: usize = 8;
    /// The longest stop text, bytes.
    pub const MAX_STOP: usize = 128;
    /// How many tokens are added where nobody says.
    pub const MAX_TOKENS: u32 = 256;

    /// Continues a text with the likeliest tokens.
    pub fn continue_text(text: impl Into<String>, max_tokens: u32) -> Self {
        Self { prompt: Prompt::Text(text.into()), max_tokens, sampling: Sampling::default(), stop: Vec::new() }
    }

    /// Answers one thing said with the likeliest tokens.
    pub fn answer(text: impl Into<String>) -> Self {
        let said = Message { role: Speaker::User, content: text.into() };
        Self {
            prompt: Prompt::Messages(vec![said]),
            max_tokens: Self::MAX_TOKENS,
            sampling: Sampling::default(),
            stop: Vec::new(),
        }
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), TextRequestError> {
        let bytes = match &self.prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Messages(messages) => messages.iter().fold(0, |n: usize, m| n.saturating_add(m.content.len())),
        };
        // Marks stand around each message, however short it is.
        if let Prompt::Messages(messages) = &self.prompt
            && messages.len() > Self::MAX_MESSAGES
        {
            return Err(TextRequestError::TooMany(messages.len()));
        }
        let sampling = &self.sampling;
        if bytes == 0 {
            return Err(TextRequestError::Empty);
        }
        if bytes > Self::MAX_PROMPT {
            return Err(TextRequestError::TooLong(bytes));
        }
        if self.max_tokens == 0 {
            return Err(TextRequestError::NoTokens);
        }
        // Ranges hold no NaN.
        if !(0.0..=100.0).contains(&sampling.temperature) {
            return Err(TextRequestError::Temperature);
        }
        if !(f64::MIN_POSITIVE..=1.0).contains(&sampling.top_p) {
            return Err(TextRequestError::TopP);
        }
        if !(0.01..=100.0).contains(&sampling.repeat_penalty) {
            return Err(TextRequestError::RepeatPenalty);
        }
        let fits = |stop: &String| (1..=Self::MAX_STOP).contains(&stop.len());
        if self.stop.len() > Self::MAX_STOPS || !self.stop.iter().all(fits) {
            return Err(TextRequestError::Stop);
        }
        Ok(())
    }

    fn default_max_tokens() -> u32 {
        Self::MAX_TOKENS
    }
}
