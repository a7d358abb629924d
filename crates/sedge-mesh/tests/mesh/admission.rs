//! Nobody without a certificate is served, on any protocol but joining.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iroh::endpoint::Connection;
use iroh::protocol::{AcceptError, ProtocolHandler};
use sedge_fleet::{Effect, Event, Fleet};
use sedge_mesh::{Protocols, SYNC_ALPN};
use tokio::time::timeout;

use crate::support::{DEADLINE, Root, closed, eventually, framed, key, now, raw_endpoint, raw_stream};

const ECHO_ALPN: &[u8] = b"test/echo/1";

/// Sends one byte to whoever connects, and panics when told to.
#[derive(Debug, Clone)]
struct Greeter {
    panics: Arc<AtomicBool>,
}

impl ProtocolHandler for Greeter {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "told to");
        let (mut send, _recv) = connection.accept_bi().await?;
        send.write_all(b"!").await.map_err(AcceptError::from_err)?;
        send.finish()?;
        connection.closed().await;
        Ok(())
    }
}

fn greeter(panics: bool) -> Protocols {
    let greeter = Greeter { panics: Arc::new(AtomicBool::new(panics)) };
    Protocols::from([(ECHO_ALPN.to_vec(), greeter.into())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_on_every_protocol() {
    let root = Root::new(1);
    let first = root.start_with(1, &[], greeter(false)).await;
    let stranger = raw_endpoint(&key(9)).await;

    let connection = stranger.connect(crate::support::iroh_addr(&first), ECHO_ALPN).await.unwrap();
    assert!(closed(&connection).await.contains("not a member"));

    // It makes a mesh of its own, of the same name, and greets with that.
    let impostor = Root::new(9);
    let (connection, mut send, mut recv) = raw_stream(&stranger, &first, SYNC_ALPN).await;
    send.write_all(&framed(&hello(&impostor, &first.id()))).await.unwrap();
    let reason = closed(&connection).await;
    assert!(reason.contains("not a member") || reason.contains("violation"), "{reason}");
    assert!(recv.read(&mut [0; 1]).await.is_err(), "nothing was said to it");
    eventually("both are counted", || {
        let counters = first.mesh.counters();
        counters.refused_connections + counters.violations >= 2
    })
    .await;
    assert_eq!(first.mesh.stats().neighbours, 0);
}

/// What a node says first, by its own fleet.
fn hello(root: &Root, to: &sedge_statement::NodeId) -> Vec<u8> {
    let mut fleet: Fleet =
        root.fleet(&crate::support::Memory::default(), root.key.node_id(), std::slice::from_ref(&root.certificate));
    let effects = fleet.handle(Event::Connected { peer: *to }, now());
    effects
        .into_iter()
        .find_map(|effect| match effect {
            Effect::Send { frame, .. } => Some(frame),
            _ => None,
        })
        .expect("a fleet greets first")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_served_on_further_protocols_and_silence_ends_that_too() {
    let root = Root::new(1);
    let first = root.start_with(1, &[], greeter(false)).await;
    let second = root.start(2, &[first.at()]).await;
    first.sees("the member", |v| v.members.contains_key(&second.id())).await;
    let connection =
        second.mesh.endpoint().unwrap().connect(crate::support::iroh_addr(&first), ECHO_ALPN).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(b"?").await.unwrap();
    assert_eq!(recv.read_to_end(8).await.unwrap(), b"!");
    first.mesh.offline().await;
    assert!(closed(&connection).await.contains("offline"));
    let refused = first.mesh.endpoint().unwrap().connect(crate::support::iroh_addr(&second), ECHO_ALPN).await;
    assert!(refused.is_err(), "silence holds for what it would dial too");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_fleet_closes_loses_its_connections_on_every_protocol() {
    let root = Root::new(1);
    let first = root.start_with(1, &[], greeter(false)).await;
    let member = key(9);
    first.mesh.publish(root.certify(member.node_id(), "by-hand")).await.unwrap();
    let endpoint = raw_endpoint(&member).await;
    let (connection, mut send, mut recv) = raw_stream(&endpoint, &first, ECHO_ALPN).await;
    send.write_all(b"?").await.unwrap();
    assert_eq!(recv.read_to_end(8).await.unwrap(), b"!");
    let (_sync, mut send, _recv) = raw_stream(&endpoint, &first, SYNC_ALPN).await;
    // The stream may be closed before all of it is written.
    let _ = send.write_all(&framed(b"no frame").repeat(40)).await;
    assert!(closed(&connection).await.contains("violation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_costs_its_own_connection_only() {
    let root = Root::new(1);
    let first = root.start_with(1, &[], greeter(true)).await;
    let second = root.start(2, &[first.at()]).await;
    first.sees("the member", |v| v.members.contains_key(&second.id())).await;
    let to_first = crate::support::iroh_addr(&first);
    let connection = second.mesh.endpoint().unwrap().connect(to_first.clone(), ECHO_ALPN).await.unwrap();
    closed(&connection).await;
    eventually("the panic is counted", || first.mesh.counters().handler_panics == 1).await;
    let connection = second.mesh.endpoint().unwrap().connect(to_first, ECHO_ALPN).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(b"?").await.unwrap();
    let answer = timeout(DEADLINE, recv.read_to_end(8)).await.unwrap().unwrap();
    assert_eq!(answer, b"!");
    first.say(2).await;
    second.hears(first.id(), 2).await;
}
