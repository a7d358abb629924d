//! Why something is as it is, in words that travel.

use std::fmt;

use sedge_statement::SlotReport;
use serde::{Deserialize, Serialize};

/// A sentence for people, of at most [`SlotReport::MAX_REASON`] bytes, so that it fits every report.
///
/// What a probe or a fetch said is passed on verbatim; a longer text is cut at a character, because the front of an
/// error message names the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Reason(String);

impl Reason {
    /// Takes a sentence, cutting what exceeds the limit.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(SlotReport::MAX_REASON));
        Self(text)
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}
