//! The file that a model is opened from, and the proof that it is the one meant.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sedge_statement::{ByteSize, FileName, ModelFile, ReleaseId, Sha256, Variant};

/// What to open: one variant of one release, and where its first file lies.
#[derive(Debug, Clone)]
pub struct ModelSource {
    /// The release, for answers and reports.
    pub release: ReleaseId,
    /// The variant: its format, its facts, and the digest of its first file.
    pub variant: Variant,
    /// Where that file lies.
    pub path: PathBuf,
    /// Where the variant's other files lie, in its order.
    pub beside: Vec<PathBuf>,
}

/// Why a file is not the one that a manifest names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Look at the file and its permissions.
    #[error("failed to read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory or device lies where the file should.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// The file was cut or replaced: fetch it again.
    #[error("the file has {} bytes, the manifest says {}", found.get(), wanted.get())]
    Size {
        /// Its length.
        found: ByteSize,
        /// The manifest's.
        wanted: ByteSize,
    },
    /// The backend needs a file that the variant does not have, or that nobody said where it lies.
    #[error("the variant has no file {0} at hand")]
    Absent(FileName),
    /// The file was damaged or replaced: fetch it again.
    #[error("the file's sha256 is {found}, the manifest says {wanted}")]
    Digest {
        /// Its digest.
        found: Sha256,
        /// The manifest's.
        wanted: Sha256,
    },
}

impl ModelSource {
    /// The digest that answers will name.
    pub fn sha256(&self) -> Sha256 {
        self.variant.entry().sha256
    }

    /// Reads the whole file and proves it. A backend that parses these very bytes cannot serve another model than the one
    /// named, whatever happens to the file meanwhile; a memory map would leave that open.
    ///
    /// # Errors
    /// See [`SourceError`]. Nothing is allocated for a file of another length than the manifest's.
    pub fn read(&self) -> Result<Vec<u8>, SourceError> {
        read(&self.path, self.variant.entry())
    }

    /// The same of another of the variant's files, by its name.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn read_beside(&self, name: &FileName) -> Result<Vec<u8>, SourceError> {
        let mut others = self.variant.files.iter().skip(1).zip(&self.beside);
        let (file, path) =
            others.find(|(file, _)| file.name == *name).ok_or_else(|| SourceError::Absent(name.clone()))?;
        read(path, file)
    }
}

fn read(path: &Path, wanted: &ModelFile) -> Result<Vec<u8>, SourceError> {
    let io = |source| SourceError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(SourceError::NotAFile(path.to_owned()));
    }
    if metadata.len() != wanted.size.get() {
        return Err(SourceError::Size { found: ByteSize(metadata.len()), wanted: wanted.size });
    }
    let capacity = usize::try_from(wanted.size.get()).map_err(|_| io(io::ErrorKind::OutOfMemory.into()))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(capacity).map_err(|_| io(io::ErrorKind::OutOfMemory.into()))?;
    file.take(wanted.size.get()).read_to_end(&mut bytes).map_err(io)?;
    let (found, wanted) = (Sha256::of(&bytes), wanted.sha256);
    if found == wanted { Ok(bytes) } else { Err(SourceError::Digest { found, wanted }) }
}
