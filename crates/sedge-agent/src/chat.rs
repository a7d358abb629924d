//! Asking a language model.

use std::time::Duration;

use sedge_runtime::{Finish, InferError, LONGEST_REQUEST, PromptError, RunError, Talk};
use sedge_statement::{ReleaseId, Sha256, SlotName, TextRequest};
use serde_json::{Value, json};

use crate::api::{ApiError, ChatEnd, InferParameters, Inference};
use crate::core::Core;

/// How long a text may take: on a slow machine a long one takes minutes, and its reader sees it grow.
const CHAT_LIMIT: Duration = LONGEST_REQUEST;

/// The Open Inference Protocol's word for text, and for any other bytes.
const BYTES: &str = "BYTES";

/// A text on its way from a slot's model. Dropping it ends the generation at the next token.
#[derive(Debug)]
pub struct Chat {
    slot: SlotName,
    talk: Talk,
}

impl Chat {
    /// The next piece of the text, whole characters; none at its end, of which [`Self::end`] tells. Cancelling it loses
    /// nothing.
    pub async fn next(&mut self) -> Option<String> {
        self.talk.next().await
    }

    /// The release that answers, known from the beginning: a swap meanwhile changes nothing.
    pub fn release(&self) -> ReleaseId {
        self.talk.release()
    }

    /// The digest of the file that the model which answers was made from.
    pub fn sha256(&self) -> Sha256 {
        self.talk.sha256()
    }

    /// What the text came to; waits for its end. Pieces that were not taken are dropped.
    ///
    /// # Errors
    /// The model failed, or did not take the prompt: nothing says whether a text is whole but this.
    pub async fn end(self) -> Result<ChatEnd, ApiError> {
        let said = self.talk.end().await.map_err(refused)?;
        Ok(ChatEnd::new(self.slot, &said))
    }
}

impl Core {
    /// Asks the language model in a slot.
    pub(crate) async fn chat(&self, slot: &SlotName, request: TextRequest) -> Result<Chat, ApiError> {
        let talk = self.host.talk(slot, request, CHAT_LIMIT).await.map_err(refused)?;
        Ok(Chat { slot: slot.clone(), talk })
    }

    /// Has a text continued where an inference gives one in the Open Inference Protocol's form; none where it gives
    /// tensors.
    pub(crate) async fn infer_text(
        &self,
        slot: &SlotName,
        inputs: &[Value],
        parameters: InferParameters,
    ) -> Option<Result<Inference, ApiError>> {
        let [input] = inputs else { return None };
        if input.get("datatype").and_then(Value::as_str) != Some(BYTES) {
            return None;
        }
        Some(self.continue_text(slot, input, parameters.max_tokens.unwrap_or(TextRequest::MAX_TOKENS)).await)
    }

    async fn continue_text(&self, slot: &SlotName, input: &Value, most: u32) -> Result<Inference, ApiError> {
        let data = input.get("data").and_then(Value::as_array).map(Vec::as_slice);
        let Some([Value::String(text)]) = data else {
            return Err(ApiError::usage(
                "the input is of the type BYTES, and its data are not one text",
                "Give {\"name\":\"text_input\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"…\"]}.",
            ));
        };
        let mut chat = self.chat(slot, TextRequest::continue_text(text, most)).await?;
        let mut output = String::new();
        while let Some(piece) = chat.next().await {
            output.push_str(&piece);
        }
        let end = chat.end().await?;
        // Pieces show that there is more to come; an answer at once looks whole.
        if end.finish_reason == Finish::TimeLimit.word() {
            return Err(refused(InferError::Overdue(CHAT_LIMIT)));
        }
        let output = json!({"name": "text_output", "shape": [1], "datatype": BYTES, "data": [output]});
        Ok(Inference {
            slot: slot.clone(),
            release: end.release,
            sha256: end.sha256,
            outputs: vec![output],
            finish_reason: Some(end.finish_reason),
        })
    }
}

fn refused(error: InferError) -> ApiError {
    match &error {
        InferError::NotServing(_) => {
            ApiError::failed(error, "`sedge status` shows the slots; deploy a model to this one.")
        }
        InferError::Busy { .. } => ApiError::failed(error, "Ask again a little later, or less often."),
        InferError::Overdue(_) => {
            ApiError::failed(error, "Ask for less at once; if it never answers, deploy another release.")
        }
        InferError::Run(RunError::Prompt(why)) => {
            let remedy = match why {
                PromptError::TooLong { .. } => "Say less, or begin a new conversation.",
                PromptError::TakesTensors => "Ask it with `sedge infer`, or ask a slot where a language model serves.",
                PromptError::NoTokens => "Say something else.",
                _ => "Change what is asked.",
            };
            ApiError::usage(why, remedy)
        }
        _ => ApiError::failed(error, "Ask again; if it goes on, deploy another release and look at the model."),
    }
}
