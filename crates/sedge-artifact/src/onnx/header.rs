//! What a model's header says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::DataType;

/// What an ONNX model says of itself, read without decoding its weights.
///
/// Everything here was written by whoever made the file. It is coherent, within the limits it was read with; it is
/// not proven true by anything outside the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OnnxHeader {
    /// Version of the intermediate representation.
    pub ir_version: u64,
    /// Operator sets by domain. The default domain is `ai.onnx`, whichever way the file writes it.
    pub opsets: BTreeMap<String, u64>,
    /// The tool that wrote the file; empty if it does not say.
    pub producer: String,
    /// Version of that tool, in its own form.
    pub producer_version: String,
    /// The domain the author gave the model.
    pub domain: String,
    /// The version the author gave the model.
    pub model_version: i64,
    /// Name of the main graph.
    pub graph: String,
    /// The author's metadata: free text by key.
    pub metadata: BTreeMap<String, String>,
    /// What must be supplied to run the model, in order. Initializers that are also declared as inputs are left out.
    pub inputs: Vec<Port>,
    /// What the model computes, in order.
    pub outputs: Vec<Port>,
    /// Elements of all initializers, in subgraphs too. Of a sparse one, the elements stored.
    pub parameters: u64,
    /// Bytes of all initializers, tensors in attributes and lists of constants, once per definition, as raw data. What
    /// is kept in external files counts too.
    pub weight_bytes: u64,
    /// The tensors counted in `weight_bytes`, by type of element.
    pub weights: BTreeMap<DataType, Weights>,
    /// Nodes in all graphs and functions.
    pub nodes: u64,
    /// Nodes by operator. Operators outside `ai.onnx` are written `domain:Operator`.
    pub operators: BTreeMap<String, u64>,
    /// Functions the model defines.
    pub functions: u64,
    /// Files beside the model that hold some of its weights; empty unless they were allowed.
    pub external_files: BTreeSet<ExternalFile>,
}

/// How much of the weights has one type of element.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Weights {
    /// Tensors.
    pub tensors: u64,
    /// Elements of them.
    pub elements: u64,
    /// Bytes of them, as raw data.
    pub bytes: u64,
}

/// A file beside the model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct ExternalFile {
    /// Its name: one component, no path.
    pub name: String,
    /// Bytes it has at least, for every tensor in it to be whole.
    pub at_least: u64,
}

/// An input or an output of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Port {
    /// The name requests and answers use.
    pub name: String,
    /// What passes through.
    pub value: ValueType,
}

impl Port {
    /// The tensor that passes through, unless it is something else.
    pub fn tensor(&self) -> Option<&TensorType> {
        match &self.value {
            ValueType::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }
}

/// The type of a value. Only tensors can be served over the Open Inference Protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ValueType {
    /// A dense tensor.
    Tensor(TensorType),
    /// A sparse tensor.
    SparseTensor(TensorType),
    /// A list of values.
    Sequence,
    /// Values by key.
    Map,
    /// A value that may be absent.
    Optional,
    /// Something only a custom library knows.
    Opaque,
}

/// The type of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TensorType {
    /// Type of its elements.
    pub datatype: DataType,
    /// Its dimensions; `None` when not even their number is known.
    pub shape: Option<Vec<Dim>>,
}

/// One dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dim {
    /// Always this long.
    Fixed(u64),
    /// As long as every other dimension of this name.
    Symbolic(String),
    /// Anything.
    Unknown,
}
