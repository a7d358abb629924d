//! What this node holds and wants, by name. Kept in the store's own table of tags, so that a tag protects a blob
//! from collection for exactly as long as we mean to keep it.
//!
//! ```text
//! want/<sha256>/<size>/<name>   -> blake3    being fetched, or fetched and not proven
//! held/<sha256>/<size>/<name>   -> blake3    in models/, proven once since it was written
//! ```

use std::collections::BTreeMap;

use sedge_statement::{Blake3, ByteSize, FileName, ModelFile, Sha256};

/// What a tag says of its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Want,
    Held,
}

impl Claim {
    const fn word(self) -> &'static str {
        match self {
            Self::Want => "want",
            Self::Held => "held",
        }
    }
}

/// The tag of a file.
pub(crate) fn tag(claim: Claim, file: &ModelFile) -> String {
    format!("{}/{}/{}/{}", claim.word(), file.sha256, file.size.get(), file.name)
}

/// Reads a tag back; `None` where it is not ours.
pub(crate) fn read_tag(tag: &[u8], blake3: Blake3) -> Option<(Claim, ModelFile)> {
    let mut parts = std::str::from_utf8(tag).ok()?.split('/');
    let claim = match parts.next()? {
        "want" => Claim::Want,
        "held" => Claim::Held,
        _ => return None,
    };
    let sha256 = parts.next()?.parse().ok()?;
    let size = ByteSize(parts.next()?.parse().ok()?);
    let name = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((claim, ModelFile { name, size, sha256, blake3 }))
}

/// The files held, proven, by digest and name.
#[derive(Debug, Default)]
pub(crate) struct Index {
    held: BTreeMap<(Sha256, FileName), (Blake3, ByteSize)>,
}

impl Index {
    pub(crate) fn insert(&mut self, file: &ModelFile) {
        self.held.insert((file.sha256, file.name.clone()), (file.blake3, file.size));
    }

    pub(crate) fn remove(&mut self, file: &ModelFile) {
        self.held.remove(&(file.sha256, file.name.clone()));
    }

    /// Whether exactly this file is held: name, length and both digests.
    pub(crate) fn holds(&self, file: &ModelFile) -> bool {
        self.held.get(&(file.sha256, file.name.clone())) == Some(&(file.blake3, file.size))
    }

    pub(crate) fn files(&self) -> Vec<ModelFile> {
        let file = |((sha256, name), (blake3, size)): (&(Sha256, FileName), &(Blake3, ByteSize))| ModelFile {
            name: name.clone(),
            size: *size,
            sha256: *sha256,
            blake3: *blake3,
        };
        self.held.iter().map(file).collect()
    }

    /// The files that share these bytes.
    pub(crate) fn named(&self, blake3: Blake3) -> Vec<ModelFile> {
        self.files().into_iter().filter(|f| f.blake3 == blake3).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ModelFile {
        ModelFile {
            name: "digits.onnx".parse().unwrap(),
            size: ByteSize(7),
            sha256: Sha256::of(b"a"),
            blake3: Blake3::of(b"a"),
        }
    }

    #[test]
    fn a_tag_reads_back_as_what_it_was_made_of() {
        for claim in [Claim::Want, Claim::Held] {
            assert_eq!(read_tag(tag(claim, &file()).as_bytes(), Blake3::of(b"a")), Some((claim, file())));
        }
    }

    #[test]
    fn a_tag_that_is_not_ours_is_not_read() {
        let held = tag(Claim::Held, &file());
        for other in ["", "held", "auto-2026", &format!("{held}/x"), &held.replace("digits", "../digits")] {
            assert_eq!(read_tag(other.as_bytes(), Blake3::of(b"a")), None, "{other}");
        }
    }
}
