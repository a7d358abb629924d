//! Finding each other, and ending up with one connection.

use sedge_mesh::{ListenError, Mesh, MeshConfig, PeerAddr, Protocols, StartError};

use crate::support::{DEADLINE, Root, eventually, key, loopback};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_dial_each_other_at_once_end_up_with_one_connection() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[]).await;
    for round in 1..6 {
        first.mesh.offline().await;
        second.mesh.offline().await;
        first.mesh.add_peer(second.at());
        second.mesh.add_peer(first.at());
        first.mesh.online().await;
        second.mesh.online().await;
        first.say(round).await;
        second.say(round).await;
        first.hears(second.id(), round).await;
        second.hears(first.id(), round).await;
        assert_eq!(first.mesh.stats().neighbours, 1);
        assert_eq!(second.mesh.stats().neighbours, 1);
    }
    let duplicates = first.mesh.counters().duplicate_connections + second.mesh.counters().duplicate_connections;
    assert!(duplicates > 0, "they never dialled at once");
    assert_eq!(first.mesh.counters().violations, 0);
    assert_eq!(second.mesh.counters().violations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_address_is_matched_with_the_member_that_lives_there() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    let third = root.start(3, &[first.at()]).await;
    third.sees("everyone", |v| v.members.len() == 3).await;
    third.mesh.add_peer(PeerAddr { id: None, addr: second.address() });
    third.meets(second.id()).await;
    eventually("the address is remembered with its owner", || third.mesh.known_peers().contains(&second.at())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_at_a_new_address_finds_its_neighbours_again() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    first.meets(second.id()).await;
    let (key, storage, known) = (second.key.clone(), second.storage.clone(), second.mesh.known_peers());
    second.mesh.shutdown().await;
    drop(second);
    let fleet = root.fleet(&storage, key.node_id(), &[]);
    let second = root.resume(key, fleet, storage, loopback(), &known, Protocols::new()).await;
    second.say(4).await;
    first.hears(second.id(), 4).await;
    eventually("the new address is known", || first.mesh.known_peers().contains(&second.at())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_listens_everywhere_names_places_where_it_is_reached() {
    let root = Root::new(1);
    let storage = std::sync::Arc::default();
    let fleet = root.fleet(&storage, root.key.node_id(), std::slice::from_ref(&root.certificate));
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let first = root.resume(root.key.clone(), fleet, storage, everywhere, &[], Protocols::new()).await;
    let addresses = first.mesh.listen_addresses();
    assert!(!addresses.is_empty());
    assert!(addresses.iter().all(|a| !a.ip().is_unspecified() && a.port() != 0), "{addresses:?}");
    for (seed, addr) in (2..).zip(addresses) {
        let other = root.start(seed, &[]).await;
        if other.address().is_ipv4() == addr.is_ipv4() {
            other.mesh.add_peer(PeerAddr { id: Some(first.id()), addr });
            other.meets(first.id()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_to_be() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let fleet = root.fleet(&std::sync::Arc::default(), key(2).node_id(), std::slice::from_ref(&root.certificate));
    let config = MeshConfig::new(key(2), root.genesis.clone()).listen(first.address());
    let storage = std::sync::Arc::<crate::support::Memory>::default();
    let result = Mesh::start(config, fleet, storage, Protocols::new()).await;
    assert!(matches!(result, Err(StartError::Listen(ListenError::Bind(..)))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_starts_late_is_still_reached() {
    let root = Root::new(1);
    let second_key = key(2);
    let probe = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = probe.local_addr().unwrap();
    drop(probe);
    let first = root.start(1, &[PeerAddr { id: Some(second_key.node_id()), addr }]).await;
    first.say(6).await;
    let storage = std::sync::Arc::default();
    let certificates = [root.certificate.clone(), root.certify(second_key.node_id(), "late")];
    let fleet = root.fleet(&storage, second_key.node_id(), &certificates);
    let second = root.resume(second_key, fleet, storage, addr, &[], Protocols::new()).await;
    second.hears(first.id(), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_first_acquaintance_is_gone_finds_the_others_by_what_it_was_told_before_a_restart() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    let third = root.start(3, &[second.at()]).await;
    third.meets(first.id()).await;
    let known = third.mesh.sightings();
    assert!(known.iter().any(|s| s.node == first.id() && s.addr == first.address()), "{known:?}");
    let (key, storage) = (third.key.clone(), third.storage.clone());
    third.mesh.shutdown().await;
    second.mesh.shutdown().await;
    drop((second, third));
    let fleet = root.fleet(&storage, key.node_id(), &[]);
    let config = MeshConfig::new(key, root.genesis.clone()).listen(loopback()).sightings(known);
    let third = Mesh::start(config, fleet, storage, Protocols::new()).await.unwrap();
    let mut neighbours = third.neighbours();
    let met = tokio::time::timeout(DEADLINE, neighbours.wait_for(|n| n.contains(&first.id()))).await;
    assert!(met.is_ok_and(|r| r.is_ok()), "never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_relay_that_was_silent_is_found_where_it_was() {
    let root = Root::new(1);
    let storage = std::sync::Arc::<crate::support::Memory>::default();
    let fleet = root.fleet(&storage, root.key.node_id(), std::slice::from_ref(&root.certificate));
    let relay = "http://127.0.0.1:9".parse().unwrap();
    let config = MeshConfig::new(root.key.clone(), root.genesis.clone()).listen(loopback()).relays([relay]);
    let mesh = Mesh::start(config, fleet, storage.clone(), Protocols::new()).await.unwrap();
    let first = crate::support::Node { key: root.key.clone(), mesh, storage };
    let second = root.start(2, &[first.at()]).await;
    for round in 1..4 {
        second.meets(first.id()).await;
        let at = first.address();
        let before = first.mesh.endpoint().unwrap().closed();
        first.mesh.offline().await;
        tokio::time::timeout(DEADLINE, before).await.expect("its connection to the relay would live on");
        assert_eq!(first.address(), at);
        first.mesh.online().await;
        first.say(round).await;
        second.hears(first.id(), round).await;
    }
    first.mesh.offline().await;
    first.mesh.shutdown().await;
    assert!(first.mesh.endpoint().unwrap().is_closed());
    first.mesh.offline().await;
    first.mesh.online().await;
    assert!(first.mesh.endpoint().unwrap().is_closed(), "it stopped, and is not to come back");
}
