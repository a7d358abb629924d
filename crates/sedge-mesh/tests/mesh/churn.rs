//! Nodes that come and go without end, and what is left of them.

use std::sync::Arc;
use std::time::Duration;

use sedge_mesh::Sighting;
use sedge_statement::{NodeId, Object};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::support::{DEADLINE, Memory, Node, Root, eventually, now};

const NODES: u8 = 24;
const LASTS: Duration = Duration::from_secs(10);
/// Between two restarts: each of those that are restarted runs a few seconds.
const BETWEEN: Duration = Duration::from_millis(300);
/// The promise is five seconds of a machine that does nothing else.
const KNOWS: Duration = DEADLINE;
const PULSE: Duration = Duration::from_millis(500);

async fn start(
    root: &Root,
    everyone: &[(NodeId, Object)],
    seed: u8,
    storage: Arc<Memory>,
    known: Vec<Sighting>,
) -> Node {
    root.open(seed, everyone, storage, |config| config.pulse(PULSE).sightings(known)).await
}

/// Restarts one node on what it kept; every other one is killed and not stopped.
async fn restart(root: &Root, everyone: &[(NodeId, Object)], seed: u8, node: Node, kill: bool) -> Node {
    let (storage, known) = (node.storage.clone(), node.mesh.sightings());
    if !kill {
        node.mesh.shutdown().await;
    }
    drop(node);
    start(root, everyone, seed, storage, known).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_third_was_restarted_again_and_again_all_are_one_mesh_and_nothing_is_left_over() {
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let root = Root::new(1);
    let everyone = root.certify_all((2..=NODES).map(|seed| (seed, "/")));
    let mut nodes: Vec<Option<Node>> = Vec::new();
    for seed in 1..=NODES {
        let known = nodes.iter().flatten().take(3).map(|node: &Node| Sighting {
            node: node.id(),
            addr: node.address(),
            seen: now(),
            proven: true,
        });
        let known = known.collect();
        nodes.push(Some(start(&root, &everyone, seed, Arc::default(), known).await));
    }
    nodes[0].as_ref().unwrap().say(1).await;
    let id = nodes[0].as_ref().unwrap().id();
    for node in nodes.iter().flatten() {
        node.hears(id, 1).await;
    }

    let (ends, mut restarts) = (Instant::now() + LASTS, 0u32);
    while Instant::now() < ends {
        let at = rand::random_range(1..=usize::from(NODES / 3));
        let node = nodes[at].take().unwrap();
        let seed = u8::try_from(at + 1).unwrap();
        nodes[at] = Some(restart(&root, &everyone, seed, node, restarts.is_multiple_of(2)).await);
        restarts += 1;
        tokio::time::sleep(BETWEEN).await;
    }
    let began = Instant::now();
    nodes[0].as_ref().unwrap().say(2).await;
    for node in nodes.iter().flatten() {
        let heard = timeout(KNOWS, node.hears(id, 2)).await;
        assert!(heard.is_ok(), "{} does not know after {KNOWS:?}", node.id().short());
    }
    let took = began.elapsed();
    let links: usize = nodes.iter().flatten().map(|node| node.mesh.neighbours().borrow().len()).sum();
    for node in nodes.iter().flatten() {
        node.mesh.shutdown().await;
    }
    drop(nodes);
    eventually("every task has ended", || Handle::current().metrics().num_alive_tasks() <= tasks_before + 2).await;
    println!("{restarts} restarts; all know after {took:?}; {:.1} neighbours each", links as f64 / f64::from(NODES));
}
