//! Peat's documents: any text as one; what is accepted comes back equal, and a draft with a file makes a sound release.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sedge_statement::peat::{Peat, PeatManifest};
use sedge_statement::{
    Blake3, ByteSize, Generation, HardwareRequirements, Manifest, ModelFacts, ModelFile, ModelType, OnnxFacts, Release,
    Sha256, Timestamp, Variant,
};

fuzz_target!(|text: &str| {
    let peat = match Peat::read(text) {
        Ok(peat) => peat,
        Err(error) => {
            assert!(!error.to_string().chars().any(char::is_control), "a refusal that a terminal would obey");
            return;
        }
    };
    let written = match &peat {
        Peat::Manifest(manifest) => manifest.to_json(),
        Peat::Command(command) => command.to_json(),
    };
    assert_eq!(Peat::read(&written.to_string()).expect("what was written is read"), peat);
    let manifest = match &peat {
        Peat::Manifest(manifest) => manifest,
        Peat::Command(command) => command.manifest(),
    };
    let release = release_of(manifest);
    release.manifest.check().expect("a draft and a file make a sound manifest");
    let back = PeatManifest::of_release(&release).expect("what was imported can be given back");
    let mut wanted = manifest.to_json();
    wanted["size_bytes"] = release.manifest.variants[0].entry().size.get().into();
    if manifest.facts().sha256.is_none() {
        wanted["sha256"] = release.manifest.variants[0].entry().sha256.to_string().into();
    }
    assert_eq!(back.to_json(), wanted, "a field came back changed");
});

fn release_of(peat: &PeatManifest) -> Release {
    let facts = peat.facts();
    let file = ModelFile {
        name: facts.file_name.clone(),
        size: facts.size.unwrap_or(ByteSize(7)),
        sha256: facts.sha256.unwrap_or(Sha256::from_bytes([1; 32])),
        blake3: Blake3::from_bytes([2; 32]),
    };
    let header = OnnxFacts {
        ir_version: 8,
        opsets: Default::default(),
        producer: String::new(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1,
        weight_bytes: ByteSize(4),
    };
    let variant = Variant {
        name: "one".parse().expect("a name"),
        format: facts.format,
        quantization: facts.quantization,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(header),
    };
    let bare = Manifest {
        id: facts.id.clone(),
        version: facts.version.clone(),
        model_type: ModelType::Custom,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: Default::default(),
    };
    let (generation, published_at) = (Generation::default(), Timestamp::from_millis(1));
    Release { manifest: peat.complete(bare), generation, published_at }
}
