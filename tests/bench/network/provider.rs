//! Whoever provides weights, in a process of its own, and whoever asks for them: Sedge, and bare iroh-blobs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iroh::address_lookup::MemoryLookup;
use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, Hash};
use sedge_blobs::{Admission, BlobStore, FetchOptions, Options};
use sedge_mesh::{Mesh, PeerAddr, Protocols};
use sedge_statement::{Blake3, ModelFile, NodeId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::child::{Part, say, start, until_let_go};
use crate::roster::{Roster, id, loopback};

/// Longer than a gibibyte takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// The two nodes of the mesh.
const PROVIDER: usize = 0;
const ASKER: usize = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sedge {
    addr: SocketAddr,
    file: ModelFile,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Iroh {
    id: [u8; 32],
    addr: SocketAddr,
    hash: [u8; 32],
}

/// Lets everyone in: who may is another test's concern.
#[derive(Debug)]
struct Open;

impl Admission for Open {
    fn may_connect(&self, _: NodeId) -> bool {
        true
    }
    fn may_fetch(&self, _: NodeId, _: Blake3) -> bool {
        true
    }
}

async fn node(n: usize, store: &BlobStore) -> Mesh {
    let mut protocols = Protocols::new();
    protocols.insert(sedge_blobs::ALPN.to_vec(), Box::new(store.protocol_handler(Arc::new(Open))));
    Roster::new(2).start(n, protocols).await
}

/// Provides `file` as an agent does.
pub(crate) async fn sedge(home: &Path, file: &Path) {
    let store = BlobStore::open(home, Options::default()).await.expect("an empty home opens");
    let file = store.add_file(file, &"weights.bin".parse().expect("a name")).await.expect("there is room");
    let mesh = node(PROVIDER, &store).await;
    say(&Sedge { addr: mesh.listen_addresses()[0], file });
    until_let_go().await;
    mesh.shutdown().await;
    store.shutdown().await;
}

/// Asks for it as an agent does: in a home of its own, until the proven file is in its place.
#[derive(Debug)]
pub(crate) struct SedgeAsker {
    provider: Part,
}

impl SedgeAsker {
    pub(crate) async fn new(dir: &Path, file: &Path) -> Self {
        let home = dir.join("provider");
        Self { provider: start(&["sedge", text(&home), text(file)]).await }
    }

    /// Fetches the file into an empty home, and says how long that took.
    pub(crate) async fn fetch(&self, home: &Path) -> Duration {
        let there: Sedge = serde_json::from_value(self.provider.said.clone()).expect("it said where it is");
        let store = BlobStore::open(home, Options::default()).await.expect("an empty home opens");
        let mesh = node(ASKER, &store).await;
        let provider = id(PROVIDER);
        mesh.add_peer(PeerAddr { id: Some(provider), addr: there.addr });
        mesh.neighbours().wait_for(|peers| peers.contains(&provider)).await.expect("the mesh runs");
        let (_candidates, whom) = watch::channel(vec![provider]);

        let began = Instant::now();
        let fetch = store.fetch(&mesh.endpoint().expect("it speaks"), &there.file, whom, FetchOptions::default());
        let path = tokio::time::timeout(DEADLINE, fetch.done()).await.expect("it comes in time").expect("it comes");
        let took = began.elapsed();
        assert_eq!(path, store.prove(&there.file).await.expect("it is proven"));
        mesh.shutdown().await;
        store.shutdown().await;
        took
    }
}

/// Provides `file` with nothing but iroh-blobs.
pub(crate) async fn iroh_blobs(home: &Path, file: &Path) {
    let store = FsStore::load(home).await.expect("an empty directory opens");
    let tag = store.add_path(file).await.expect("there is room");
    let endpoint = bind(&MemoryLookup::new()).await;
    let addr = endpoint.bound_sockets()[0];
    let router = Router::builder(endpoint).accept(iroh_blobs::ALPN, BlobsProtocol::new(&store, None)).spawn();
    say(&Iroh { id: *router.endpoint().id().as_bytes(), addr, hash: *tag.hash.as_bytes() });
    until_let_go().await;
    router.shutdown().await.expect("it ends");
    store.shutdown().await.expect("it ends");
}

/// Downloads it with iroh-blobs' own downloader and exports it by copy.
#[derive(Debug)]
pub(crate) struct IrohAsker {
    provider: Part,
}

impl IrohAsker {
    pub(crate) async fn new(dir: &Path, file: &Path) -> Self {
        let home = dir.join("iroh-provider");
        Self { provider: start(&["iroh-blobs", text(&home), text(file)]).await }
    }

    pub(crate) async fn fetch(&self, home: &Path) -> Duration {
        let there: Iroh = serde_json::from_value(self.provider.said.clone()).expect("it said where it is");
        let store = FsStore::load(home).await.expect("an empty directory opens");
        let lookup = MemoryLookup::new();
        let provider = EndpointId::from_bytes(&there.id).expect("the id of an endpoint");
        lookup.add_endpoint_info(EndpointAddr::new(provider).with_ip_addr(there.addr));
        let endpoint = bind(&lookup).await;
        let hash = Hash::from_bytes(there.hash);
        let target: PathBuf = home.join("exported");

        let began = Instant::now();
        let download = store.downloader(&endpoint).download(hash, [provider]);
        tokio::time::timeout(DEADLINE, download).await.expect("it comes in time").expect("it comes");
        store.blobs().export(hash, &target).await.expect("there is room");
        let took = began.elapsed();
        endpoint.close().await;
        store.shutdown().await.expect("it ends");
        took
    }
}

async fn bind(lookup: &MemoryLookup) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .address_lookup(lookup.clone())
        .clear_ip_transports()
        .bind_addr(loopback())
        .expect("loopback is an address")
        .bind()
        .await
        .expect("a port is free")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of plain characters")
}
