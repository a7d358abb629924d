//! Why a model was refused.

use thiserror::Error;

use super::DataType;
use super::limits::Counted;
use crate::Sniffed;
use crate::place::Place;

/// Why the bytes are not a model that a device should open, and where that shows.
///
/// A refusal is about the file: reading it again gives the same answer. What to do is with each variant; where
/// nothing is said, the file is damaged or was made to do harm, and a fresh export or download is the only remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The download or the copy never wrote anything: fetch the file again.
    #[error("the file is empty")]
    Empty,
    /// Too large for protobuf: export the model with external data, and allow that.
    #[error("the file has {size} bytes and at most {limit} are read")]
    TooLarge {
        /// Bytes of the file.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file is something else: name the right one, or convert it.
    #[error("not an ONNX model: it looks like {looks_like}")]
    Foreign {
        /// What it seems to be.
        looks_like: Sniffed,
    },
    /// The end is missing: fetch the file again.
    #[error("the file is cut short at {at}: {need} bytes are needed and {have} are left")]
    Truncated {
        /// Where.
        at: Place,
        /// Bytes needed.
        need: u64,
        /// Bytes left.
        have: u64,
    },
    /// A length inside a message goes beyond that message.
    #[error("{at} needs {need} bytes where its message has {have} left")]
    Overrun {
        /// Where.
        at: Place,
        /// Bytes needed.
        need: u64,
        /// Bytes left in the message.
        have: u64,
    },
    /// A field number or wire type that protobuf does not have, or a group.
    #[error("no protobuf field begins at {at}")]
    BadTag {
        /// Where.
        at: Place,
    },
    /// An integer that is longer than 64 bits.
    #[error("the integer at {at} does not end within 64 bits")]
    BadVarint {
        /// Where.
        at: Place,
    },
    /// A field of ONNX written as another type than ONNX gives it.
    #[error("{at} should hold {expected}")]
    WireType {
        /// Where.
        at: Place,
        /// What the field is declared as.
        expected: &'static str,
    },
    /// Parsers differ in which of the two they keep.
    #[error("{at} occurs more than once")]
    RepeatedField {
        /// Where the second one is.
        at: Place,
    },
    /// A name that is not text.
    #[error("{at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: Place,
    },
    /// A name longer than any exporter writes.
    #[error("{at} is {length} bytes long and at most {limit} are accepted")]
    TooLong {
        /// Where.
        at: Place,
        /// Bytes of the string.
        length: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// Beyond a limit that is far above the models met in the field: simplify the model, or raise the limit knowingly.
    #[error("{at} goes beyond {limit} {what}")]
    TooMany {
        /// Where the first one too many is.
        at: Place,
        /// What there is too much of.
        what: Counted,
        /// How many are accepted.
        limit: u64,
    },
    /// Graphs inside graphs, deeper than any exporter nests them.
    #[error("{at} nests graphs deeper than {limit}")]
    TooDeep {
        /// Where.
        at: Place,
        /// Depth accepted.
        limit: usize,
    },
    /// There is no version to read the rest by: probably not an ONNX model, though it is a protobuf message.
    #[error("the model has no ir_version")]
    NoIrVersion,
    /// Export the model again for a version in the range.
    #[error("{at} is {found}; supported are {oldest} to {newest}")]
    IrVersion {
        /// Where.
        at: Place,
        /// The version found.
        found: u64,
        /// The oldest supported.
        oldest: u64,
        /// The newest supported.
        newest: u64,
    },
    /// Nothing says what the operators mean.
    #[error("{at}: no operator set is imported")]
    NoOpsets {
        /// The model or the function.
        at: Place,
    },
    /// Export the model again for an operator set in the range, or convert it with `onnx.version_converter`.
    #[error("{at}: operator set {domain} has version {found}; supported are {oldest} to {newest}")]
    Opset {
        /// Where.
        at: Place,
        /// The operator set.
        domain: String,
        /// The version found.
        found: i64,
        /// The oldest supported.
        oldest: u64,
        /// The newest supported.
        newest: u64,
    },
    /// The same operator set twice: it is undefined which version counts.
    #[error("{at} imports operator set {domain} a second time")]
    DuplicateOpset {
        /// Where the second import is.
        at: Place,
        /// The operator set.
        domain: String,
    },
    /// Operators of this domain exist only in somebody's custom library. Export without them, or drop the unused import.
    #[error(
        "{at}: operator domain {domain:?} is not supported; supported are ai.onnx, ai.onnx.ml, com.microsoft and the model's own functions"
    )]
    UnknownDomain {
        /// Where.
        at: Place,
        /// The domain.
        domain: String,
    },
    /// A node of a known domain whose version nobody states.
    #[error("{at}: operator domain {domain} is used and not imported")]
    DomainNotImported {
        /// Where.
        at: Place,
        /// The domain.
        domain: String,
    },
    /// A model with training graphs: strip them, a device only infers.
    #[error("{at}: the model carries training graphs")]
    Training {
        /// Where.
        at: Place,
    },
    /// There is nothing to run.
    #[error("the model has no graph")]
    NoGraph,
    /// The model computes nothing that anybody could read.
    #[error("{at} has no outputs")]
    NoOutputs {
        /// The graph.
        at: Place,
    },
    /// Something without the name it is referred to by.
    #[error("{at} has no name")]
    Unnamed {
        /// Where.
        at: Place,
    },
    /// An input or output of the model without a type cannot be served.
    #[error("{at} has no type")]
    Untyped {
        /// Where.
        at: Place,
    },
    /// A name declared twice among inputs or among outputs.
    #[error("{at}: {name:?} is declared twice")]
    DuplicatePort {
        /// Where the second one is.
        at: Place,
        /// The name.
        name: String,
    },
    /// It is undefined which of the two holds the weights.
    #[error("{at}: initializer {name:?} is given twice")]
    DuplicateInitializer {
        /// Where the second one is.
        at: Place,
        /// The name.
        name: String,
    },
    /// A value computed twice, or computed although it is an input or an initializer.
    #[error("{at}: value {name:?} is already produced")]
    DuplicateValue {
        /// Where.
        at: Place,
        /// The name.
        name: String,
    },
    /// An output of the model that no node, initializer or input provides.
    #[error("{at}: nothing produces {name:?}")]
    UnproducedOutput {
        /// Where.
        at: Place,
        /// The name.
        name: String,
    },
    /// A type number that ONNX does not have.
    #[error("{at}: {found} is no element type")]
    UnknownDataType {
        /// Where.
        at: Place,
        /// The number.
        found: u64,
    },
    /// A dimension below zero. Unknown dimensions are left out or given a name; older exporters write -1: export again.
    #[error("{at}: dimension {found} is negative")]
    NegativeDim {
        /// Where.
        at: Place,
        /// The dimension.
        found: i64,
    },
    /// More elements or bytes than can be counted in 64 bits.
    #[error("{at}: the size of this shape overflows")]
    SizeOverflow {
        /// Where.
        at: Place,
    },
    /// The data is shorter or longer than the shape says: a runtime would read beyond it.
    #[error("{at} holds {found} bytes where its shape takes {expected}")]
    RawLength {
        /// Where.
        at: Place,
        /// Bytes the shape takes.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// As for raw data, in typed entries.
    #[error("{at} holds {found} entries where its shape takes {expected}")]
    TypedLength {
        /// Where.
        at: Place,
        /// Entries the shape takes.
        expected: u64,
        /// Entries there are.
        found: u64,
    },
    /// Data in two forms, or in a form that this type does not have: parsers differ in what they read.
    #[error("{at}: the data of a tensor of {datatype} should be in one field that suits it")]
    WrongDataField {
        /// Where.
        at: Place,
        /// The type of the tensor.
        datatype: DataType,
    },
    /// A tensor of some size without any data.
    #[error("{at} has no data for its {elements} elements")]
    NoData {
        /// Where.
        at: Place,
        /// Elements of its shape.
        elements: u64,
    },
    /// A tensor in segments, which ONNX reserves and nobody implements.
    #[error("{at}: tensors in segments are not supported")]
    Segmented {
        /// Where.
        at: Place,
    },
    /// A sparse tensor whose parts do not fit one another.
    #[error("{at}: the values, indices and shape of this sparse tensor do not fit together")]
    SparseShape {
        /// Where.
        at: Place,
    },
    /// Weights in another file, which is not allowed by default: save the model as one file, or list the file in the
    /// manifest and read with [`ExternalPolicy::List`](super::ExternalPolicy::List).
    #[error("{at}: the data of {tensor:?} is in another file, {location:?}, which is not allowed")]
    ExternalData {
        /// Where.
        at: Place,
        /// The tensor.
        tensor: String,
        /// The file it names.
        location: String,
    },
    /// Weights in another file, named by more than a plain file name. Never allowed: it reads what the model wants
    /// read. Export again with the data beside the model.
    #[error("{at}: {location:?} is not a plain file name")]
    ExternalPath {
        /// Where.
        at: Place,
        /// What it names.
        location: String,
    },
    /// An entry about external data that is unknown, repeated, missing or no number.
    #[error("{at}: external data entry {key:?} is unknown, repeated, missing or malformed")]
    ExternalEntry {
        /// Where.
        at: Place,
        /// The entry.
        key: String,
    },
    /// A graph compiled for one device by one runtime: opaque native code. Publish the model it was compiled from.
    #[error("{at} is a compiled context (EPContext), which cannot be inspected")]
    CompiledContext {
        /// Where.
        at: Place,
    },
    /// Two functions with the same domain, name and overload.
    #[error("{at}: function {function:?} is defined twice")]
    DuplicateFunction {
        /// Where the second one is.
        at: Place,
        /// Its domain and name.
        function: String,
    },
    /// A node of a domain that only this model's functions define, and none of them does.
    #[error("{at}: no function {function:?} is defined")]
    UnknownFunction {
        /// Where it is called.
        at: Place,
        /// Its domain and name.
        function: String,
    },
    /// Functions that call one another in a circle: a runtime expands them for ever.
    #[error("{at} calls itself, directly or through others")]
    RecursiveFunction {
        /// The function.
        at: Place,
    },
}
