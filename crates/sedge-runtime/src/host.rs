//! The slots of this node, and the model that serves in each.
//!
//! The swap: [`ModelHost::load`] opens a model beside the serving one, [`ModelHost::gate`] tries it, and
//! [`ModelHost::activate`] puts it in the slot between two requests. A request that has begun ends on the model it began
//! with, and its answer says so; [`Previous`] keeps the old model at hand until it is committed or rolled back to.

mod health;
mod slot;
mod stage;
mod talk;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sedge_statement::{ReleaseId, Sha256, SlotName, Tensor, TextRequest};
use tokio::sync::Semaphore;

use crate::backends::Backends;
use crate::fault::{Complaint, RunError};
pub use health::{Health, Latency};
pub use slot::{Drained, LONGEST_REQUEST, Previous, RUNNING_PER_SLOT, RollBackError, StillRunning, WAITING_PER_SLOT};
pub use stage::{Candidate, Gated, LOAD_LIMIT, StageError};
pub use talk::{GENERATING_PER_SLOT, STEP_LIMIT, Said, Talk};

use slot::Slot;
use stage::TRIALS_AT_ONCE;

/// The models that serve on this node. Cheap to clone: every clone is the same host.
#[derive(Debug, Clone)]
pub struct ModelHost(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backends: Backends,
    /// Never held across an await, nor while a model is made or dropped.
    slots: RwLock<BTreeMap<SlotName, Arc<Slot>>>,
    trials: Arc<Semaphore>,
}

/// What a model answered, and which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The model's outputs.
    pub outputs: Vec<Tensor>,
    /// The release that answered.
    pub release: ReleaseId,
    /// The digest of the model that answered.
    pub sha256: Sha256,
    /// How long the model took, without waiting for its turn.
    pub took: Duration,
}

/// The model of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The release.
    pub release: ReleaseId,
    /// The digest of the bytes it was made from.
    pub sha256: Sha256,
    /// The backend that runs it.
    pub backend: &'static str,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// Ask for another slot, or deploy to this one.
    #[error("no model serves in slot {0}")]
    NotServing(SlotName),
    /// Ask again a little later, or less often: more requests are waiting than may.
    #[error("slot {slot} has {waiting} requests waiting already")]
    Busy {
        /// The slot.
        slot: SlotName,
        /// How many may wait.
        waiting: usize,
    },
    /// The answer would have come too late. Allow more time; if a model never answers, roll back.
    #[error("no answer within {0:?}")]
    Overdue(Duration),
    /// The model did not answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The system is out of threads.
    #[error("failed to start a thread: {0}")]
    Thread(#[from] io::Error),
}

impl ModelHost {
    /// A host with no model in any slot.
    pub fn new(backends: Backends) -> Self {
        Self(Arc::new(Shared { backends, slots: RwLock::default(), trials: Arc::new(Semaphore::new(TRIALS_AT_ONCE)) }))
    }

    /// The backends it loads with.
    pub fn backends(&self) -> &Backends {
        &self.0.backends
    }

    /// Asks the model that serves in a slot. It gets its turn and the time to answer `within` this long, or
    /// [`LONGEST_REQUEST`] where that is shorter. Dropping the future gives up the answer; the model finishes alone.
    ///
    /// # Errors
    /// See [`InferError`].
    pub async fn infer(&self, slot: &SlotName, inputs: Vec<Tensor>, within: Duration) -> Result<Answer, InferError> {
        let Some(found) = self.slot(slot) else { return Err(InferError::NotServing(slot.clone())) };
        found.infer(inputs, within.min(LONGEST_REQUEST)).await
    }

    /// Asks the language model that serves in a slot for text, which comes piece by piece. It ends on the model that it began
    /// with. It gets its turn and the time to end `within` this long, or [`LONGEST_REQUEST`] where that is shorter; what takes
    /// longer is cut there. Dropping what is returned ends it.
    ///
    /// # Errors
    /// See [`InferError`].
    pub async fn talk(&self, slot: &SlotName, request: TextRequest, within: Duration) -> Result<Talk, InferError> {
        let Some(found) = self.slot(slot) else { return Err(InferError::NotServing(slot.clone())) };
        found.talk(request, within.min(LONGEST_REQUEST)).await
    }

    /// The model of a slot.
    pub fn serving(&self, slot: &SlotName) -> Option<Serving> {
        self.slot(slot)?.serving()
    }

    /// The slots in which a model serves.
    pub fn slots(&self) -> BTreeMap<SlotName, Serving> {
        let slots = self.0.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.serving()?))).collect()
    }

    /// How many requests the models that serve are answering or have waiting, all together.
    pub fn requests(&self) -> usize {
        let slots = self.0.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().map(|slot| slot.requests()).sum()
    }

    /// How the model of a slot has done since it was activated.
    pub fn health(&self, slot: &SlotName) -> Option<Health> {
        self.slot(slot)?.health()
    }

    /// Puts a model that passed the gate in the slot. Requests that begin from now on get it.
    pub fn activate(&self, slot: &SlotName, model: Gated) -> Previous {
        self.slot_to_fill(slot).swap(Some(model.into_model()))
    }

    /// Empties the slot: for a withdrawn deployment, and for the swap where both models do not fit in memory. Await
    /// [`Previous::commit`]'s [`Drained`] before that memory is counted on.
    pub fn withdraw(&self, slot: &SlotName) -> Option<Previous> {
        Some(self.slot(slot)?.swap(None))
    }

    fn slot(&self, name: &SlotName) -> Option<Arc<Slot>> {
        self.0.slots.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn slot_to_fill(&self, name: &SlotName) -> Arc<Slot> {
        let mut slots = self.0.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(name.clone()).or_insert_with(|| Arc::new(Slot::new(name.clone())));
        Arc::clone(slot)
    }
}

/// What a thread that was shielded twice over still panicked with: nothing of the model's.
fn unshielded(payload: &(dyn std::any::Any + Send)) -> RunError {
    RunError::Panicked(Complaint::of_panic(payload))
}
