//! A process killed in the middle of a fetch, and the next one that goes on.
//!
//! The test runs its own binary again as the process to be killed: `victim` does nothing unless told where to work.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

#[expect(dead_code, reason = "each test binary uses its own part")]
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use iroh::EndpointAddr;
use iroh::address_lookup::MemoryLookup;
use sedge_blobs::{BlobStore, FetchOptions, Limits, Options};
use sedge_statement::ByteSize;
use support::{candidates, endpoint, file_of, node, options, soon, weights};

const SIZE: usize = 32 << 20;
const SEED: u64 = 21;
const HOME: &str = "SEDGE_TEST_VICTIM_HOME";
const PROVIDER: &str = "SEDGE_TEST_VICTIM_PROVIDER";

/// Fetches slowly, and says on standard output how far it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let (Ok(home), Ok(provider)) = (std::env::var(HOME), std::env::var(PROVIDER)) else { return };
    let (id, addr) = provider.split_once('@').unwrap();
    let id: sedge_statement::NodeId = id.parse().unwrap();
    let lookup = MemoryLookup::new();
    let endpoint_id = iroh::EndpointId::from_bytes(id.as_bytes()).unwrap();
    lookup.add_endpoint_info(EndpointAddr::new(endpoint_id).with_ip_addr(addr.parse().unwrap()));
    let endpoint = endpoint(&lookup).await;
    let slowly = Options { limits: Limits { download: Some(8 << 20), upload: None }, ..options() };
    let store = BlobStore::open(Path::new(&home), slowly).await.unwrap();
    let file = file_of(&weights(SIZE, SEED), "model.onnx");
    let fetch = store.fetch(&endpoint, &file, candidates(&[id]), FetchOptions::default());
    let mut progress = fetch.watch();
    while progress.changed().await.is_ok() {
        println!("have {}", progress.borrow().have.get());
    }
}

/// Runs a victim until it has so many bytes, and kills it without warning.
fn kill_at(home: &Path, provider: &str, bytes: u64) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--nocapture"])
        .env(HOME, home)
        .env(PROVIDER, provider)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| {
        let have = line.rsplit_once("have ").and_then(|(_, n)| n.parse::<u64>().ok());
        have.is_some_and(|have| have >= bytes)
    });
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(reached, "the victim ended before it had {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_killed_in_the_middle_moves_only_the_rest() {
    let lookup = MemoryLookup::new();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = node(there.path(), &lookup).await;
    let bytes = weights(SIZE, SEED);
    let file = from.add(&bytes, "model.onnx").await;
    let addr = from.router.endpoint().bound_sockets().into_iter().next().unwrap();
    let provider = format!("{}@{addr}", from.id());

    let mut missing = file.size;
    for at in [10 << 20, 20 << 20] {
        let (home, provider) = (here.path().to_owned(), provider.clone());
        tokio::task::spawn_blocking(move || kill_at(&home, &provider, at)).await.unwrap();
        let store = BlobStore::open(here.path(), options()).await.unwrap();
        let still = store.missing(&file).await.unwrap();
        assert_eq!(store.held(), []);
        store.shutdown().await;
        // The last pieces may not have reached the file; what was counted whole pieces ago has.
        assert!(still.get() <= SIZE as u64 - at + (5 << 20), "{still} missing after {at} came");
        assert!(still < missing, "the second run went on from the first");
        missing = still;
    }

    let served_before = from.store.served();
    let to = node(here.path(), &lookup).await;
    let path = to.store.fetch(to.router.endpoint(), &file, candidates(&[from.id()]), soon()).done().await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    let moved = ByteSize(from.store.served().get() - served_before.get());
    assert_eq!(moved, missing, "only the rest moved");
    to.store.prove(&file).await.unwrap();
    from.close().await;
    to.close().await;
}
