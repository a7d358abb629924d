//! Plans: a graph made ready for inputs of certain shapes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use sedge_statement::{Datatype, Dim, TensorSpec};
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, TValue, TVec, TractResult, TypedRunnableModel,
};

use super::convert::{native_type, to_native};
use crate::synthetic;
use crate::threads::shield;

/// The most plans kept for one model, the last used ones. Each holds the weights once more, in its kernels' layout; callers
/// rarely use more than a couple of batch sizes or sequence lengths.
const MAX_PLANS: usize = 4;

type Plan = Arc<TypedRunnableModel>;
type Shapes = Vec<Vec<usize>>;

/// The plans of one model.
pub(super) enum Plans {
    /// One plan runs every shape that the model takes.
    One(Plan),
    /// Each shape needs a plan of its own, made at its first request.
    PerShape(Box<PerShape>),
}

/// A graph whose free dimensions tract cannot carry through, with the plans for the shapes last asked for.
pub(super) struct PerShape {
    graph: InferenceModel,
    datatypes: Vec<Datatype>,
    recent: Mutex<VecDeque<(Shapes, Plan)>>,
}

impl Plans {
    /// Optimizes the graph.
    ///
    /// A graph with free dimensions is tried with those left open, and kept so if it then runs once: one plan, one copy of
    /// the weights. Where tract cannot, or only believes that it can, each shape gets a plan of its own.
    pub(super) fn build(graph: InferenceModel, inputs: &[TensorSpec]) -> TractResult<Self> {
        let is_free = |spec: &TensorSpec| spec.shape.iter().any(|dim| !matches!(dim, Dim::Fixed(_)));
        if !inputs.iter().any(is_free) {
            return Ok(Self::One(graph.into_optimized()?.into_runnable()?));
        }
        match shield(|| open_plan(graph.clone(), inputs)) {
            Ok(Ok(plan)) => return Ok(Self::One(plan)),
            Ok(Err(error)) => tracing::debug!(%error, "no plan with free dimensions; one for each shape instead"),
            Err(_) => tracing::debug!("planning with free dimensions panicked; one plan for each shape instead"),
        }
        let datatypes = inputs.iter().map(|spec| Ok(spec.datatype.parse()?)).collect::<TractResult<_>>()?;
        Ok(Self::PerShape(Box::new(PerShape { graph, datatypes, recent: Mutex::default() })))
    }

    /// Runs one request.
    pub(super) fn run(&self, values: TVec<TValue>) -> TractResult<TVec<TValue>> {
        match self {
            Self::One(plan) => plan.run(values),
            Self::PerShape(plans) => {
                let shapes = values.iter().map(|value| value.shape().to_vec()).collect();
                plans.for_shapes(shapes)?.run(values)
            }
        }
    }
}

/// A plan with the free dimensions open that has run once.
fn open_plan(graph: InferenceModel, inputs: &[TensorSpec]) -> TractResult<Plan> {
    let plan = graph.into_optimized()?.into_runnable()?;
    let trial = synthetic::inputs(inputs)?.iter().map(to_native).collect::<TractResult<TVec<_>>>()?;
    plan.run(trial)?;
    Ok(plan)
}

impl PerShape {
    fn for_shapes(&self, shapes: Shapes) -> TractResult<Plan> {
        if let Some(plan) = self.recall(&shapes) {
            return Ok(plan);
        }
        // Made outside the lock: two requests of one new shape may both make it, and no other waits.
        let mut graph = self.graph.clone();
        for (at, (shape, datatype)) in shapes.iter().zip(&self.datatypes).enumerate() {
            graph.set_input_fact(at, InferenceFact::dt_shape(native_type(*datatype), shape))?;
        }
        let plan = graph.into_optimized()?.into_runnable()?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((shapes, Arc::clone(&plan)));
        recent.truncate(MAX_PLANS);
        Ok(plan)
    }

    fn recall(&self, shapes: &Shapes) -> Option<Plan> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(known, _)| known == shapes)?;
        let entry = recent.remove(at)?;
        let plan = Arc::clone(&entry.1);
        recent.push_front(entry);
        Some(plan)
    }
}
