//! A busy life of one node, as its store sees it: everything that an agent ever keeps, by the code that keeps it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sedge_fleet::{Edit, Effect, Event, Fleet, Write};
use sedge_mesh::Storage;
use sedge_slot::{Effect as SlotEffect, Event as SlotEvent, Floor, Go, Offer, Outcome, SlotMachine};
use sedge_statement::{
    Action, Approvals, Blake3, ByteSize, CellPath, Certificate, Control, ControlAction, Deployment, DocKind, Downgrade,
    Frontier, GatePolicy, GateReport, Generation, Genesis, HardwareRequirements, Manifest, MeshId, ModelFacts,
    ModelFile, ModelFormat, ModelType, NodeId, Object, ObjectBody, ObjectKind, OnnxFacts, Priority, Quantization,
    Release, Revocation, Role, RootVersion, RootsId, SecretKey, Selector, Sha256, SlotReport, SlotState, TicketSecret,
    Timestamp, Variant,
};

use serde::{Deserialize, Serialize};

use super::{Kind, Store};
use crate::enroll::{GENESIS, MESH};
use crate::tickets::{self, Grant};

pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The root.
const ROOT: u8 = 0;
/// The node whose life this is.
pub(super) const ME: u8 = 1;
/// A member that hears all that it says.
pub(super) const NEIGHBOUR: u8 = 2;
/// An authority that is revoked.
const STOLEN: u8 = 3;
/// A device that was restored from a copy, and said two things.
const CLONED: u8 = 4;
/// A device that talks a lot.
const BUSY: u8 = 5;

pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n + 1; 32])
}

pub(super) fn id(n: u8) -> NodeId {
    key(n).node_id()
}

pub(super) fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

pub(super) fn genesis() -> (Vec<u8>, MeshId) {
    let genesis = Genesis {
        name: "acme".parse().unwrap(),
        roots: BTreeSet::from([id(ROOT)]),
        threshold: 1,
        nonce: [7; 16],
        created_at: START,
    };
    let (object, mesh) = genesis.sign(&key(ROOT));
    (object.to_bytes(), mesh)
}

/// A statement of a later version: of a kind that nobody here knows.
#[derive(Debug, Serialize, Deserialize)]
struct Later(String);

impl ObjectBody for Later {
    const KIND: ObjectKind = ObjectKind(900);
    const MAX_BYTES: usize = 1 << 10;
}

/// A certificate by the root.
fn certificate(n: u8, serial: u64, revision: u32, roles: &[Role]) -> Object {
    let certificate = Certificate {
        subject: id(n),
        name: format!("node-{n}").parse().unwrap(),
        roles: roles.iter().copied().collect(),
        cell: CellPath::root(),
        labels: BTreeMap::new(),
        architecture: "x86_64".parse().unwrap(),
        class: "x86-server".parse().unwrap(),
        issuer: id(ROOT),
        serial,
        revision,
        not_before: START,
        not_after: None,
    };
    Object::sign(&key(ROOT), genesis().1, &certificate)
}

const OPERATOR: [Role; 3] = [Role::Device, Role::Release, Role::Deploy];

fn certificates() -> Vec<Object> {
    vec![
        certificate(ROOT, 1, 1, &Role::ALL),
        certificate(ME, 2, 1, &OPERATOR),
        certificate(NEIGHBOUR, 3, 1, &OPERATOR),
        certificate(STOLEN, 4, 1, &OPERATOR),
        certificate(CLONED, 5, 1, &[Role::Device]),
        certificate(BUSY, 6, 1, &[Role::Device]),
    ]
}

fn release(n: u64) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().unwrap(),
        size: ByteSize(7),
        sha256: Sha256::of(&n.to_le_bytes()),
        blake3: Blake3::of(&n.to_le_bytes()),
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
        version: format!("{n}.0.0").parse().unwrap(),
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n }, published_at: at(n) }
}

fn deployment(n: u64) -> Deployment {
    Deployment {
        command: Default::default(),
        release: release(n).id(),
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

fn control(action: ControlAction, count: u32) -> Edit {
    let rollout = deployment(1).id();
    Edit::PutControl(Control { rollout, action, count, reason: "night shift".into(), at: at(10) })
}

fn slot(name: &str, since: u64) -> Edit {
    Edit::PutSlot(SlotReport {
        slot: name.parse().unwrap(),
        rollout: None,
        state: SlotState::Committed,
        reason: None,
        since: Timestamp::from_millis(since),
        serving: None,
        sha256: None,
    })
}

/// A fleet with its records in memory.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) fleet: Fleet,
    pub(super) records: Records,
}

impl Peer {
    pub(super) fn open(n: u8, records: Records) -> Self {
        let (genesis, mesh) = genesis();
        let fleet = Fleet::open(&genesis, mesh, id(n), records.clone()).unwrap();
        Self { fleet, records }
    }

    /// One that holds every certificate.
    fn new(n: u8) -> Self {
        let mut peer = Self::open(n, Records::new());
        for certificate in certificates() {
            let effects = peer.fleet.publish(certificate, START).unwrap();
            peer.keep(&effects);
        }
        peer
    }

    /// Keeps what is to be kept, and gives the frames for one node.
    pub(super) fn keep(&mut self, effects: &[Effect]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for effect in effects {
            match effect {
                Effect::Persist(writes) => apply(&mut self.records, writes),
                Effect::Send { frame, .. } => frames.push(frame.clone()),
                _ => {}
            }
        }
        frames
    }

    fn write(&mut self, n: u8, kind: DocKind, seconds: u64, edits: &[Edit]) -> Vec<Vec<u8>> {
        let effects = self.fleet.write(&key(n), kind, at(seconds), edits).unwrap();
        self.keep(&effects)
    }
}

fn apply(records: &mut Records, writes: &[Write]) {
    for Write { key, value } in writes {
        match value {
            Some(value) => records.insert(key.clone(), value.clone()),
            None => records.remove(key),
        };
    }
}

/// The life, told up to now. `kept` is called whenever the store has acknowledged something and all that follows from it has been heard.
pub(super) struct Life<'a> {
    pub(super) store: &'a Store,
    pub(super) fleet: Fleet,
    pub(super) peers: BTreeMap<u8, Peer>,
    kept: &'a mut dyn FnMut(&Store, &Peer),
}

/// Lives it from the beginning to the end.
pub(super) fn live<'a>(store: &'a Store, kept: &'a mut dyn FnMut(&Store, &Peer)) {
    let (genesis, mesh) = genesis();
    store.set_meta(&[(MESH, mesh.as_bytes()), (GENESIS, &genesis)]).unwrap();
    let fleet = Fleet::open(&genesis, mesh, id(ME), []).unwrap();
    let peers = BTreeMap::from([(NEIGHBOUR, Peer::new(NEIGHBOUR))]);
    let mut life = Life { store, fleet, peers, kept };
    life.acknowledged();
    life.enrols();
    life.publishes();
    life.serves();
    life.hears_others();
    life.sees_trust_change();
    life.serves_again();
}

impl Life<'_> {
    fn acknowledged(&mut self) {
        (self.kept)(self.store, &self.peers[&NEIGHBOUR]);
    }

    /// As the mesh's actor does: one commit, then the frames.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        let (mut writes, mut sends) = (Vec::new(), VecDeque::new());
        for effect in effects {
            match effect {
                Effect::Persist(more) => writes.extend(more),
                Effect::Send { peer, frame } => sends.push_back((peer, frame)),
                _ => {}
            }
        }
        if !writes.is_empty() {
            self.store.commit(&writes).unwrap();
            self.acknowledged();
        }
        for (to, frame) in sends {
            let Some((n, peer)) = self.peers.iter_mut().find(|(n, _)| id(**n) == to) else { continue };
            let n = *n;
            let effects = peer.fleet.handle(Event::Received { peer: id(ME), frame }, at(20));
            let answers = peer.keep(&effects);
            self.hear(n, answers);
        }
        if !writes.is_empty() {
            self.acknowledged();
        }
    }

    /// Frames that come together share a commit.
    fn hear(&mut self, from: u8, frames: Vec<Vec<u8>>) {
        let heard =
            frames.into_iter().flat_map(|frame| self.fleet.handle(Event::Received { peer: id(from), frame }, at(20)));
        let effects: Vec<Effect> = heard.collect();
        if !effects.is_empty() {
            self.carry_out(effects);
        }
    }

    /// Connects one that is not connected yet.
    fn meet(&mut self, n: u8, peer: Peer) {
        self.peers.insert(n, peer);
        let peer = self.peers.get_mut(&n).unwrap();
        let effects = peer.fleet.handle(Event::Connected { peer: id(ME) }, at(20));
        let hello = peer.keep(&effects);
        let effects = self.fleet.handle(Event::Connected { peer: id(n) }, at(20));
        self.carry_out(effects);
        self.hear(n, hello);
    }

    fn write(&mut self, kind: DocKind, edits: &[Edit]) {
        let effects = self.fleet.write(&key(ME), kind, at(20), edits).unwrap();
        self.carry_out(effects);
    }

    fn publish(&mut self, object: Object) {
        let effects = self.fleet.publish(object, at(20)).unwrap();
        self.carry_out(effects);
    }

    fn put(&mut self, kind: Kind, key: &[u8], value: &[u8]) {
        self.store.put(kind, key, Some(value)).unwrap();
        self.acknowledged();
    }

    fn enrols(&mut self) {
        for certificate in certificates() {
            tickets::note_issued(self.store, &certificate.to_bytes()).unwrap();
            self.acknowledged();
            self.publish(certificate);
        }
        let secret = TicketSecret::from_bytes([9; 16]);
        let grant = Grant {
            cell: CellPath::root(),
            roles: BTreeSet::from([Role::Device]),
            labels: BTreeMap::new(),
            uses: 2,
            expires: at(1000),
            issued: BTreeMap::new(),
        };
        tickets::keep(self.store, &secret, &grant).unwrap();
        self.acknowledged();
        for n in [7, 8] {
            let made = tickets::redeem(self.store, &secret, id(n), at(20), |_| vec![n; 300]).unwrap();
            assert_eq!(made, Ok(vec![n; 300]));
            self.acknowledged();
        }
        self.put(Kind::Peer, id(NEIGHBOUR).as_bytes(), b"203.0.113.7:4433");
    }

    fn publishes(&mut self) {
        let neighbour = self.peers.remove(&NEIGHBOUR).unwrap();
        self.meet(NEIGHBOUR, neighbour);
        for n in [1, 2] {
            self.write(DocKind::Authority, &[Edit::PutRelease(release(n))]);
            self.put(Kind::Release, release(n).id().as_bytes(), &release(n).to_bytes());
            self.write(DocKind::Authority, &[Edit::PutDeployment(deployment(n))]);
        }
        self.write(DocKind::Authority, &[control(ControlAction::Pause, 1)]);
        self.write(DocKind::Authority, &[control(ControlAction::Resume, 2)]);
        let drafts = vec![(Kind::Draft, b"a:1".to_vec(), vec![1; 50]), (Kind::Command, b"c".to_vec(), vec![2; 50])];
        self.store.put_all(drafts).unwrap();
        self.acknowledged();
        self.store.put(Kind::Draft, b"a:1", None).unwrap();
        self.acknowledged();
    }

    /// Each record is a commit of its own.
    fn keep_slot(&mut self, machine: &SlotMachine, effects: &[SlotEffect]) {
        for effect in effects {
            if self.store.keep_slot(&machine.journal().slot, std::slice::from_ref(effect)).unwrap() > 0 {
                self.acknowledged();
            }
        }
    }

    /// An update of the slot from its offer to its end, each record synced before what follows it.
    fn update(&mut self, machine: &mut SlotMachine, n: u64) {
        let offer = Offer::new(&deployment(n), &release(n), &release(n).manifest.variants[0]);
        let rollout = offer.rollout;
        let mut events = VecDeque::from([SlotEvent::Offered { offer: Box::new(offer), go: Go::Now }]);
        let finished = |outcome| SlotEvent::Finished { rollout, outcome };
        let mut seconds = 100 * n;
        loop {
            let event = events.pop_front().unwrap_or(SlotEvent::Tick);
            let ended = machine.state() == Some(SlotState::Committed) && event == SlotEvent::Tick;
            if ended {
                return;
            }
            seconds += 1;
            let effects = machine.handle(event, at(seconds));
            self.keep_slot(machine, &effects);
            for effect in effects {
                match effect {
                    SlotEffect::CheckFit(_) => events.push_back(finished(Outcome::Fit(Ok(())))),
                    SlotEffect::Fetch(_) => events.push_back(finished(Outcome::Fetched(Ok(())))),
                    SlotEffect::Verify(_) => events.push_back(finished(Outcome::Verified(Ok(())))),
                    SlotEffect::Test(_) => events.push_back(finished(Outcome::Tested(Ok(())))),
                    SlotEffect::Activate { .. } => events.push_back(finished(Outcome::Activated(Ok(())))),
                    SlotEffect::Report(report) => self.write(DocKind::Node, &[Edit::PutSlot(report)]),
                    SlotEffect::Gate(report) => self.write(DocKind::Gate, &[Edit::PutGate(report)]),
                    _ => {}
                }
            }
        }
    }

    fn serves(&mut self) {
        let mut machine = SlotMachine::new("digits".parse().unwrap(), Floor::default());
        self.update(&mut machine, 1);
        self.write(DocKind::Node, &[Edit::PutArtifact { blake3: Blake3::of(&[1]), size: 7 }]);
    }

    fn serves_again(&mut self) {
        let journal = self.store.get(Kind::Journal, b"digits").unwrap().unwrap();
        let mut machine = SlotMachine::open(&journal).unwrap();
        let effects = machine.handle(SlotEvent::Restarted, at(190));
        self.keep_slot(&machine, &effects);
        self.update(&mut machine, 2);
    }

    /// Others' documents: one that is replaced by its next epoch, and one of which two histories exist.
    fn hears_others(&mut self) {
        self.meet(BUSY, Peer::new(BUSY));
        let mut said = Vec::new();
        for n in 0..260 {
            said.extend(self.peers.get_mut(&BUSY).unwrap().write(BUSY, DocKind::Node, 20, &[slot("camera", n)]));
        }
        // Most of an epoch at once, then its end, then the next one, which removes it.
        let rest = said.split_off(250);
        self.hear(BUSY, said);
        for frame in rest {
            self.hear(BUSY, vec![frame]);
        }
        self.meet(CLONED, Peer::new(CLONED));
        let cloned = self.peers.get_mut(&CLONED).unwrap();
        let first = cloned.write(CLONED, DocKind::Node, 20, &[slot("camera", 1)]);
        let mut copy = Peer::open(CLONED, cloned.records.clone());
        let second: Vec<_> =
            (2..5).flat_map(|n| cloned.write(CLONED, DocKind::Node, 20, &[slot("camera", n)])).collect();
        let effects = copy.fleet.handle(Event::Connected { peer: id(ME) }, at(20));
        copy.keep(&effects);
        let hello = self.fleet.handle(Event::Connected { peer: id(CLONED) }, at(20));
        let hello = hello.into_iter().find_map(|effect| match effect {
            Effect::Send { frame, .. } => Some(frame),
            _ => None,
        });
        let effects = copy.fleet.handle(Event::Received { peer: id(ME), frame: hello.unwrap() }, at(20));
        let greeting = copy.keep(&effects);
        self.hear(CLONED, greeting);
        let other = copy.write(CLONED, DocKind::Node, 20, &[slot("camera", 9)]);
        self.hear(CLONED, first);
        self.hear(CLONED, second);
        self.hear(CLONED, other);
    }

    /// A stolen authority's word is taken back, and the roots change.
    fn sees_trust_change(&mut self) {
        self.meet(STOLEN, Peer::new(STOLEN));
        for count in 1..4 {
            let stolen = self.peers.get_mut(&STOLEN).unwrap();
            let edits = [control(ControlAction::Pause, 10 + count)];
            let said = stolen.write(STOLEN, DocKind::Authority, 20 + u64::from(count), &edits);
            self.hear(STOLEN, said);
        }
        let mesh = genesis().1;
        let kept = self.fleet.kept_of(id(STOLEN), at(22), None).unwrap().kept;
        let revocation = Revocation { subject: id(STOLEN), kept, reason: "stolen".into(), at: at(30) };
        self.publish(Object::sign(&key(ROOT), mesh, &revocation));
        let version = RootVersion {
            version: 1,
            previous: RootsId::from(mesh),
            roots: BTreeSet::from([id(ROOT), id(NEIGHBOUR)]),
            threshold: 2,
            approvals: Approvals::default(),
            leaving: BTreeMap::new(),
            at: at(31),
        };
        for n in [ROOT, NEIGHBOUR] {
            self.publish(Object::sign(&key(n), mesh, &version));
        }
        self.publish(Object::sign(&key(ROOT), mesh, &Later("what comes".into())));
        self.publish(certificate(BUSY, 7, 2, &[Role::Device, Role::Observe]));
        let report = GateReport {
            rollout: deployment(2).id(),
            state: SlotState::Failed,
            reason: Some("drops frames".into()),
            sha256: None,
            soaked: Duration::ZERO,
            at: at(40),
        };
        self.write(DocKind::Gate, &[Edit::PutGate(report)]);
    }
}
