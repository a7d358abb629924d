//! A mesh of a few nodes in one process, and waiting with a deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use iroh::endpoint::{Connection, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use sedge_fleet::{Edit, Effect, Fleet, FleetView, Write};
use sedge_mesh::{Mesh, MeshConfig, PeerAddr, Protocols, Storage, StorageError};
use sedge_statement::{
    ByteSize, CellPath, Certificate, DocKind, Genesis, MeshId, NodeId, Object, Profile, Role, SecretKey, Timestamp,
};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine, shorter than anybody's patience.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0).plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never came to pass: {what}"));
}

/// Records in memory, which outlive a mesh as a disk would.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    records: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    full: AtomicBool,
}

impl Memory {
    pub(crate) fn records(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn fill_up(&self) {
        self.full.store(true, Ordering::SeqCst);
    }
}

impl Storage for Memory {
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StorageError("the disk is full".into()));
        }
        let mut records = self.records.lock().unwrap();
        for write in writes {
            match &write.value {
                Some(value) => records.insert(write.key.clone(), value.clone()),
                None => records.remove(&write.key),
            };
        }
        Ok(())
    }
}

/// The root of a mesh, and what it issues.
pub(crate) struct Root {
    pub(crate) key: SecretKey,
    pub(crate) mesh: MeshId,
    pub(crate) genesis: Vec<u8>,
    pub(crate) certificate: Object,
    serial: AtomicU64,
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

impl Root {
    pub(crate) fn new(seed: u8) -> Self {
        let key = key(seed);
        let genesis = Genesis {
            name: "test".parse().unwrap(),
            roots: BTreeSet::from([key.node_id()]),
            threshold: 1,
            nonce: [seed; 16],
            created_at: now(),
        };
        let (object, mesh) = genesis.sign(&key);
        let own = certificate(&key, 1, key.node_id(), "root", &Role::ALL);
        let certificate = Object::sign(&key, mesh, &own);
        Self { mesh, genesis: object.to_bytes(), certificate, serial: AtomicU64::new(2), key }
    }

    /// Issues the certificate of a device.
    pub(crate) fn certify(&self, subject: NodeId, name: &str) -> Object {
        self.certify_in(CellPath::root(), subject, name)
    }

    fn certify_in(&self, cell: CellPath, subject: NodeId, name: &str) -> Object {
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        let certificate = certificate(&self.key, serial, subject, name, &[Role::Device]);
        Object::sign(&self.key, self.mesh, &Certificate { cell, ..certificate })
    }

    /// The certificates of a whole mesh: the root's, and those of devices by seed in this cell.
    pub(crate) fn certify_all(&self, devices: impl IntoIterator<Item = (u8, &'static str)>) -> Vec<(NodeId, Object)> {
        let device = |(seed, cell): (u8, &str)| {
            let id = key(seed).node_id();
            (id, self.certify_in(cell.parse().unwrap(), id, &format!("n{seed}")))
        };
        let root = (self.key.node_id(), self.certificate.clone());
        std::iter::once(root).chain(devices.into_iter().map(device)).collect()
    }

    /// Starts a member that holds all these certificates and is otherwise as `configure` has it, on what `storage` kept.
    pub(crate) async fn open(
        &self,
        seed: u8,
        everyone: &[(NodeId, Object)],
        storage: Arc<Memory>,
        configure: impl FnOnce(MeshConfig) -> MeshConfig,
    ) -> Node {
        let key = key(seed);
        let others = everyone.iter().filter(|(id, _)| *id != key.node_id());
        let own = everyone.iter().filter(|(id, _)| *id == key.node_id());
        let certificates: Vec<Object> = match storage.records().is_empty() {
            true => others.chain(own).map(|(_, object)| object.clone()).collect(),
            false => Vec::new(),
        };
        let fleet = self.fleet(&storage, key.node_id(), &certificates);
        let config = configure(MeshConfig::new(key.clone(), self.genesis.clone()));
        let config = if config.listen.is_empty() { config.listen(loopback()) } else { config };
        let mesh = Mesh::start(config, fleet, storage.clone(), Protocols::new()).await.unwrap();
        Node { key, mesh, storage }
    }

    /// A fleet over `storage`, which has certificates from outside the network: its own comes last.
    pub(crate) fn fleet(&self, storage: &Memory, me: NodeId, certificates: &[Object]) -> Fleet {
        let mut fleet = Fleet::open(&self.genesis, self.mesh, me, storage.records()).unwrap();
        for object in certificates {
            for effect in fleet.publish(object.clone(), now()).unwrap() {
                if let Effect::Persist(writes) = effect {
                    storage.commit(&writes).unwrap();
                }
            }
        }
        fleet
    }

    /// Starts a member: the root itself, or a device with a certificate made by hand.
    pub(crate) async fn start(&self, seed: u8, peers: &[PeerAddr]) -> Node {
        self.start_with(seed, peers, Protocols::new()).await
    }

    pub(crate) async fn start_with(&self, seed: u8, peers: &[PeerAddr], protocols: Protocols) -> Node {
        let key = key(seed);
        let mut certificates = vec![self.certificate.clone()];
        if key.node_id() != self.key.node_id() {
            certificates.push(self.certify(key.node_id(), &format!("n{seed}")));
        }
        let storage = Arc::new(Memory::default());
        let fleet = self.fleet(&storage, key.node_id(), &certificates);
        self.resume(key, fleet, storage, loopback(), peers, protocols).await
    }

    pub(crate) async fn resume(
        &self,
        key: SecretKey,
        fleet: Fleet,
        storage: Arc<Memory>,
        listen: SocketAddr,
        peers: &[PeerAddr],
        protocols: Protocols,
    ) -> Node {
        let config = MeshConfig::new(key.clone(), self.genesis.clone()).listen(listen).peers(peers.iter().copied());
        let mesh = Mesh::start(config, fleet, storage.clone(), protocols).await.unwrap();
        Node { key, mesh, storage }
    }
}

fn certificate(issuer: &SecretKey, serial: u64, subject: NodeId, name: &str, roles: &[Role]) -> Certificate {
    Certificate {
        subject,
        name: name.parse().unwrap(),
        roles: roles.iter().copied().collect(),
        cell: CellPath::default(),
        labels: BTreeMap::new(),
        architecture: "x86_64".parse().unwrap(),
        class: "x86-server".parse().unwrap(),
        issuer: issuer.node_id(),
        serial,
        revision: 1,
        not_before: Timestamp::from_millis(now().as_millis() - 60_000),
        not_after: None,
    }
}

/// A node of the mesh.
pub(crate) struct Node {
    pub(crate) key: SecretKey,
    pub(crate) mesh: Mesh,
    pub(crate) storage: Arc<Memory>,
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        self.mesh.node_id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.mesh.listen_addresses()[0]
    }

    /// Waits until its neighbours satisfy `condition`.
    pub(crate) async fn has(&self, what: &str, condition: impl Fn(&BTreeSet<NodeId>) -> bool) {
        let mut neighbours = self.mesh.neighbours();
        let has = timeout(DEADLINE, neighbours.wait_for(|n| condition(n))).await;
        assert!(has.is_ok_and(|r| r.is_ok()), "its neighbours never were so: {what}");
    }

    /// Where to dial this node.
    pub(crate) fn at(&self) -> PeerAddr {
        PeerAddr { id: Some(self.id()), addr: self.address() }
    }

    /// Writes a profile with `cores`, as soon as the fleet lets this node write.
    pub(crate) async fn say(&self, cores: u32) {
        let saying = async {
            while let Err(refusal) = self.mesh.write(DocKind::Node, vec![Edit::PutProfile(profile(cores))]).await {
                tracing::debug!(%refusal, "not yet");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(DEADLINE, saying).await.expect("the node may write");
    }

    /// Waits until this node's view satisfies `condition`.
    pub(crate) async fn sees(&self, what: &str, condition: impl Fn(&FleetView) -> bool) {
        let mut view = self.mesh.view();
        let seen = timeout(DEADLINE, view.wait_for(|v| condition(v))).await;
        assert!(seen.is_ok_and(|r| r.is_ok()), "never seen: {what}");
    }

    /// Waits until this node holds what `other` said last.
    pub(crate) async fn hears(&self, other: NodeId, cores: u32) {
        self.sees("a profile", |v| v.profiles.get(&other).is_some_and(|p| p.cores == cores)).await;
    }

    /// Waits until this node has a session with `other`.
    pub(crate) async fn meets(&self, other: NodeId) {
        let mut neighbours = self.mesh.neighbours();
        let met = timeout(DEADLINE, neighbours.wait_for(|n| n.contains(&other))).await;
        assert!(met.is_ok_and(|r| r.is_ok()), "never met {other}");
    }
}

pub(crate) fn profile(cores: u32) -> Profile {
    Profile {
        architecture: "x86_64".parse().unwrap(),
        os: "linux".to_owned(),
        cpu: "test".to_owned(),
        cores,
        memory: Vec::new(),
        accelerators: Vec::new(),
        disk: ByteSize(1 << 30),
        runtimes: Vec::new(),
    }
}

/// A bare endpoint with a key, for saying what no node would.
pub(crate) async fn raw_endpoint(key: &SecretKey) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key.to_bytes()))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr(loopback())
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// The iroh address of a node.
pub(crate) fn iroh_addr(node: &Node) -> EndpointAddr {
    EndpointAddr::new(EndpointId::from_bytes(node.id().as_bytes()).unwrap()).with_ip_addr(node.address())
}

/// Dials `node` on a protocol and opens a stream.
pub(crate) async fn raw_stream(endpoint: &Endpoint, node: &Node, alpn: &[u8]) -> (Connection, SendStream, RecvStream) {
    let connection = timeout(DEADLINE, endpoint.connect(iroh_addr(node), alpn)).await.unwrap().unwrap();
    let (send, recv) = connection.open_bi().await.unwrap();
    (connection, send, recv)
}

/// A frame of the sync protocol.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    frame.extend(payload);
    frame
}

/// Waits until the other end closes, and gives its reason.
pub(crate) async fn closed(connection: &Connection) -> String {
    timeout(DEADLINE, connection.closed()).await.expect("the other end closes").to_string()
}
