//! Peat's documents: every fixture read and given back, every defect named at its place, and laws over documents made up.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::select;
use sedge_statement::peat::{FileFacts, Peat, PeatCommand, PeatDefect, PeatManifest};
use sedge_statement::*;
use serde_json::{Map, Value, json};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/peat").join(name);
    fs::read_to_string(&path).unwrap()
}

fn manifest(name: &str) -> PeatManifest {
    PeatManifest::read(&fixture(name)).unwrap()
}

/// A file that a manifest describes, where it leaves that open of any content.
fn variant_of(peat: &PeatManifest) -> Variant {
    let facts = peat.facts();
    let file = ModelFile {
        name: facts.file_name.clone(),
        size: facts.size.unwrap_or(ByteSize(77)),
        sha256: facts.sha256.unwrap_or(Sha256::of(b"weights")),
        blake3: Blake3::of(b"weights"),
    };
    let header = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::new(),
        producer: String::new(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1,
        weight_bytes: ByteSize(4),
    };
    Variant {
        name: "one".parse().unwrap(),
        format: facts.format,
        quantization: facts.quantization,
        files: vec![file],
        requirements: HardwareRequirements { memory: ByteSize(4), ..Default::default() },
        facts: ModelFacts::Onnx(header),
    }
}

/// The release that a manifest and such a file make.
fn release_of(peat: &PeatManifest) -> Release {
    let bare = Manifest {
        id: "bare".parse().unwrap(),
        version: "1".parse().unwrap(),
        model_type: ModelType::Custom,
        license: String::new(),
        source: String::new(),
        variants: vec![variant_of(peat)],
        probes: None,
        metadata: BTreeMap::from([("author".into(), "the file".into()), ("peat.name".into(), "forged".into())]),
    };
    let manifest = peat.complete(bare);
    manifest.check().unwrap();
    let generation = Generation::default();
    let release = Release { manifest, generation, published_at: Timestamp::from_millis(5) };
    Release::from_bytes(&release.to_bytes()).unwrap()
}

/// What comes back: the document, its placeholders filled.
fn expected(peat: &PeatManifest) -> Value {
    let mut json = peat.to_json();
    let file = variant_of(peat);
    if peat.facts().sha256.is_none() {
        json["sha256"] = file.entry().sha256.to_string().into();
    }
    json["size_bytes"] = file.entry().size.get().into();
    json
}

#[test]
fn every_fixture_is_read_and_comes_back_equal() {
    for name in ["ministral-3b", "ministral-8b", "yolov8n", "yolov8n-full"] {
        let text = fixture(&format!("{name}.manifest.json"));
        let peat = PeatManifest::read(&text).unwrap();
        assert_eq!(peat.to_json(), serde_json::from_str::<Value>(&text).unwrap(), "{name}");
        let back = PeatManifest::of_release(&release_of(&peat)).unwrap();
        assert_eq!(back.to_json(), expected(&peat), "{name}");
    }
    for name in ["update-broadcast", "update-two-nodes"] {
        let text = fixture(&format!("{name}.command.json"));
        let Ok(Peat::Command(command)) = Peat::read(&text) else { panic!("{name} is no command") };
        assert_eq!(command.to_json(), serde_json::from_str::<Value>(&text).unwrap(), "{name}");
    }
}

#[test]
fn every_bad_fixture_is_refused_at_its_place() {
    let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/peat/bad");
    let wanted: BTreeMap<String, String> =
        serde_json::from_str(&fs::read_to_string(dir.join("expected.json")).unwrap()).unwrap();
    let there = fs::read_dir(&dir).unwrap().count();
    assert_eq!(there, wanted.len() + 1, "a fixture without an expectation, or the reverse");
    for (name, at) in &wanted {
        let error = Peat::read(&fs::read_to_string(dir.join(name)).unwrap()).expect_err(name);
        let told = error.to_string();
        let found = error.at.to_string();
        let inside = name.starts_with("over-deep") && found.starts_with(at.as_str());
        assert!(found == *at || inside, "{name}: {told}");
        assert!(told.len() < 300 && !told.chars().any(char::is_control), "{name}: {told}");
    }
}

#[test]
fn a_manifest_becomes_what_its_words_say() {
    let peat = manifest("ministral-3b.manifest.json");
    let facts = peat.facts();
    assert_eq!(facts.file_name.as_str(), "ministral-3b-25_12-q4_k_m.gguf");
    assert_eq!(
        (facts.model_type, facts.format, facts.quantization),
        (ModelType::Llm, ModelFormat::Gguf, Quantization::Q4KM)
    );
    assert_eq!((facts.size, facts.sha256), (None, None));
    assert_eq!(facts.requirements.memory, ByteSize::mib(4096), "the greater of the minima, not their sum");
    let release = release_of(&peat).manifest;
    assert_eq!((release.license.as_str(), release.source.as_str()), ("Apache-2.0", "Mistral AI"));
    assert_eq!(release.variants[0].requirements.architectures.len(), 2);
    assert_eq!(release.metadata["peat.params_billions"], "3.0");
    assert_eq!(release.metadata["peat.name"], "\"Ministral 3B Instruct\"");
    assert_eq!(release.metadata["author"], "the file");
}

#[test]
fn a_command_becomes_the_deployment_that_it_means() {
    let command = PeatCommand::read(&fixture("update-two-nodes.command.json")).unwrap();
    assert_eq!(command.id().to_string(), "6f6e3a52-5d0d-4a5e-9d52-0e3f5b1a7c11");
    assert_eq!(command.fallback().map(ModelId::as_str), Some("yolov8n-previous"));
    let names = ["robot-2", "robot-1"].map(|name| name.parse().unwrap()).into();
    let draft = command.deployment("eyes".parse().unwrap(), &names);
    assert_eq!(draft.selector.to_string(), "node=robot-1|robot-2");
    assert_eq!((u8::from(draft.priority), draft.action), (1, Action::Activate));
    let all = PeatCommand::read(&fixture("update-broadcast.command.json")).unwrap();
    assert_eq!(all.deployment("eyes".parse().unwrap(), &Default::default()).selector, Selector::whole_mesh());
    let mut stage = all.to_json();
    stage["auto_load"] = false.into();
    assert_eq!(PeatCommand::read(&stage.to_string()).unwrap().action(), Action::StageOnly);
}

#[test]
fn each_fact_that_a_file_contradicts_is_named_with_what_was_said_and_found() {
    let peat = manifest("yolov8n-full.manifest.json");
    let variant = variant_of(&peat);
    let other: FileName = "yolov8n.onnx".parse().unwrap();
    let right = FileFacts {
        name: Some(&other),
        size: variant.entry().size,
        sha256: variant.entry().sha256,
        format: variant.format,
        quantization: variant.quantization,
    };
    assert_eq!(peat.mismatches(&right), [], "the digest proves the file, whatever it is called");
    let wrong = |change: fn(&mut FileFacts<'_>)| {
        let mut file = FileFacts { name: Some(&peat.facts().file_name), ..right };
        change(&mut file);
        peat.mismatches(&file).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(wrong(|_| ()), "");
    assert_eq!(wrong(|f| f.size = ByteSize(1)), "size_bytes says 6534387, and the file has 1");
    assert_eq!(wrong(|f| f.format = ModelFormat::Gguf), "format says onnx, and the file has gguf");
    assert_eq!(wrong(|f| f.quantization = Quantization::F32), "quantization says F16, and the file has F32");
    assert!(wrong(|f| f.sha256 = Sha256::of(b"other")).starts_with("sha256 says 9f9f"));
    let open = manifest("yolov8n.manifest.json");
    let told = open.mismatches(&right).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told, ["file name says yolov8n-8_0_0-f16.onnx, and the file has yolov8n.onnx"]);
}

#[test]
fn a_release_of_another_origin_is_said_in_peats_words_and_forged_metadata_is_refused() {
    let mut release = release_of(&manifest("yolov8n-full.manifest.json"));
    release.manifest.metadata.clear();
    let peat = PeatManifest::of_release(&release).unwrap();
    assert_eq!(peat.facts().requirements.memory, release.manifest.variants[0].requirements.memory);
    for (key, text) in [
        ("peat.model_id", "\"../../etc\""),
        ("peat.sha256", "\"\""),
        ("peat.requirements", "7"),
        ("peat.name", "not json"),
    ] {
        let mut forged = release_of(&manifest("yolov8n-full.manifest.json"));
        forged.manifest.metadata.insert(key.into(), text.into());
        let error = PeatManifest::of_release(&forged).expect_err(key);
        assert_eq!(error.at.to_string(), key.replace("peat", "$"), "{error}");
    }
    release.manifest.variants[0].quantization = Quantization::Mixed;
    let error = PeatManifest::of_release(&release).expect_err("Peat has no such word");
    assert!(matches!(error.defect, PeatDefect::Word { .. }), "{error}");
}

#[test]
fn a_document_of_too_many_bytes_is_refused_before_it_is_read() {
    let long = format!("{}{{", " ".repeat(PeatManifest::MAX_BYTES));
    assert!(matches!(Peat::read(&long).unwrap_err().defect, PeatDefect::TooLarge { .. }));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |n| n.is_finite()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn digest() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[0-9a-f]{64}", "[0-9A-F]{64}"]
}

fn requirements() -> impl Strategy<Value = Value> {
    let mib = || prop::option::of(any::<u32>());
    (mib(), mib(), mib(), prop::collection::vec("[a-z]{1,8}", 0..4), prop::collection::vec("[a-z0-9_]{1,8}", 0..3))
        .prop_map(|(vram, more, ram, providers, architectures)| {
            let architectures: Vec<_> = architectures.iter().map(|a| a.replace('_', "x")).collect();
            let mut map = Map::new();
            for (key, n) in [("min_vram_mb", vram), ("recommended_vram_mb", more), ("min_ram_mb", ram)] {
                n.map(|n| map.insert(key.to_owned(), n.into()));
            }
            map.insert("execution_providers".into(), json!(providers));
            map.insert("architectures".into(), json!(architectures));
            Value::Object(map)
        })
}

/// Documents that are as they should be, with fields that nobody knows yet.
fn any_manifest() -> impl Strategy<Value = Value> {
    let word = |words: &'static str| select(words.split(' ').collect::<Vec<_>>());
    let fixed = (
        "[a-z0-9][a-z0-9_-]{0,20}",
        "\\PC{0,20}",
        word("detector llm tracker embedder vlm whisper custom"),
        word("onnx gguf tensorrt pytorch safetensors"),
        "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}",
        word("F32 F16 BF16 INT8 Q4_0 Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K Q8_0"),
        any::<u64>(),
        digest(),
        requirements(),
    );
    let text = || prop_oneof![Just(None), Just(Some(Value::Null)), "\\PC{0,20}".prop_map(|t| Some(t.into()))];
    let open = (text(), text(), prop::option::of(any_json()), prop::option::of(0.0..1e6f64));
    let unknown = prop::collection::btree_map("x_[a-z]{1,8}", any_json(), 0..3);
    (fixed, open, unknown).prop_map(|(fixed, (license, source, metadata, params), unknown)| {
        let (id, name, model_type, format, version, quantization, size, sha256, requirements) = fixed;
        let mut json = json!({
            "model_id": id, "name": name, "model_type": model_type, "format": format, "version": version,
            "quantization": quantization, "size_bytes": size, "sha256": sha256, "requirements": requirements,
        });
        let open = [("license", license), ("source", source), ("metadata", metadata)];
        for (key, value) in open.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            json[key] = value;
        }
        if let Some(params) = params {
            json["params_billions"] = params.into();
        }
        for (key, value) in unknown {
            json[key] = value;
        }
        json
    })
}

proptest! {
    #[test]
    fn a_manifest_goes_through_draft_and_release_and_comes_back_equal(json in any_manifest()) {
        let peat = PeatManifest::read(&json.to_string()).unwrap();
        prop_assert_eq!(peat.to_json(), json.clone());
        prop_assert_eq!(PeatManifest::read(&peat.to_json().to_string()).unwrap(), peat.clone());
        let back = PeatManifest::of_release(&release_of(&peat)).unwrap();
        prop_assert_eq!(back.to_json(), expected(&peat));
    }

    #[test]
    fn a_command_comes_back_equal_and_means_what_it_says(
        manifest in any_manifest(), id in any::<u128>(), priority in 1u8..=5, loads in any::<bool>(),
        targets in prop::collection::btree_set("[a-z][a-z0-9-]{0,10}", 0..6),
        fallback in prop::option::of("[a-z][a-z0-9]{0,10}"), unknown in any_json(),
    ) {
        let json = json!({
            "command_id": uuid::Uuid::from_u128(id), "manifest": manifest, "target_nodes": targets, "priority": priority,
            "auto_load": loads, "rollback_model_id": fallback, "timestamp": "2026-01-15T12:00:00Z", "x_more": unknown,
        });
        let command = PeatCommand::read(&json.to_string()).unwrap();
        prop_assert_eq!(command.to_json(), json);
        let names = targets.iter().map(|name| name.parse().unwrap()).collect();
        let draft = command.deployment("s".parse().unwrap(), &names);
        prop_assert_eq!(u8::from(draft.priority), priority);
        prop_assert_eq!(draft.action == Action::Activate, loads);
        let told = draft.selector.to_string();
        prop_assert_eq!(told.parse::<Selector>().unwrap(), draft.selector.clone());
        let wanted = if targets.is_empty() { "cell=**".to_owned() } else {
            format!("node={}", targets.into_iter().collect::<Vec<_>>().join("|"))
        };
        prop_assert_eq!(told, wanted);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}\":,0-9a-z. -]{0,200}") {
        let _ = Peat::read(&text);
    }

    #[test]
    fn any_field_of_another_type_is_refused_there_or_kept(json in any_manifest(), at in 0usize..9, other in any_json()) {
        let keys = ["model_id", "name", "model_type", "format", "version", "quantization", "size_bytes", "sha256", "requirements"];
        let mut bad = json;
        bad[keys[at]] = other;
        match PeatManifest::read(&bad.to_string()) {
            Ok(peat) => prop_assert_eq!(peat.to_json(), bad),
            Err(error) => {
                // Id and version make the file's name together.
                let told = error.at.to_string();
                let there = told.starts_with(&format!("$.{}", keys[at])) || told == "$.version";
                prop_assert!(there, "{}", error);
            }
        }
    }
}
