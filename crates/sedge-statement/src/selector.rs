//! Which nodes a deployment means: a conjunction over facts that an enroller signed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    Architecture, CellPath, CellPathError, CellPattern, Certificate, HardwareClass, LabelKey, LabelValue, NameError,
    NodeName,
};

/// The most terms of a selector.
const MAX_TERMS: usize = 16;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Term {
    /// `cell=acme/plant-7/**`
    Cell(CellPattern),
    /// `label.site=oslo`
    Label(LabelKey, LabelValue),
    /// `node=robot-1`
    Node(NodeName),
    /// `arch=aarch64`
    Arch(Architecture),
    /// `class=jetson-orin`
    Class(HardwareClass),
}

impl Term {
    fn matches(&self, c: &Certificate) -> bool {
        match self {
            Self::Cell(pattern) => pattern.matches(&c.cell),
            Self::Label(key, value) => c.labels.get(key) == Some(value),
            Self::Node(name) => c.name == *name,
            Self::Arch(arch) => c.architecture == *arch,
            Self::Class(class) => c.class == *class,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(pattern) => write!(f, "cell={pattern}"),
            Self::Label(key, value) => write!(f, "label.{key}={value}"),
            Self::Node(name) => write!(f, "node={name}"),
            Self::Arch(arch) => write!(f, "arch={arch}"),
            Self::Class(class) => write!(f, "class={class}"),
        }
    }
}

/// A conjunction of terms. It matches signed facts only, so that every node resolves it alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Term>", into = "Vec<Term>")]
pub struct Selector(Vec<Term>);

/// Why text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// An empty selector means nobody, never everybody; write `cell=**` for the whole mesh.
    #[error("is empty; write cell=** for every node")]
    Empty,
    /// Split the deployment.
    #[error("has more than {MAX_TERMS} terms")]
    TooLong,
    /// A term has the form `key=value`.
    #[error("term {0:?} is not key=value")]
    NoValue(String),
    /// The key is none of those there are.
    #[error("key {0:?} is not one of cell, label.KEY, node, arch, class")]
    UnknownKey(String),
    /// A name in it does not parse.
    #[error("term {term:?}: the name {source}")]
    Name {
        /// The term.
        term: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// A cell in it does not parse.
    #[error("term {term:?}: the cell {source}")]
    Cell {
        /// The term.
        term: String,
        /// What is wrong with it.
        source: CellPathError,
    },
}

impl Selector {
    /// Every node of the mesh.
    pub fn whole_mesh() -> Self {
        Self(vec![Term::Cell(CellPattern::Subtree(CellPath::root()))])
    }

    /// Whether every term matches.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        !self.0.is_empty() && self.0.iter().all(|term| term.matches(certificate))
    }

    /// The terms, at least one.
    pub fn terms(&self) -> &[Term] {
        &self.0
    }

    /// The cells that bound what this selector can mean: an author's `deploy` role must cover one of them. Without a
    /// cell term that is the root.
    pub fn widest_cell(&self) -> CellPath {
        let cells = self.0.iter().filter_map(|term| match term {
            Term::Cell(CellPattern::Exactly(path) | CellPattern::Subtree(path)) => Some(path.clone()),
            _ => None,
        });
        // All terms must hold, so the deepest path bounds them.
        cells.max_by_key(|path| path.to_string().len()).unwrap_or_default()
    }
}

impl TryFrom<Vec<Term>> for Selector {
    type Error = SelectorError;
    fn try_from(terms: Vec<Term>) -> Result<Self, SelectorError> {
        match terms.len() {
            0 => Err(SelectorError::Empty),
            n if n > MAX_TERMS => Err(SelectorError::TooLong),
            _ => Ok(Self(terms)),
        }
    }
}

impl From<Selector> for Vec<Term> {
    fn from(selector: Selector) -> Self {
        selector.0
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.0.iter().enumerate() {
            write!(f, "{}{term}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let terms = text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(parse_term);
        terms.collect::<Result<Vec<_>, _>>()?.try_into()
    }
}

fn parse_term(term: &str) -> Result<Term, SelectorError> {
    let (key, value) = term.split_once('=').ok_or_else(|| SelectorError::NoValue(term.to_owned()))?;
    let name = |source| SelectorError::Name { term: term.to_owned(), source };
    match key {
        "cell" => {
            let pattern = value.parse().map_err(|source| SelectorError::Cell { term: term.to_owned(), source })?;
            Ok(Term::Cell(pattern))
        }
        "node" => value.parse().map(Term::Node).map_err(name),
        "arch" => value.parse().map(Term::Arch).map_err(name),
        "class" => value.parse().map(Term::Class).map_err(name),
        _ => match key.strip_prefix("label.") {
            Some(label) => Ok(Term::Label(label.parse().map_err(name)?, value.parse().map_err(name)?)),
            None => Err(SelectorError::UnknownKey(key.to_owned())),
        },
    }
}
