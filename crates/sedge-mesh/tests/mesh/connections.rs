//! How connections begin, and how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use iroh::Endpoint;
use sedge_mesh::{PeerAddr, SYNC_ALPN};
use sedge_statement::NodeId;
use tokio::time::{Instant, timeout};

use crate::hostile::{hello, member};
use crate::support::{Memory, Root, eventually, framed, key, raw_endpoint, raw_stream};

/// Serves `endpoint` by closing whatever connects: as `answer` has it, a hello is read first, and one said. Counts the connections.
fn closing(endpoint: Endpoint, answer: impl Fn() -> Option<Vec<u8>> + Send + 'static) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    endpoint.set_alpns(vec![SYNC_ALPN.to_vec()]);
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            counted.fetch_add(1, Ordering::SeqCst);
            if let Some(frame) = answer()
                && let Ok((mut send, _recv)) = connection.accept_bi().await
            {
                let _ = send.write_all(&framed(&frame)).await;
                // What was said arrives before the end does.
                let _ = timeout(Duration::from_millis(100), connection.closed()).await;
            }
            connection.close(3u32.into(), b"");
        }
    });
    count
}

fn address(endpoint: &Endpoint, id: NodeId) -> PeerAddr {
    PeerAddr { id: Some(id), addr: endpoint.bound_sockets()[0] }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_alone_does_not_reset_the_wait_before_the_next_dial_and_a_message_does() {
    let root = Arc::new(Root::new(1));
    let id = key(9).node_id();
    let mut counts = Vec::new();
    for speaks in [false, true] {
        let node = root.start(1, &[]).await;
        let endpoint = raw_endpoint(&key(9)).await;
        let (certified, me) = (root.certify(id, "by-hand"), node.id());
        let answer = {
            let root = root.clone();
            move || {
                let certificates = [root.certificate.clone(), certified.clone()];
                speaks.then(|| hello(&mut root.fleet(&Memory::default(), id, &certificates), me))
            }
        };
        let count = closing(endpoint.clone(), answer);
        node.mesh.add_peer(address(&endpoint, id));
        tokio::time::sleep(Duration::from_secs(6)).await;
        counts.push(count.load(Ordering::SeqCst));
        node.mesh.shutdown().await;
        endpoint.close().await;
    }
    // Six seconds are 250 ms, doubled four times; each wait is half of that on average.
    assert!((2..=14).contains(&counts[0]), "{counts:?}");
    assert!(counts[1] > counts[0] + 3, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_says_so_at_once_and_one_that_goes_offline_too() {
    let root = Root::new(1);
    for (word, stops) in [("stopping", true), ("offline", false)] {
        let first = root.start(1, &[]).await;
        let endpoint = raw_endpoint(&key(9)).await;
        let (connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
        send.write_all(&framed(&hello(&mut member(&root, 9), first.id()))).await.unwrap();
        first.meets(key(9).node_id()).await;
        let (asked, mesh) = (Instant::now(), first.mesh.clone());
        let stopping = tokio::spawn(async move { if stops { mesh.shutdown().await } else { mesh.offline().await } });
        let reason =
            timeout(Duration::from_secs(2), connection.closed()).await.expect("it is told at once").to_string();
        assert!(reason.contains(word), "{reason}");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        stopping.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_says_nothing_for_long_is_dropped_though_its_connection_lives() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let endpoint = raw_endpoint(&key(9)).await;
    let (connection, mut send, mut recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut member(&root, 9), first.id()))).await.unwrap();
    first.meets(key(9).node_id()).await;
    // It reads on, and its transport answers.
    let reading =
        tokio::spawn(async move { while recv.read(&mut [0; 4096]).await.is_ok_and(|read| read.is_some()) {} });
    let began = Instant::now();
    let reason = timeout(Duration::from_secs(50), connection.closed()).await.expect("it is dropped").to_string();
    assert!(reason.contains("silent"), "{reason}");
    assert!(began.elapsed() > Duration::from_secs(20), "{:?}", began.elapsed());
    reading.abort();
    eventually("it is counted", || first.mesh.counters().silent_peers == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_connections_dialled_at_once_both_ends_keep_the_one_of_the_lower_id() {
    let root = Root::new(1);
    // One seed whose id is above the node's, and one whose is below.
    let seeds = [
        (2..100).find(|seed| key(*seed).node_id() > root.key.node_id()).unwrap(),
        (2..100).find(|seed| key(*seed).node_id() < root.key.node_id()).unwrap(),
    ];
    for seed in seeds {
        let id = key(seed).node_id();
        let node = root.start(1, &[]).await;
        let endpoint = raw_endpoint(&key(seed)).await;
        endpoint.set_alpns(vec![SYNC_ALPN.to_vec()]);
        let mut fleet = member(&root, seed);
        node.mesh.add_peer(address(&endpoint, id));
        let dialled = timeout(Duration::from_secs(5), endpoint.accept()).await.unwrap().unwrap().await.unwrap();
        let (mut answer, _recv) = dialled.accept_bi().await.unwrap();
        answer.write_all(&framed(&hello(&mut fleet, node.id()))).await.unwrap();
        node.meets(id).await;
        let (dials, mut send, _recv) = raw_stream(&endpoint, &node, SYNC_ALPN).await;
        send.write_all(&framed(&hello(&mut fleet, node.id()))).await.unwrap();
        let (goes, stays) = if node.id() < id { (&dials, &dialled) } else { (&dialled, &dials) };
        let reason = timeout(Duration::from_secs(4), goes.closed()).await.expect("one goes").to_string();
        assert!(reason.contains("duplicate"), "{reason}");
        assert!(stays.close_reason().is_none(), "{:?}", stays.close_reason());
        assert_eq!(node.mesh.counters().duplicate_connections, 1);
        if node.id() < id {
            // Turned away, it asks again at once: it lost the one that stays, as by a restart.
            let (again, mut send, _recv) = raw_stream(&endpoint, &node, SYNC_ALPN).await;
            send.write_all(&framed(&hello(&mut fleet, node.id()))).await.unwrap();
            let reason = timeout(Duration::from_secs(4), stays.closed()).await.expect("it goes").to_string();
            assert!(reason.contains("duplicate"), "{reason}");
            assert!(again.close_reason().is_none(), "{:?}", again.close_reason());
        }
        node.mesh.shutdown().await;
    }
}
