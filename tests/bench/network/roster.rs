//! A mesh of any size in one process: keys, certificates that everyone holds from the start, and nodes that keep their records in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sedge_fleet::{Effect, Fleet, Write};
use sedge_mesh::{Mesh, MeshConfig, Protocols, Storage, StorageError};
use sedge_statement::{
    Action, Blake3, ByteSize, CellPath, Certificate, Deployment, Downgrade, Frontier, GatePolicy, Generation, Genesis,
    HardwareRequirements, Manifest, MeshId, ModelFacts, ModelFile, ModelFormat, ModelType, NodeId, Object, OnnxFacts,
    Priority, Quantization, Release, ReleaseId, Role, SecretKey, Selector, Sha256, Timestamp, Variant,
};

/// Where nodes listen.
pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0).plus(SystemTime::UNIX_EPOCH.elapsed().expect("the clock is right"))
}

/// The key of node `n`; node 0 is the root.
pub(crate) fn key(n: usize) -> SecretKey {
    SecretKey::from_bytes(&blake3::derive_key("sedge bench network key 1", &n.to_le_bytes()))
}

/// Records of one node, kept as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Memory {
    fn begin_with(&self, all: &[(Vec<u8>, Vec<u8>)]) {
        let mut records = self.0.lock().expect("nothing panics while it holds the records");
        if records.is_empty() {
            records.extend(all.iter().cloned());
        }
    }

    fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let records = self.0.lock().expect("nothing panics while it holds the records");
        records.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Storage for Memory {
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        let mut records = self.0.lock().expect("nothing panics while it holds the records");
        for Write { key, value } in writes {
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        Ok(())
    }
}

/// Who belongs to the mesh.
#[derive(Debug)]
pub(crate) struct Roster {
    mesh: MeshId,
    genesis: Vec<u8>,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Roster {
    /// A root and `nodes - 1` devices.
    pub(crate) fn new(nodes: usize) -> Self {
        let root = key(0);
        let made = Timestamp::from_millis(now().as_millis().saturating_sub(60_000));
        let genesis = Genesis {
            name: "bench".parse().expect("a name"),
            roots: BTreeSet::from([root.node_id()]),
            threshold: 1,
            nonce: [7; 16],
            // The parts of one run are processes of their own, and must agree.
            created_at: Timestamp::from_millis(1_700_000_000_000),
        };
        let (object, mesh) = genesis.sign(&root);
        let genesis = object.to_bytes();
        let mut fleet = Fleet::open(&genesis, mesh, root.node_id(), []).expect("an empty fleet opens");
        let mut records = Vec::new();
        for n in 0..nodes {
            let object = Object::sign(&root, mesh, &certificate(n, made));
            for effect in fleet.publish(object, now()).expect("the root issued it") {
                if let Effect::Persist(writes) = effect {
                    records.extend(writes.into_iter().filter_map(|write| Some((write.key, write.value?))));
                }
            }
        }
        Self { mesh, genesis, records }
    }

    /// Starts node `n`, which holds every certificate, knows nobody's address, and has those neighbours that it is told of.
    pub(crate) async fn start(&self, n: usize, protocols: Protocols) -> Mesh {
        self.open(self.config(n).neighbours(0), n, Arc::default(), protocols).await
    }

    /// How node `n` is started unless otherwise said: on loopback, on a port of the system's choice.
    pub(crate) fn config(&self, n: usize) -> MeshConfig {
        MeshConfig::new(key(n), self.genesis.clone()).listen(loopback())
    }

    /// Starts node `n` on what it kept, and on every certificate where it kept nothing.
    pub(crate) async fn open(&self, config: MeshConfig, n: usize, storage: Arc<Memory>, protocols: Protocols) -> Mesh {
        storage.begin_with(&self.records);
        let fleet = Fleet::open(&self.genesis, self.mesh, key(n).node_id(), storage.records());
        Mesh::start(config, fleet.expect("the records are whole"), storage, protocols).await.expect("it listens")
    }
}

fn certificate(n: usize, from: Timestamp) -> Certificate {
    let roles = if n == 0 { Role::ALL.to_vec() } else { vec![Role::Device] };
    let cell = if n == 0 { CellPath::root() } else { format!("acme/plant-{}", n % 7).parse().expect("a cell") };
    Certificate {
        subject: key(n).node_id(),
        name: format!("camera-{n}").parse().expect("a name"),
        roles: roles.into_iter().collect(),
        cell,
        labels: BTreeMap::from([("site".parse().expect("a label"), "north".parse().expect("a value"))]),
        architecture: "aarch64".parse().expect("an architecture"),
        class: "orin-nano".parse().expect("a class"),
        issuer: key(0).node_id(),
        serial: n as u64 + 1,
        revision: 1,
        not_before: from,
        not_after: None,
    }
}

/// A release of one small file.
pub(crate) fn release() -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().expect("a name"),
        size: ByteSize(1 << 20),
        sha256: Sha256::of(b"bench"),
        blake3: Blake3::of(b"bench"),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "bench".into(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        parameters: 1 << 18,
        weight_bytes: ByteSize(1 << 20),
    };
    let variant = Variant {
        name: "onnx-f32".parse().expect("a name"),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    };
    let manifest = Manifest {
        id: "detector".parse().expect("a name"),
        version: "1.0.0".parse().expect("a version"),
        model_type: ModelType::Classifier,
        license: String::new(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n: 1 }, published_at: now() }
}

/// The `n`th deployment of it, to the whole mesh.
pub(crate) fn deployment(release: ReleaseId, frontier: Frontier, n: u64) -> Deployment {
    Deployment {
        command: Default::default(),
        release,
        slot: "detector".parse().expect("a slot"),
        selector: Selector::whole_mesh(),
        frontier,
        generation: Generation { epoch: 0, n: n + 1 },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: Vec::new(),
        gate: GatePolicy::default(),
        probation: Duration::from_secs(10),
        deadline: now().plus(Duration::from_secs(86_400)),
        start_by: None,
        created_at: now(),
    }
}

/// The id of node `n`.
pub(crate) fn id(n: usize) -> NodeId {
    key(n).node_id()
}
