//! Why a model was refused.

use thiserror::Error;

use super::limits::Counted;
use super::tensor_type::TensorType;
use super::value::ValueType;
use crate::Sniffed;
use crate::place::Place;

/// Why the bytes are not a model that a device should open, and where that shows.
///
/// A refusal is about the file: reading it again gives the same answer. [`GgufError::NeedMore`] alone is none. What to
/// do is with each variant; where nothing is said, the file is damaged or was made to do harm, and a fresh conversion
/// or download is the only remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The header goes on: read again with at least so many bytes of the file's beginning.
    #[error("the first {bytes} bytes of the file are needed")]
    NeedMore {
        /// Bytes from the beginning, at least; never more than the limit or the file.
        bytes: u64,
    },
    /// The download or the copy never wrote anything: fetch the file again.
    #[error("the file is empty")]
    Empty,
    /// The file is something else: name the right one, or convert it.
    #[error("not a GGUF model: it looks like {looks_like}")]
    Foreign {
        /// What it seems to be.
        looks_like: Sniffed,
    },
    /// Convert the model again for a little-endian machine.
    #[error("the file is written for big-endian machines")]
    BigEndian,
    /// Convert the model again: version 1 was left within weeks, and its counts are half as wide.
    #[error("the file is of GGUF version 1, which nothing writes any more; read are 2 and 3")]
    VersionOne,
    /// A version that this reader does not know: use a newer Sedge, or convert the model for version 3.
    #[error("the file is of GGUF version {found}; read are 2 and 3")]
    Version {
        /// The version found.
        found: u32,
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
    /// A header far larger than any in the field.
    #[error("the header goes beyond {limit} bytes at {at}")]
    HeaderTooLarge {
        /// Where.
        at: Place,
        /// Bytes accepted.
        limit: u64,
    },
    /// Beyond a limit that is far above the models met in the field: raise the limit only knowingly.
    #[error("{at} announces {found} {what} and at most {limit} are accepted")]
    TooMany {
        /// Where.
        at: Place,
        /// What there is too much of.
        what: Counted,
        /// How many are announced.
        found: u64,
        /// How many are accepted.
        limit: u64,
    },
    /// A key, name or string longer than any converter writes.
    #[error("{at} is {length} bytes long and at most {limit} are accepted")]
    TooLong {
        /// Where.
        at: Place,
        /// Bytes of the string.
        length: u64,
        /// Bytes accepted.
        limit: u64,
    },
    /// A string that is not text.
    #[error("{at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: Place,
    },
    /// A key or name that is empty or holds characters that one reader shows and another ends at.
    #[error("{at} is not a {what}")]
    BadName {
        /// Where.
        at: Place,
        /// What it should be.
        what: &'static str,
    },
    /// A type of value that the format does not have.
    #[error("{at} has a value of type {found}, which GGUF does not have")]
    ValueType {
        /// Where.
        at: Place,
        /// The number found.
        found: u32,
    },
    /// Arrays of arrays: no converter writes them, and readers recurse over them.
    #[error("{at} is an array of arrays")]
    NestedArray {
        /// Where.
        at: Place,
    },
    /// A truth value that is neither.
    #[error("{at} should be a truth value and is {found}")]
    NotABool {
        /// Where.
        at: Place,
        /// The byte found.
        found: u8,
    },
    /// Readers differ in which of the two they keep.
    #[error("{at} occurs a second time")]
    DuplicateKey {
        /// Where the second one is.
        at: Place,
    },
    /// Readers differ in which of the two they load.
    #[error("{at} is the name of an earlier tensor")]
    DuplicateTensor {
        /// Where the second one is.
        at: Place,
    },
    /// Nothing can be placed by this alignment.
    #[error("{at} is {found}, which is no power of two from {least} to {most}")]
    Alignment {
        /// Where.
        at: Place,
        /// The alignment found.
        found: u64,
        /// The least accepted.
        least: u64,
        /// The most accepted.
        most: u64,
    },
    /// Convert the model again with a converter that says it: nothing can be run without.
    #[error("the metadata has no {key}")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A key of GGUF's with a value of another type than it has.
    #[error("{at} should be {expected} and is {found}")]
    WrongType {
        /// Where.
        at: Place,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: ValueType,
    },
    /// A number that makes no model.
    #[error("{at} is {found}, which is not {expected}")]
    OutOfRange {
        /// Where.
        at: Place,
        /// What was found.
        found: i128,
        /// What was expected.
        expected: &'static str,
    },
    /// One of several files: join them with `llama-gguf-split --merge`, and give the whole.
    #[error("{at}: the file is one of {count} parts, and only whole models are taken")]
    Split {
        /// Where.
        at: Place,
        /// How many there are.
        count: u64,
    },
    /// There is nothing to run; a vocabulary alone is no model.
    #[error("the file has no tensor")]
    NoTensors,
    /// A number of dimensions that readers keep no room for.
    #[error("{at} has {found} dimensions; 1 to {limit} are accepted")]
    Dims {
        /// Where.
        at: Place,
        /// How many.
        found: u32,
        /// How many are accepted.
        limit: u32,
    },
    /// A tensor of nothing.
    #[error("{at} has a dimension of length 0")]
    ZeroDim {
        /// Where.
        at: Place,
    },
    /// Dimensions whose product does not fit 63 bits: readers that multiply without looking allocate too little.
    #[error("{at} has more elements or bytes than can be counted")]
    Overflow {
        /// Where.
        at: Place,
    },
    /// A type of weights that nothing here knows, or that was taken back: quantize the model again.
    #[error("{at} is of tensor type {found}, which is not known")]
    TensorType {
        /// Where.
        at: Place,
        /// The number found.
        found: u32,
    },
    /// Rows that end inside a block of quantized weights.
    #[error("{at} has rows of {row} elements, which blocks of {block} ({kind}) do not fill")]
    PartialBlock {
        /// Where.
        at: Place,
        /// Elements of a row.
        row: u64,
        /// Elements of a block.
        block: u64,
        /// The type.
        kind: TensorType,
    },
    /// Weights where no alignment puts them.
    #[error("{at} begins at {offset} of the weights, which is no multiple of {alignment}")]
    Misaligned {
        /// Where.
        at: Place,
        /// The offset found.
        offset: u64,
        /// The alignment of the file.
        alignment: u64,
    },
    /// Weights that the file does not hold: it was cut short, or its table reaches for somebody else's memory.
    #[error("{at} takes {need} bytes from byte {from} on, and the file ends at byte {file}")]
    BeyondTheEnd {
        /// Where.
        at: Place,
        /// Where in the file its weights begin.
        from: u128,
        /// Their bytes.
        need: u64,
        /// Bytes of the file.
        file: u64,
    },
    /// Two tensors over the same bytes.
    #[error("{at} begins at byte {from}, inside the weights of {other:?}, which end at byte {end}")]
    Overlap {
        /// Where.
        at: Place,
        /// Where its weights begin.
        from: u64,
        /// The tensor before.
        other: String,
        /// Where that one's weights end.
        end: u64,
    },
    /// Heads share the embedding, and groups of heads share keys and values, evenly.
    #[error("{at} is {found}, which does not divide {whole} ({of})")]
    DoesNotDivide {
        /// Where.
        at: Place,
        /// The count found.
        found: u32,
        /// What it should divide.
        whole: u32,
        /// What that is.
        of: &'static str,
    },
    /// A value for each layer, for another number of layers.
    #[error("{at} has {found} values for {layers} layers")]
    PerLayer {
        /// Where.
        at: Place,
        /// How many there are.
        found: u64,
        /// How many layers.
        layers: u32,
    },
    /// A tensor of a block that the model does not have.
    #[error("{at} belongs to a block beyond the {layers} that the metadata announces")]
    NoSuchLayer {
        /// Where.
        at: Place,
        /// How many there are.
        layers: u32,
    },
    /// A block without weights.
    #[error("block {layer} of the {layers} that the metadata announces has no tensor")]
    MissingLayer {
        /// The first one without.
        layer: u32,
        /// How many are announced.
        layers: u32,
    },
    /// A tensor that is not as long as the metadata makes it.
    #[error("{at} is {found:?} and the metadata makes it {expected:?}")]
    Shape {
        /// Where.
        at: Place,
        /// Its dimensions, the row's length first.
        found: Vec<u64>,
        /// What they should be.
        expected: Vec<u64>,
    },
    /// Two counts of tokens.
    #[error("{at} is for {found} tokens and the vocabulary has {vocabulary}")]
    TokenCount {
        /// Where.
        at: Place,
        /// How many.
        found: u64,
        /// How many the vocabulary has.
        vocabulary: u64,
    },
    /// A token that the vocabulary does not have.
    #[error("{at} is {found}, beyond a vocabulary of {vocabulary} tokens")]
    TokenId {
        /// Where.
        at: Place,
        /// The token.
        found: u64,
        /// How many there are.
        vocabulary: u64,
    },
    /// The file says one quantization and holds another: somebody renamed it, or a tool wrote it wrong.
    #[error("{at} declares {declared}, and most weights are {found}")]
    Quantization {
        /// Where.
        at: Place,
        /// What is declared.
        declared: &'static str,
        /// What most weights are.
        found: TensorType,
    },
}
