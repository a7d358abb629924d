//! Documents between nodes, over restarts and silence.

use std::time::Duration;

use sedge_fleet::Edit;
use sedge_mesh::{MeshWriteError, Protocols, StopReason};
use sedge_statement::DocKind;
use tokio::time::timeout;

use crate::support::{DEADLINE, Root, eventually, profile};

#[tokio::test(flavor = "multi_thread")]
async fn a_third_node_learns_through_the_second_and_where_the_first_is() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    let third = root.start(3, &[second.at()]).await;
    first.say(7).await;
    third.say(9).await;
    third.hears(first.id(), 7).await;
    first.hears(third.id(), 9).await;
    third.meets(first.id()).await;
    first.sees("everyone", |v| v.members.len() == 3).await;
    third.sees("everyone", |v| v.members.len() == 3).await;
    second.sees("everyone", |v| v.members.len() == 3).await;
    let digest = first.mesh.view().borrow().digest();
    second.sees("the same view", |v| v.digest() == digest).await;
    third.sees("the same view", |v| v.digest() == digest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_storage_loses_nothing() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    first.say(7).await;
    second.say(8).await;
    second.hears(first.id(), 7).await;
    first.hears(second.id(), 8).await;
    let digest = second.mesh.view().borrow().digest();
    let known = second.mesh.known_peers();
    assert!(known.contains(&first.at()));
    let (key, storage) = (second.key.clone(), second.storage.clone());
    second.mesh.shutdown().await;
    assert!(matches!(second.mesh.stopped().await, StopReason::Shutdown));
    let late = second.mesh.write(DocKind::Node, vec![Edit::PutProfile(profile(1))]).await;
    assert!(matches!(late, Err(MeshWriteError::Stopped)));
    drop(second);

    let fleet = root.fleet(&storage, key.node_id(), &[]);
    let second = root.resume(key, fleet, storage, crate::support::loopback(), &known, Protocols::new()).await;
    assert_eq!(second.mesh.view().borrow().digest(), digest);
    second.meets(first.id()).await;
    second.say(80).await;
    first.hears(second.id(), 80).await;
    first.say(70).await;
    second.hears(first.id(), 70).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_went_silent_catches_up_when_it_comes_back() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    first.say(1).await;
    second.hears(first.id(), 1).await;
    second.mesh.offline().await;
    assert!(!second.mesh.is_online());
    assert!(second.mesh.neighbours().borrow().is_empty());
    let mut neighbours = first.mesh.neighbours();
    timeout(DEADLINE, neighbours.wait_for(|n| n.is_empty())).await.expect("the session ends").unwrap();
    first.say(2).await;
    second.say(3).await;
    // The first cannot reach it either.
    first.mesh.add_peer(second.at());
    let unreached = timeout(Duration::from_secs(2), neighbours.wait_for(|n| !n.is_empty())).await;
    assert!(unreached.is_err());
    second.mesh.online().await;
    second.hears(first.id(), 2).await;
    first.hears(second.id(), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_mesh_before_anything_unkept_is_said() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    first.say(1).await;
    second.hears(first.id(), 1).await;
    first.storage.fill_up();
    let result = first.mesh.write(DocKind::Node, vec![Edit::PutProfile(profile(2))]).await;
    assert!(matches!(result, Err(MeshWriteError::Stopped)), "{result:?}");
    assert!(matches!(first.mesh.stopped().await, StopReason::Storage(_)));
    let mut neighbours = second.mesh.neighbours();
    timeout(DEADLINE, neighbours.wait_for(|n| n.is_empty())).await.expect("the session ends").unwrap();
    assert_eq!(second.mesh.view().borrow().profiles[&first.id()].cores, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_with_nothing_to_say_still_hear_each_other() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    first.meets(second.id()).await;
    for node in [&first, &second] {
        for _ in 0..2 {
            let before = node.mesh.stats().last_heard;
            eventually("a further beat", || node.mesh.stats().last_heard > before).await;
        }
    }
    let counters = [first.mesh.counters(), second.mesh.counters()];
    assert!(counters.iter().all(|c| c.silent_peers == 0 && c.violations == 0), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_peers_says_when_each_was_heard() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    first.say(1).await;
    second.hears(first.id(), 1).await;
    let status = second.mesh.peers().into_iter().find(|p| p.id == first.id()).unwrap();
    assert!(status.connected && status.last_heard.is_some());
    assert_eq!(status.addresses, vec![first.address()]);
    let stats = second.mesh.stats();
    assert_eq!((stats.members, stats.neighbours, stats.last_heard), (2, 1, status.last_heard));
}
