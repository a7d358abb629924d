//! ONNX by `tract`: pure Rust, on the processor, nothing to install.

mod convert;
mod model;
mod plans;

use sedge_statement::{ByteSize, ModelFacts, ModelFormat, OnnxFacts, Variant};

use crate::backend::{Backend, End, Provider, RunningModel, Unsupported, Unusable, check_datatypes};
use crate::fault::LoadError;
use crate::source::ModelSource;

/// The name in profiles, reports and errors.
pub(crate) const NAME: &str = "tract";

/// The version that the workspace's lock file holds; a test compares.
const VERSION: &str = "0.23.9";

/// The ONNX backend that is always there.
///
/// It runs float and integer models in one file, on one thread a request. Memory maps are not used and external data is
/// never opened: the model is made from bytes that were read and proven first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tract;

impl Tract {
    /// What the smallest model costs beside its weights: the graph, the plan, the operators' registry.
    const OVERHEAD: u64 = 16 << 20;
}

impl Backend for Tract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn providers(&self) -> Result<Vec<Provider>, Unusable> {
        Ok(vec![Provider::Cpu])
    }

    fn supports(&self, variant: &Variant) -> Result<(), Unsupported> {
        let facts = facts(variant)?;
        if variant.files.len() != 1 {
            return Err(Unsupported::SeveralFiles(variant.files.len()));
        }
        check_datatypes(End::Input, &facts.inputs)?;
        check_datatypes(End::Output, &facts.outputs)?;
        if facts.outputs.is_empty() { Err(Unsupported::NoOutput) } else { Ok(()) }
    }

    /// While it loads, weights exist up to three times: as parsed, as optimized, and in the layout of the matrix kernels.
    /// Measured on 256 MiB of matrices: 2.3 times at the peak, 1.1 times from then on.
    fn memory(&self, variant: &Variant) -> ByteSize {
        let weights = facts(variant).map_or(0, |facts| facts.weight_bytes.get()).max(variant.entry().size.get());
        ByteSize(weights.saturating_mul(3).saturating_add(Self::OVERHEAD))
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn RunningModel>, LoadError> {
        let facts = facts(&source.variant).map_err(model::refused)?;
        let bytes = source.read()?;
        Ok(Box::new(model::TractModel::open(bytes, facts)?))
    }
}

fn facts(variant: &Variant) -> Result<&OnnxFacts, Unsupported> {
    // A manifest states the format beside the facts; one that disagrees with itself is no ONNX model.
    match (&variant.facts, variant.format) {
        (ModelFacts::Onnx(facts), ModelFormat::Onnx) => Ok(facts),
        (_, format) => Err(Unsupported::Format(format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_lock_files() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"tract-onnx\"\nversion = \"{VERSION}\"\n")));
    }
}
