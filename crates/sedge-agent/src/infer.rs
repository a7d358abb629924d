//! Asking a model.

use std::time::Duration;

use sedge_runtime::{InferError, PromptError, RunError};
use sedge_statement::{ReleaseId, Sha256, SlotName, Tensor};
use serde_json::Value;

use crate::api::{ApiError, InferParameters, Inference};
use crate::core::Core;

/// How long a request may take. Embedded models answer in milliseconds; a first request may make its plan.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A model's answer, and which model gave it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The outputs, in the model's order.
    pub outputs: Vec<Tensor>,
    /// The release.
    pub release: ReleaseId,
    /// The digest of the file that the model was made from.
    pub sha256: Sha256,
}

impl Core {
    /// Asks the model in a slot.
    pub(crate) async fn infer(&self, slot: &SlotName, inputs: Vec<Tensor>) -> Result<Answer, ApiError> {
        let answer = self.host.infer(slot, inputs, REQUEST_LIMIT).await.map_err(unanswered)?;
        Ok(Answer { outputs: answer.outputs, release: answer.release, sha256: answer.sha256 })
    }

    /// The same in the Open Inference Protocol's JSON.
    pub(crate) async fn infer_json(
        &self,
        slot: &SlotName,
        inputs: &[Value],
        parameters: InferParameters,
    ) -> Result<Inference, ApiError> {
        if let Some(answer) = self.infer_text(slot, inputs, parameters).await {
            return answer;
        }
        let inputs = inputs.iter().map(Tensor::from_json).collect::<Result<Vec<_>, _>>().map_err(|error| {
            ApiError::usage(error, "Give tensors as {\"name\", \"shape\", \"datatype\", \"data\"}.")
        })?;
        let answer = self.infer(slot, inputs).await?;
        Ok(Inference {
            slot: slot.clone(),
            release: answer.release,
            sha256: answer.sha256,
            outputs: answer.outputs.iter().map(Tensor::to_json).collect(),
            finish_reason: None,
        })
    }
}

/// Why a request has no answer, and what to do about it: the caller's fault, the model's or the moment's.
pub(crate) fn unanswered(error: InferError) -> ApiError {
    let remedy = match &error {
        InferError::NotServing(_) => "`sedge status` shows the slots; deploy a model to this one.",
        InferError::Busy { .. } => "Ask again a little later, or less often.",
        InferError::Overdue(_) => "Ask for less at once; if it never answers, deploy another release.",
        InferError::Run(RunError::Refused(_)) => "Give the inputs that `sedge model show` lists for this model.",
        InferError::Run(RunError::Prompt(why)) => {
            let remedy = match why {
                PromptError::TooLong { .. } => "Say less, or begin a new conversation.",
                PromptError::TakesTensors => "Ask it with `sedge infer`, or ask a slot where a language model serves.",
                PromptError::TakesText => "Give it a text: `sedge chat`, or `sedge infer --input FILE.txt`.",
                PromptError::NoTokens => "Say something else.",
                _ => "Change what is asked.",
            };
            return ApiError::usage(why, remedy);
        }
        _ => "Ask again; if it goes on, deploy another release and look at the model.",
    };
    ApiError::failed(error, remedy)
}
