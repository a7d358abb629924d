//! Statements for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_statement::{
    Accelerator, Action, Blake3, ByteSize, Deployment, Downgrade, Frontier, GatePolicy, Generation,
    HardwareRequirements, Manifest, MemoryPool, ModelFacts, ModelFile, ModelFormat, ModelType, OnnxFacts, Priority,
    Profile, Quantization, Release, ReleaseId, RuntimeFact, Selector, Sha256, Variant,
};

use crate::membership::fixtures::at;

pub(crate) fn release(model: &str, n: u64) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().unwrap(),
        size: ByteSize(7),
        sha256: Sha256::of(b"weights"),
        blake3: Blake3::of(b"weights"),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "test".into(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1,
        weight_bytes: ByteSize(4),
    };
    let variant = Variant {
        name: "onnx-f32".parse().unwrap(),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    };
    let manifest = Manifest {
        id: model.parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n }, published_at: at(2000) }
}

/// A deployment on the whole mesh.
pub(crate) fn deployment(release: ReleaseId, n: u64) -> Deployment {
    Deployment {
        command: Default::default(),
        release,
        slot: "detector".parse().unwrap(),
        selector: Selector::whole_mesh(),
        frontier: Frontier::default(),
        generation: Generation { epoch: 0, n },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![],
        gate: GatePolicy::default(),
        probation: Duration::from_secs(10),
        deadline: at(90_000),
        start_by: None,
        created_at: at(2000),
    }
}

/// A profile with `n` of each thing that it lists.
pub(crate) fn profile(n: usize) -> Profile {
    let name = |i: usize| format!("part {i}");
    Profile {
        architecture: "aarch64".parse().unwrap(),
        os: "Linux 6.8".into(),
        cpu: "Cortex-A78AE".into(),
        cores: 8,
        memory: (0..n).map(|i| MemoryPool { name: name(i), total: ByteSize(9), allocatable: ByteSize(8) }).collect(),
        accelerators: (0..n).map(|i| Accelerator { name: name(i), pool: name(i) }).collect(),
        disk: ByteSize(1 << 40),
        runtimes: (0..n)
            .map(|i| RuntimeFact { backend: name(i), version: "1".into(), providers: vec!["cpu".into(); n] })
            .collect(),
    }
}
