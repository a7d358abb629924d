//! What the made-up mesh's root publishes.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_statement::{
    Action, Blake3, ByteSize, Deployment, Downgrade, Frontier, GatePolicy, Generation, HardwareRequirements, Manifest,
    ModelFacts, ModelFile, ModelFormat, ModelType, OnnxFacts, Priority, Quantization, Release, ReleaseId, Selector,
    Sha256, Variant,
};

use crate::nodes::START;

/// A release of one file.
pub(crate) fn release(n: u64) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().expect("a name"),
        size: ByteSize(1 << 20),
        sha256: Sha256::of(&n.to_le_bytes()),
        blake3: Blake3::of(&n.to_le_bytes()),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "bench".into(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1 << 18,
        weight_bytes: ByteSize(1 << 20),
    };
    let variant = Variant {
        name: "onnx-f32".parse().expect("a name"),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    };
    let manifest = Manifest {
        id: "detector".parse().expect("a name"),
        version: format!("1.{n}.0").parse().expect("a version"),
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n: n + 1 }, published_at: START }
}

/// A deployment of it on the whole of the root's cell.
pub(crate) fn deployment(release: ReleaseId, n: u64) -> Deployment {
    Deployment {
        command: Default::default(),
        release,
        slot: "detector".parse().expect("a slot"),
        selector: Selector::whole_mesh(),
        frontier: Frontier::default(),
        generation: Generation { epoch: 0, n: n + 1 },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![],
        gate: GatePolicy::default(),
        probation: Duration::from_secs(10),
        deadline: START.plus(Duration::from_secs(86_400)),
        start_by: None,
        created_at: START,
    }
}
