//! The gate: what a model must answer before it serves.

use std::time::Duration;

use sedge_statement::{Datatype, Dim, Mismatch, Probe, Tensor, TensorError, TensorSpec, Tolerance};

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
    /// By inputs made up here, for the release has no probes: it runs, finitely, in its declared shapes. Whether it
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

/// The probes to try a model with: the release's, or one made up where it has none.
pub(crate) fn trials(model: &Loaded, probes: Vec<Probe>) -> Result<(Trial, Vec<Probe>), GateFailure> {
    if !probes.is_empty() {
        return Ok((Trial::Probes(probes.len()), probes));
    }
    let inputs = synthetic::inputs(model.inputs()).map_err(GateFailure::NoInputs)?;
    let made_up = Probe { name: "made up".to_owned(), inputs, outputs: Vec::new(), tolerance: Tolerance::default() };
    Ok((Trial::MadeUp, vec![made_up]))
}

/// Puts one probe to the model and judges the answer. Blocks for as long as the model takes.
pub(crate) fn probe(model: &Loaded, probe: &Probe) -> Result<(), GateFailure> {
    let name = || probe.name.clone();
    let answers = model.infer(&probe.inputs).map_err(|error| GateFailure::Run { probe: name(), error })?;
    probe.judge(&answers).map_err(|mismatch| GateFailure::Mismatch { probe: name(), mismatch })?;
    check_declared(model, probe, &answers)
}

fn check_declared(model: &Loaded, probe: &Probe, answers: &[Tensor]) -> Result<(), GateFailure> {
    let (found, declared) = (answers.len(), model.outputs().len());
    if found != declared {
        return Err(GateFailure::Count { probe: probe.name.clone(), found, declared });
    }
    for (spec, answer) in model.outputs().iter().zip(answers) {
        if !is_as_declared(spec, answer) {
            return Err(GateFailure::Undeclared {
                probe: probe.name.clone(),
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
