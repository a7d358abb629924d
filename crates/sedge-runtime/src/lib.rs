//! Runs models: the backends that can, the gate a model passes before it serves, and the slots it serves in.
//!
//! A [`Backend`] opens a variant of a release and answers tensors with tensors, or continues text where the model is a
//! [`LanguageModel`]; [`Backends`] chooses among those there are: `tract` for ONNX, `candle` for GGUF. [`ModelHost`] holds the model that serves in each slot: it loads a [`Candidate`] beside it, lets the gate
//! try it, switches to it between two requests, and switches back. Every answer names the digest of the model that
//! gave it.
//!
//! This crate is *not* a server, a scheduler or a store: it knows no network, decides no deployment, fetches no file, and
//! forgets everything when it ends. A model runs in this process, on threads of its own: its panics and its slowness stay
//! its own, what it makes the allocator do does not.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may unwrap"))]

mod backend;
mod backends;
mod candle;
mod dims;
mod fault;
mod gate;
mod host;
mod inputs;
mod language;
mod loaded;
mod source;
mod synthetic;
mod threads;
mod tract;

pub use backend::{Backend, End, Provider, RunningModel, Unsupported, Unusable};
pub use backends::{Backends, NoBackend};
pub use candle::Candle;
pub use fault::{Complaint, LoadError, RunError};
pub use gate::{GateFailure, GateOutcome, PROBE_LIMIT, Trial};
pub use host::{
    Answer, Candidate, Drained, GENERATING_PER_SLOT, Gated, Health, InferError, LOAD_LIMIT, LONGEST_REQUEST, Latency,
    ModelHost, Previous, RUNNING_PER_SLOT, RollBackError, STEP_LIMIT, Said, Serving, StageError, StillRunning, Talk,
    WAITING_PER_SLOT,
};
pub use inputs::{InputError, Shape};
pub use language::{Finish, Generated, LanguageModel, PromptError};
pub use loaded::Loaded;
pub use source::{ModelSource, SourceError};
pub use tract::Tract;
