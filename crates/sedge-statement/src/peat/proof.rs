//! A manifest against the file that is said to be its own.

use std::fmt::Display;

use super::manifest::PeatManifest;
use crate::{ByteSize, FileName, Manifest, ModelFormat, Quantization, Sha256};

/// What is known of a file from its bytes, and its name.
#[derive(Debug, Clone, Copy)]
pub struct FileFacts<'a> {
    /// Its name; not looked at where absent.
    pub name: Option<&'a FileName>,
    /// Its length.
    pub size: ByteSize,
    /// Its digest.
    pub sha256: Sha256,
    /// Its format, by its header.
    pub format: ModelFormat,
    /// How most of its weights are stored, by its header.
    pub quantization: Quantization,
}

/// A field that the file contradicts. Correct the manifest, or give the file that it describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} says {said}, and the file has {found}")]
pub struct PeatMismatch {
    /// The field; `file name` for what follows from several.
    pub field: &'static str,
    /// What the manifest says.
    pub said: String,
    /// What the file has.
    pub found: String,
}

impl PeatManifest {
    /// Every field that a file contradicts; none where the file is the one described.
    ///
    /// A name that breaks the rule of names is one of them, unless the manifest's SHA-256 names the very bytes.
    pub fn mismatches(&self, file: &FileFacts<'_>) -> Vec<PeatMismatch> {
        let facts = self.facts();
        let name = file.name.filter(|_| facts.sha256 != Some(file.sha256));
        let all = [
            differ("format", Some(facts.format), file.format),
            differ("quantization", Some(facts.quantization), file.quantization),
            differ("size_bytes", facts.size.map(ByteSize::get), file.size.get()),
            differ("sha256", facts.sha256, file.sha256),
            name.and_then(|name| differ("file name", Some(&facts.file_name), name)),
        ];
        all.into_iter().flatten().collect()
    }

    /// Every field that a published manifest of that id and version contradicts. Of several variants, one must fit.
    pub fn mismatches_with(&self, manifest: &Manifest) -> Vec<PeatMismatch> {
        let against = manifest.variants.iter().map(|variant| {
            let file = variant.entry();
            let (format, quantization) = (variant.format, variant.quantization);
            self.mismatches(&FileFacts { name: None, size: file.size, sha256: file.sha256, format, quantization })
        });
        against.min_by_key(Vec::len).unwrap_or_default()
    }
}

fn differ<T: PartialEq + Display>(field: &'static str, said: Option<T>, found: T) -> Option<PeatMismatch> {
    let said = said.filter(|said| *said != found)?;
    Some(PeatMismatch { field, said: said.to_string(), found: found.to_string() })
}
