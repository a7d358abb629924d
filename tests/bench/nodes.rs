//! A made-up mesh for benches: a root that publishes, and nodes whose documents say what a node's say after some weeks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::testing::StoredLink;
use sedge_fleet::{Edit, Effect, Fleet, Write, testing};
use sedge_statement::{
    Accelerator, Blake3, ByteSize, CellPath, Certificate, DocKind, Genesis, MemoryPool, MeshId, NodeId, Object,
    Profile, ReleaseId, Role, RolloutId, RuntimeFact, SecretKey, Sha256, SlotReport, SlotState, Timestamp,
};

/// When everything happens.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// How many different files the mesh's nodes hold between them.
const FILES: u64 = 64;

/// The key of node `n`; zero is the root.
pub(crate) fn key(n: u32) -> SecretKey {
    SecretKey::from_bytes(&blake3::derive_key("sedge bench key 1", &n.to_le_bytes()))
}

pub(crate) fn id(n: u32) -> NodeId {
    key(n).node_id()
}

/// The genesis object's bytes, and the mesh.
pub(crate) fn genesis() -> (Vec<u8>, MeshId) {
    let genesis = Genesis {
        name: "bench".parse().expect("a name"),
        roots: BTreeSet::from([id(0)]),
        threshold: 1,
        nonce: [7; 16],
        created_at: START,
    };
    let (object, mesh) = genesis.sign(&key(0));
    (object.to_bytes(), mesh)
}

/// The certificate of node `n` of a cell, by the root, which is in the root cell.
pub(crate) fn certificate(n: u32, cell: &CellPath, mesh: MeshId) -> Object {
    let roles = if n == 0 { Role::ALL.to_vec() } else { vec![Role::Device] };
    let certificate = Certificate {
        subject: id(n),
        name: format!("camera-{n}").parse().expect("a name"),
        roles: roles.into_iter().collect(),
        cell: if n == 0 { CellPath::root() } else { cell.clone() },
        labels: BTreeMap::from([("site".parse().expect("a label"), "north".parse().expect("a value"))]),
        architecture: "aarch64".parse().expect("an architecture"),
        class: "orin-nano".parse().expect("a class"),
        issuer: id(0),
        serial: u64::from(n) + 1,
        revision: 1,
        not_before: START,
        not_after: None,
    };
    Object::sign(&key(0), mesh, &certificate)
}

/// One node that writes.
pub(crate) struct Author {
    n: u32,
    fleet: Fleet,
    /// Everything that it persisted, in order.
    pub(crate) writes: Vec<Write>,
}

impl Author {
    pub(crate) fn new(n: u32, cell: &CellPath) -> Self {
        let (genesis, mesh) = genesis();
        let fleet = Fleet::open(&genesis, mesh, id(n), []).expect("an empty fleet opens");
        let mut author = Self { n, fleet, writes: Vec::new() };
        for subject in if n == 0 { vec![0] } else { vec![0, n] } {
            let effects = author.fleet.publish(certificate(subject, cell, mesh), START).expect("the root issued it");
            author.keep(effects);
        }
        author
    }

    pub(crate) fn write(&mut self, kind: DocKind, edits: &[Edit]) {
        let effects = self.fleet.write(&key(self.n), kind, START, edits).expect("honest edits");
        assert!(!effects.is_empty(), "every link says something new");
        self.keep(effects);
    }

    /// Writes the node's document up to `links` links.
    pub(crate) fn live(&mut self, links: u32) {
        self.go_on(0, links);
    }

    /// Writes the node's document from one link on up to another.
    pub(crate) fn go_on(&mut self, from: u32, to: u32) {
        (from..to).for_each(|link| self.write(DocKind::Node, &edits(self.n, link)));
    }

    /// The links of its documents with their heads, in order.
    pub(crate) fn links(&self) -> Vec<StoredLink> {
        self.writes.iter().filter_map(testing::stored_link).collect()
    }

    fn keep(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Persist(writes) = effect {
                self.writes.extend(writes);
            }
        }
    }
}

/// What node `n` says in its link `link`: its machine, then a dozen files, then its two slots from update to update.
fn edits(n: u32, link: u32) -> Vec<Edit> {
    const STATES: [SlotState; 6] = [
        SlotState::Accepted,
        SlotState::Fetching,
        SlotState::Verifying,
        SlotState::Testing,
        SlotState::Probation,
        SlotState::Committed,
    ];
    match link {
        0 => vec![Edit::PutProfile(profile(n))],
        1..=3 => (0..4).map(|i| artifact(u64::from(n) * 5 + u64::from(link) * 4 + i)).collect(),
        _ => {
            let (slot, step) =
                if link.is_multiple_of(2) { ("detector", link / 2) } else { ("assistant", link / 2 + 1) };
            let state = STATES[step as usize % STATES.len()];
            let update = u64::from(step) / STATES.len() as u64;
            let done = (state == SlotState::Committed).then(|| Sha256::of(&update.to_le_bytes()));
            vec![Edit::PutSlot(SlotReport {
                slot: slot.parse().expect("a slot"),
                rollout: Some(RolloutId::from_bytes(*Blake3::of(&update.to_le_bytes()).as_bytes())),
                state,
                reason: (state == SlotState::Fetching).then(|| "three of five files held".to_owned()),
                since: START.plus(Duration::from_secs(u64::from(link))),
                serving: done.map(|digest| ReleaseId::from_bytes(*digest.as_bytes())),
                sha256: done,
            })]
        }
    }
}

fn artifact(n: u64) -> Edit {
    let n = n % FILES;
    Edit::PutArtifact { blake3: Blake3::of(&n.to_le_bytes()), size: (1 << 20) + n }
}

fn profile(n: u32) -> Profile {
    Profile {
        architecture: "aarch64".parse().expect("an architecture"),
        os: "Linux 5.15.148-tegra #1 SMP PREEMPT".into(),
        cpu: "Cortex-A78AE".into(),
        cores: 6 + n % 3,
        memory: vec![MemoryPool { name: "system".into(), total: ByteSize(8 << 30), allocatable: ByteSize(6 << 30) }],
        accelerators: vec![Accelerator { name: "Orin".into(), pool: "system".into() }],
        disk: ByteSize(256 << 30),
        runtimes: vec![
            RuntimeFact { backend: "tract".into(), version: "0.23.9".into(), providers: vec!["cpu".into()] },
            RuntimeFact {
                backend: "onnxruntime".into(),
                version: "1.23.0".into(),
                providers: vec!["tensorrt".into(), "cuda".into(), "cpu".into()],
            },
        ],
    }
}
