//! Which operators are called, by whom, and how often.

use std::collections::BTreeMap;
use std::fmt;

use super::limits::Counted;
use super::walk::at_most;
use super::{Limits, OnnxError};
use crate::place::Place;

/// The default domain, by its long name.
pub(super) const DEFAULT: &str = "ai.onnx";
/// The domain of classical machine learning.
pub(super) const MACHINE_LEARNING: &str = "ai.onnx.ml";
/// The domain of ONNX Runtime's own operators.
pub(super) const MICROSOFT: &str = "com.microsoft";

/// The long name of a domain: the default one is usually left empty.
pub(super) fn long_name(domain: &str) -> &str {
    if domain.is_empty() { DEFAULT } else { domain }
}

/// An operator or a function, as nodes call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operator<'a> {
    /// In its long name.
    pub(super) domain: &'a str,
    pub(super) name: &'a str,
    pub(super) overload: &'a str,
}

impl<'a> Operator<'a> {
    pub(super) fn new(domain: &'a str, name: &'a str, overload: &'a str) -> Self {
        Self { domain: long_name(domain), name, overload }
    }
}

impl fmt::Display for Operator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain != DEFAULT {
            write!(f, "{}:", self.domain)?;
        }
        f.write_str(self.name)?;
        if !self.overload.is_empty() {
            write!(f, ":{}", self.overload)?;
        }
        Ok(())
    }
}

/// The calls of one operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    pub(super) count: u64,
    /// Where the first of them is.
    pub(super) offset: usize,
}

/// What one graph (with the graphs inside it) or one function calls.
#[derive(Debug, Default)]
pub(super) struct Uses<'a> {
    pub(super) calls: BTreeMap<Operator<'a>, Calls>,
    pub(super) nodes: u64,
}

impl<'a> Uses<'a> {
    /// Notes one call.
    pub(super) fn record(
        &mut self,
        operator: Operator<'a>,
        limits: &Limits,
        offset: usize,
        at: impl FnOnce() -> Place,
    ) -> Result<(), OnnxError> {
        self.nodes += 1;
        let calls = self.calls.entry(operator).or_insert(Calls { count: 0, offset });
        calls.count += 1;
        let different = self.calls.len() as u64;
        at_most(different, limits.operators, Counted::Operators, at)
    }
}
