//! Which nodes a deployment means: a conjunction over facts that an enroller signed.

use std::collections::BTreeSet;
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
    /// `node=robot-1|robot-2`
    Nodes(NodeNames),
}

/// Several nodes' names: two at least, as one alone is a [`Term::Node`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<NodeName>", into = "Vec<NodeName>")]
pub struct NodeNames(BTreeSet<NodeName>);

impl NodeNames {
    /// The most names: a deployment fits one change of a document.
    pub const MAX: usize = 256;

    /// The term that means these nodes; none for no name.
    ///
    /// # Panics
    /// Above [`Self::MAX`] names.
    pub fn term(names: BTreeSet<NodeName>) -> Option<Term> {
        assert!(names.len() <= Self::MAX, "the caller has bounded the names");
        match names.len() {
            0 | 1 => names.into_iter().next().map(Term::Node),
            _ => Some(Term::Nodes(Self(names))),
        }
    }
}

impl TryFrom<Vec<NodeName>> for NodeNames {
    type Error = SelectorError;
    fn try_from(names: Vec<NodeName>) -> Result<Self, SelectorError> {
        // One set has one encoding.
        let ascending = names.windows(2).all(|pair| pair[0] < pair[1]);
        match names.len() {
            2..=Self::MAX if ascending => Ok(Self(names.into_iter().collect())),
            2..=Self::MAX => Err(SelectorError::Unordered),
            0 | 1 => Err(SelectorError::Empty),
            _ => Err(SelectorError::TooManyNodes),
        }
    }
}

impl From<NodeNames> for Vec<NodeName> {
    fn from(names: NodeNames) -> Self {
        names.0.into_iter().collect()
    }
}

impl fmt::Display for NodeNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { "|" })?;
        }
        Ok(())
    }
}

impl Term {
    fn matches(&self, c: &Certificate) -> bool {
        match self {
            Self::Cell(pattern) => pattern.matches(&c.cell),
            Self::Label(key, value) => c.labels.get(key) == Some(value),
            Self::Node(name) => c.name == *name,
            Self::Arch(arch) => c.architecture == *arch,
            Self::Class(class) => c.class == *class,
            Self::Nodes(names) => names.0.contains(&c.name),
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
            Self::Nodes(names) => write!(f, "node={names}"),
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
    /// Name a cell or a label instead, or split the deployment.
    #[error("names more than {} nodes in one term", NodeNames::MAX)]
    TooManyNodes,
    /// Only a broken or hostile writer makes these: names of one term are sorted, each once.
    #[error("names nodes twice or out of order")]
    Unordered,
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
        "node" => {
            let names = value.split('|').map(str::parse).collect::<Result<BTreeSet<NodeName>, _>>().map_err(name)?;
            if names.len() > NodeNames::MAX {
                Err(SelectorError::TooManyNodes)
            } else {
                Ok(NodeNames::term(names).expect("a split gives at least one"))
            }
        }
        "arch" => value.parse().map(Term::Arch).map_err(name),
        "class" => value.parse().map(Term::Class).map_err(name),
        _ => match key.strip_prefix("label.") {
            Some(label) => Ok(Term::Label(label.parse().map_err(name)?, value.parse().map_err(name)?)),
            None => Err(SelectorError::UnknownKey(key.to_owned())),
        },
    }
}
