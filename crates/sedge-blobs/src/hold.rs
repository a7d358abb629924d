//! Proving, dropping and removing what is held.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sedge_statement::{Blake3, ByteSize, FileName, ModelFile, Sha256};
use tokio::time::Instant;

use crate::blocking::blocking;
use crate::digest::{self, Digests};
use crate::fetch::Proof;
use crate::index::Claim;
use crate::layout;
use crate::node;
use crate::store::{BlobStore, Inner, StoreError};

/// Why a file could not be proven. It must not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// Fetch it.
    #[error("{0} is not held")]
    NotHeld(FileName),
    /// The disk changed its bytes. [`BlobStore::discard`] it and fetch it again.
    #[error("{file} is damaged: its SHA-256 is {found}, not {wanted}")]
    WrongDigest {
        /// The file.
        file: FileName,
        /// What was signed.
        wanted: Sha256,
        /// What is on the disk.
        found: Sha256,
    },
    /// The disk lost its end, or something wrote to it. [`BlobStore::discard`] it and fetch it again.
    #[error("{file} is damaged: it has {found}, not {wanted}")]
    WrongLength {
        /// The file.
        file: FileName,
        /// What was signed.
        wanted: ByteSize,
        /// What is on the disk.
        found: ByteSize,
    },
    /// Its name is gone from `models/`, or names something that is no file, and the store cannot name it anew.
    /// [`BlobStore::discard`] it and fetch it again.
    #[error("{0} is gone from the disk")]
    Gone(FileName),
    /// See to the disk. It says nothing of the bytes.
    #[error("read {file}: {source}")]
    Io {
        /// The file.
        file: FileName,
        /// What the system said.
        source: io::Error,
    },
}

impl ProveError {
    /// Whether the bytes on the disk are known not to be the file: they are to be [discarded](BlobStore::discard).
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::WrongDigest { .. } | Self::WrongLength { .. } | Self::Gone(_))
    }
}

/// Why bytes could not be dropped. They are no longer listed as held, and no longer served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscardError {
    /// See to the disk.
    #[error("remove a file of weights: {0}")]
    Io(#[from] io::Error),
    /// The store is shut down, or its disk fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The collector ended on an error. Restart the agent: the bytes go, or are proven, at its start.
    #[error("the store's collector has stopped")]
    CollectorStopped,
    /// Something still reads the old bytes. Try again later.
    #[error("the bytes are still in use")]
    InUse,
}

/// How long dropped bytes may stay open before a discard says so: uploads of them were just ended, so this only
/// covers the store's own bookkeeping.
const LET_GO: Duration = Duration::from_secs(5);

impl Inner {
    /// Reads a placed file back and compares: length, then SHA-256.
    pub(crate) async fn read_back(&self, file: &ModelFile) -> Result<PathBuf, ProveError> {
        let (path, found) = self.rehash(file).await?;
        if found.sha256 == file.sha256 {
            return Ok(path);
        }
        Err(ProveError::WrongDigest { file: file.name.clone(), wanted: file.sha256, found: found.sha256 })
    }

    async fn rehash(&self, file: &ModelFile) -> Result<(PathBuf, Digests), ProveError> {
        let path = self.layout.model(file.sha256, &file.name);
        let (read, whole) = (path.clone(), file.clone());
        let found = blocking(move || Ok(read_whole(&read, &whole))).await;
        let found = found.unwrap_or_else(|source| Err(ProveError::Io { file: file.name.clone(), source }))?;
        Ok((path, found))
    }

    /// Forgets one name of some bytes.
    pub(crate) async fn forget(&self, file: &ModelFile) -> Result<(), DiscardError> {
        self.index().remove(file);
        self.layout.displace(file.sha256, &file.name)?;
        Ok(self.disclaim(file).await?)
    }

    /// Drops bytes under every name, so that they can be fetched anew. The caller has the turn.
    pub(crate) async fn drop_blob(&self, blake3: Blake3) -> Result<(), DiscardError> {
        let hash = node::hash(blake3);
        let _unserved = self.uplink.withhold(blake3);
        for file in self.named(blake3) {
            self.forget(&file).await?;
        }
        for file in self.wanted(blake3).await? {
            self.disclaim(&file).await?;
        }
        self.sweeper.sweep().await.map_err(|_| DiscardError::CollectorStopped)?;
        // The store lets an entry go when its last reader ended; until then it would answer from memory, and take
        // no new bytes.
        let deadline = Instant::now() + LET_GO;
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        loop {
            pause.tick().await;
            let answer = self.fs.observe(hash).await.map_err(StoreError::of);
            if answer.is_ok_and(|have| have.ranges.is_empty()) {
                break;
            }
            if Instant::now() > deadline {
                return Err(DiscardError::InUse);
            }
        }
        for part in self.layout.parts(hash) {
            layout::remove(&part)?;
        }
        Ok(())
    }

    async fn wanted(&self, blake3: Blake3) -> Result<Vec<ModelFile>, StoreError> {
        use n0_future::StreamExt;
        let mut tags = self.fs.tags().list().await.map_err(StoreError::of)?;
        let mut files = Vec::new();
        while let Some(tag) = tags.next().await {
            let tag = tag.map_err(StoreError::of)?;
            if tag.hash == node::hash(blake3) {
                files.extend(crate::index::read_tag(tag.name.0.as_ref(), blake3).map(|(_, file)| file));
            }
        }
        Ok(files)
    }

    /// Gives complete bytes their name, proves them from there unless `proof` shows that it was done while they came, and lists
    /// them as held. The caller has the turn.
    pub(crate) async fn complete(&self, file: &ModelFile, proof: Option<Proof>) -> Result<PathBuf, CompleteError> {
        let (place, hash, (sha256, name)) =
            (self.layout.clone(), node::hash(file.blake3), (file.sha256, file.name.clone()));
        let path = blocking(move || place.place(hash, sha256, &name)).await.map_err(CompleteError::Place)?;
        if !proof.is_some_and(|proof| proof.shows(&path, file.sha256)) {
            let (_, found) = self.rehash(file).await.map_err(CompleteError::Prove)?;
            if found.blake3 != file.blake3 {
                return Err(CompleteError::Damaged);
            }
            if found.sha256 != file.sha256 {
                return Err(CompleteError::WrongDigest(found.sha256));
            }
        }
        self.claim(Claim::Held, file).await.map_err(CompleteError::Store)?;
        self.index().insert(file);
        Ok(path)
    }

    /// Drops what failed its proof. Bytes that other names proved under their own digest stay for those.
    pub(crate) async fn reject(&self, file: &ModelFile) -> Result<(), DiscardError> {
        self.forget(file).await?;
        if self.named(file.blake3).is_empty() {
            self.drop_blob(file.blake3).await?;
        }
        Ok(())
    }
}

fn read_whole(path: &Path, file: &ModelFile) -> Result<Digests, ProveError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ProveError::Gone(file.name.clone()),
        _ => ProveError::Io { file: file.name.clone(), source },
    };
    // A link that someone put here would be followed out of models/.
    let there = std::fs::symlink_metadata(path).map_err(failed)?;
    if !there.is_file() {
        return Err(ProveError::Gone(file.name.clone()));
    }
    if there.len() != file.size.get() {
        let (wanted, found) = (file.size, ByteSize(there.len()));
        return Err(ProveError::WrongLength { file: file.name.clone(), wanted, found });
    }
    digest::read_back(&File::open(path).map_err(failed)?).map_err(failed)
}

/// Why complete bytes are not held.
pub(crate) enum CompleteError {
    Place(io::Error),
    Prove(ProveError),
    /// The bytes are not those that the transport verified: the disk lost or changed them.
    Damaged,
    /// The bytes are those of the manifest's BLAKE3, and not those of its SHA-256.
    WrongDigest(Sha256),
    Store(StoreError),
}

impl BlobStore {
    /// Proves a held file by SHA-256 of the bytes on the disk, and says where to open it. To be asked before the
    /// first open after a boot, and before activation. A file whose name under `models/` is gone is named anew.
    ///
    /// # Errors
    /// See [`ProveError`].
    pub async fn prove(&self, file: &ModelFile) -> Result<PathBuf, ProveError> {
        if !self.inner.index().holds(file) {
            return Err(ProveError::NotHeld(file.name.clone()));
        }
        match self.inner.read_back(file).await {
            Err(ProveError::Gone(_)) => {}
            end => return end,
        }
        let _turn = self.inner.turns.next(file.blake3).await;
        if !self.inner.index().holds(file) {
            return Err(ProveError::NotHeld(file.name.clone()));
        }
        let (place, hash, (sha256, name)) =
            (self.inner.layout.clone(), node::hash(file.blake3), (file.sha256, file.name.clone()));
        if let Err(error) = blocking(move || place.place(hash, sha256, &name)).await {
            tracing::warn!(%error, file = %file.name, "a name is gone from models/, and the bytes with it");
            return Err(ProveError::Gone(file.name.clone()));
        }
        self.inner.read_back(file).await
    }

    /// Drops a file's bytes under every name they have, ends fetches and uploads of them, and makes them fetchable again: for
    /// bytes that failed their proof.
    ///
    /// # Errors
    /// See [`DiscardError`].
    pub async fn discard(&self, file: &ModelFile) -> Result<(), DiscardError> {
        self.inner.end_fetches(file.blake3);
        let _turn = self.inner.turns.next(file.blake3).await;
        self.inner.forget(file).await?;
        self.inner.drop_blob(file.blake3).await
    }

    /// Removes a file, held or partly fetched; a running fetch ends. Its bytes go with the last name they have.
    ///
    /// # Errors
    /// See [`DiscardError`].
    pub async fn remove(&self, file: &ModelFile) -> Result<(), DiscardError> {
        self.inner.end_fetches(file.blake3);
        let _turn = self.inner.turns.next(file.blake3).await;
        self.inner.reject(file).await
    }
}
