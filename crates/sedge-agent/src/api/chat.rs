//! Text from a slot's model, as it is asked for and answered.

use sedge_runtime::Generated;
use sedge_statement::{ReleaseId, Sha256, SlotName, TextRequest, millis};
use serde::{Deserialize, Serialize};

/// A text to continue, or a conversation to answer. Answered by lines of `{"part":`[`ChatPart`]`}` and, last, by
/// `{"ok":`[`ChatEnd`]`}` or `{"error":…}`. A client that closes its end of the connection ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The slot.
    pub slot: SlotName,
    /// What is asked.
    #[serde(flatten)]
    pub request: TextRequest,
}

/// The Open Inference Protocol's word for text, and for any other bytes.
pub const TEXT_DATATYPE: &str = "BYTES";

/// How an inference is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InferParameters {
    /// The most tokens of a text; [`TextRequest::MAX_TOKENS`] where absent. Of no meaning to a model of tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatPart {
    /// Whole characters.
    pub text: String,
}

/// What a text came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatEnd {
    /// The slot.
    pub slot: SlotName,
    /// The release that produced the text.
    pub release: ReleaseId,
    /// The digest of the file that produced the text.
    pub sha256: Sha256,
    /// Why it ended: `stop`, `length`, `time` or `cancelled`.
    pub finish_reason: String,
    /// Its tokens.
    pub usage: ChatUsage,
    /// From the model's beginning to its first token.
    pub first_token_ms: u64,
    /// From the model's beginning to its end.
    pub took_ms: u64,
    /// Of the tokens after the first; absent where there is none.
    pub tokens_per_second: Option<f64>,
}

/// Tokens of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatUsage {
    /// Of the prompt.
    pub prompt_tokens: u32,
    /// Of the answer.
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
}

impl ChatEnd {
    pub(crate) fn new(slot: SlotName, said: &sedge_runtime::Said) -> Self {
        let Generated { prompt_tokens, completion_tokens, finish, first, took } = said.generated;
        // Rates of millions of tokens a second lose nothing in a float.
        let rate = said.generated.millitokens_per_second().and_then(|rate| u32::try_from(rate).ok());
        Self {
            slot,
            release: said.release,
            sha256: said.sha256,
            finish_reason: finish.word().to_owned(),
            usage: ChatUsage {
                prompt_tokens,
                completion_tokens,
                total_tokens: prompt_tokens.saturating_add(completion_tokens),
            },
            first_token_ms: millis(first),
            took_ms: millis(took),
            tokens_per_second: rate.map(|rate| f64::from(rate) / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use sedge_statement::{Message, Prompt, Speaker};

    use super::*;
    use crate::api::Request;

    #[test]
    fn a_request_is_one_flat_object_and_needs_only_slot_and_prompt() {
        let json = r#"{"op":"chat","slot":"writer","prompt":{"messages":[{"role":"user","content":"Hi"}]}}"#;
        let Request::Chat(chat) = serde_json::from_str(json).unwrap() else { panic!("read as something else") };
        let said = Message { role: Speaker::User, content: "Hi".to_owned() };
        let request = TextRequest { prompt: Prompt::Messages(vec![said]), ..TextRequest::answer("") };
        assert_eq!(chat, ChatRequest { slot: "writer".parse().unwrap(), request });
        let again = serde_json::to_string(&Request::Chat(chat.clone())).unwrap();
        assert!(matches!(serde_json::from_str(&again), Ok(Request::Chat(read)) if read == chat), "{again}");
    }
}
