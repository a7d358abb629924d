//! One ONNX model, loaded.

use std::fmt::Display;

use prost::Message;
use sedge_artifact::OnnxHeader;
use sedge_artifact::onnx::Limits;
use sedge_statement::{Datatype, OnnxFacts, Tensor, TensorSpec};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{Framework, InferenceModel, TVec, TractError, TractResult};

use super::convert::{from_native, to_native};
use super::plans::Plans;
use crate::backend::{End, RunningModel};
use crate::fault::{Complaint, LoadError, RunError};

/// A model that tract runs. Its inputs and outputs are told apart by position: tract renames an output's node when it
/// rewrites the graph, but never reorders.
pub(super) struct TractModel {
    inputs: Vec<TensorSpec>,
    outputs: Vec<(TensorSpec, Datatype)>,
    declared: Vec<TensorSpec>,
    plans: Plans,
}

impl TractModel {
    /// Parses and optimizes a model whose bytes are proven.
    pub(super) fn open(bytes: Vec<u8>, facts: &OnnxFacts) -> Result<Self, LoadError> {
        let datatype = |spec: &TensorSpec| Ok((spec.clone(), spec.datatype.parse::<Datatype>().map_err(refused)?));
        let outputs = facts.outputs.iter().map(datatype).collect::<Result<Vec<_>, LoadError>>()?;
        let graph = parse(bytes)?;
        check_names(&graph, facts)?;
        let plans = Plans::build(graph, &facts.inputs).map_err(|e| complaint(&e))?;
        Ok(Self { inputs: facts.inputs.clone(), outputs, declared: facts.outputs.clone(), plans })
    }

    fn answer(&self, inputs: &[&Tensor]) -> TractResult<Vec<(Vec<u64>, Vec<u8>)>> {
        let values = inputs.iter().map(|tensor| to_native(tensor)).collect::<TractResult<TVec<_>>>()?;
        let answers = self.plans.run(values)?;
        answers.iter().zip(&self.outputs).map(|(native, (_, datatype))| from_native(native, *datatype)).collect()
    }
}

impl RunningModel for TractModel {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.declared
    }

    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, RunError> {
        let answers = self.answer(inputs).map_err(|e| RunError::Failed(summary(&e)))?;
        let tensor = |((shape, data), (spec, datatype)): (_, &(TensorSpec, Datatype))| {
            Ok(Tensor::from_bytes(&spec.name, *datatype, shape, data)?)
        };
        answers.into_iter().zip(&self.outputs).map(tensor).collect()
    }
}

/// Parses the graph. Without a directory beside the bytes, tract refuses external data rather than look for it.
fn parse(bytes: Vec<u8>) -> Result<InferenceModel, LoadError> {
    // Every length in it is inside the file and every count within bounds: tract checks fewer.
    OnnxHeader::read(&bytes, &Limits::default())?;
    let proto = ModelProto::decode(bytes.as_slice()).map_err(refused)?;
    // Freed before the weights are copied out of the message.
    drop(bytes);
    tract_onnx::onnx().model_for_proto_model(&proto).map_err(|e| complaint(&e))
}

/// Compares the manifest's inputs and outputs with the graph's, place by place: everything after goes by position.
fn check_names(graph: &InferenceModel, facts: &OnnxFacts) -> Result<(), LoadError> {
    let inputs = graph.input_outlets().map_err(|e| complaint(&e))?.iter();
    let inputs: Vec<&str> = inputs.map(|outlet| graph.node(outlet.node).name.as_str()).collect();
    same_names(End::Input, &facts.inputs, &inputs)?;
    let outputs = graph.output_outlets().map_err(|e| complaint(&e))?.iter();
    let outputs: Vec<&str> = outputs.map(|outlet| graph.outlet_label(*outlet).unwrap_or_default()).collect();
    same_names(End::Output, &facts.outputs, &outputs)
}

fn same_names(end: End, wanted: &[TensorSpec], found: &[&str]) -> Result<(), LoadError> {
    for at in 0..wanted.len().max(found.len()) {
        let wanted = wanted.get(at).map_or("", |spec| spec.name.as_str());
        let found = found.get(at).copied().unwrap_or_default();
        if wanted != found || found.is_empty() {
            return Err(LoadError::OtherNames { end, at, wanted: wanted.to_owned(), found: found.to_owned() });
        }
    }
    Ok(())
}

pub(super) fn refused(why: impl Display) -> LoadError {
    LoadError::Refused { backend: super::NAME, complaint: Complaint::new(&why.to_string()) }
}

fn complaint(error: &TractError) -> LoadError {
    LoadError::Refused { backend: super::NAME, complaint: summary(error) }
}

/// What was being done and what went wrong at the bottom; tract's chains in between quote whole nodes.
fn summary(error: &TractError) -> Complaint {
    let (top, root) = (error.to_string(), error.root_cause().to_string());
    if top == root { Complaint::new(&top) } else { Complaint::new(&format!("{root} ({top})")) }
}
