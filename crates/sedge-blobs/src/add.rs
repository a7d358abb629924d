//! Importing a local file.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sedge_statement::{ByteSize, FileName, ModelFile};

use crate::blocking::blocking;
use crate::digest::{self, Digests};
use crate::hold::DiscardError;
use crate::index::Claim;
use crate::layout;
use crate::node;
use crate::space::Refusal;
use crate::store::{BlobStore, StoreError};

/// Why a file was not added. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Name a file; directories, pipes and devices are none.
    #[error("not a regular file: {0}")]
    NotAFile(PathBuf),
    /// A file of no bytes proves nothing.
    #[error("the file is empty: {0}")]
    Empty(PathBuf),
    /// Something writes to it. Add it once that is done.
    #[error("the file changed while it was read: {0}")]
    Changed(PathBuf),
    /// Free space, or remove models that no slot needs.
    #[error("not enough space: {need} needed, {have} free")]
    NoSpace {
        /// What the file, its hash tree and the margin take.
        need: ByteSize,
        /// What is free.
        have: ByteSize,
    },
    /// See to the file or the disk it names.
    #[error("copy {path}: {source}")]
    Io {
        /// The file read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store is shut down, or its disk fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A damaged copy of the same bytes is in the way. Try again when nobody fetches it.
    #[error("replace a damaged copy: {0}")]
    Damaged(#[from] DiscardError),
}

/// Numbers the imports of this process; the directory starts empty.
static IMPORTS: AtomicU64 = AtomicU64::new(0);

/// A half-made file that goes when dropped.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        let _gone_or_at_the_next_start = layout::remove(&self.0);
    }
}

impl BlobStore {
    /// Imports a local file: copied once, hashed on the way, and from then on held and served. The same bytes added
    /// twice are stored once, under each name they were given.
    ///
    /// # Errors
    /// See [`AddError`]. A disk that fills up in the middle leaves nothing behind.
    pub async fn add_file(&self, source: &Path, name: &FileName) -> Result<ModelFile, AddError> {
        let io = |e| AddError::Io { path: source.to_owned(), source: e };
        let there = fs::metadata(source).map_err(io)?;
        if !there.is_file() {
            return Err(AddError::NotAFile(source.to_owned()));
        }
        if there.len() == 0 {
            return Err(AddError::Empty(source.to_owned()));
        }
        let _room = self.inner.space.reserve(there.len()).map_err(|refusal| match refusal {
            Refusal::NoSpace { need, have } => AddError::NoSpace { need, have },
            Refusal::Unknown(e) => io(e),
        })?;
        let (incoming, digests) = self.copy_in(source, there.len()).await?;
        let file = ModelFile {
            name: name.clone(),
            size: ByteSize(digests.size),
            sha256: digests.sha256,
            blake3: digests.blake3,
        };
        self.settle(&file, incoming).await.map_err(|e| match e {
            AddError::Io { source: e, .. } => io(e),
            other => other,
        })?;
        Ok(file)
    }

    /// Copies the source beside the store, synced, and hashes it in the same pass.
    async fn copy_in(&self, source: &Path, size: u64) -> Result<(Incoming, Digests), AddError> {
        let incoming =
            Incoming(self.inner.layout.incoming.join(format!("{}.part", IMPORTS.fetch_add(1, Ordering::Relaxed))));
        let (from, to) = (source.to_owned(), incoming.0.clone());
        let copied = blocking(move || {
            let mut source = File::open(from)?;
            let mut target = File::options().write(true).create_new(true).open(to)?;
            let digests = digest::copy(&mut source, &mut target, size)?;
            target.set_permissions(fs::Permissions::from_mode(0o444))?;
            target.sync_all()?;
            Ok(digests)
        })
        .await;
        match copied {
            Ok(digests) if digests.size == size => Ok((incoming, digests)),
            Ok(_) => Err(AddError::Changed(source.to_owned())),
            Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                drop(incoming);
                let have = self.inner.space.free().unwrap_or_default();
                Err(AddError::NoSpace { need: self.inner.space.need(size), have })
            }
            Err(e) => Err(AddError::Io { path: source.to_owned(), source: e }),
        }
    }

    /// Moves the copied bytes into the store, unless it has them already, and gives them their name.
    async fn settle(&self, file: &ModelFile, incoming: Incoming) -> Result<(), AddError> {
        let inner = &self.inner;
        let io = |source| AddError::Io { path: PathBuf::new(), source };
        let _turn = inner.turns.import(file.blake3).await;
        // The copy at hand is good; one that the store has may have rotted since.
        for there in inner.named(file.blake3) {
            if inner.read_back(&there).await.is_err() {
                inner.drop_blob(file.blake3).await?;
                break;
            }
        }
        if inner.named(file.blake3).is_empty() {
            if !inner.local(file).await?.is_empty() {
                inner.drop_blob(file.blake3).await?;
            }
            let (from, to) = (incoming.0.clone(), inner.layout.data(node::hash(file.blake3)));
            blocking(move || fs::rename(from, to)).await.map_err(io)?;
            inner.import(file).await?;
        }
        let (place, hash, (sha256, name)) =
            (inner.layout.clone(), node::hash(file.blake3), (file.sha256, file.name.clone()));
        blocking(move || place.place(hash, sha256, &name)).await.map_err(io)?;
        inner.claim(Claim::Held, file).await?;
        inner.index().insert(file);
        Ok(())
    }
}
