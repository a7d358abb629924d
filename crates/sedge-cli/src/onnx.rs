//! As much of ONNX as the command line needs: tensors in files, and models made from models.
//!
//! What a model *is* comes from `sedge_agent::inspect`; nothing here judges one.

mod protobuf;
mod rewrite;
mod tensor;

pub(crate) use rewrite::{with_ballast, with_metadata};
pub(crate) use tensor::read_tensor;
