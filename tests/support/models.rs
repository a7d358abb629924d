//! The sample models, and others made from them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The number and wire type of `metadata_props` in an ONNX `ModelProto`.
const METADATA_PROPS: u8 = 14 << 3 | 2;

/// A file below `models/digits`.
pub(crate) fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits").join(name)
}

/// As an argument.
pub(crate) fn word(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}

/// Writes the second sample under another digest: the same model with one more note in its metadata.
pub(crate) fn variation(dir: &Path, name: &str, note: &str) -> Result<PathBuf> {
    let mut bytes = fs::read(digits("digits-2.0.0.onnx"))?;
    let mut entry = field(0x0a, b"note")?;
    entry.extend(field(0x12, note.as_bytes())?);
    bytes.extend(field(METADATA_PROPS, &entry)?);
    let path = dir.join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

/// A length-delimited protobuf field of less than 128 bytes.
fn field(tag: u8, bytes: &[u8]) -> Result<Vec<u8>> {
    let len = u8::try_from(bytes.len()).ok().filter(|len| *len < 128).context("too long for one byte of length")?;
    Ok([&[tag, len], bytes].concat())
}
