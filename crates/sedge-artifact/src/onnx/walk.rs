//! What is carried along while a model is walked: the limits, what was used of them, and the sums.

use std::collections::BTreeMap;

use super::header::{ExternalFile, Weights};
use super::limits::Counted;
use super::uses::Uses;
use super::{DataType, Limits, OnnxError};
use crate::place::{Path, Place};

/// The walk over one model.
#[derive(Debug)]
pub(super) struct Walk<'a, 'l> {
    pub(super) limits: &'l Limits,
    pub(super) nodes: u64,
    pub(super) parameters: u64,
    pub(super) weights: BTreeMap<DataType, Weights>,
    /// Bytes of constants that are lists in attributes rather than tensors.
    pub(super) list_bytes: u64,
    /// Operators called by the graph or function now being read.
    pub(super) uses: Uses<'a>,
    /// Bytes needed of each external file.
    external: BTreeMap<&'a str, u64>,
    tensors: u64,
    attributes: u64,
    values: u64,
    ports: u64,
}

/// Whether a tensor's elements are parameters of the model or constants of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TensorRole {
    Initializer,
    Attribute,
}

impl<'a, 'l> Walk<'a, 'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            nodes: 0,
            parameters: 0,
            weights: BTreeMap::new(),
            list_bytes: 0,
            uses: Uses::default(),
            external: BTreeMap::new(),
            tensors: 0,
            attributes: 0,
            values: 0,
            ports: 0,
        }
    }

    pub(super) fn count_node(&mut self, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
        count(&mut self.nodes, self.limits.nodes, Counted::Nodes, at)
    }

    pub(super) fn count_tensor(&mut self, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
        count(&mut self.tensors, self.limits.tensors, Counted::Tensors, at)
    }

    pub(super) fn count_attribute(&mut self, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
        let limit = self.limits.attributes;
        count(&mut self.attributes, limit, Counted::Attributes, at)
    }

    pub(super) fn count_value(&mut self, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
        count(&mut self.values, self.limits.values, Counted::Values, at)
    }

    pub(super) fn count_port(&mut self, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
        count(&mut self.ports, self.limits.ports, Counted::Ports, at)
    }

    /// Adds a tensor to the sums.
    pub(super) fn add_tensor(&mut self, role: TensorRole, datatype: DataType, elements: u64, bytes: u64) -> Option<()> {
        if role == TensorRole::Initializer {
            self.parameters = self.parameters.checked_add(elements)?;
        }
        let weights = self.weights.entry(datatype).or_default();
        weights.tensors += 1;
        weights.elements = weights.elements.checked_add(elements)?;
        weights.bytes = weights.bytes.checked_add(bytes)?;
        Some(())
    }

    /// Notes that the first `end` bytes of an external file are needed.
    pub(super) fn add_external(
        &mut self,
        name: &'a str,
        end: u64,
        at: &Path<'_>,
        offset: usize,
    ) -> Result<(), OnnxError> {
        let needed = self.external.entry(name).or_default();
        *needed = end.max(*needed);
        at_most(self.external.len() as u64, self.limits.external_files, Counted::ExternalFiles, || at.at(offset))
    }

    /// All bytes of weights, or `None` if they cannot be counted.
    pub(super) fn weight_bytes(&self) -> Option<u64> {
        self.weights.values().try_fold(self.list_bytes, |sum, weights| sum.checked_add(weights.bytes))
    }

    pub(super) fn external_files(&self) -> impl Iterator<Item = ExternalFile> {
        self.external.iter().map(|(name, end)| ExternalFile { name: (*name).to_owned(), at_least: *end })
    }
}

fn count(counter: &mut u64, limit: u64, what: Counted, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
    *counter += 1;
    at_most(*counter, limit, what, at)
}

/// Refuses a count beyond its limit.
pub(super) fn at_most(count: u64, limit: u64, what: Counted, at: impl FnOnce() -> Place) -> Result<(), OnnxError> {
    if count > limit {
        let at = at();
        return Err(OnnxError::TooMany { at, what, limit });
    }
    Ok(())
}
