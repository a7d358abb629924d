//! The gate: what a model must answer before it serves.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sedge_statement::{Asked, Datatype, Dim, Mismatch, Probe, Tensor, TensorError, TensorSpec, TextRequest, TextTrial};

use crate::fault::RunError;
use crate::inputs::Shape;
use crate::loaded::Loaded;
use crate::synthetic;

/// The longest that one probe may take. A model that needs longer for one input on this machine would serve nobody, and a
/// first request may have to make its plan; networks of the size of a ResNet-50 take about a second here.
pub const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// What a model that passed was put to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateOutcome {
    /// How it was tried.
    pub trial: Trial,
    /// The longest answer. The first may include making a plan.
    pub slowest: Duration,
    /// All answers together.
    pub total: Duration,
}

/// How a model is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// By the release's probes, so many.
    Probes(usize),
    /// By inputs or a text made up here, for the release has no probes: it runs, finitely, in its declared shapes. Whether it
    /// computes the right thing nobody said.
    MadeUp,
}

/// Why a model does not pass. The serving one keeps serving.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GateFailure {
    /// The model computes something else here than where the release was made: correct the probe, or the model.
    #[error("probe {probe:?}: {mismatch}")]
    Mismatch {
        /// The probe.
        probe: String,
        /// What differs.
        mismatch: Mismatch,
    },
    /// The model does not run, or not on what the probe gives.
    #[error("probe {probe:?}: {error}")]
    Run {
        /// The probe.
        probe: String,
        /// Why.
        error: RunError,
    },
    /// The answer is not of the shape that the manifest declares.
    #[error("probe {probe:?}: output {output:?} is {found}, the model declares {datatype} {declared}")]
    Undeclared {
        /// The probe.
        probe: String,
        /// The output.
        output: String,
        /// Type and shape of what came.
        found: String,
        /// The declared type.
        datatype: String,
        /// The declared shape.
        declared: Shape,
    },
    /// The model answers something else than its outputs.
    #[error("probe {probe:?}: {found} outputs, the model declares {declared}")]
    Count {
        /// The probe.
        probe: String,
        /// How many came.
        found: usize,
        /// How many it declares.
        declared: usize,
    },
    /// The model is too slow for this machine, or hangs.
    #[error("probe {probe:?}: no answer within {limit:?}")]
    Overdue {
        /// The probe.
        probe: String,
        /// The limit.
        limit: Duration,
    },
    /// No inputs can be made up for such a model: publish the release with a probe.
    #[error("the release has no probe, and none can be made up: {0}")]
    NoInputs(TensorError),
}

/// One thing that a model is put to.
#[derive(Debug)]
pub(crate) enum Task {
    /// A probe, the release's or one of made up inputs.
    Probe(Probe),
    /// Any text at all: a language model without probes must go on from it, with finite scores.
    AnyText,
}

/// The name of what is made up.
const MADE_UP: &str = "made up";
/// What a language model without probes is to continue: something that every vocabulary has.
const ANY_TEXT: &str = "The";
/// How far.
const ANY_TOKENS: u32 = 8;

impl Task {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Probe(probe) => &probe.name,
            Self::AnyText => MADE_UP,
        }
    }

    /// Puts it to the model and judges the answer. Blocks for as long as the model takes.
    pub(crate) fn put(&self, model: &Loaded) -> Result<(), GateFailure> {
        let run = |error| GateFailure::Run { probe: self.name().to_owned(), error };
        match self {
            Self::AnyText => {
                let request = TextRequest::continue_text(ANY_TEXT, ANY_TOKENS);
                model.generate(&request, &mut |_| ControlFlow::Continue(())).map(drop).map_err(run)
            }
            Self::Probe(probe) => match &probe.asked {
                Asked::Tensors(trial) => {
                    let answers = model.infer(&trial.inputs).map_err(run)?;
                    self.judged(trial.judge(&answers))?;
                    check_declared(model, &probe.name, &answers)
                }
                Asked::Text(trial) => self.judged(trial.judge(&continued(model, trial).map_err(run)?)),
            },
        }
    }

    fn judged(&self, verdict: Result<(), Mismatch>) -> Result<(), GateFailure> {
        verdict.map_err(|mismatch| GateFailure::Mismatch { probe: self.name().to_owned(), mismatch })
    }
}

/// How the model continues a trial's prompt, up to where its verdict is certain.
fn continued(model: &Loaded, trial: &TextTrial) -> Result<String, RunError> {
    let mut text = String::new();
    let until = Instant::now() + PROBE_LIMIT;
    let request = TextRequest::continue_text(&trial.prompt, trial.max_tokens);
    model.generate(&request, &mut |piece| {
        text.push_str(piece);
        let decided = !text.is_empty() && text.len() >= trial.text_prefix.len();
        // Past the limit nobody waits for the verdict, and the thread is to end.
        if decided || Instant::now() > until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(text)
}

/// What to put to a model: the release's probes, or something made up where it has none.
pub(crate) fn tasks(model: &Loaded, probes: Vec<Probe>) -> Result<(Trial, Vec<Task>), GateFailure> {
    if !probes.is_empty() {
        return Ok((Trial::Probes(probes.len()), probes.into_iter().map(Task::Probe).collect()));
    }
    if model.takes_text() {
        return Ok((Trial::MadeUp, vec![Task::AnyText]));
    }
    let inputs = synthetic::inputs(model.inputs()).map_err(GateFailure::NoInputs)?;
    Ok((Trial::MadeUp, vec![Task::Probe(Probe::of_tensors(MADE_UP, inputs, Vec::new()))]))
}

fn check_declared(model: &Loaded, probe: &str, answers: &[Tensor]) -> Result<(), GateFailure> {
    let (found, declared) = (answers.len(), model.outputs().len());
    if found != declared {
        return Err(GateFailure::Count { probe: probe.to_owned(), found, declared });
    }
    for (spec, answer) in model.outputs().iter().zip(answers) {
        if !is_as_declared(spec, answer) {
            return Err(GateFailure::Undeclared {
                probe: probe.to_owned(),
                output: spec.name.clone(),
                found: format!("{} {:?}", answer.datatype, answer.shape),
                datatype: spec.datatype.clone(),
                declared: Shape(spec.shape.clone()),
            });
        }
    }
    Ok(())
}

/// Names of dimensions are not compared: exporters give an output's batch another name than the input's, and no harm done.
fn is_as_declared(spec: &TensorSpec, answer: &Tensor) -> bool {
    let fits = |(dim, length): (&Dim, &u64)| !matches!(dim, Dim::Fixed(declared) if declared != length);
    spec.name == answer.name
        && spec.datatype.parse::<Datatype>().is_ok_and(|declared| declared == answer.datatype)
        && spec.shape.len() == answer.shape.len()
        && spec.shape.iter().zip(&answer.shape).all(fits)
}
