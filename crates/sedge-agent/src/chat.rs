//! Asking a language model.

use std::time::Duration;

use sedge_runtime::{Finish, InferError, LONGEST_REQUEST, Talk};
use sedge_statement::{ReleaseId, Sha256, SlotName, TextRequest};
use serde_json::{Value, json};

use crate::api::{ApiError, ChatEnd, InferParameters, Inference, TEXT_DATATYPE};
use crate::core::Core;
use crate::infer::unanswered;

/// How long a text may take: on a slow machine a long one takes minutes, and its reader sees it grow.
const CHAT_LIMIT: Duration = LONGEST_REQUEST;

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
        let said = self.talk.end().await.map_err(unanswered)?;
        Ok(ChatEnd::new(self.slot, &said))
    }
}

impl Core {
    /// Asks the language model in a slot.
    pub(crate) async fn chat(&self, slot: &SlotName, request: TextRequest) -> Result<Chat, ApiError> {
        let talk = self.host.talk(slot, request, CHAT_LIMIT).await.map_err(unanswered)?;
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
        if input.get("datatype").and_then(Value::as_str) != Some(TEXT_DATATYPE) {
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
            return Err(unanswered(InferError::Overdue(CHAT_LIMIT)));
        }
        let output = json!({"name": "text_output", "shape": [1], "datatype": TEXT_DATATYPE, "data": [output]});
        Ok(Inference {
            slot: slot.clone(),
            release: end.release,
            sha256: end.sha256,
            outputs: vec![output],
            finish_reason: Some(end.finish_reason),
        })
    }
}
