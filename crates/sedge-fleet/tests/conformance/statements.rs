//! What the cases here are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_fleet::{Edit, Effect, PublishError};
use sedge_statement::{
    Action, Approvals, Blake3, ByteSize, Certificate, Control, ControlAction, Deployment, DocKind, Downgrade, Frontier,
    GatePolicy, Generation, HardwareRequirements, Kept, Manifest, ModelFacts, ModelFile, ModelFormat, ModelType,
    Object, OnnxFacts, Priority, Quantization, Release, ReleaseId, Revocation, Role, RolloutId, RootVersion, RootsId,
    Selector, Sha256, Timestamp, Variant,
};

use crate::support::{Net, Node, START, certificate, id, key, mesh};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A release of a model, published at a time.
pub(crate) fn release(model: &str, at: Timestamp) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().unwrap(),
        size: ByteSize(7),
        sha256: Sha256::of(model.as_bytes()),
        blake3: Blake3::of(model.as_bytes()),
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
    Release { manifest, generation: Generation { epoch: 0, n: 1 }, published_at: at }
}

/// A deployment in the cell of everybody here, made at a time.
pub(crate) fn deployment(release: ReleaseId, generation: Generation, at: Timestamp) -> Deployment {
    let selector: Selector = "cell=acme/**".parse().unwrap();
    Deployment {
        command: Default::default(),
        release,
        slot: "detector".parse().unwrap(),
        selector,
        frontier: Frontier::default(),
        generation,
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![],
        gate: GatePolicy::default(),
        probation: Duration::from_secs(10),
        deadline: at.plus(30 * DAY),
        start_by: None,
        created_at: at,
    }
}

pub(crate) fn first(n: u64) -> Generation {
    Generation { epoch: 0, n }
}

pub(crate) fn control(rollout: RolloutId, action: ControlAction, count: u32, at: Timestamp) -> Edit {
    Edit::PutControl(Control { rollout, action, count, reason: String::new(), at })
}

/// A certificate by the root for node `n`, changed.
pub(crate) fn certified(n: u8, roles: &[Role], change: impl FnOnce(&mut Certificate)) -> Object {
    let mut body: Certificate = certificate(n, roles).body().unwrap();
    change(&mut body);
    Object::sign(&key(0), mesh(), &body)
}

/// A certificate that node `by` issues.
pub(crate) fn issued(
    by: u8,
    subject: u8,
    serial: u64,
    roles: &[Role],
    change: impl FnOnce(&mut Certificate),
) -> Object {
    let mut body: Certificate = certificate(subject, roles).body().unwrap();
    (body.issuer, body.serial) = (id(by), serial);
    change(&mut body);
    Object::sign(&key(by), mesh(), &body)
}

/// Takes back all that a node says.
pub(crate) fn revoked(by: u8, subject: u8) -> Object {
    let revocation = Revocation { subject: id(subject), kept: Kept::default(), reason: "stolen".into(), at: START };
    Object::sign(&key(by), mesh(), &revocation)
}

/// A version of the roots.
pub(crate) fn version(n: u32, previous: RootsId, roots: &[u8], threshold: u8, leaving: &[u8]) -> RootVersion {
    RootVersion {
        version: n,
        previous,
        roots: roots.iter().map(|n| id(*n)).collect(),
        threshold,
        approvals: Approvals::default(),
        leaving: leaving.iter().map(|n| (id(*n), Kept::default())).collect(),
        at: START,
    }
}

pub(crate) fn signed(by: u8, version: &RootVersion) -> Object {
    Object::sign(&key(by), mesh(), version)
}

/// The root and three members that may publish and deploy, all connected.
pub(crate) fn four() -> Net {
    let mut net = Net::new((0..4).map(Node::member));
    for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        net.connect(a, b);
    }
    net.run(8);
    net
}

/// As [`four`], where 0, 1 and 2 are the roots and two of them must agree.
pub(crate) fn three_roots() -> (Net, RootsId) {
    let mut net = four();
    let first = version(1, mesh().into(), &[0, 1, 2], 2, &[]);
    for by in [0, 1] {
        say(&mut net, by, signed(by, &first));
    }
    net.run(8);
    assert_eq!(net.node(3).view().roots.id, first.id());
    (net, first.id())
}

/// A node tells an object to everybody.
pub(crate) fn say(net: &mut Net, by: u8, object: Object) {
    tried(net, by, object).unwrap();
}

/// As [`say`], where the node may refuse it.
pub(crate) fn tried(net: &mut Net, by: u8, object: Object) -> Result<(), PublishError> {
    let effects: Vec<Effect> = net.node(by).fleet.publish(object, START)?;
    net.node(by).keep(&effects);
    net.carry(by, effects);
    net.settle();
    Ok(())
}

/// A member writes into its `authority` document.
pub(crate) fn writes(net: &mut Net, by: u8, edits: &[Edit]) {
    net.write(by, DocKind::Authority, edits);
    net.settle();
}
