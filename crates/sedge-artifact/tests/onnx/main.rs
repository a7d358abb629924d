//! The ONNX reader against models built byte by byte.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod accepts;
mod builder;
mod defects;
mod files;
mod fixtures;
mod hostile;
mod limits;
