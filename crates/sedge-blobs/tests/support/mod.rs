//! Nodes on loopback for the tests of this crate.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iroh::address_lookup::MemoryLookup;
use iroh::endpoint::presets;
use iroh::protocol::{ProtocolHandler, Router};
use iroh::{Endpoint, EndpointAddr, RelayMode};
use sedge_blobs::{Admission, BlobStore, FetchOptions, Limits, Options, Patience};
use sedge_statement::{Blake3, ByteSize, ModelFile, NodeId, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

/// Lets everyone in, or no one.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) open: AtomicBool,
    pub(crate) blobs: AtomicBool,
}

impl Default for Door {
    fn default() -> Self {
        Self { open: AtomicBool::new(true), blobs: AtomicBool::new(true) }
    }
}

impl Admission for Door {
    fn may_connect(&self, _: NodeId) -> bool {
        self.open.load(Ordering::SeqCst)
    }
    fn may_fetch(&self, _: NodeId, _: Blake3) -> bool {
        self.blobs.load(Ordering::SeqCst)
    }
}

/// A node: its endpoint, and its store where it has one.
pub(crate) struct Node {
    pub(crate) router: Router,
    pub(crate) store: BlobStore,
    pub(crate) door: Arc<Door>,
}

pub(crate) fn options() -> Options {
    Options {
        limits: Limits::default(),
        margin: ByteSize(0),
        patience: Patience {
            connect: Duration::from_secs(3),
            stall: Duration::from_millis(1500),
            rest: Duration::from_millis(50),
            ..Patience::default()
        },
    }
}

pub(crate) async fn endpoint(lookup: &MemoryLookup) -> Endpoint {
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap())
        .unwrap()
        .address_lookup(lookup.clone())
        .bind()
        .await
        .unwrap();
    let addr = endpoint.bound_sockets().into_iter().next().unwrap();
    lookup.add_endpoint_info(EndpointAddr::new(endpoint.id()).with_ip_addr(addr));
    endpoint
}

pub(crate) async fn node(home: &Path, lookup: &MemoryLookup) -> Node {
    node_with(home, lookup, options()).await
}

pub(crate) async fn node_with(home: &Path, lookup: &MemoryLookup, options: Options) -> Node {
    let store = BlobStore::open(home, options).await.unwrap();
    let door = Arc::new(Door::default());
    let router =
        Router::builder(endpoint(lookup).await).accept(iroh_blobs::ALPN, store.protocol_handler(door.clone())).spawn();
    Node { router, store, door }
}

/// An endpoint that answers the blobs protocol in a way of its own.
pub(crate) async fn rogue(lookup: &MemoryLookup, handler: impl ProtocolHandler) -> Router {
    Router::builder(endpoint(lookup).await).accept(iroh_blobs::ALPN, handler).spawn()
}

pub(crate) fn id(router: &Router) -> NodeId {
    NodeId::from_bytes(*router.endpoint().id().as_bytes())
}

pub(crate) fn candidates(of: &[NodeId]) -> watch::Receiver<Vec<NodeId>> {
    watch::channel(of.to_vec()).1
}

/// A deadline that a healthy test is far from.
pub(crate) fn soon() -> FetchOptions {
    within(Duration::from_secs(60))
}

pub(crate) fn within(time: Duration) -> FetchOptions {
    FetchOptions { deadline: Some(Instant::now() + time), seed: 1 }
}

/// Bytes that compress to nothing simpler than their seed.
pub(crate) fn weights(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn file_of(bytes: &[u8], name: &str) -> ModelFile {
    ModelFile {
        name: name.parse().unwrap(),
        size: ByteSize(bytes.len() as u64),
        sha256: Sha256::of(bytes),
        blake3: Blake3::of(bytes),
    }
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        id(&self.router)
    }

    pub(crate) async fn add(&self, bytes: &[u8], name: &str) -> ModelFile {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("source");
        std::fs::write(&path, bytes).unwrap();
        self.store.add_file(&path, &name.parse().unwrap()).await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.router.shutdown().await.unwrap();
        self.store.shutdown().await;
    }
}

/// The bytes that a directory takes on the disk, each inode once.
pub(crate) fn disk_usage(dir: &Path) -> u64 {
    let output = std::process::Command::new("du").arg("-s").arg("--block-size=1").arg(dir).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// Every regular file below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}
