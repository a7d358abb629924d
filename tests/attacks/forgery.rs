//! Statements that a hostile authority signs: well made, and meant ill.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use sedge_fleet::testing::{Forge, Op, doc_id, head, links_frame};
use sedge_statement::{
    Action, Blake3, ByteSize, Deployment, Dim, DocKind, Downgrade, GatePolicy, Generation, GgufFacts,
    HardwareRequirements, KvShape, Manifest, ModelFacts, ModelFile, ModelFormat, ModelType, OnnxFacts, Priority,
    Quantization, Release, ReleaseId, Sha256, TensorSpec, Variant,
};

use crate::hostile::{Intruder, now};

/// How long the rollouts here may take.
const HOUR: Duration = Duration::from_secs(3600);

/// A deployment of a release to both honest nodes, at once.
pub(crate) fn deployment(by: &Intruder, release: ReleaseId, slot: &str, n: u64) -> Result<Deployment> {
    Ok(Deployment {
        command: Default::default(),
        release,
        slot: slot.parse()?,
        selector: "node=honest|victim".parse()?,
        frontier: by.frontier()?,
        generation: Generation { epoch: 0, n },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: Vec::new(),
        // So that one node's refusal does not spare the other the trial.
        gate: GatePolicy { max_failed: 9, ..GatePolicy::default() },
        probation: Duration::from_millis(300),
        deadline: now().plus(HOUR),
        start_by: None,
        created_at: now(),
    })
}

/// A file that holds these bytes.
pub(crate) fn file(name: &str, bytes: &[u8]) -> Result<ModelFile> {
    let (sha256, blake3) = (Sha256::of(bytes), Blake3::of(bytes));
    Ok(ModelFile { name: name.parse()?, size: ByteSize(bytes.len() as u64), sha256, blake3 })
}

/// A variant that says it is an ONNX model, or a GGUF one, whatever its file holds.
pub(crate) fn variant(file: ModelFile, requirements: HardwareRequirements) -> Result<Variant> {
    let is_gguf = file.name.as_str().ends_with(".gguf");
    let (format, facts) = match is_gguf {
        true => (ModelFormat::Gguf, ModelFacts::Gguf(gguf())),
        false => (ModelFormat::Onnx, ModelFacts::Onnx(onnx())),
    };
    let name = if is_gguf { "gguf-f32" } else { "onnx-f32" };
    Ok(Variant { name: name.parse()?, format, quantization: Quantization::F32, files: vec![file], requirements, facts })
}

fn onnx() -> OnnxFacts {
    let port = |name: &str| TensorSpec { name: name.into(), datatype: "FP32".into(), shape: vec![Dim::Fixed(1)] };
    OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: String::new(),
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        parameters: 1,
        weight_bytes: ByteSize(4),
    }
}

fn gguf() -> GgufFacts {
    GgufFacts {
        version: 3,
        architecture: "llama".into(),
        name: String::new(),
        parameters: 1,
        weight_bytes: ByteSize(4),
        types: BTreeMap::from([("F32".into(), ByteSize(4))]),
        layers: 1,
        embedding: 1,
        heads: 1,
        kv_heads: 1,
        context: 8,
        vocabulary: 1,
        tokenizer: "gpt2".into(),
        kv: KvShape::default(),
    }
}

/// A release of one variant.
pub(crate) fn release(model: &str, n: u64, variant: Variant) -> Result<Release> {
    let manifest = Manifest {
        id: model.parse()?,
        version: "6.6.6".parse()?,
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Ok(Release { manifest, generation: Generation { epoch: 0, n }, published_at: now() })
}

/// A first link of the intruder's `authority` document, with releases whose names and bytes are whatever they are.
pub(crate) fn releases_by_hand(by: &Intruder, releases: &[(String, Vec<u8>)]) -> Vec<u8> {
    let doc = doc_id(by.id(), DocKind::Authority, 0);
    let entry = |(name, bytes): &(String, Vec<u8>)| {
        let value = ((bytes.len() as u64) << 4 | 7, bytes.clone());
        Op { object: 1, value, ..Op::put(name, "") }
    };
    let ops: Vec<Op> = std::iter::once(Op::make("releases", 0)).chain(releases.iter().map(entry)).collect();
    let raw = Forge::new(&doc, None, 1, &ops).bytes();
    links_frame(head(&by.key, by.mesh, &doc, 1, &raw), 1, vec![raw])
}

/// The id that a release of these bytes has.
pub(crate) fn id_of(release: &[u8]) -> ReleaseId {
    ReleaseId::from_bytes(blake3::derive_key("sedge release id 1", release))
}
