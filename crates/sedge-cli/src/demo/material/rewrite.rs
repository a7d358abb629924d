//! Other versions of a model's file, in whichever format it is.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Publication, write};
use crate::{gguf, onnx};

/// What the artifact of the kill check weighs beyond the model: over 64 MiB in all.
const BALLAST: usize = 64 << 20;
/// The key under which a version is told from another.
const KEY: &str = "sedge-demo";

/// The same model under another digest.
pub(super) fn variation(model: &[u8], version: &str) -> Result<Vec<u8>> {
    Ok(if gguf::is_gguf(model) {
        gguf::with_metadata(model, KEY, version)?
    } else {
        onnx::with_metadata(model, KEY, version)?
    })
}

/// The model with ballast, as a model of its own.
pub(super) fn large(dir: &Path, publication: &Publication, model: &[u8]) -> Result<Publication> {
    let name = "sedge-demo-ballast";
    let bytes = if gguf::is_gguf(model) {
        gguf::with_ballast(model, name, BALLAST)?
    } else {
        onnx::with_ballast(model, name, BALLAST)?
    };
    let (id, version) = (format!("{}-large", publication.id), "1.0.0".to_owned());
    let file = write(dir, &format!("{id}-{version}.{}", extension(model)), &bytes)?;
    Ok(Publication { id, version, file, probes: Vec::new(), more: publication.more.clone() })
}

/// Writes a version's file.
pub(super) fn write_version(dir: &Path, id: &str, version: &str, model: &[u8]) -> Result<PathBuf> {
    write(dir, &format!("{id}-{version}.{}", extension(model)), model)
}

fn extension(model: &[u8]) -> &'static str {
    if gguf::is_gguf(model) { "gguf" } else { "onnx" }
}
