//! How much of anything a model may have.

use std::fmt;
use std::ops::RangeInclusive;

/// What a reader of ONNX headers accepts.
///
/// The defaults leave an order of magnitude above the largest models met in the field; raise one only for a model
/// that is known to need it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the file. Protobuf itself ends at 2 GiB, so no runtime loads more; larger models keep weights outside.
    pub file: usize,
    /// Versions of the intermediate representation. Before 3 there were no operator sets; 14 is the newest published.
    pub ir_versions: RangeInclusive<u64>,
    /// Versions of the operator set `ai.onnx`.
    pub onnx_opsets: RangeInclusive<u64>,
    /// Versions of the operator set `ai.onnx.ml`.
    pub ml_opsets: RangeInclusive<u64>,
    /// Versions of the operator set `com.microsoft`.
    pub microsoft_opsets: RangeInclusive<u64>,
    /// Nodes in all graphs and functions together.
    pub nodes: u64,
    /// Nodes once every call of a function is replaced by its body, as a runtime does.
    pub expanded_nodes: u64,
    /// Tensors in all graphs, functions and attributes together.
    pub tensors: u64,
    /// Attributes of all nodes together.
    pub attributes: u64,
    /// Names of values produced by nodes, all together.
    pub values: u64,
    /// Declared inputs and outputs of all graphs together.
    pub ports: u64,
    /// Functions.
    pub functions: u64,
    /// Operator sets imported by the model or by one function.
    pub opset_imports: u64,
    /// Different operators called by the main graph, or by one function.
    pub operators: u64,
    /// Entries of the model's metadata.
    pub metadata_entries: u64,
    /// Bytes of all keys and values of the model's metadata together.
    pub metadata_bytes: usize,
    /// Files outside the model that hold weights.
    pub external_files: u64,
    /// Dimensions of one tensor.
    pub dims: usize,
    /// Graphs within graphs; the main graph is at depth 1.
    pub depth: usize,
    /// Bytes of a name.
    pub name: usize,
    /// What to do with weights kept outside the model.
    pub external: ExternalPolicy,
}

/// What to do with weights that are kept in files beside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalPolicy {
    /// Refuse the model. A runtime opens such files by the name in the model, which is how paths escape.
    #[default]
    Refuse,
    /// List them, so that the caller can check them against the manifest. Only plain file names are accepted.
    List,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: (1 << 31) - 1,
            ir_versions: 3..=14,
            onnx_opsets: 1..=28,
            ml_opsets: 1..=5,
            microsoft_opsets: 1..=1,
            nodes: 1 << 18,
            expanded_nodes: 1 << 20,
            tensors: 1 << 17,
            attributes: 1 << 20,
            values: 1 << 20,
            ports: 1 << 14,
            functions: 1 << 12,
            opset_imports: 64,
            operators: 1 << 12,
            metadata_entries: 256,
            metadata_bytes: 1 << 20,
            external_files: 256,
            dims: 32,
            depth: 16,
            name: 4096,
            external: ExternalPolicy::Refuse,
        }
    }
}

/// Something there may be only so many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each names the field of `Limits` that bounds it")]
#[non_exhaustive]
pub enum Counted {
    Nodes,
    ExpandedNodes,
    Tensors,
    Attributes,
    Values,
    Ports,
    Functions,
    OpsetImports,
    Operators,
    MetadataEntries,
    MetadataBytes,
    ExternalFiles,
    Dims,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nodes => "nodes",
            Self::ExpandedNodes => "nodes once functions are expanded",
            Self::Tensors => "tensors",
            Self::Attributes => "attributes",
            Self::Values => "values produced by nodes",
            Self::Ports => "declared inputs and outputs",
            Self::Functions => "functions",
            Self::OpsetImports => "operator sets",
            Self::Operators => "different operators",
            Self::MetadataEntries => "metadata entries",
            Self::MetadataBytes => "bytes of metadata",
            Self::ExternalFiles => "external files",
            Self::Dims => "dimensions",
        })
    }
}
