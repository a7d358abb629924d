//! The way of a model into a slot: loaded, tried, and only then fit to be activated.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sedge_statement::{Probe, ReleaseId, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::ModelHost;
use super::slot::Model;
use crate::backends::NoBackend;
use crate::fault::{Complaint, LoadError, RunError};
use crate::gate::{self, GateFailure, GateOutcome, PROBE_LIMIT, Task};
use crate::loaded::Loaded;
use crate::source::ModelSource;
use crate::threads;

/// The longest that loading may take. Gigabytes are read, hashed and laid out anew at no less than some ten megabytes a
/// second even on a slow card; what takes longer hangs.
pub const LOAD_LIMIT: Duration = Duration::from_secs(300);

/// The most loads and probes at once on this node. One would do, but for a model that hangs in it for ever and would keep
/// every later update out.
pub(super) const TRIALS_AT_ONCE: usize = 2;

/// A model in memory that serves nowhere and has proven nothing. Dropping it unloads it.
#[derive(Debug)]
pub struct Candidate {
    loaded: Arc<Loaded>,
    load_time: Duration,
}

/// A model that passed the gate. Dropping it unloads it.
#[derive(Debug)]
pub struct Gated {
    loaded: Arc<Loaded>,
    outcome: GateOutcome,
}

/// Why a model is not ready to serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// Nothing here runs it.
    #[error(transparent)]
    NoBackend(#[from] NoBackend),
    /// It did not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It did not pass. Everything it says was found on this node.
    #[error(transparent)]
    Gate(#[from] GateFailure),
    /// Loading hangs, or this machine is too slow for the model.
    #[error("not loaded within {0:?}")]
    LoadOverdue(Duration),
    /// Other models are being loaded or tried, for longer than [`LOAD_LIMIT`]: they hang. Restart the agent.
    #[error("{TRIALS_AT_ONCE} models are being loaded or tried already, and do not end")]
    Busy,
    /// The system is out of threads.
    #[error("failed to start a thread: {0}")]
    Thread(#[from] io::Error),
}

impl Candidate {
    /// The release.
    pub fn release(&self) -> ReleaseId {
        self.loaded.release()
    }

    /// The digest of the bytes it was made from.
    pub fn sha256(&self) -> Sha256 {
        self.loaded.sha256()
    }

    /// The backend that runs it.
    pub fn backend(&self) -> &'static str {
        self.loaded.backend()
    }

    /// How long loading took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }
}

impl Gated {
    /// What it was put to.
    pub fn outcome(&self) -> GateOutcome {
        self.outcome
    }

    /// The digest of the bytes it was made from.
    pub fn sha256(&self) -> Sha256 {
        self.loaded.sha256()
    }

    pub(super) fn into_model(self) -> Arc<Model> {
        Arc::new(Model::new(self.loaded))
    }
}

impl ModelHost {
    /// Loads a model with the first backend that can, within [`LOAD_LIMIT`]. What serves keeps serving.
    ///
    /// # Errors
    /// See [`StageError`].
    pub async fn load(&self, source: ModelSource) -> Result<Candidate, StageError> {
        let backend = self.backends().choose(&source.variant)?;
        let permit = self.begin_trial().await?;
        let begun = Instant::now();
        let work = threads::run("sedge-load", move || {
            let loaded = Loaded::open(&*backend, &source);
            drop(permit);
            loaded
        })?;
        let loaded = timeout(LOAD_LIMIT, work).await.map_err(|_| StageError::LoadOverdue(LOAD_LIMIT))?;
        let loaded = loaded
            .expect("the thread answers before it ends")
            .unwrap_or_else(|payload| Err(LoadError::Panicked(Complaint::of_panic(&*payload))))?;
        Ok(Candidate { loaded: Arc::new(loaded), load_time: begun.elapsed() })
    }

    /// Puts the probes to a candidate, one after the other, each within [`PROBE_LIMIT`]; where there is none, one that is
    /// made up. A candidate that fails is dropped.
    ///
    /// # Errors
    /// See [`GateFailure`], the first one found, and [`StageError::Busy`].
    pub async fn gate(&self, candidate: Candidate, probes: Vec<Probe>) -> Result<Gated, StageError> {
        let loaded = candidate.loaded;
        let permit = Arc::new(self.begin_trial().await?);
        let (trial, tasks) = gate::tasks(&loaded, probes)?;
        let mut outcome = GateOutcome { trial, slowest: Duration::ZERO, total: Duration::ZERO };
        for task in tasks {
            let took = put(&loaded, task, &permit).await?;
            outcome.slowest = outcome.slowest.max(took);
            outcome.total += took;
        }
        Ok(Gated { loaded, outcome })
    }

    /// Waits for a place among those that load or are tried.
    async fn begin_trial(&self) -> Result<OwnedSemaphorePermit, StageError> {
        let place = timeout(LOAD_LIMIT, Arc::clone(&self.0.trials).acquire_owned()).await;
        place.map_err(|_| StageError::Busy)?.map_err(|_| StageError::Busy)
    }
}

/// Puts one task to a model, on a thread that keeps the permit to its end.
async fn put(loaded: &Arc<Loaded>, task: Task, permit: &Arc<OwnedSemaphorePermit>) -> Result<Duration, StageError> {
    let (name, model, permit) = (task.name().to_owned(), Arc::clone(loaded), Arc::clone(permit));
    let begun = Instant::now();
    let work = threads::run("sedge-gate", move || {
        let verdict = task.put(&model);
        drop((model, permit));
        verdict
    })?;
    let Ok(verdict) = timeout(PROBE_LIMIT, work).await else {
        return Err(GateFailure::Overdue { probe: name, limit: PROBE_LIMIT }.into());
    };
    verdict.expect("the thread answers before it ends").unwrap_or_else(|payload| {
        let error = RunError::Panicked(Complaint::of_panic(&*payload));
        Err(GateFailure::Run { probe: name, error })
    })?;
    Ok(begun.elapsed())
}
