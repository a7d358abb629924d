//! What a model answered, tensors or text.

use anyhow::{Context, Result, bail};
use sedge_agent::api::{Inference, TEXT_DATATYPE};
use sedge_statement::{Asked, Probe, Tensor};

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// Of a model of tensors.
    Tensors(Vec<Tensor>),
    /// Of a language model: what it goes on with.
    Text(String),
}

impl Said {
    /// Reads what `sedge infer --json` printed.
    pub(super) fn of(inference: &Inference) -> Result<Self> {
        if let [output] = inference.outputs.as_slice()
            && output["datatype"] == TEXT_DATATYPE
        {
            let text = output["data"][0].as_str().context("an answer of text without a text")?;
            return Ok(Self::Text(text.to_owned()));
        }
        let tensors = inference.outputs.iter().map(Tensor::from_json).collect::<Result<_, _>>()?;
        Ok(Self::Tensors(tensors))
    }

    /// Holds the answer to what a probe expects.
    pub(super) fn judge(&self, probe: &Probe) -> Result<()> {
        match (self, &probe.asked) {
            (Self::Tensors(tensors), Asked::Tensors(trial)) => Ok(trial.judge(tensors)?),
            (Self::Text(text), Asked::Text(trial)) => Ok(trial.judge(text)?),
            _ => bail!("the model is of another kind than its probe"),
        }
    }

    /// Holds the answer to another node's: text to the letter, numbers within the default tolerance.
    pub(super) fn is_as(&self, other: &Self) -> Result<()> {
        match (self, other) {
            (Self::Tensors(ours), Self::Tensors(theirs)) => {
                Ok(Probe::of_tensors("", Vec::new(), theirs.clone()).judge(ours)?)
            }
            (Self::Text(ours), Self::Text(theirs)) if ours == theirs => Ok(()),
            _ => bail!("another node answered {other:?}, this one {self:?}"),
        }
    }
}
