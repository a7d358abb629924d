//! How loading and running go wrong.

use std::any::Any;
use std::fmt;

use sedge_artifact::{GgufError, OnnxError};
use sedge_statement::TensorError;

use crate::backend::End;
use crate::inputs::InputError;
use crate::language::PromptError;
use crate::source::SourceError;

/// What a backend said when it failed, in its own words, cut to [`Complaint::MAX_BYTES`].
///
/// Backends quote whole graph nodes; what is kept fits a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint(String);

impl Complaint {
    /// The longest kept, bytes: with a slot's, a model's and a probe's name before it, a report's reason still holds it.
    pub const MAX_BYTES: usize = 240;

    /// Keeps the beginning of the text, on one line.
    pub fn new(text: &str) -> Self {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if line.len() + 1 + word.len() > Self::MAX_BYTES - '…'.len_utf8() {
                line.push('…');
                break;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        Self(line)
    }

    /// What a caught panic carried.
    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        Self::new(text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message"))
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a model did not load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is not the one the manifest names: fetch it again.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is what its digest says, and no model to hand to a runtime: it should never have been published.
    #[error("the model's header is refused: {0}")]
    Header(#[from] OnnxError),
    /// The same of a language model.
    #[error("the model's header is refused: {0}")]
    Gguf(#[from] GgufError),
    /// The manifest describes another model than the file holds: publish the release anew from its file.
    #[error("the manifest says {end} {at} is {wanted:?}, the file says {found:?}")]
    OtherNames {
        /// Input or output.
        end: End,
        /// Which, from zero.
        at: usize,
        /// As the manifest has it; empty where it has none there.
        wanted: String,
        /// As the file has it; empty where it has none there.
        found: String,
    },
    /// The backend cannot run this model: convert it, or publish a variant for another backend.
    #[error("{backend} refuses the model: {complaint}")]
    Refused {
        /// The backend.
        backend: &'static str,
        /// Why.
        complaint: Complaint,
    },
    /// The model made the backend panic. It is not one to serve.
    #[error("the backend panicked: {0}")]
    Panicked(Complaint),
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The caller gave something else than the model takes. Says what to give.
    #[error(transparent)]
    Refused(#[from] InputError),
    /// The caller asked for text in a way that the model does not take. Says what to do.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A language model's scores are no numbers: it computes nonsense.
    #[error("the model's scores are not finite")]
    NotFinite,
    /// The model failed at these inputs.
    #[error("the model failed: {0}")]
    Failed(Complaint),
    /// The model answered what no tensor can carry.
    #[error("the model answered no usable tensor: {0}")]
    Unusable(#[from] TensorError),
    /// The model made the backend panic. It is unhealthy from now on.
    #[error("the model panicked: {0}")]
    Panicked(Complaint),
}

impl RunError {
    /// Whether it speaks against the model rather than against the caller.
    pub const fn is_the_models(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Prompt(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_line_of_bounded_length() {
        assert_eq!(Complaint::new("  out of\n\tshapes ").to_string(), "out of shapes");
        let long = Complaint::new(&"größe ".repeat(1000)).to_string();
        assert!(long.len() <= Complaint::MAX_BYTES && long.ends_with('…'));
        assert_eq!(Complaint::new(&"x".repeat(1000)).to_string(), "…");
    }
}
