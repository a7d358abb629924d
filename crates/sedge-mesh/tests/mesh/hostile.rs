//! Members and others that do not speak the protocol.

use std::sync::Arc;
use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::{Connection, QuicTransportConfig, SendStream, VarInt, presets};
use iroh::protocol::{AcceptError, ProtocolHandler};
use sedge_fleet::{Effect, Event, Fleet};
use sedge_mesh::{JOIN_ALPN, Protocols, SYNC_ALPN};
use sedge_statement::NodeId;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{
    Memory, Node, Root, closed, eventually, framed, iroh_addr, key, loopback, now, raw_endpoint, raw_stream,
};

/// A fleet bears some malformed frames of a peer before it closes.
const MORE_THAN_IS_BORNE: usize = 40;

/// The fleet of a member that speaks by hand.
pub(crate) fn member(root: &Root, seed: u8) -> Fleet {
    let id = key(seed).node_id();
    root.fleet(&Memory::default(), id, &[root.certificate.clone(), root.certify(id, "by-hand")])
}

pub(crate) fn hello(fleet: &mut Fleet, to: NodeId) -> Vec<u8> {
    let effects = fleet.handle(Event::Connected { peer: to }, now());
    let frame = effects.into_iter().find_map(|effect| match effect {
        Effect::Send { frame, .. } => Some(frame),
        _ => None,
    });
    frame.expect("a fleet greets first")
}

/// Proves that two good nodes still hear each other.
pub(crate) async fn still_in_sync(first: &Node, second: &Node, cores: u32) {
    first.say(cores).await;
    second.hears(first.id(), cores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_or_huge_frames_leave_the_others_in_sync() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    let endpoint = raw_endpoint(&key(9)).await;
    let mut fleet = member(&root, 9);

    for (round, bytes) in [
        // Digests, by their first byte: a kind that is not known yet would be passed over.
        framed(b"\x01GET / HTTP/1.1\r\n\r\n").repeat(MORE_THAN_IS_BORNE),
        framed(&[&[1], &[0xff; 4096][..]].concat()).repeat(MORE_THAN_IS_BORNE),
        u32::MAX.to_le_bytes().to_vec(),
        ((1u32 << 20) + 1).to_le_bytes().to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        let before = first.mesh.counters();
        let (connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
        send.write_all(&framed(&hello(&mut fleet, first.id()))).await.unwrap();
        first.meets(key(9).node_id()).await;
        send.write_all(&bytes).await.unwrap();
        let reason = closed(&connection).await;
        assert!(reason.contains("violation"), "{round}: {reason}");
        eventually("it is counted", || first.mesh.counters().violations > before.violations).await;
        still_in_sync(&first, &second, 10 + u32::try_from(round).unwrap()).await;
    }

    // A frame that is never finished.
    let (_connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut fleet, first.id()))).await.unwrap();
    send.write_all(&100u32.to_le_bytes()).await.unwrap();
    send.finish().unwrap();
    eventually("it is counted", || first.mesh.counters().violations >= 5).await;
    still_in_sync(&first, &second, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_another_protocol_is_refused_and_counted() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    let stranger = raw_endpoint(&key(9)).await;
    assert!(stranger.connect(iroh_addr(&first), b"h3").await.is_err(), "an unknown protocol is no handshake");

    let (connection, mut send, _recv) = raw_stream(&stranger, &first, SYNC_ALPN).await;
    send.write_all(b"GET / HTTP/1.1\r\nHost: sedge\r\n\r\n").await.unwrap();
    assert!(closed(&connection).await.contains("violation"));

    // A stranger's first frame has a limit of its own.
    let (connection, mut send, _recv) = raw_stream(&stranger, &first, SYNC_ALPN).await;
    send.write_all(&(100u32 << 10).to_le_bytes()).await.unwrap();
    assert!(closed(&connection).await.contains("violation"));

    // One that says nothing is not waited for.
    let (connection, mut send, _recv) = raw_stream(&stranger, &first, SYNC_ALPN).await;
    send.write_all(&[1]).await.unwrap();
    assert!(closed(&connection).await.contains("silent"));
    assert_eq!(first.mesh.counters().violations, 3);
    still_in_sync(&first, &second, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_remote_cannot_hold_connections_without_end() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    let stranger = raw_endpoint(&key(9)).await;
    let mut held = Vec::new();
    let refused = loop {
        let connection = stranger.connect(iroh_addr(&first), SYNC_ALPN).await.unwrap();
        if let Ok(error) = timeout(Duration::from_millis(100), connection.closed()).await {
            break error.to_string();
        }
        held.push(connection);
        assert!(held.len() <= 64, "{}", held.len());
    };
    assert!(refused.contains("busy") || refused.contains("silent"), "{refused}");
    still_in_sync(&first, &second, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_datagrams_at_the_port_harm_nothing() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    let socket = std::net::UdpSocket::bind(loopback()).unwrap();
    for size in [0usize, 1, 20, 1200, 1472] {
        let noise: Vec<u8> = (0..size).map(|_| rand::random()).collect();
        socket.send_to(&noise, first.address()).unwrap();
    }
    still_in_sync(&first, &second, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_is_dropped_and_stalls_nobody() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    let narrow = QuicTransportConfig::builder().stream_receive_window(VarInt::from_u32(512)).build();
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key(9).to_bytes()))
        .transport_config(narrow)
        .clear_ip_transports()
        .bind_addr(loopback())
        .unwrap()
        .bind()
        .await
        .unwrap();
    let mut fleet = member(&root, 9);
    let (connection, mut send, _never_read) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut fleet, first.id()))).await.unwrap();
    first.meets(key(9).node_id()).await;
    for cores in 1..40 {
        still_in_sync(&first, &second, cores).await;
    }
    assert!(first.mesh.neighbours().borrow().contains(&key(9).node_id()), "it stalls still");
    // It goes on saying something, so that only its not reading can be held against it.
    let talking = Arc::new(tokio::sync::Mutex::new(send));
    let talk = talking.clone();
    let talker = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(3));
        loop {
            every.tick().await;
            for effect in fleet.handle(Event::Tick, now()) {
                if let Effect::Send { frame, .. } = effect
                    && talk.lock().await.write_all(&framed(&frame)).await.is_err()
                {
                    return;
                }
            }
        }
    });
    let reason = timeout(Duration::from_secs(60), connection.closed()).await.expect("it is dropped").to_string();
    assert!(reason.contains("reads too slowly"), "{reason}");
    talker.abort();
    still_in_sync(&first, &second, 99).await;
    assert_eq!(first.mesh.counters().slow_peers, 1);
}

/// Holds what connects, and reads nothing.
#[derive(Debug)]
struct Deaf;

impl ProtocolHandler for Deaf {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        connection.closed().await;
        Ok(())
    }
}

/// Sends on as many streams of every kind as the other end lets it open, until nothing more goes out. Says how many bytes went.
async fn fill(connection: &Connection) -> u64 {
    let mut filling: JoinSet<Result<(), AcceptError>> = JoinSet::new();
    for n in 0..400 {
        let connection = connection.clone();
        filling.spawn(async move {
            let mut send: SendStream =
                if n % 2 == 0 { connection.open_bi().await?.0 } else { connection.open_uni().await? };
            loop {
                send.write_all(&[0; 16 << 10]).await.map_err(AcceptError::from_err)?;
            }
        });
    }
    let (mut sent, mut still) = (0, 0);
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while still < 20 {
        assert!(tokio::time::Instant::now() < end, "{sent} bytes went, and more is taken");
        tokio::time::sleep(Duration::from_millis(25)).await;
        let now = connection.stats().udp_tx.bytes;
        // Acknowledgements and probes go on for ever.
        still = if now > sent + (8 << 10) { 0 } else { still + 1 };
        sent = now;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_data_that_nobody_reads_stays_within_what_its_sender_was_given() {
    const DEAF_ALPN: &[u8] = b"test/deaf/1";
    const ROOM: u64 = 64 << 10;
    let root = Root::new(1);
    let first = root.start_with(1, &[], Protocols::from([(DEAF_ALPN.to_vec(), Deaf.into())])).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    first.mesh.publish(root.certify(key(9).node_id(), "by-hand")).await.unwrap();
    let (member, stranger) = (raw_endpoint(&key(9)).await, raw_endpoint(&key(10)).await);

    // Packets carry more than what counts against a window, and some of it twice.
    let most = ROOM + ROOM / 2;
    let mut held = Vec::new();
    loop {
        let connection = member.connect(iroh_addr(&first), DEAF_ALPN).await.unwrap();
        let sent = fill(&connection).await;
        if connection.close_reason().is_some() {
            break;
        }
        assert!((ROOM / 2..most).contains(&sent), "{sent} bytes under way on connection {}", held.len());
        held.push(connection);
        assert!(held.len() <= 8, "a member holds {} connections", held.len());
    }
    assert!(held.len() > 1);
    for alpn in [JOIN_ALPN, SYNC_ALPN] {
        let connection = stranger.connect(iroh_addr(&first), alpn).await.unwrap();
        let sent = fill(&connection).await;
        assert!(sent < most, "a stranger has {sent} bytes under way");
    }
    // Beside its one stream a member's sync has a window for a frame.
    held.clear();
    member.close().await;
    let member = raw_endpoint(&key(9)).await;
    let (connection, mut send, _recv) = raw_stream(&member, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut self::member(&root, 9), first.id()))).await.unwrap();
    first.meets(key(9).node_id()).await;
    let sent = fill(&connection).await;
    assert!(sent < (1 << 20) * 3 / 2, "a member's sync has {sent} bytes under way");
    still_in_sync(&first, &second, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_frames_let_nobody_in_and_are_not_borne_without_end() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    for seed in [9, 10] {
        let endpoint = raw_endpoint(&key(seed)).await;
        let (connection, mut send, mut recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
        send.write_all(&framed(b"")).await.unwrap();
        assert!(closed(&connection).await.contains("violation"));
        assert!(recv.read(&mut [0; 1]).await.is_err(), "something was said to it");
    }
    let endpoint = raw_endpoint(&key(9)).await;
    let (connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut member(&root, 9), first.id()))).await.unwrap();
    first.meets(key(9).node_id()).await;
    send.write_all(&framed(b"").repeat(100)).await.unwrap();
    assert!(closed(&connection).await.contains("violation"));
    still_in_sync(&first, &second, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_without_end_leave_members_their_place() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let mut held = Vec::new();
    for seed in 100..140 {
        let stranger = raw_endpoint(&key(seed)).await;
        for _ in 0..4 {
            let connection = stranger.connect(iroh_addr(&first), JOIN_ALPN).await.unwrap();
            held.push((stranger.clone(), connection));
        }
    }
    assert!(first.mesh.counters().refused_connections > 0, "{} strangers were let in", held.len());
    let second = root.start(2, &[first.at()]).await;
    still_in_sync(&first, &second, 5).await;
}

/// A message of whereabouts: `node` is at so many false places, seen this very moment.
fn false_whereabouts(node: NodeId, from: u16) -> Vec<u8> {
    let mut message = vec![1, 1];
    message.extend(node.as_bytes());
    message.push(8);
    for host in 0..8u8 {
        message.extend([0, 127, 0, 7, host, 0x80 | u8::try_from(from & 0x7f).unwrap(), 0x40, 0]);
    }
    framed(&message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_floods_false_addresses_parts_nobody_and_fills_no_memory() {
    let root = Root::new(1);
    let first = root.start(1, &[]).await;
    let second = root.start(2, &[first.at()]).await;
    second.meets(first.id()).await;
    let endpoint = raw_endpoint(&key(9)).await;
    let mut fleet = member(&root, 9);
    let (connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut fleet, first.id()))).await.unwrap();
    first.meets(key(9).node_id()).await;
    let mut liar = connection.open_uni().await.unwrap();
    for round in 0..200 {
        liar.write_all(&false_whereabouts(second.id(), round)).await.unwrap();
        liar.write_all(&false_whereabouts(NodeId::from_bytes([round.to_le_bytes()[0]; 32]), round)).await.unwrap();
    }
    let lied_to =
        || first.mesh.peers().iter().any(|p| p.addresses.iter().any(|a| a.to_string().starts_with("127.0.7.")));
    eventually("a lie is heard", lied_to).await;
    still_in_sync(&first, &second, 5).await;
    let peers = first.mesh.peers();
    assert!(peers.len() <= 2, "strangers were believed in: {peers:?}");
    assert!(peers.iter().all(|p| p.addresses.len() <= 16));
    // What is no message ends the connection it came on, and no other.
    let (connection, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&mut member(&root, 9), first.id()))).await.unwrap();
    connection.open_uni().await.unwrap().write_all(&framed(b"GET / HTTP/1.1")).await.unwrap();
    assert!(closed(&connection).await.contains("violation"));
    still_in_sync(&first, &second, 6).await;
}
