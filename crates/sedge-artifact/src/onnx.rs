//! ONNX: a model's header, read from its protobuf encoding without decoding its weights.
//!
//! The reader walks the wire format in place. It follows graphs inside graphs and functions, measures every tensor
//! against its shape, and holds names as slices of the input until it is done, so that what it allocates is bounded
//! by [`Limits`] and by the names in the file, whatever lengths the file announces.
//!
//! Not read: documentation strings, the types of intermediate values, quantization annotations, device
//! configurations, the values in tensors, and the rules of single operators.

mod datatype;
mod error;
mod external;
mod function;
mod graph;
mod header;
mod limits;
mod model;
mod node;
mod port;
mod program;
mod tensor;
mod uses;
mod walk;
mod wire;

pub use crate::place::Place;
pub use datatype::DataType;
pub use error::OnnxError;
pub use header::{Dim, ExternalFile, OnnxHeader, Port, TensorType, ValueType, Weights};
pub use limits::{Counted, ExternalPolicy, Limits};

use crate::sniff::{Sniffed, sniff};

impl OnnxHeader {
    /// Reads the header of a model from the bytes of its file.
    ///
    /// # Errors
    ///
    /// Refuses whatever is not one coherent model within `limits`; see [`OnnxError`] for what each refusal means.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, OnnxError> {
        let (size, limit) = (bytes.len(), limits.file);
        if size > limit {
            return Err(OnnxError::TooLarge { size, limit });
        }
        match sniff(bytes) {
            Sniffed::Empty => Err(OnnxError::Empty),
            Sniffed::Onnx => model::read_model(bytes, limits),
            looks_like => Err(OnnxError::Foreign { looks_like }),
        }
    }

    /// The version of the default operator set, if the model imports it.
    pub fn opset(&self) -> Option<u64> {
        self.opsets.get(uses::DEFAULT).copied()
    }
}
