//! The anchor: as many bare iroh endpoints, three connections each, and a round trip of 500 B over every connection at once.

use std::time::{Duration, Instant};

use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, EndpointAddr, RelayMode};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::host::{median, resident, worst};
use crate::roster::loopback;

const ALPN: &[u8] = b"bench/echo";
const BYTES: usize = 500;
/// How many other endpoints each one dials; each connection has two ends.
const DIALLED: usize = 3;
const ROUNDS: usize = 5;
/// Longer than anything takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bare {
    /// One round trip over every connection, all at once: the median, milliseconds.
    pub(crate) round_trips: f64,
    /// The same, the worst.
    pub(crate) worst: f64,
    /// Resident memory for each endpoint, MB.
    pub(crate) memory: f64,
}

/// Measures `nodes` of them.
pub(crate) async fn run(nodes: usize) -> Bare {
    let before = resident();
    let mut endpoints = Vec::with_capacity(nodes);
    for _ in 0..nodes {
        let endpoint = bind().await;
        tokio::spawn(serve(endpoint.clone()));
        endpoints.push(endpoint);
    }
    let mut dials = JoinSet::new();
    for (n, endpoint) in endpoints.iter().enumerate() {
        for step in 1..=DIALLED {
            // Far from one another, so that no two ends dial each other.
            let other = &endpoints[(n + step * step * 5) % nodes];
            let there = EndpointAddr::new(other.id()).with_ip_addr(other.bound_sockets()[0]);
            let endpoint = endpoint.clone();
            dials.spawn(async move { endpoint.connect(there, ALPN).await.expect("it listens") });
        }
    }
    let connections = dials.join_all().await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let round: JoinSet<()> = connections.iter().cloned().map(round_trip).collect();
        tokio::time::timeout(DEADLINE, round.join_all()).await.expect("round trips end");
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Bare { round_trips: median(&times), worst: worst(&times), memory: (resident() - before) / nodes as f64 }
}

async fn bind() -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .alpns(vec![ALPN.to_vec()])
        .clear_ip_transports()
        .bind_addr(loopback())
        .expect("loopback is an address")
        .bind()
        .await
        .expect("a port is free")
}

async fn serve(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                let asked = recv.read_to_end(BYTES).await.expect("the request comes whole");
                send.write_all(&asked).await.expect("the connection is open");
                send.finish().expect("the stream is open");
            }
        });
    }
}

async fn round_trip(connection: Connection) {
    let (mut send, mut recv) = connection.open_bi().await.expect("the connection is open");
    send.write_all(&[7; BYTES]).await.expect("the connection is open");
    send.finish().expect("the stream is open");
    assert_eq!(recv.read_to_end(BYTES).await.expect("the answer comes whole").len(), BYTES);
}
