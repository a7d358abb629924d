//! What several tests share: the sample models, and a backend that does what a test needs.

#![expect(dead_code, reason = "each test file uses its own part")]
#![expect(unreachable_pub, reason = "a module of tests is of no crate's interface")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sedge_runtime::{
    Backend, Backends, Gated, LoadError, ModelHost, ModelSource, Provider, RunError, RunningModel, Unsupported,
    Unusable,
};
use sedge_statement::{
    ByteSize, Dim, HardwareRequirements, ModelFacts, ModelFile, ModelFormat, OnnxFacts, Probe, Quantization, ReleaseId,
    Sha256, SlotName, Tensor, TensorSpec, Variant,
};

pub fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")
}

pub fn slot(name: &str) -> SlotName {
    name.parse().unwrap()
}

pub fn named(dim: &str) -> Dim {
    Dim::Named(dim.to_owned())
}

pub fn spec(name: &str, datatype: &str, shape: Vec<Dim>) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype: datatype.to_owned(), shape }
}

/// A source for any ONNX file, with the facts as given. The release's id is made of the first byte of `release`.
pub fn source(path: &Path, inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>, release: u8) -> ModelSource {
    let bytes = std::fs::read(path).unwrap();
    let file = ModelFile {
        name: "model.onnx".parse().unwrap(),
        size: ByteSize(bytes.len() as u64),
        sha256: Sha256::of(&bytes),
        blake3: sedge_statement::Blake3::of(&bytes),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: [(String::new(), 17)].into(),
        producer: String::new(),
        inputs,
        outputs,
        parameters: 0,
        weight_bytes: ByteSize(0),
    };
    let variant = Variant {
        name: "onnx-f32".parse().unwrap(),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    };
    ModelSource { release: ReleaseId::from_bytes([release; 32]), variant, path: path.to_owned(), beside: Vec::new() }
}

/// One version of the sample classifier; its release is named by its major version.
pub fn digits_source(major: u8) -> ModelSource {
    source(
        &digits().join(format!("digits-{major}.0.0.onnx")),
        vec![spec("image", "FP32", vec![named("N"), Dim::Fixed(64)])],
        vec![spec("label", "INT64", vec![named("N")]), spec("probabilities", "FP32", vec![named("N"), Dim::Fixed(10)])],
        major,
    )
}

pub fn digits_probes(major: u8) -> Vec<Probe> {
    let read = |letter| {
        let path = digits().join(format!("probes/digits-{major}.0.0.probe-{letter}.json"));
        Probe::read_all(&std::fs::read(path).unwrap()).unwrap()
    };
    ["a", "b", "c"].into_iter().flat_map(read).collect()
}

/// The inputs in `inputs/NAME.json`.
pub fn digits_input(name: &str) -> Vec<Tensor> {
    let text = std::fs::read(digits().join(format!("inputs/{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    json["inputs"].as_array().unwrap().iter().map(|tensor| Tensor::from_json(tensor).unwrap()).collect()
}

/// The digit that an answer names.
pub fn label(outputs: &[Tensor]) -> f64 {
    outputs.iter().find(|tensor| tensor.name == "label").unwrap().to_f64().next().unwrap()
}

pub async fn gated(host: &ModelHost, source: ModelSource, probes: Vec<Probe>) -> Gated {
    let candidate = host.load(source).await.unwrap();
    host.gate(candidate, probes).await.unwrap()
}

/// A host with this version of the sample classifier in the slot `digits`.
pub async fn digits_host(major: u8) -> ModelHost {
    let host = ModelHost::new(Backends::embedded());
    let model = gated(&host, digits_source(major), digits_probes(major)).await;
    drop(host.activate(&slot("digits"), model));
    host
}

type Answer = dyn Fn(f64) -> Result<Vec<Tensor>, RunError> + Send + Sync;

/// A backend whose models answer, fail, hang or panic as a test says: given the one number of input `x`.
#[derive(Clone)]
pub struct Scripted {
    pub on_load: Arc<dyn Fn() + Send + Sync>,
    pub answer: Arc<Answer>,
}

impl Scripted {
    pub fn new(answer: impl Fn(f64) -> Result<Vec<Tensor>, RunError> + Send + Sync + 'static) -> Self {
        Self { on_load: Arc::new(|| ()), answer: Arc::new(answer) }
    }

    pub fn host(self) -> ModelHost {
        ModelHost::new(Backends::new([Arc::new(self) as Arc<dyn Backend>]))
    }
}

/// A model of one number in and one out.
pub fn number_source(file: &Path) -> ModelSource {
    std::fs::write(file, b"scripted").unwrap();
    source(file, vec![spec("x", "FP32", vec![])], vec![spec("y", "FP32", vec![])], 9)
}

pub fn number(name: &str, value: f32) -> Vec<Tensor> {
    vec![Tensor::from_f32(name, vec![], &[value]).unwrap()]
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn version(&self) -> String {
        "1".to_owned()
    }

    fn providers(&self) -> Result<Vec<Provider>, Unusable> {
        Ok(vec![Provider::Cpu])
    }

    fn supports(&self, _: &Variant) -> Result<(), Unsupported> {
        Ok(())
    }

    fn memory(&self, _: &Variant) -> ByteSize {
        ByteSize(0)
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn RunningModel>, LoadError> {
        source.read()?;
        (self.on_load)();
        let ModelFacts::Onnx(facts) = &source.variant.facts else { panic!("an ONNX model") };
        let (inputs, outputs) = (facts.inputs.clone(), facts.outputs.clone());
        Ok(Box::new(ScriptedModel { inputs, outputs, answer: Arc::clone(&self.answer) }))
    }
}

struct ScriptedModel {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    answer: Arc<Answer>,
}

impl RunningModel for ScriptedModel {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, RunError> {
        (self.answer)(inputs[0].to_f64().next().unwrap())
    }
}
