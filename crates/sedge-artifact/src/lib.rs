//! Bounded readers of model files: what a file says of itself, before any runtime is trusted with it.
//!
//! A model file is hostile until proven otherwise, and the runtimes that load one are large and were written for
//! files of good will. The readers here take a byte slice (the caller maps or reads the file), check every length
//! and count against a limit before anything is allocated for it, copy only names, and refuse with the place and
//! the reason. What they accept, a runtime may still refuse: they prove that a header is coherent, not that the
//! model computes anything useful.
//!
//! The crate is pure: no files, no clock, no environment, no randomness. It knows nothing of manifests or of
//! hardware; the agent turns a header into those.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

pub mod gguf;
pub mod onnx;
mod place;
mod sniff;

pub use gguf::{GgufError, GgufHeader};
pub use onnx::{OnnxError, OnnxHeader};
pub use sniff::{Sniffed, sniff};
