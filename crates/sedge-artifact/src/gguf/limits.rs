//! How much of anything a header may have.

use std::fmt;
use std::ops::RangeInclusive;

/// What the reader of GGUF headers accepts.
///
/// The defaults leave at least an order of magnitude above the models met in the field; raise one only for a model
/// that is known to need it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes before the weights. A vocabulary of 256 Ki tokens with its merges takes about 16 MiB.
    pub header: u64,
    /// Entries of metadata.
    pub keys: u64,
    /// Tensors.
    pub tensors: u64,
    /// Bytes of a key.
    pub key: u64,
    /// Bytes of a tensor's name. llama.cpp itself ends at 63.
    pub name: u64,
    /// Bytes of a string. The longest ones met are chat templates, of some ten KiB.
    pub string: u64,
    /// Elements of an array.
    pub array: u64,
    /// Elements of all arrays together: whoever runs the model makes a value of each. A vocabulary of 256 Ki tokens has about
    /// 1.3 Mi.
    pub elements: u64,
    /// Tokens that are looked for in a text before it is split: unknown, control, unused and those of users.
    pub special: u64,
    /// Alignments of the weights, which are powers of two. The format's own default is 32.
    pub alignments: RangeInclusive<u64>,
    /// Dimensions of a tensor.
    pub dims: u32,
    /// Blocks of the network.
    pub layers: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: 64 << 20,
            keys: 4096,
            tensors: 1 << 16,
            key: 256,
            name: 127,
            string: 1 << 20,
            array: 2 << 20,
            elements: 4 << 20,
            special: 1 << 16,
            alignments: 8..=(1 << 16),
            dims: 4,
            layers: 4096,
        }
    }
}

/// Something there may be only so many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each names what a field of `Limits` bounds")]
#[non_exhaustive]
pub enum Counted {
    Keys,
    Tensors,
    Elements,
    AllElements,
    Special,
    Layers,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys => "entries of metadata",
            Self::Tensors => "tensors",
            Self::Elements => "elements of an array",
            Self::AllElements => "elements of arrays together with those before it",
            Self::Special => "special tokens",
            Self::Layers => "layers",
        })
    }
}
