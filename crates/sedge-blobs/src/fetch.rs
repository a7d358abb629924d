//! Fetching a file from other nodes.
//!
//! A fetch is a plan over byte ranges: `plan` says which provider brings which piece, `peers` keeps what is known of
//! each provider, `piece` brings one piece, `pace` says when somebody else should bring it instead, `drive` runs these until the
//! store has every byte, and `proof` hashes what the store has from the beginning on. How pieces and providers are matched is
//! `plan`'s alone.

mod drive;
mod error;
mod pace;
mod peers;
mod piece;
mod plan;
mod proof;
mod ranges;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use iroh::Endpoint;
use n0_future::task::AbortOnDropHandle;
use sedge_statement::{Blake3, ByteSize, ModelFile, NodeId};
use tokio::sync::watch;
use tokio::time::Instant;

pub use error::FetchError;
pub(crate) use proof::Proof;
pub(crate) use ranges::Ranges;

use crate::store::{BlobStore, Inner};

/// When a provider counts as stalled, and how long it rests after a fault.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long connecting may take.
    pub connect: Duration,
    /// The window over which a provider is measured. Time spent on our own limits and disk does not count.
    pub stall: Duration,
    /// The least a provider must bring per second, over a window.
    pub least: ByteSize,
    /// How long a provider may be a quarter as fast as another one, before that one is asked for its piece instead.
    pub slow: Duration,
    /// How long a piece may take where it is not known what others can do, and somebody waits who was never tried.
    pub unproven: Duration,
    /// The first rest after a fault; it doubles with each one in a row, with jitter, up to [`Patience::longest`].
    pub rest: Duration,
    /// The longest rest.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // 10 s at 4 KiB/s: a narrow-band radio still passes, a peer that drips to hold us does not.
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            least: ByteSize(4 << 10),
            slow: Duration::from_secs(5),
            unproven: Duration::from_secs(30),
            rest: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

/// What one caller wants of a fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// When this caller stops waiting; never, by default.
    pub deadline: Option<Instant>,
    /// Seeds the jitter of retries, so that nodes of one cell do not retry as one.
    pub seed: u64,
}

/// How far a fetch is. For people and for progress messages; never for a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes in the store, each verified by BLAKE3 as it came.
    pub have: ByteSize,
    /// The file's length.
    pub total: ByteSize,
    /// Who brought the last bytes.
    pub from: Option<NodeId>,
    /// Bytes per second over the last full second.
    pub rate: ByteSize,
}

/// What a fetch dials from. It is asked for each connection, since a node that was silent may have another endpoint afterwards.
#[derive(Clone)]
pub struct DialFrom(Arc<dyn Fn() -> Option<Endpoint> + Send + Sync>);

impl DialFrom {
    /// Dials from whatever endpoint there is. Where there is none, nobody can be reached.
    pub fn new(endpoint: impl Fn() -> Option<Endpoint> + Send + Sync + 'static) -> Self {
        Self(Arc::new(endpoint))
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        (self.0)()
    }
}

impl From<&Endpoint> for DialFrom {
    fn from(endpoint: &Endpoint) -> Self {
        let endpoint = endpoint.clone();
        Self::new(move || Some(endpoint.clone()))
    }
}

/// A running fetch, shared by all who want the same file. Dropping the last handle ends it; what it brought stays.
#[derive(Debug)]
pub struct Fetch {
    shared: Arc<Shared>,
    file: ModelFile,
    deadline: Option<Instant>,
}

type Outcome = Result<PathBuf, FetchError>;

#[derive(Debug)]
struct Shared {
    progress: watch::Receiver<Progress>,
    outcome: watch::Receiver<Option<Outcome>>,
    task: AbortOnDropHandle<()>,
}

/// A fetch as the store knows it: not kept alive by being known.
#[derive(Debug)]
pub(crate) struct Running {
    file: ModelFile,
    shared: Weak<Shared>,
}

impl Running {
    /// Ends it for all who wait.
    pub(crate) fn end(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.task.abort();
        }
    }
}

impl Inner {
    /// Ends the fetches of some bytes.
    pub(crate) fn end_fetches(&self, blake3: Blake3) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter(|r| r.file.blake3 == blake3).for_each(Running::end);
    }
}

impl BlobStore {
    /// Fetches what the store lacks of a file, then gives it its name under `models/` and proves it by SHA-256 read
    /// back from there. Only then is it held. A file already held is there at once.
    ///
    /// `candidates` lists who may have it, best first; the list may change, and be empty, at any time. Two fetches of
    /// the same file are one, with the first caller's candidates and seed.
    pub fn fetch(
        &self,
        from: impl Into<DialFrom>,
        file: &ModelFile,
        candidates: watch::Receiver<Vec<NodeId>>,
        options: FetchOptions,
    ) -> Fetch {
        let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|r| r.shared.strong_count() > 0);
        let known = running.iter().filter(|r| r.file == *file).find_map(|r| r.shared.upgrade());
        if let Some(shared) = known.filter(|s| s.outcome.has_changed().is_ok() && s.outcome.borrow().is_none()) {
            return Fetch { shared, file: file.clone(), deadline: options.deadline };
        }
        let start = Progress { have: ByteSize(0), total: file.size, from: None, rate: ByteSize(0) };
        let (progress_tx, progress) = watch::channel(start);
        let (outcome_tx, outcome) = watch::channel(None);
        let work = drive::run(self.inner.clone(), from.into(), file.clone(), candidates, options.seed, progress_tx);
        let task = tokio::spawn(async move {
            outcome_tx.send_replace(Some(work.await));
        });
        let shared = Arc::new(Shared { progress, outcome, task: AbortOnDropHandle::new(task) });
        running.push(Running { file: file.clone(), shared: Arc::downgrade(&shared) });
        Fetch { shared, file: file.clone(), deadline: options.deadline }
    }
}

impl Fetch {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.shared.progress.borrow()
    }

    /// Follows how far it is; the sender goes when the fetch ends.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.shared.progress.clone()
    }

    /// Waits for the proven file's path.
    ///
    /// # Errors
    /// See [`FetchError`]. After a deadline the fetch goes on for whoever else waits for it.
    pub async fn done(self) -> Result<PathBuf, FetchError> {
        let mut outcome = self.shared.outcome.clone();
        let ended = async {
            match outcome.wait_for(Option::is_some).await {
                Ok(end) => end.clone().unwrap_or(Err(FetchError::Cancelled)),
                Err(_) => Err(FetchError::Cancelled),
            }
        };
        let Some(deadline) = self.deadline else { return ended.await };
        match tokio::time::timeout_at(deadline, ended).await {
            Ok(end) => end,
            Err(_) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> FetchError {
        let Progress { have, total, from, .. } = self.progress();
        match from {
            None => FetchError::NoProvider { file: self.file.name.clone() },
            Some(_) => FetchError::Deadline { file: self.file.name.clone(), have, total },
        }
    }
}
