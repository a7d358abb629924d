//! Who is there, how old that is, and what it costs to be lied to.

use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::Connection;
use sedge_mesh::{JOIN_ALPN, MeshConfig, PeerAddr, SYNC_ALPN};
use sedge_statement::{ByteSize, CellPath, Gauges, Load, NodeId, Object, Scope};

use crate::hostile::{hello, member, still_in_sync};
use crate::support::{Node, Root, eventually, framed, key, raw_endpoint, raw_stream};

const PULSE: Duration = Duration::from_millis(200);

async fn start(root: &Root, everyone: &[(NodeId, Object)], seed: u8, peers: &[PeerAddr]) -> Node {
    let configure = |config: MeshConfig| config.pulse(PULSE).neighbours(0).peers(peers.iter().copied());
    root.open(seed, everyone, Arc::default(), configure).await
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_see_gauges_and_others_how_long_a_node_is_silent() {
    let root = Root::new(1);
    let everyone = root.certify_all((2..=4).map(|seed| (seed, "/")));
    let first = start(&root, &everyone, 1, &[]).await;
    let second = start(&root, &everyone, 2, &[first.at()]).await;
    let third = start(&root, &everyone, 3, &[second.at()]).await;
    let fourth = start(&root, &everyone, 4, &[third.at()]).await;
    let gauges = Gauges { memory_free: Some(ByteSize::mib(5)), load: Some(Load(42)), ..Gauges::default() };
    first.mesh.set_gauges(gauges);
    eventually("a neighbour sees them", || second.mesh.presence_of(first.id()).is_some_and(|p| p.gauges == gauges))
        .await;
    assert_eq!(first.mesh.presence_of(first.id()).unwrap().gauges, gauges);
    eventually("two hops on it is heard of", || fourth.mesh.silent_for(first.id()).is_some()).await;
    assert!(fourth.mesh.presence_of(first.id()).is_none(), "what it says of itself goes to neighbours alone");
    for _ in 0..5 {
        eventually("again", || fourth.mesh.silent_for(first.id()).unwrap() < PULSE * 6).await;
        tokio::time::sleep(PULSE).await;
    }

    let stopped = std::time::Instant::now();
    first.mesh.shutdown().await;
    eventually("it grows old", || fourth.mesh.silent_for(first.id()).unwrap() > Duration::from_secs(4)).await;
    let behind = stopped.elapsed().saturating_sub(fourth.mesh.silent_for(first.id()).unwrap());
    assert!(behind < Duration::from_secs(1), "it looks younger by {behind:?} than it is");
    assert!(second.mesh.silent_for(third.id()).unwrap() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_that_hold_the_same_know_it_and_for_how_long() {
    let root = Root::new(1);
    let everyone = root.certify_all([(2, "/")]);
    let first = start(&root, &everyone, 1, &[]).await;
    let second = start(&root, &everyone, 2, &[first.at()]).await;
    first.say(1).await;
    second.hears(first.id(), 1).await;
    for (node, other) in [(&first, &second), (&second, &first)] {
        eventually("both agree", || {
            let (agreed, standing) = (node.mesh.agreed(), node.mesh.standing());
            let digest = standing.digests.get(&Scope::Cell(CellPath::root()));
            agreed
                .get(&Scope::Cell(CellPath::root()))
                .is_some_and(|a| Some(&a.digest) == digest && a.with == other.id())
        })
        .await;
    }
    second.mesh.shutdown().await;
    let last = first.mesh.agreed()[&Scope::Cell(CellPath::root())].clone();
    first.say(2).await;
    let moved_on = || {
        first.mesh.standing().digests.get(&Scope::Cell(CellPath::root())).is_some_and(|digest| *digest != last.digest)
    };
    eventually("it goes on alone", moved_on).await;
    tokio::time::sleep(PULSE * 5).await;
    assert_eq!(first.mesh.agreed()[&Scope::Cell(CellPath::root())], last, "nobody agreed since");
}

/// A message of presence that names so many nodes as alive, as its count has it.
fn lies(counter: u8, named: &[u8]) -> Vec<u8> {
    let mut message = vec![1, counter, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    message.push(u8::try_from(named.len()).unwrap());
    for byte in named {
        message.extend([*byte; 8]);
        message.push(0);
    }
    message
}

fn throw(connection: &Connection, datagram: Vec<u8>) {
    // A full queue drops the oldest, which is as good.
    let _ = connection.send_datagram(datagram.into());
}

/// Throws datagrams of every size at the other end until it closes, and says why it did.
async fn flood(connection: &Connection) -> String {
    for round in 0..200_000u32 {
        let byte = round.to_le_bytes()[0];
        match round % 4 {
            0 => throw(connection, lies(byte, &[byte; 60])),
            1 => throw(connection, vec![byte; 1000]),
            2 => throw(connection, vec![byte; usize::from(byte)]),
            _ => throw(connection, vec![1, byte, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        }
        if round % 20 == 0 {
            if connection.close_reason().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }
    connection.close_reason().map(|reason| reason.to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_datagrams_costs_nothing_and_makes_nobody_up() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    let endpoint = raw_endpoint(&key(9)).await;
    let (connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    throw(&connection, lies(1, &[7; 3]));
    send.write_all(&framed(&hello(&mut member(&root, 9), first.id()))).await.unwrap();
    first.meets(key(9).node_id()).await;
    assert!(connection.max_datagram_size().is_some_and(|most| most >= 1024), "{:?}", connection.max_datagram_size());
    // Slowly enough it may say what it likes, and makes nobody up.
    for byte in 0..40u8 {
        throw(&connection, lies(byte, &[byte; 60]));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    still_in_sync(&first, &second, 5).await;
    assert!(connection.close_reason().is_none(), "{:?}", connection.close_reason());
    let flooded = flood(&connection).await;
    assert!(flooded.contains("violation"), "{flooded}");
    still_in_sync(&first, &second, 6).await;
    for byte in 0..=255 {
        assert_eq!(first.mesh.silent_for(NodeId::from_bytes([byte; 32])), None);
    }
    assert_eq!(first.mesh.peers().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_nothing_and_not_heard() {
    let root = Root::new(1);
    let everyone = root.certify_all([(2, "/")]);
    let first = start(&root, &everyone, 1, &[]).await;
    let stranger = raw_endpoint(&key(9)).await;
    let connection = stranger.connect(crate::support::iroh_addr(&first), SYNC_ALPN).await.unwrap();
    throw(&connection, lies(1, &[2]));
    let told = tokio::time::timeout(PULSE * 10, connection.read_datagram()).await;
    assert!(!matches!(told, Ok(Ok(_))), "{told:?}");
    for alpn in [SYNC_ALPN, JOIN_ALPN] {
        let connection = stranger.connect(crate::support::iroh_addr(&first), alpn).await.unwrap();
        let flooded = flood(&connection).await;
        assert!(flooded.contains("violation"), "{flooded}");
    }
    assert_eq!(first.mesh.presence_of(key(9).node_id()), None);
}
