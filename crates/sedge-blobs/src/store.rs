//! The store of one node: opening, asking, closing.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iroh_blobs::store::fs::FsStore;
use iroh_blobs::store::fs::options::{InlineOptions, Options as FsOptions};
use sedge_statement::{Blake3, ByteSize, ModelFile, NodeId};
use tokio::time::Instant;

use crate::fetch::{Patience, Ranges, Running};
use crate::index::{self, Claim, Index};
use crate::layout::Layout;
use crate::limit::{Limiter, Limits};
use crate::node;
use crate::serve::Uplink;
use crate::space::Space;
use crate::sweep::Sweeper;
use crate::turn::Turns;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How fast weights may move.
    pub limits: Limits,
    /// Room left on the disk by everything this store writes: for the documents, the journal, and others.
    pub margin: ByteSize,
    /// When a provider counts as stalled, and how long it then rests.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Self {
        // 64 MiB: the store's own tables, the agent's database and a day of logs fit several times.
        Self { limits: Limits::default(), margin: ByteSize::mib(64), patience: Patience::default() }
    }
}

/// Why a store did not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// See to the directory's permissions and disk.
    #[error("prepare the directories of weights: {0}")]
    Io(#[from] io::Error),
    /// Another process has it open, or its tables are damaged. With no other process about, remove `blobs/`:
    /// it is a cache, and what is in `models/` is proven and adopted again.
    #[error("load the store of weights: {0}")]
    Store(String),
}

/// A question the store could not answer: it is shut down, or its disk fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ask the store of weights: {0}")]
pub struct StoreError(pub(crate) String);

impl StoreError {
    pub(crate) fn of(source: impl fmt::Display) -> Self {
        Self(format!("{source:#}"))
    }
}

/// The weights of one node: on its disk, to and from other nodes. A cheap handle; clones share one store.
#[derive(Clone)]
pub struct BlobStore {
    pub(crate) inner: Arc<Inner>,
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore").field("blobs", &self.inner.layout.blobs).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) fs: FsStore,
    pub(crate) layout: Layout,
    pub(crate) space: Space,
    pub(crate) sweeper: Sweeper,
    pub(crate) uplink: Uplink,
    pub(crate) download: Limiter,
    pub(crate) patience: Patience,
    pub(crate) running: Mutex<Vec<Running>>,
    index: Mutex<Index>,
    pub(crate) turns: Turns,
    liars: Mutex<BTreeMap<NodeId, Instant>>,
}

/// How long a node that sent bytes of the wrong hash is asked for nothing: long enough that it cannot slow a
/// rollout, short enough that a disk replaced by lunch serves again by supper.
const LIARS_REST: Duration = Duration::from_secs(3600);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// The files that share these bytes.
    pub(crate) fn named(&self, blake3: Blake3) -> Vec<ModelFile> {
        self.index().named(blake3)
    }

    /// Which bytes of a file the store has, and verified by BLAKE3.
    pub(crate) async fn local(&self, file: &ModelFile) -> Result<Ranges, StoreError> {
        let bitfield = self.fs.observe(node::hash(file.blake3)).await.map_err(StoreError::of)?;
        Ok(Ranges::of_chunks(&bitfield.ranges, file.size.get()))
    }

    /// Sets a claim on a file's bytes, in place of the other one, and waits until the table is on the disk.
    pub(crate) async fn claim(&self, claim: Claim, file: &ModelFile) -> Result<(), StoreError> {
        let tags = self.fs.tags();
        tags.set(index::tag(claim, file), node::hash(file.blake3)).await.map_err(StoreError::of)?;
        let other = if claim == Claim::Held { Claim::Want } else { Claim::Held };
        tags.delete(index::tag(other, file)).await.map_err(StoreError::of)?;
        self.fs.sync_db().await.map_err(StoreError::of)
    }

    /// Gives up every claim on a file's bytes.
    pub(crate) async fn disclaim(&self, file: &ModelFile) -> Result<(), StoreError> {
        for claim in [Claim::Want, Claim::Held] {
            self.fs.tags().delete(index::tag(claim, file)).await.map_err(StoreError::of)?;
        }
        self.fs.sync_db().await.map_err(StoreError::of)
    }

    /// Remembers that a node lied.
    pub(crate) fn condemn(&self, liar: NodeId) {
        lock(&self.liars).insert(liar, Instant::now() + LIARS_REST);
    }

    /// Whether a node lied of late.
    pub(crate) fn is_liar(&self, node: NodeId) -> bool {
        let mut liars = lock(&self.liars);
        liars.retain(|_, until| *until > Instant::now());
        liars.contains_key(&node)
    }
}

impl BlobStore {
    /// Opens the store under `home` (`$SEDGE_HOME`), which no other process may have open, and puts right what a
    /// killed process left: half-made files go, unproven names in `models/` go, names without bookkeeping are proven
    /// and adopted or go. Reads files whole only in that last case.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(home: &Path, options: Options) -> Result<Self, OpenError> {
        let layout = Layout::create(home)?;
        let (sweeper, gc) = Sweeper::new();
        let mut fs = FsOptions::new(&layout.blobs);
        // Every blob is a file of its own, however small, so that `models/` can share it.
        fs.inline = InlineOptions { max_data_inlined: 0, ..InlineOptions::default() };
        fs.gc = Some(gc);
        let fs = FsStore::load_with_opts(layout.blobs.join("blobs.db"), fs)
            .await
            .map_err(|e| OpenError::Store(format!("{e:#}")))?;
        let inner = Inner {
            space: Space::new(&layout.blobs, options.margin),
            uplink: Uplink::new(options.limits.upload),
            download: Limiter::new(options.limits.download),
            patience: options.patience,
            fs,
            layout,
            sweeper,
            running: Mutex::default(),
            index: Mutex::default(),
            turns: Turns::default(),
            liars: Mutex::default(),
        };
        inner.recover().await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The files held: whole, and proven since they were written. By digest, then name.
    pub fn held(&self) -> Vec<ModelFile> {
        self.inner.index().files()
    }

    /// Whether these bytes are held under any name.
    pub fn has(&self, blake3: &Blake3) -> bool {
        !self.inner.named(*blake3).is_empty()
    }

    /// How many bytes of a file are still to fetch.
    ///
    /// # Errors
    /// The store is shut down, or its disk fails.
    pub async fn missing(&self, file: &ModelFile) -> Result<ByteSize, StoreError> {
        let have = self.inner.local(file).await?.len();
        Ok(ByteSize(file.size.get().saturating_sub(have)))
    }

    /// Closes the store: ends fetches and uploads, writes what is partial down, and frees the directory for the next
    /// process. Without it, a few seconds' pieces may be fetched again.
    pub async fn shutdown(&self) {
        for fetch in std::mem::take(&mut *lock(&self.inner.running)) {
            fetch.end();
        }
        self.inner.uplink.end_all();
        if let Err(error) = self.inner.fs.shutdown().await {
            tracing::debug!(%error, "the store of weights was already closed");
        }
    }
}
