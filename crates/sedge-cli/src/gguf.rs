//! As much of GGUF as the command line needs: models made from a model.
//!
//! What a model *is* comes from `sedge_agent::inspect`; nothing here judges one.

mod layout;
mod rewrite;

pub(crate) use layout::is_gguf;
pub(crate) use rewrite::{with_ballast, with_metadata};
