//! A mesh stays in one piece, over cells, and comes together again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sedge_mesh::{MeshConfig, PeerAddr, Sighting};
use sedge_statement::{NodeId, Object};

use crate::support::{Node, Root, eventually, key, loopback, now};

/// What all times here go by.
const PULSE: Duration = Duration::from_millis(200);

/// Starts node `seed`, which looks for so many neighbours beside those it is told to dial, and remembers where others were.
async fn start(
    root: &Root,
    everyone: &[(NodeId, Object)],
    seed: u8,
    wanted: usize,
    peers: &[PeerAddr],
    known: &[Sighting],
) -> Node {
    let configure = |config: MeshConfig| {
        let config = config.pulse(PULSE).neighbours(wanted).peers(peers.iter().copied());
        config.sightings(known.iter().copied())
    };
    root.open(seed, everyone, Arc::default(), configure).await
}

/// Six nodes in a ring, each of which looks for two neighbours and has them.
async fn half(root: &Root, everyone: &[(NodeId, Object)], seeds: [u8; 6], known: &[Sighting]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for seed in seeds {
        let before = nodes.last().map(Node::at);
        let round = nodes.first().filter(|_| nodes.len() == 5).map(Node::at);
        let peers: Vec<_> = before.into_iter().chain(round).collect();
        nodes.push(start(root, everyone, seed, 2, &peers, known).await);
    }
    for (n, node) in nodes.iter().enumerate() {
        node.meets(nodes[(n + 1) % 6].id()).await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halves_whose_bridges_all_died_find_one_another_when_any_path_appears() {
    let root = Root::new(1);
    let everyone = root.certify_all((2..=14).map(|seed| (seed, "plant")));
    // The bridge, of which the one half remembers where it was.
    let address = std::net::UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let bridge = Sighting { node: key(14).node_id(), addr: address, seen: now(), proven: true };
    let one = half(&root, &everyone, [2, 3, 4, 5, 6, 7], &[bridge]).await;
    let other = half(&root, &everyone, [8, 9, 10, 11, 12, 13], &[]).await;
    // Both halves are content, and no way leads from one to the other.
    one[3].say(4).await;
    for node in &one {
        node.hears(one[3].id(), 4).await;
    }
    tokio::time::sleep(PULSE * 20).await;
    assert!(other.iter().all(|node| !node.mesh.view().borrow().profiles.contains_key(&one[3].id())));

    // The bridge comes back where it was. It looks for nobody, and is told of the other half alone.
    let peers = [other[0].at()];
    let configure = |config: MeshConfig| config.pulse(PULSE).neighbours(0).listen(address).peers(peers);
    let bridge = root.open(14, &everyone, Arc::default(), configure).await;
    for node in &other {
        node.hears(one[3].id(), 4).await;
    }
    other[4].say(5).await;
    for node in &one {
        node.hears(other[4].id(), 5).await;
    }
    assert!(bridge.mesh.neighbours().borrow().len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_a_neighbour_outside_the_own_cell_and_two_of_each_cell_reach_the_cell_above() {
    const CELLS: [&str; 3] = ["acme", "acme/one", "acme/two"];
    let root = Root::new(1);
    // Four nodes above, and two cells of twelve.
    let cell = |seed: u8| CELLS[if seed < 6 { 0 } else { 1 + usize::from(seed % 2) }];
    let everyone = root.certify_all((2..30).map(|seed| (seed, cell(seed))));
    let mut nodes: Vec<Node> = Vec::new();
    for seed in 1..30 {
        let known: Vec<_> = nodes
            .iter()
            .flat_map(|node| node.mesh.listen_addresses().into_iter().map(|addr| (node.id(), addr)))
            .collect();
        let seen = known.into_iter().map(|(node, addr)| Sighting { node, addr, seen: now(), proven: true });
        nodes.push(
            root.open(seed, &everyone, Arc::default(), |config| config.pulse(PULSE).neighbours(4).sightings(seen))
                .await,
        );
    }
    let of = |wanted: &str| -> BTreeSet<NodeId> {
        (2..30).filter(|seed| cell(*seed) == wanted).map(|seed| key(seed).node_id()).collect()
    };
    for (name, cell) in CELLS.map(|name| (name, of(name))) {
        for node in nodes.iter().filter(|node| cell.contains(&node.id())) {
            node.has("one outside its cell", |n| n.iter().any(|id| !cell.contains(id))).await;
            node.has("one of its cell", |n| n.iter().any(|id| cell.contains(id))).await;
        }
        let above = of("acme");
        let has_two_above = |node: &&Node| node.mesh.neighbours().borrow().intersection(&above).count() >= 2;
        eventually("two gateways", || {
            name == "acme" || nodes.iter().filter(|node| cell.contains(&node.id())).filter(has_two_above).count() >= 2
        })
        .await;
    }
    // Whoever looks at another cell is connected there.
    let (looks, at) = (&nodes[10], of(if cell(11) == CELLS[1] { CELLS[2] } else { CELLS[1] }));
    looks.mesh.want(CELLS.iter().map(|name| name.parse().unwrap()).collect()).await;
    looks.has("two in the cell that it looks at", |n| n.intersection(&at).count() >= 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_too_many_neighbours_lets_those_go_whom_another_one_reaches_and_nobody_is_cut_off() {
    let root = Root::new(1);
    let everyone = root.certify_all((2..=14).map(|seed| (seed, "/")));
    let hub = start(&root, &everyone, 1, 2, &[], &[]).await;
    let mut nodes: Vec<Node> = Vec::new();
    for seed in 2..=14 {
        // All know the hub and one another, and would have it.
        let known = std::iter::once(&hub).chain(&nodes).map(|node| Sighting {
            node: node.id(),
            addr: node.address(),
            seen: now(),
            proven: true,
        });
        let known: Vec<_> = known.collect();
        nodes.push(
            root.open(seed, &everyone, Arc::default(), |config| config.pulse(PULSE).neighbours(30).sightings(known))
                .await,
        );
    }
    hub.has("more than it has need of", |n| n.len() > 6).await;
    // Two, and the surplus that is borne.
    let mut calm = std::time::Instant::now();
    eventually("few enough, and whoever was let go lets it be", || {
        if hub.mesh.neighbours().borrow().len() > 6 {
            calm = std::time::Instant::now();
        }
        calm.elapsed() > PULSE * 10
    })
    .await;
    hub.say(7).await;
    for node in &nodes {
        node.hears(hub.id(), 7).await;
    }
}
