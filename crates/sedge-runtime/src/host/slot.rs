//! One slot: who serves in it, and who waits.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sedge_statement::{SlotName, Tensor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{self, timeout, timeout_at};

use super::health::{Health, Tally};
use super::talk::GENERATING_PER_SLOT;
use super::{Answer, InferError, Serving, unshielded};
use crate::fault::RunError;
use crate::loaded::Loaded;
use crate::threads;

/// The most requests that one slot's models compute at once: enough to keep the cores of a small device busy, few enough
/// that their intermediate results fit beside each other. A request that never ends keeps its place.
pub const RUNNING_PER_SLOT: usize = 4;
/// The most requests that wait for their turn in one slot. At that depth a caller waits eight rounds; better to be told at
/// once than to wait longer.
pub const WAITING_PER_SLOT: usize = 32;
/// The longest that a request may take, whatever its caller allows.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(600);

/// A named place for one model.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: SlotName,
    /// Held for a pointer's copy or exchange only.
    current: RwLock<Current>,
}

/// Who serves, and who may ask it.
#[derive(Debug)]
struct Current {
    model: Option<Arc<Model>>,
    places: Arc<Places>,
}

impl Current {
    fn of(model: Option<Arc<Model>>) -> Self {
        Self { model, places: Arc::new(Places::new()) }
    }
}

/// The places of those who ask. They come and go with the model, so that requests which never end take none of its successor's.
#[derive(Debug)]
struct Places {
    admitted: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    generating: Arc<Semaphore>,
}

/// For what a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Inference,
    Text,
}

impl Places {
    fn new() -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(RUNNING_PER_SLOT + WAITING_PER_SLOT)),
            turns: Arc::new(Semaphore::new(RUNNING_PER_SLOT)),
            generating: Arc::new(Semaphore::new(GENERATING_PER_SLOT)),
        }
    }

    fn of(&self, turn: Turn) -> Arc<Semaphore> {
        Arc::clone(match turn {
            Turn::Inference => &self.turns,
            Turn::Text => &self.generating,
        })
    }

    /// Sends those who wait to the next model. Whoever has a turn keeps it.
    fn close(&self) {
        self.turns.close();
        self.generating.close();
    }
}

/// A model in a slot. The fields are dropped in order: the memory is free before `present` says so.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) loaded: Arc<Loaded>,
    pub(super) tally: Tally,
    present: watch::Sender<()>,
}

impl Model {
    pub(super) fn new(loaded: Arc<Loaded>) -> Self {
        Self { loaded, tally: Tally::new(), present: watch::Sender::new(()) }
    }

    fn serving(&self) -> Serving {
        let loaded = &self.loaded;
        Serving { release: loaded.release(), sha256: loaded.sha256(), backend: loaded.backend() }
    }

    fn answer(&self, inputs: &[Tensor]) -> Result<Answer, RunError> {
        self.tally.asked();
        let begun = Instant::now();
        match self.loaded.infer(inputs) {
            Ok(outputs) => {
                let took = begun.elapsed();
                self.tally.answered(took);
                Ok(Answer { outputs, release: self.loaded.release(), sha256: self.loaded.sha256(), took })
            }
            Err(error) => {
                self.tally.erred(&error);
                Err(error)
            }
        }
    }
}

impl Slot {
    pub(super) fn new(name: SlotName) -> Self {
        Self { name, current: RwLock::new(Current::of(None)) }
    }

    /// Waits for a turn, and gives the model whose turn it is: what waited through a swap is answered by the new one.
    pub(super) async fn turn(
        &self,
        turn: Turn,
        within: Duration,
        deadline: time::Instant,
    ) -> Result<(Arc<Model>, Permits), InferError> {
        loop {
            let places = self.places().ok_or_else(|| InferError::NotServing(self.name.clone()))?;
            let admitted = Arc::clone(&places.admitted).try_acquire_owned().map_err(|_| self.busy())?;
            let waited = timeout_at(deadline, places.of(turn).acquire_owned()).await;
            let Ok(permit) = waited.map_err(|_| InferError::Overdue(within))? else { continue };
            // No model is held while one waits: it would not be dropped before.
            if let Some(model) = self.model_of(&places) {
                return Ok((model, (admitted, permit)));
            }
        }
    }

    /// The places of the model that serves; none where none does.
    fn places(&self) -> Option<Arc<Places>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.model.is_some().then(|| Arc::clone(&current.places))
    }

    /// The model that the places are for, where it still serves.
    fn model_of(&self, places: &Arc<Places>) -> Option<Arc<Model>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.model.clone().filter(|_| Arc::ptr_eq(&current.places, places))
    }

    pub(super) async fn infer(&self, inputs: Vec<Tensor>, within: Duration) -> Result<Answer, InferError> {
        let deadline = time::Instant::now() + within;
        let (model, permits) = self.turn(Turn::Inference, within, deadline).await?;
        let answer = start(Arc::clone(&model), inputs, permits)?;
        match timeout_at(deadline, answer).await {
            Err(_) => {
                model.tally.overdue(within);
                Err(InferError::Overdue(within))
            }
            Ok(result) => Ok(result.expect("the thread answers before it ends").map_err(|p| unshielded(&*p))??),
        }
    }

    /// How many requests the model that serves is answering or has waiting.
    pub(super) fn requests(&self) -> usize {
        self.places().map_or(0, |places| RUNNING_PER_SLOT + WAITING_PER_SLOT - places.admitted.available_permits())
    }

    pub(super) fn serving(&self) -> Option<Serving> {
        Some(self.current()?.serving())
    }

    pub(super) fn health(&self) -> Option<Health> {
        let model = self.current()?;
        Some(model.tally.health(model.loaded.release(), model.loaded.sha256()))
    }

    /// Puts another model in the slot, or none.
    pub(super) fn swap(self: Arc<Self>, newcomer: Option<Arc<Model>>) -> Previous {
        let model = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut *current, Current::of(newcomer.clone()));
            before.places.close();
            before.model
        };
        Previous { slot: self, model, newcomer }
    }

    fn current(&self) -> Option<Arc<Model>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).model.clone()
    }

    fn busy(&self) -> InferError {
        InferError::Busy { slot: self.name.clone(), waiting: WAITING_PER_SLOT }
    }
}

/// Keeping the request's place and its turn.
pub(super) type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit);
type Outcome = std::thread::Result<Result<Answer, RunError>>;

/// Runs a request on a thread of its own, which keeps the permits to its end, whoever still waits for it.
fn start(
    model: Arc<Model>,
    inputs: Vec<Tensor>,
    permits: Permits,
) -> std::io::Result<tokio::sync::oneshot::Receiver<Outcome>> {
    threads::run("sedge-infer", move || {
        let answer = model.answer(&inputs);
        // Before the answer is sent: whoever has it may count on the model being released and the turn being free.
        drop((model, permits));
        answer
    })
}

/// What served in a slot before. Keep it until the newcomer has proven itself.
#[must_use = "dropping it unloads the old model and gives up the way back"]
#[derive(Debug)]
pub struct Previous {
    slot: Arc<Slot>,
    model: Option<Arc<Model>>,
    newcomer: Option<Arc<Model>>,
}

/// Why the old model did not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollBackError {
    /// Something else was activated meanwhile; that decision stands.
    #[error("another model has been put in slot {0} since")]
    Replaced(SlotName),
}

impl Previous {
    /// The model that served before; none where the slot was empty.
    pub fn serving(&self) -> Option<Serving> {
        Some(self.model.as_ref()?.serving())
    }

    /// Gives the old model up. It is dropped when its last request ends, which the result can be awaited for.
    pub fn commit(self) -> Drained {
        Drained(self.model.map(|model| model.present.subscribe()))
    }

    /// Puts the old model back, between two requests, or empties the slot where there was none. The newcomer is dropped
    /// when its last request ends, which the result can be awaited for.
    ///
    /// # Errors
    /// See [`RollBackError`]; the slot is then left as it is.
    pub fn roll_back(self) -> Result<Drained, RollBackError> {
        let Self { slot, model, newcomer } = self;
        let displaced = {
            let mut current = slot.current.write().unwrap_or_else(PoisonError::into_inner);
            let still_there = match (&current.model, &newcomer) {
                (Some(current), Some(newcomer)) => Arc::ptr_eq(current, newcomer),
                (None, None) => true,
                _ => false,
            };
            if !still_there {
                return Err(RollBackError::Replaced(slot.name.clone()));
            }
            let before = std::mem::replace(&mut *current, Current::of(model));
            before.places.close();
            before.model
        };
        Ok(Drained(displaced.map(|model| model.present.subscribe())))
    }
}

/// A model on its way out.
#[derive(Debug)]
pub struct Drained(Option<watch::Receiver<()>>);

/// A request of the old model has not ended, and its memory is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the old model still runs a request after {0:?}")]
pub struct StillRunning(pub Duration);

impl Drained {
    /// Waits until the model is dropped and its memory free.
    ///
    /// # Errors
    /// [`StillRunning`] where that takes longer than `limit`.
    pub async fn wait(self, limit: Duration) -> Result<(), StillRunning> {
        let Some(mut present) = self.0 else { return Ok(()) };
        // Nothing is ever sent: the only end is the sender's.
        timeout(limit, async move { while present.changed().await.is_ok() {} }).await.map_err(|_| StillRunning(limit))
    }
}
