//! A release is one digest over everything in it, and names all that will ever be fetched or opened for it.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::BTreeMap;

use sedge_statement::*;

fn file(name: &str, bytes: &[u8]) -> ModelFile {
    let size = ByteSize(bytes.len() as u64);
    ModelFile { name: name.parse().unwrap(), size, sha256: Sha256::of(bytes), blake3: Blake3::of(bytes) }
}

fn variant(name: &str, files: Vec<ModelFile>) -> Variant {
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "test".into(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1,
        weight_bytes: ByteSize(4),
    };
    Variant {
        name: name.parse().unwrap(),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files,
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    }
}

/// A release of two variants, the second of two files, with probes.
fn release(mark: &str) -> Release {
    let of = |what: &str| format!("{what} of {mark}").into_bytes();
    let manifest = Manifest {
        id: "writer".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![
            variant("small", vec![file("small.onnx", &of("small"))]),
            variant("large", vec![file("large.onnx", &of("large")), file("tokenizer.json", &of("tokenizer"))]),
        ],
        probes: Some(file("probes.json", &of("probes"))),
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n: 1 }, published_at: Timestamp::from_millis(1) }
}

#[test]
fn mix_and_match_of_any_part_of_two_releases_is_a_third_that_nobody_signed() {
    let (one, other) = (release("one"), release("other"));
    let swaps: [fn(&mut Release, &Release); 7] = [
        |r, o| r.manifest.variants[0].files[0] = o.manifest.variants[0].files[0].clone(),
        |r, o| r.manifest.variants[1].files[0] = o.manifest.variants[1].files[0].clone(),
        |r, o| r.manifest.variants[1].files[1] = o.manifest.variants[1].files[1].clone(),
        |r, o| r.manifest.probes = o.manifest.probes.clone(),
        |r, _| r.manifest.variants.reverse(),
        |r, _| drop(r.manifest.variants.pop()),
        |r, _| r.manifest.probes = None,
    ];
    for swap in swaps {
        let mut mixed = one.clone();
        swap(&mut mixed, &other);
        mixed.manifest.check().unwrap();
        assert!(mixed.id() != one.id() && mixed.id() != other.id());
    }
    // Nor do the two digests of one file go with another's.
    let mut halves = one.clone();
    halves.manifest.variants[0].files[0].sha256 = other.manifest.variants[0].files[0].sha256;
    assert_ne!(halves.id(), one.id());
}

#[test]
fn extraneous_files_are_none_for_the_list_is_closed_and_each_stands_in_it_once() {
    let good = release("one");
    let listed: Vec<&str> = good.manifest.files().map(|file| file.name.as_str()).collect();
    assert_eq!(listed, ["small.onnx", "large.onnx", "tokenizer.json", "probes.json"]);
    let hides: [fn(&mut Manifest); 5] = [
        |m| m.variants[1].files[1].name = "large.onnx".parse().unwrap(),
        |m| m.variants[1].files[1].name = "probes.json".parse().unwrap(),
        |m| m.variants[1].files[1].size = ByteSize(0),
        |m| m.variants[1].files.clear(),
        |m| m.variants[1].name = "small".parse().unwrap(),
    ];
    for hide in hides {
        let mut bad = good.clone();
        hide(&mut bad.manifest);
        assert!(bad.manifest.check().is_err());
        assert!(Release::from_bytes(&bad.to_bytes()).is_err(), "what is checked when it is made is when it is read");
    }
}

#[test]
fn endless_data_in_place_of_probes_is_refused_with_the_release() {
    let with = |bytes: u64| {
        let mut release = release("one");
        release.manifest.probes.as_mut().unwrap().size = ByteSize(bytes);
        Release::from_bytes(&release.to_bytes())
    };
    let most = Probe::MAX_FILE_BYTES as u64;
    assert!(with(most).is_ok());
    for bytes in [most + 1, 1 << 40, u64::MAX] {
        assert_eq!(with(bytes), Err(ManifestError::ProbesTooLong(ByteSize(bytes))));
    }
}

#[test]
fn endless_data_in_a_release_itself_is_refused_before_it_is_read() {
    let mut long = release("one");
    long.manifest.license = "x".repeat(Manifest::MAX_TEXT + 1);
    assert!(matches!(Release::from_bytes(&long.to_bytes()), Err(ManifestError::TooMuchText(_))));
    long.manifest.license = "x".repeat(Release::MAX_BYTES);
    assert!(matches!(Release::from_bytes(&long.to_bytes()), Err(ManifestError::Codec(_))));
}
