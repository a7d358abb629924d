//! Golden bytes: the encodings and ids of one example of every statement. A change here breaks every mesh that exists;
//! make a new version of the statement instead. `SEDGE_BLESS=1` rewrites the file for a statement that is new.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sedge_statement::*;

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn file(name: &str, n: u8) -> ModelFile {
    ModelFile {
        name: name.parse().unwrap(),
        size: ByteSize(3452),
        sha256: Sha256::from_bytes([n; 32]),
        blake3: Blake3::from_bytes([n + 1; 32]),
    }
}

fn genesis() -> Genesis {
    Genesis {
        name: "acme".parse().unwrap(),
        roots: BTreeSet::from([key(1).node_id()]),
        threshold: 1,
        nonce: [9; 16],
        created_at: Timestamp::from_millis(1_790_000_000_000),
    }
}

fn certificate() -> Certificate {
    Certificate {
        subject: key(2).node_id(),
        name: "robot-1".parse().unwrap(),
        roles: BTreeSet::from([Role::Device, Role::Deploy]),
        cell: "acme/plant-7".parse().unwrap(),
        labels: BTreeMap::from([("site".parse().unwrap(), "oslo".parse().unwrap())]),
        architecture: "x86_64".parse().unwrap(),
        class: "x86-64".parse().unwrap(),
        issuer: key(1).node_id(),
        serial: 2,
        revision: 1,
        not_before: Timestamp::from_millis(1_790_000_000_000),
        not_after: None,
    }
}

fn kept() -> Kept {
    Kept {
        certificates: KeptCertificates { last: 7, rolls: vec![roll().id()] },
        revocations: BTreeSet::from([ObjectId::from_bytes([3; 32])]),
        documents: BTreeMap::from([(
            DocKind::Authority,
            LastGood { epoch: 1, seq: 40, head: ChangeHash::from_bytes([6; 32]) },
        )]),
    }
}

fn roll() -> Roll {
    Roll { certificates: BTreeSet::from([ObjectId::from_bytes([4; 32]), ObjectId::from_bytes([5; 32])]) }
}

fn entry() -> Entry {
    Entry { issuer: key(1).node_id() }
}

fn revocation() -> Revocation {
    let at = Timestamp::from_millis(1_790_000_100_000);
    Revocation { subject: key(2).node_id(), kept: kept(), reason: "stolen".into(), at }
}

fn roots(mesh: MeshId) -> RootVersion {
    RootVersion {
        version: 1,
        previous: mesh.into(),
        roots: BTreeSet::from([key(3).node_id(), key(4).node_id(), key(5).node_id()]),
        threshold: 2,
        approvals: Approvals { release: 1, deploy: 2 },
        leaving: BTreeMap::from([(key(1).node_id(), kept())]),
        at: Timestamp::from_millis(1_790_000_200_000),
    }
}

fn enrol_request() -> EnrolRequest {
    EnrolRequest::sign(&key(6), "robot-6".parse().unwrap(), "aarch64".parse().unwrap(), "jetson-orin".parse().unwrap())
}

fn enrol_approval() -> EnrolApproval {
    let (genesis, mesh) = genesis().sign(&key(1));
    EnrolApproval {
        mesh,
        mesh_name: "acme".parse().unwrap(),
        genesis: genesis.to_bytes(),
        objects: vec![Object::sign(&key(1), mesh, &certificate()).to_bytes()],
        peers: vec![(key(1).node_id(), vec!["10.0.0.1:47001".parse().unwrap()])],
        relays: Vec::new(),
    }
}

fn approval() -> Approval {
    Approval { of: Approved::Rollout(deployment().id()), at: Timestamp::from_millis(1_790_000_300_000) }
}

fn release() -> Release {
    let spec = |name: &str, word: &str| TensorSpec {
        name: name.into(),
        datatype: word.into(),
        shape: vec![Dim::Named("N".into()), Dim::Fixed(64), Dim::Unknown],
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "sedge".into(),
        inputs: vec![spec("image", "FP32")],
        outputs: vec![spec("label", "INT64")],
        parameters: 650,
        weight_bytes: ByteSize(2604),
    };
    let variant = Variant {
        name: "onnx-f32".parse().unwrap(),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file("digits-1.0.0.onnx", 3)],
        requirements: HardwareRequirements { memory: ByteSize::mib(1), architectures: BTreeSet::new() },
        facts: ModelFacts::Onnx(facts),
    };
    let manifest = Manifest {
        id: "digits".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        model_type: ModelType::Classifier,
        license: "CC-BY-4.0".into(),
        source: "scikit-learn".into(),
        variants: vec![variant],
        probes: Some(file("probes.json", 5)),
        metadata: BTreeMap::from([("accuracy".into(), "0.8222".into())]),
    };
    Release {
        manifest,
        generation: Generation { epoch: 0, n: 1 },
        published_at: Timestamp::from_millis(1_790_000_001_000),
    }
}

/// The same release with a language model in the place of the classifier.
fn language_model() -> Release {
    let facts = GgufFacts {
        version: 3,
        architecture: "gemma3".into(),
        name: "small".into(),
        parameters: 1_000_000,
        weight_bytes: ByteSize(1_062_500),
        types: BTreeMap::from([("F32".into(), ByteSize(500)), ("Q8_0".into(), ByteSize(1_062_000))]),
        layers: 6,
        embedding: 64,
        heads: 4,
        kv_heads: 1,
        context: 32768,
        vocabulary: 262_144,
        tokenizer: "llama".into(),
        kv: KvShape { per_token: 32, windowed_per_token: 160, window: 512 },
    };
    let mut release = release();
    let variant = &mut release.manifest.variants[0];
    variant.name = "gguf-q1_0".parse().unwrap();
    variant.format = ModelFormat::Gguf;
    variant.quantization = Quantization::Q1_0;
    variant.facts = ModelFacts::Gguf(facts);
    release.manifest.model_type = ModelType::Llm;
    release
}

fn deployment() -> Deployment {
    Deployment {
        command: uuid::Uuid::from_u128(7),
        release: release().id(),
        slot: "digits".parse().unwrap(),
        selector: "cell=acme/**,label.site=oslo,arch=x86_64,class=x86-64,node=robot-1".parse().unwrap(),
        frontier: Frontier(BTreeMap::from([(key(1).node_id(), 3)])),
        generation: Generation { epoch: 0, n: 4 },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![WaveSize::Count(1)],
        gate: GatePolicy { quorum: Percent::try_from(80).unwrap(), max_failed: 1, soak: Duration::from_secs(5) },
        probation: Duration::from_secs(10),
        deadline: Timestamp::from_millis(1_790_000_900_000),
        start_by: Some(Timestamp::from_millis(1_790_000_800_000)),
        created_at: Timestamp::from_millis(1_790_000_002_000),
    }
}

fn deployment_to_nodes() -> Deployment {
    Deployment { selector: "node=robot-2|robot-1,arch=x86_64".parse().unwrap(), ..deployment() }
}

/// The same, with a wave of each kind.
fn deployment_in_waves() -> Deployment {
    let named = Canaries::try_from(BTreeSet::from([key(2).node_id(), key(3).node_id()])).unwrap();
    let share = Percent::try_from(25).unwrap();
    let waves = vec![WaveSize::Named(named), WaveSize::Count(2), WaveSize::Share(share), WaveSize::Share(Percent::ALL)];
    Deployment { waves, ..deployment() }
}

fn head() -> SignedHead {
    let doc = DocId {
        author: key(2).node_id(),
        kind: DocKind::Node,
        scope: Scope::Cell("acme/plant-7".parse().unwrap()),
        epoch: 1,
    };
    let mesh = MeshId::from_bytes([8; 32]);
    SignedHead::sign(&key(2), mesh, doc, 3, ChangeHash::from_bytes([6; 32]), Timestamp::from_millis(1_790_000_003_000))
}

fn profile() -> Profile {
    Profile {
        architecture: "x86_64".parse().unwrap(),
        os: "linux 6.1".into(),
        cpu: "a processor".into(),
        cores: 2,
        memory: vec![MemoryPool {
            name: "system".into(),
            total: ByteSize::mib(8192),
            allocatable: ByteSize::mib(7168),
        }],
        accelerators: vec![Accelerator { name: "Orin".into(), pool: "system".into() }],
        disk: ByteSize::mib(65536),
        runtimes: vec![RuntimeFact {
            backend: "tract".into(),
            version: "0.23.9".into(),
            providers: vec!["cpu".into()],
        }],
    }
}

fn control() -> Control {
    Control {
        rollout: deployment().id(),
        action: ControlAction::Pause,
        count: 1,
        reason: "wait for the shift to end".into(),
        at: Timestamp::from_millis(1_790_000_004_000),
    }
}

fn ticket() -> Ticket {
    Ticket {
        mesh: MeshId::from_bytes([8; 32]),
        mesh_name: "acme".parse().unwrap(),
        issuer: key(1).node_id(),
        addresses: vec!["127.0.0.1:4711".parse().unwrap(), "[::1]:4711".parse().unwrap()],
        secret: TicketSecret::from_bytes([4; 16]),
        expires: Timestamp::from_millis(1_790_003_600_000),
        relays: Vec::new(),
    }
}

fn ticket_by_relay() -> Ticket {
    Ticket { relays: vec!["http://10.0.0.1:3340".parse().unwrap()], ..ticket() }
}

fn book() -> String {
    let mut book = String::new();
    let mut line = |name: &str, value: String| writeln!(book, "{name} {value}").unwrap();
    let hex = |bytes: Vec<u8>| HEXLOWER.encode(&bytes);
    let (object, mesh) = genesis().sign(&key(1));
    line("genesis", hex(object.to_bytes()));
    line("genesis-mesh", mesh.to_string());
    let object = Object::sign(&key(1), mesh, &certificate());
    line("certificate", hex(object.to_bytes()));
    line("certificate-id", object.id().to_string());
    line("revocation", hex(Object::sign(&key(1), mesh, &revocation()).to_bytes()));
    line("revocation-id", revocation().id().to_string());
    line("roll", hex(Object::sign(&key(1), mesh, &roll()).to_bytes()));
    line("roll-id", roll().id().to_string());
    line("entry", hex(Object::sign(&key(2), mesh, &entry()).to_bytes()));
    line("roots", hex(Object::sign(&key(1), mesh, &roots(mesh)).to_bytes()));
    line("roots-id", roots(mesh).id().to_string());
    line("release", hex(release().to_bytes()));
    line("release-id", release().id().to_string());
    line("release-of-gguf", hex(language_model().to_bytes()));
    line("deployment", hex(deployment().to_bytes()));
    line("deployment-id", deployment().id().to_string());
    line("deployment-to-nodes", hex(deployment_to_nodes().to_bytes()));
    line("deployment-to-nodes-id", deployment_to_nodes().id().to_string());
    line("deployment-in-waves", hex(deployment_in_waves().to_bytes()));
    line("deployment-in-waves-id", deployment_in_waves().id().to_string());
    line("control", hex(control().to_bytes()));
    line("approval-of-rollout", hex(approval().to_bytes()));
    line("signed-head", hex(codec::encode(&head())));
    line("profile", hex(codec::encode(&profile())));
    line("ticket", ticket().to_string());
    line("ticket-by-relay", ticket_by_relay().to_string());
    line("enrol-request", enrol_request().to_string());
    line("enrol-approval", enrol_approval().to_string());
    line("sha256-of-abc", Sha256::of(b"abc").to_string());
    line("blake3-of-abc", Blake3::of(b"abc").to_string());
    book
}

#[test]
fn every_encoding_is_the_one_of_the_book() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    if std::env::var_os("SEDGE_BLESS").is_some() {
        std::fs::write(&path, book()).unwrap();
    }
    assert_eq!(book(), std::fs::read_to_string(&path).unwrap());
}

#[test]
fn what_was_encoded_reads_back_equal() {
    let (object, mesh) = genesis().sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh).unwrap(), genesis());
    let object = Object::sign(&key(1), mesh, &certificate());
    assert_eq!(Object::open(&object.to_bytes(), mesh).unwrap().body::<Certificate>().unwrap(), certificate());
    let object = Object::sign(&key(1), mesh, &revocation());
    assert_eq!(Object::open(&object.to_bytes(), mesh).unwrap().body::<Revocation>().unwrap(), revocation());
    let object = Object::sign(&key(1), mesh, &roll());
    assert_eq!(Object::open(&object.to_bytes(), mesh).unwrap().body::<Roll>().unwrap(), roll());
    let object = Object::sign(&key(2), mesh, &entry());
    assert_eq!(Object::open(&object.to_bytes(), mesh).unwrap().body::<Entry>().unwrap(), entry());
    let object = Object::sign(&key(1), mesh, &roots(mesh));
    assert_eq!(Object::open(&object.to_bytes(), mesh).unwrap().body::<RootVersion>().unwrap(), roots(mesh));
    assert_eq!(enrol_request().to_string().parse::<EnrolRequest>().unwrap(), enrol_request());
    assert_eq!(enrol_approval().to_string().parse::<EnrolApproval>().unwrap(), enrol_approval());
    assert_eq!(Approval::from_bytes(&approval().to_bytes()).unwrap(), approval());
    assert_eq!(Release::from_bytes(&release().to_bytes()).unwrap(), release());
    assert_eq!(Release::from_bytes(&language_model().to_bytes()).unwrap(), language_model());
    assert_eq!(Control::from_bytes(&control().to_bytes()).unwrap(), control());
    assert_eq!(ticket().to_string().parse::<Ticket>().unwrap(), ticket());
    assert_eq!(ticket_by_relay().to_string().parse::<Ticket>().unwrap(), ticket_by_relay());
    let bytes = codec::encode(&head());
    let read: SignedHead = codec::decode(&bytes, 1024).unwrap();
    read.verify(MeshId::from_bytes([8; 32])).unwrap();
    // The same types through JSON, as the control socket carries them.
    for deployment in [deployment(), deployment_to_nodes(), deployment_in_waves()] {
        assert_eq!(Deployment::from_bytes(&deployment.to_bytes()).unwrap(), deployment);
        let json = serde_json::to_string(&deployment).unwrap();
        assert_eq!(serde_json::from_str::<Deployment>(&json).unwrap(), deployment);
    }
    let json = serde_json::to_string(&release()).unwrap();
    assert_eq!(serde_json::from_str::<Release>(&json).unwrap(), release());
}

#[test]
fn the_largest_revocation_and_the_largest_roll_fit_their_objects() {
    let id = |n: usize| {
        let mut bytes = [0xff; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        bytes
    };
    let last = LastGood { epoch: u32::MAX, seq: u64::MAX, head: ChangeHash::from_bytes([6; 32]) };
    let certificates =
        KeptCertificates { last: u64::MAX, rolls: (0..Kept::MAX_ROLLS).map(|n| RollId::from_bytes(id(n))).collect() };
    let kept = Kept {
        certificates,
        revocations: (0..Kept::MAX_REVOCATIONS).map(|n| ObjectId::from_bytes(id(n))).collect(),
        documents: [DocKind::Authority, DocKind::Node, DocKind::Gate].map(|kind| (kind, last)).into(),
    };
    let at = Timestamp::from_millis(u64::MAX);
    let full = Revocation { subject: key(2).node_id(), kept, reason: "x".repeat(Revocation::MAX_REASON), at };
    assert!(full.is_bounded());
    let (_, mesh) = genesis().sign(&key(1));
    assert_eq!(Object::sign(&key(1), mesh, &full).body::<Revocation>().unwrap(), full);
    let full = Roll { certificates: (0..Roll::MAX).map(|n| ObjectId::from_bytes(id(n))).collect() };
    assert_eq!(Object::sign(&key(1), mesh, &full).body::<Roll>().unwrap(), full);
    let more = Roll { certificates: (0..=Roll::MAX).map(|n| ObjectId::from_bytes(id(n))).collect() };
    assert!(Object::sign(&key(1), mesh, &more).body::<Roll>().is_err());
}
