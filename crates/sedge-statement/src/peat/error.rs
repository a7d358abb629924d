//! Why a document is refused: where, what is there, what may be.

use std::fmt::{self, Write as _};

use crate::NameError;

/// How much of what was found is shown, characters.
const SHOWN: usize = 48;

/// A place in a JSON document: `$.requirements.min_ram_mb`, `$.target_nodes[1]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonPath(String);

impl JsonPath {
    /// A field of the object here.
    pub(super) fn field(&self, key: &str) -> Self {
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let step = if plain && key.len() <= SHOWN { format!(".{key}") } else { format!("[{}]", shown(key)) };
        Self(format!("{}{step}", self.0))
    }

    /// A member of the list here.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0)
    }
}

/// Text found in a document, quoted, escaped and cut.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().take(SHOWN) {
        out.extend(c.escape_debug());
    }
    let _ = write!(out, "{}\"", if text.chars().nth(SHOWN).is_some() { "…" } else { "" });
    out
}

/// Why a document of Peat's is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} {defect}")]
pub struct PeatError {
    /// Where.
    pub at: JsonPath,
    /// What is wrong there.
    pub defect: PeatDefect,
}

/// What is wrong at a place of a document. The texts found are quoted, escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeatDefect {
    /// Give a document of models' facts, not of their weights.
    #[error("takes {found} bytes, and {limit} are allowed")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// Correct the syntax there.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// Flatten it.
    #[error("lies deeper than {limit} levels")]
    TooDeep {
        /// The most levels.
        limit: usize,
    },
    /// Which of the two is meant cannot be known; remove one.
    #[error("stands twice in one object")]
    TwiceNamed,
    /// Add the field.
    #[error("is missing; {wanted} is needed")]
    Missing {
        /// What belongs there.
        wanted: &'static str,
    },
    /// Give a value of the type named.
    #[error("is {found}, where {wanted} is needed")]
    WrongType {
        /// What is there.
        found: String,
        /// What may be.
        wanted: &'static str,
    },
    /// Give at least one character.
    #[error("is empty, where {wanted} is needed")]
    Empty {
        /// What may be there.
        wanted: &'static str,
    },
    /// Shorten it.
    #[error("has {found} bytes of text, and {limit} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// Remove what no person can read.
    #[error("is {found}, which has a control character; plain text is allowed")]
    Control {
        /// The text.
        found: String,
    },
    /// Rename it: ids, versions and nodes' names are single names and never paths.
    #[error("is {found}, which {source}")]
    Name {
        /// The text.
        found: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Write one of the words.
    #[error("is {found}; allowed are {known}")]
    Word {
        /// The text.
        found: String,
        /// The words there are.
        known: &'static str,
    },
    /// Write a number of the range; nothing is clamped.
    #[error("is {found}; allowed are whole numbers from {from} to {to}")]
    Number {
        /// The number.
        found: String,
        /// The least.
        from: u64,
        /// The most.
        to: u64,
    },
    /// Write a number that is not negative.
    #[error("is {found}; allowed are numbers from 0 up")]
    Negative {
        /// The number.
        found: String,
    },
    /// Give the file's SHA-256, or nothing yet.
    #[error("is {found}; allowed are 64 hexadecimal digits, or \"\" until a file is added")]
    Digest {
        /// The text.
        found: String,
    },
    /// Write it as `2026-01-15T12:00:00Z`.
    #[error("is {found}, which is no time as 2026-01-15T12:00:00Z")]
    Time {
        /// The text.
        found: String,
    },
    /// Write it as `6f6e3a52-5d0d-4a5e-9d52-0e3f5b1a7c11`.
    #[error("is {found}, which is no UUID")]
    Uuid {
        /// The text.
        found: String,
    },
    /// Shorten the list.
    #[error("has {found} members, and {limit} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// Remove one.
    #[error("is {found}, which the list has already")]
    Again {
        /// The member.
        found: String,
    },
    /// Shorten the fields that are kept for the way back; the greatest is named.
    #[error("takes the most of {found} bytes that would be kept with the release, and {limit} are allowed")]
    TooMuchKept {
        /// What all of them take.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// Shorten id or version.
    #[error("makes the file's name {found} bytes long, and {limit} are allowed")]
    FileName {
        /// The name's length.
        found: usize,
        /// The longest.
        limit: usize,
    },
}

impl PeatDefect {
    /// The defect, at a place.
    pub(super) fn at(self, at: &JsonPath) -> PeatError {
        PeatError { at: at.clone(), defect: self }
    }
}
