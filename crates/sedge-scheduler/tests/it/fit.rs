//! What fits where.

use std::collections::BTreeMap;

use sedge_scheduler::{Fit, Unfit, choose, fit};
use sedge_statement::{
    Blake3, ByteSize, GgufFacts, HardwareRequirements, KvShape, Loader, MemoryPool, ModelFacts, ModelFile, ModelFormat,
    OnnxFacts, Profile, Quantization, RuntimeFact, Sha256, Variant,
};

pub(crate) fn variant(name: &str, weights: u64) -> Variant {
    Variant {
        name: name.parse().unwrap(),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![ModelFile {
            name: "model.onnx".parse().unwrap(),
            size: ByteSize(weights + 1000),
            sha256: Sha256::of(name.as_bytes()),
            blake3: Blake3::of(name.as_bytes()),
        }],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(OnnxFacts {
            ir_version: 8,
            opsets: BTreeMap::new(),
            producer: String::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            parameters: weights / 4,
            weight_bytes: ByteSize(weights),
        }),
    }
}

pub(crate) fn profile() -> Profile {
    let pool = |name: &str, mib| MemoryPool {
        name: name.to_owned(),
        total: ByteSize::mib(mib * 2),
        allocatable: ByteSize::mib(mib),
    };
    Profile {
        architecture: "x86_64".parse().unwrap(),
        os: String::new(),
        cpu: String::new(),
        cores: 4,
        memory: vec![pool("system", 512), pool("gpu", 8192)],
        accelerators: Vec::new(),
        disk: ByteSize::mib(2048),
        runtimes: vec![RuntimeFact {
            backend: "tract".to_owned(),
            version: "0.23".to_owned(),
            providers: vec!["cpu".to_owned()],
        }],
    }
}

#[test]
fn a_small_onnx_model_fits_beside_tract() {
    let feasible = Fit::Feasible { memory: ByteSize::mib(100), backend: "tract".to_owned() };
    assert_eq!(fit(&variant("small", 100 << 20), &profile()), feasible);
}

#[test]
fn every_reason_against_is_named() {
    let mut huge = variant("huge", 4 << 30);
    huge.format = ModelFormat::Gguf;
    huge.requirements.architectures.insert("aarch64".parse().unwrap());
    let Fit::Unfit(reasons) = fit(&huge, &profile()) else { panic!("it fits") };
    assert!(matches!(
        reasons.as_slice(),
        [Unfit::Architecture { .. }, Unfit::Memory { .. }, Unfit::Disk { .. }, Unfit::NoBackend { .. }]
    ));
    insta::assert_snapshot!(Fit::Unfit(reasons), @"does not fit: it is built for aarch64, this is x86_64; it needs 4.0 GiB of memory, models may take 512.0 MiB; its files take 4.0 GiB, the disk has 2.0 GiB; nothing here opens gguf; one of these would: candle, llama-server");
}

#[test]
fn a_language_model_takes_its_context_beside_its_weights_whatever_the_manifest_asks_for() {
    let mut model = variant("model", 1);
    let facts = GgufFacts {
        version: 3,
        architecture: "llama".to_owned(),
        name: String::new(),
        parameters: 0,
        weight_bytes: ByteSize::mib(100),
        types: Default::default(),
        layers: 16,
        embedding: 1024,
        heads: 16,
        kv_heads: 8,
        context: 131_072,
        vocabulary: 32_000,
        tokenizer: String::new(),
        kv: KvShape { per_token: 16 * 8 * 128, windowed_per_token: 0, window: 0 },
    };
    let need = facts.memory(4096, Loader::Candle).total;
    assert!(need > ByteSize::mib(100 + 256), "{need}");
    model.format = ModelFormat::Gguf;
    model.facts = ModelFacts::Gguf(facts);
    let mut node = profile();
    node.runtimes[0].backend = "candle".to_owned();
    assert_eq!(fit(&model, &node), Fit::Unfit(vec![Unfit::Memory { need, have: ByteSize::mib(512) }]));
    node.memory[0].allocatable = need;
    assert_eq!(fit(&model, &node), Fit::Feasible { memory: need, backend: "candle".to_owned() });
}

#[test]
fn memory_of_another_pool_is_not_added() {
    let memory = Unfit::Memory { need: ByteSize::mib(600), have: ByteSize::mib(512) };
    assert_eq!(fit(&variant("medium", 600 << 20), &profile()), Fit::Unfit(vec![memory]));
}

#[test]
fn what_the_manifest_asks_for_counts_where_it_is_more() {
    let mut hungry = variant("hungry", 1 << 20);
    hungry.requirements.memory = ByteSize::mib(513);
    assert!(!fit(&hungry, &profile()).is_feasible());
}

#[test]
fn the_first_variant_that_fits_is_chosen() {
    let variants = [variant("large", 1 << 30), variant("small", 1 << 20), variant("smaller", 1 << 10)];
    assert_eq!(choose(&variants, &profile()).unwrap().name.as_str(), "small");
    assert_eq!(choose(&variants[..1], &profile()).unwrap_err().len(), 1);
}
