//! Inputs and probes from files, in each form that people have them in.

mod files;
mod npy;
mod probes;
mod text;

pub(crate) use files::{case_tensors, read_inputs};
pub(crate) use probes::read_probes;
pub(crate) use text::{is_text, read_text};
