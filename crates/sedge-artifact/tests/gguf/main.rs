//! The GGUF reader against files built byte by byte, and against those that PyPI's `gguf` wrote.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod builder;
mod defects;
mod facts;
mod fixtures;
mod hostile;
mod limits;
mod pypi;
