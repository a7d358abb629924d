//! Names, parsed once at the edge so that no path, wildcard or control character travels any further.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, bytes.
const MAX_NAME: usize = 64;
/// The longest file name, bytes: common file systems take 255; room is left for suffixes.
const MAX_FILE_NAME: usize = 127;

/// Why text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given. Give at least one character.
    #[error("is empty")]
    Empty,
    /// Shorten it.
    #[error("is longer than {limit} characters")]
    TooLong {
        /// The longest allowed, bytes.
        limit: usize,
    },
    /// Use lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
    #[error("has {found:?} at position {at}, where only {allowed} may stand")]
    BadCharacter {
        /// The character found.
        found: char,
        /// Its position, in bytes from the start.
        at: usize,
        /// What may stand there.
        allowed: &'static str,
    },
    /// Two dots in a row read as a parent directory somewhere; remove one.
    #[error("has two dots in a row")]
    DoubleDot,
}

fn check(text: &str, limit: usize, upper: bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > limit {
        return Err(NameError::TooLong { limit });
    }
    for (at, found) in text.char_indices() {
        let letter = found.is_ascii_lowercase() || found.is_ascii_digit() || (upper && found.is_ascii_uppercase());
        if !letter && (at == 0 || !matches!(found, '.' | '_' | '-')) {
            let allowed = match (at, upper) {
                (0, false) => "a lower-case letter or digit",
                (0, true) => "a letter or digit",
                (_, false) => "lower-case letters, digits, '.', '_' and '-'",
                (_, true) => "letters, digits, '.', '_' and '-'",
            };
            return Err(NameError::BadCharacter { found, at, allowed });
        }
    }
    if text.contains("..") { Err(NameError::DoubleDot) } else { Ok(()) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $upper:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $limit, $upper)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text, $limit, $upper)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A mesh's name, for people.
    MeshName, MAX_NAME, false
);
name!(
    /// A node's name, unique in its mesh as far as its enroller could see.
    NodeName, MAX_NAME, false
);
name!(
    /// A model's id, without a version: `digits`.
    ModelId, MAX_NAME, false
);
name!(
    /// A model's version: `2.0.0`. Not ordered by its text; releases carry a generation.
    Version, MAX_NAME, false
);
name!(
    /// A variant's name inside its release: `onnx-f32`.
    VariantName, MAX_NAME, false
);
name!(
    /// A named place on a node where one model serves: `detector`.
    SlotName, MAX_NAME, false
);
name!(
    /// A label's key: `site`.
    LabelKey, MAX_NAME, false
);
name!(
    /// A label's value: `oslo`.
    LabelValue, MAX_NAME, false
);
name!(
    /// A processor architecture as Rust and Linux name it: `x86_64`, `aarch64`.
    Architecture, MAX_NAME, false
);
name!(
    /// A class of hardware: `jetson-orin`, `x86-server`.
    HardwareClass, MAX_NAME, false
);
name!(
    /// A file's name: one component, never a path.
    FileName, MAX_FILE_NAME, true
);

/// `MODEL[:VERSION]`, as the command line takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// The model.
    pub id: ModelId,
    /// The version; the newest release where absent.
    pub version: Option<Version>,
}

impl FromStr for ModelRef {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once(':') {
            Some((id, version)) => Ok(Self { id: id.parse()?, version: Some(version.parse()?) }),
            None => Ok(Self { id: text.parse()?, version: None }),
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}:{version}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}
