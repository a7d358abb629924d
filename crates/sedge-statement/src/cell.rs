//! Places in the hierarchy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{LabelValue, NameError};

/// The deepest cell: an organisation, a country, a site, a hall, a line and room to spare.
const MAX_DEPTH: usize = 8;

/// Why text is not a cell's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellPathError {
    /// One part is not a name; correct that part.
    #[error("part {part} {source}")]
    Part {
        /// Which part, counted from one.
        part: usize,
        /// What is wrong with it.
        source: NameError,
    },
    /// Flatten the hierarchy.
    #[error("is deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// A cell: a path such as `acme/plant-7/line-2`. The empty path, shown as `/`, is the root cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CellPath(Vec<LabelValue>);

impl CellPath {
    /// The root cell.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The cell above; none above the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// Whether `other` is this cell or lies below it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for CellPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        for (i, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if i == 0 { "" } else { "/" })?;
        }
        Ok(())
    }
}

impl FromStr for CellPath {
    type Err = CellPathError;
    fn from_str(text: &str) -> Result<Self, CellPathError> {
        if text.is_empty() || text == "/" {
            return Ok(Self::root());
        }
        let parts = text
            .split('/')
            .enumerate()
            .map(|(i, part)| part.parse().map_err(|source| CellPathError::Part { part: i + 1, source }))
            .collect::<Result<Vec<_>, _>>()?;
        if parts.len() > MAX_DEPTH { Err(CellPathError::TooDeep) } else { Ok(Self(parts)) }
    }
}

impl TryFrom<String> for CellPath {
    type Error = CellPathError;
    fn try_from(text: String) -> Result<Self, CellPathError> {
        text.parse()
    }
}

impl From<CellPath> for String {
    fn from(path: CellPath) -> Self {
        path.to_string()
    }
}

/// Which cells a selector means: one, or one and all below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CellPattern {
    /// Exactly this cell: `acme/plant-7`.
    Exactly(CellPath),
    /// This cell and everything below it: `acme/plant-7/**`; `**` is the whole mesh.
    Subtree(CellPath),
}

impl CellPattern {
    /// Whether the pattern means `cell`.
    pub fn matches(&self, cell: &CellPath) -> bool {
        match self {
            Self::Exactly(path) => path == cell,
            Self::Subtree(path) => path.covers(cell),
        }
    }
}

impl fmt::Display for CellPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(path) => write!(f, "{path}"),
            Self::Subtree(path) if path.parent().is_none() => f.write_str("**"),
            Self::Subtree(path) => write!(f, "{path}/**"),
        }
    }
}

impl FromStr for CellPattern {
    type Err = CellPathError;
    fn from_str(text: &str) -> Result<Self, CellPathError> {
        match text.strip_suffix("**") {
            Some(prefix) => prefix.strip_suffix('/').unwrap_or(prefix).parse().map(Self::Subtree),
            None => text.parse().map(Self::Exactly),
        }
    }
}
