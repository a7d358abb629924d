//! A model in memory, with what is known of it.

use std::fmt;
use std::ops::ControlFlow;

use sedge_statement::{ReleaseId, Sha256, Tensor, TensorSpec, TextRequest};

use crate::backend::{Backend, RunningModel};
use crate::fault::{Complaint, LoadError, RunError};
use crate::inputs::arrange;
use crate::language::{Generated, PromptError};
use crate::source::ModelSource;
use crate::threads::shield;

/// A model in memory, and which one. Dropping it unloads the model.
pub struct Loaded {
    release: ReleaseId,
    sha256: Sha256,
    backend: &'static str,
    model: Box<dyn RunningModel>,
}

impl Loaded {
    /// Opens a model. Blocks for as long as the backend takes; a panic of the backend is an error.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn open(backend: &dyn Backend, source: &ModelSource) -> Result<Self, LoadError> {
        let model = shield(|| backend.load(source))
            .unwrap_or_else(|payload| Err(LoadError::Panicked(Complaint::of_panic(&*payload))))?;
        Ok(Self { release: source.release, sha256: source.sha256(), backend: backend.name(), model })
    }

    /// The release that it belongs to.
    pub fn release(&self) -> ReleaseId {
        self.release
    }

    /// The digest of the bytes it was made from.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The backend that runs it.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// What a caller gives.
    pub fn inputs(&self) -> &[TensorSpec] {
        self.model.inputs()
    }

    /// What it answers.
    pub fn outputs(&self) -> &[TensorSpec] {
        self.model.outputs()
    }

    /// Whether it continues text, rather than answering tensors.
    pub fn takes_text(&self) -> bool {
        self.model.language().is_some()
    }

    /// The most tokens of a text; none for a model of tensors.
    pub fn context(&self) -> Option<u32> {
        Some(self.model.language()?.context())
    }

    /// Continues a text, as [`LanguageModel::generate`](crate::LanguageModel::generate) does. A panic of the backend is an
    /// error.
    ///
    /// # Errors
    /// See [`RunError`]. What the caller got wrong is refused before the model sees it.
    pub fn generate(
        &self,
        request: &TextRequest,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated, RunError> {
        let language = self.model.language().ok_or(PromptError::TakesTensors)?;
        request.check().map_err(PromptError::Request)?;
        shield(|| language.generate(request, on_text))
            .unwrap_or_else(|payload| Err(RunError::Panicked(Complaint::of_panic(&*payload))))
    }

    /// Answers one request. Blocks for as long as the model takes; a panic of the backend is an error.
    ///
    /// # Errors
    /// See [`RunError`]. What the caller got wrong is refused before the model sees it.
    pub fn infer(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        if self.takes_text() {
            return Err(PromptError::TakesText.into());
        }
        let arranged = arrange(self.model.inputs(), inputs)?;
        shield(|| self.model.infer(&arranged))
            .unwrap_or_else(|payload| Err(RunError::Panicked(Complaint::of_panic(&*payload))))
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loaded({} of {} in {})", self.sha256.short(), self.release.short(), self.backend)
    }
}
