//! Slow retrieval: providers that drip, just fast enough not to count as stalled.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
#![expect(dead_code, reason = "each test uses its own part of what they share")]

mod support;

use std::time::Duration;

use iroh::address_lookup::MemoryLookup;
use sedge_blobs::{Limits, Options, Patience};
use sedge_statement::ByteSize;
use support::{Node, candidates, node_with, options, soon, weights};
use tempfile::TempDir;
use tokio::time::Instant;

/// What a dripping node sends a second, bytes: sixteen times what it must, and a piece of 4 MiB takes it more than a minute.
const DRIP: u64 = 64 << 10;
/// Longer than an honest node needs for everything here on a busy machine, shorter than one piece of a dripping one.
const SOON: Duration = Duration::from_secs(30);
const NEVER: Duration = Duration::from_secs(3600);

/// Fetches `size` bytes that every provider has: first `drippers` ones that drip, then one that does not. Says what they sent.
async fn fetch_past(drippers: usize, size: usize, patience: Patience) -> (Duration, u64, u64) {
    let lookup = MemoryLookup::new();
    let homes: Vec<TempDir> = (0..drippers + 2).map(|_| tempfile::tempdir().unwrap()).collect();
    let bytes = weights(size, 1);
    let mut providers: Vec<Node> = Vec::new();
    for (n, home) in homes[1..].iter().enumerate() {
        let limits = Limits { upload: (n < drippers).then_some(DRIP), download: None };
        let provider = node_with(home.path(), &lookup, Options { limits, ..options() }).await;
        provider.add(&bytes, "model.onnx").await;
        providers.push(provider);
    }
    let to = node_with(homes[0].path(), &lookup, Options { patience, ..options() }).await;
    let file = support::file_of(&bytes, "model.onnx");
    let order: Vec<_> = providers.iter().map(Node::id).collect();
    let begun = Instant::now();
    let path = to.store.fetch(to.router.endpoint(), &file, candidates(&order), soon()).done().await.unwrap();
    let took = begun.elapsed();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    let dripped: ByteSize = ByteSize(providers[..drippers].iter().map(|p| p.store.served().get()).sum());
    let honest = providers[drippers].store.served();
    for node in providers.into_iter().chain([to]) {
        node.close().await;
    }
    (took, dripped.get(), honest.get())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_retrieval_those_who_drip_lose_their_pieces_to_one_who_does_not() {
    let size = 32 << 20;
    let patience = Patience { slow: Duration::from_millis(500), unproven: NEVER, ..options().patience };
    let (took, dripped, honest) = fetch_past(3, size, patience).await;
    assert!(took < SOON, "{took:?}");
    assert!(dripped < honest / 4, "{dripped} dripped, {honest} did not");
    println!("{} MiB past three who drip in {took:.1?}, of which they brought {} KiB", size >> 20, dripped >> 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_retrieval_those_who_drip_cannot_hold_every_place() {
    let patience =
        Patience { slow: Duration::from_millis(500), unproven: Duration::from_secs(2), ..options().patience };
    let (took, dripped, honest) = fetch_past(6, 24 << 20, patience).await;
    assert!(took < SOON, "{took:?}");
    assert!(dripped < honest, "{dripped} dripped, {honest} did not");
    println!("24 MiB past six who drip, who come first, in {took:.1?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_retrieval_the_last_piece_is_asked_for_again_of_whoever_is_idle() {
    let size = 8 << 20;
    let patience = Patience { slow: NEVER, unproven: NEVER, ..options().patience };
    let (took, _, honest) = fetch_past(1, size, patience).await;
    assert!(took < SOON, "{took:?}");
    assert!(honest > 4 << 20, "the idle one was not asked");
    println!("8 MiB, half of it held by one who drips, in {took:.1?}");
}
