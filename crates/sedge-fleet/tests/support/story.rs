//! A mesh in which a little of everything that the audit trail tells has happened, as one of its nodes holds it.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_fleet::testing::{Key, Op};
use sedge_fleet::{Edit, Event};
use sedge_statement::{
    Action, Approval, Approved, Blake3, ByteSize, Control, ControlAction, Deployment, DocKind, Downgrade, Frontier,
    GatePolicy, GateReport, Generation, HardwareRequirements, Manifest, ModelFacts, ModelFile, ModelFormat, ModelType,
    Object, OnnxFacts, Priority, Quantization, Release, Revocation, Role, Selector, Sha256, SlotState, Timestamp,
    Variant,
};

use super::author::{Author, listener, say};
use super::{Node, START, certificate, id, key, mesh};

/// So many seconds after the start.
pub(crate) fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

pub(crate) fn release(version: &str, n: u64) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().unwrap(),
        size: ByteSize(7),
        sha256: Sha256::of(b"weights"),
        blake3: Blake3::of(b"weights"),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::new(),
        producer: String::new(),
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
        id: "digits".parse().unwrap(),
        version: version.parse().unwrap(),
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n }, published_at: at(n) }
}

pub(crate) fn deployment(of: &Release, n: u64) -> Deployment {
    Deployment {
        command: Default::default(),
        release: of.id(),
        slot: "digits".parse().unwrap(),
        selector: Selector::whole_mesh(),
        frontier: Frontier::default(),
        generation: Generation { epoch: 0, n },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![],
        gate: GatePolicy::default(),
        probation: Duration::from_secs(1),
        deadline: at(90_000),
        start_by: None,
        created_at: at(n + 1),
    }
}

/// The rollout that the story is about.
pub(crate) fn the_deployment() -> Deployment {
    let mut deployment = deployment(&release("1.0.0", 1), 1);
    // For the cell that everybody stands in: the authors' certificates go no further.
    deployment.selector = "cell=acme/**".parse().unwrap();
    deployment
}

pub(crate) fn control(action: ControlAction, count: u32, seconds: u64) -> Control {
    let rollout = the_deployment().id();
    Control { rollout, action, count, reason: format!("number {count}"), at: at(seconds) }
}

fn evidence(state: SlotState, seconds: u64) -> Edit {
    let rollout = the_deployment().id();
    Edit::PutGate(GateReport { rollout, state, reason: None, sha256: None, soaked: Duration::ZERO, at: at(seconds) })
}

/// The operations of a link that holds one control, made by hand.
pub(crate) fn control_ops(map: u64, control: &Control) -> Vec<Op> {
    let bytes = control.to_bytes();
    let name = format!("{}/{}", control.rollout, control.count);
    vec![Op { object: map, key: Key::Name(name), value: ((bytes.len() as u64) << 4 | 7, bytes), ..Op::put("x", "") }]
}

/// Takes back what node 2 says, but what it had said by the sixth second.
pub(crate) fn revocation(node: &Node) -> Object {
    let kept = node.fleet.kept_of(id(2), at(6), None).unwrap().kept;
    let revocation = Revocation { subject: id(2), kept, reason: "stolen".into(), at: at(20) };
    Object::sign(&key(0), mesh(), &revocation)
}

/// An authority as it wrote before it said anything to anybody.
fn wrote(n: u8, kind: DocKind, links: &[(u64, Edit)]) -> Vec<Vec<u8>> {
    let mut node = Node::member(n);
    let peer = id(1);
    node.handle(Event::Connected { peer }, START);
    let hello = sedge_fleet::testing::hello_frame(mesh(), &[certificate(1, &[Role::Device])]);
    node.handle(Event::Received { peer, frame: hello }, START);
    let effects = links.iter().flat_map(|(seconds, edit)| node.write(kind, at(*seconds), std::slice::from_ref(edit)));
    let sent = effects.filter_map(|effect| match effect {
        sedge_fleet::Effect::Send { frame, .. } => Some(frame),
        _ => None,
    });
    sent.collect()
}

/// What node 1 holds once all has come to it: a release and its deployment by node 3, which node 2 pauses, resumes and, once it is stolen,
/// halts; what became of it on a device; and two histories by node 9.
pub(crate) fn story() -> Node {
    let mut node = listener(1);
    for n in [2, 3] {
        node.publish(certificate(n, &[Role::Device, Role::Release, Role::Deploy]));
    }
    let published = [(1, Edit::PutRelease(release("1.0.0", 1))), (2, Edit::PutDeployment(the_deployment()))];
    let steered = [
        (5, Edit::PutControl(control(ControlAction::Pause, 1, 5))),
        (6, Edit::PutControl(control(ControlAction::Resume, 2, 6))),
        (7, Edit::PutControl(control(ControlAction::Halt, 3, 7))),
    ];
    let approved = [(3, Edit::PutApproval(Approval { of: Approved::Rollout(the_deployment().id()), at: at(3) }))];
    let reported = [(8, evidence(SlotState::Committed, 8)), (9, evidence(SlotState::Failed, 9))];
    let all = [
        wrote(3, DocKind::Authority, &published),
        wrote(2, DocKind::Authority, &steered),
        wrote(8, DocKind::Authority, &approved),
        wrote(3, DocKind::Gate, &reported),
    ];
    for frame in all.into_iter().flatten() {
        node.handle(Event::Received { peer: id(8), frame }, START);
    }
    fork(&mut node);
    let revocation = revocation(&node);
    node.publish(revocation);
    node
}

/// Node 9 says something, and then one thing to some and another to others.
fn fork(node: &mut Node) {
    let mut one = Author::new(DocKind::Authority, 0);
    let mut ops = vec![Op::make("controls", 0)];
    ops.extend(control_ops(1, &control(ControlAction::Pause, 7, 10)));
    one.link(&ops);
    let mut other = one.clone();
    one.link(&control_ops(1, &control(ControlAction::Cancel, 8, 11)));
    other.link(&control_ops(1, &control(ControlAction::Halt, 8, 11)));
    // One signature covers both links, so the first cannot be proven without the second.
    say(node, [one.page(1, 2), other.page(2, 2)]);
}
