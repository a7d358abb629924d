//! Many meshes in one process: how long until all know of a deployment, and what each costs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sedge_fleet::{Edit, FleetView};
use sedge_mesh::{Mesh, PeerAddr, Protocols};
use sedge_statement::DocKind;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::child::figures;
use crate::host::{median, quiet, resident, worst};
use crate::report::{Line, Report};
use crate::roster::{Roster, deployment, id, release};

/// How many rings the neighbours are taken from, each through every node in another order: two neighbours a ring, so up to
/// eight each, which is how many a node looks for by itself.
const RINGS: usize = 4;
const ROUNDS: u64 = 5;
/// How long frames are counted where nothing happens.
const IDLE: Duration = Duration::from_secs(6);
/// Longer than anything takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// A size, and the names of its lines.
#[derive(Debug)]
pub(crate) struct Size {
    nodes: usize,
    /// What is promised, milliseconds.
    promise: f64,
    knows: &'static str,
    slowest: &'static str,
    bytes: &'static str,
    memory: &'static str,
    anchor: &'static str,
}

pub(crate) const SMALL: Size = Size {
    nodes: 250,
    promise: 1000.0,
    knows: "250 endpoints know a deployment, median of 5",
    slowest: "250 endpoints know a deployment, worst of 5",
    bytes: "bytes of frames for it, each of 250",
    memory: "resident memory, each of 250 endpoints",
    anchor: "750 round trips, bare iroh",
};
pub(crate) const LARGE: Size = Size {
    nodes: 1000,
    promise: 4000.0,
    knows: "1,000 endpoints know a deployment, median of 5",
    slowest: "1,000 endpoints know a deployment, worst of 5",
    bytes: "bytes of frames for it, each of 1,000",
    memory: "resident memory, each of 1,000 endpoints",
    anchor: "3,000 round trips, bare iroh",
};

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// From writing a deployment until every view holds it, milliseconds, each round.
    times: Vec<f64>,
    /// Bytes of frames that each node sent for a deployment.
    bytes: f64,
    /// The deployment's own bytes.
    deployment: f64,
    /// Bytes of frames that each node sends in a second where nothing happens.
    idle: f64,
    /// Resident memory for each, MB.
    memory: f64,
    /// Neighbours of each.
    neighbours: f64,
    /// How long starting and connecting all of them took, seconds.
    began: f64,
}

/// Measures one size beside its anchor.
pub(crate) async fn measure(report: &mut Report, size: &Size) {
    let nodes = size.nodes.to_string();
    println!("{nodes} endpoints");
    quiet().await;
    let bare: Bare = figures(&["bare", &nodes]).await;
    quiet().await;
    let sync: Spread = figures(&["sync", &nodes]).await;
    println!(
        "  {:.1} neighbours each, up and connected in {:.1} s; idle, each sends {:.0} B of frames a second; rounds of {} ms",
        sync.neighbours,
        sync.began,
        sync.idle,
        sync.times.iter().map(|time| format!("{time:.0}")).collect::<Vec<_>>().join(", "),
    );
    let promise = Some(0.0..=size.promise);
    let (knows, slowest) = (median(&sync.times), worst(&sync.times));
    let times = (size.anchor, bare.round_trips);
    report.add(Line { what: size.knows, measured: knows, unit: "ms", promise, anchor: times });
    let times = (size.anchor, bare.worst);
    report.add(Line { what: size.slowest, measured: slowest, unit: "ms", promise: None, anchor: times });
    let bytes = ("the deployment itself", sync.deployment);
    report.add(Line { what: size.bytes, measured: sync.bytes, unit: "B", promise: None, anchor: bytes });
    let memory = ("bare iroh, 6 ends of connections", bare.memory);
    report.add(Line { what: size.memory, measured: sync.memory, unit: "MB", promise: None, anchor: memory });
}

/// Runs `nodes` of them.
pub(crate) async fn run(nodes: usize) -> Spread {
    let roster = Roster::new(nodes);
    let before = resident();
    let began = Instant::now();
    let mut meshes = Vec::with_capacity(nodes);
    for n in 0..nodes {
        meshes.push(roster.start(n, Protocols::new()).await);
    }
    drop(roster);
    let neighbours = connect(&meshes).await;
    let began = began.elapsed().as_secs_f64();

    let release = release();
    let release_id = release.id();
    let root = &meshes[0];
    root.write(DocKind::Authority, vec![Edit::PutRelease(release)]).await.expect("the root may publish");
    tokio::time::timeout(DEADLINE, all_know(&meshes, move |view| view.releases.contains_key(&release_id)))
        .await
        .expect("everyone hears of the release");
    let memory = (resident() - before) / nodes as f64;
    let idle = idle(&meshes).await;

    let (mut times, mut sent, mut size) = (Vec::new(), 0.0, 0);
    for n in 0..ROUNDS {
        let frontier = root.view().borrow().frontier.clone();
        let wish = deployment(release_id, frontier, n);
        let rollout = wish.id();
        size = wish.to_bytes().len();
        let bytes_before = bytes(&meshes);
        let knowing = all_know(&meshes, move |view| view.deployments.contains_key(&rollout));
        let began = Instant::now();
        root.write(DocKind::Authority, vec![Edit::PutDeployment(wish)]).await.expect("the root may deploy");
        let last = tokio::time::timeout(DEADLINE, knowing).await.expect("everyone hears of the deployment");
        times.push(last.duration_since(began).as_secs_f64() * 1000.0);
        // What neighbours still tell those who know already is part of the price.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sent += (bytes(&meshes) - bytes_before) / nodes as f64 - idle * began.elapsed().as_secs_f64();
    }
    Spread { times, bytes: sent / ROUNDS as f64, deployment: size as f64, idle, memory, neighbours, began }
}

/// Tells each node of its neighbours and waits until all are connected; gives how many each has.
async fn connect(meshes: &[Mesh]) -> f64 {
    let pairs = neighbours(meshes.len());
    for (one, other) in &pairs {
        let addr = meshes[*other].listen_addresses()[0];
        meshes[*one].add_peer(PeerAddr { id: Some(id(*other)), addr });
    }
    let mut wanted = vec![BTreeSet::new(); meshes.len()];
    for (one, other) in &pairs {
        wanted[*one].insert(id(*other));
        wanted[*other].insert(id(*one));
    }
    let waiting: JoinSet<()> = meshes
        .iter()
        .zip(wanted)
        .map(|(mesh, wanted)| {
            let mut has = mesh.neighbours();
            async move {
                has.wait_for(|has| wanted.is_subset(has)).await.expect("the mesh runs");
            }
        })
        .collect();
    tokio::time::timeout(DEADLINE, waiting.join_all()).await.expect("everyone is connected");
    2.0 * pairs.len() as f64 / meshes.len() as f64
}

/// Who is whose neighbour: the lower number dials.
fn neighbours(nodes: usize) -> BTreeSet<(usize, usize)> {
    let mut pairs = BTreeSet::new();
    for ring in 0..RINGS {
        let place = |n: &usize| *blake3::hash(&[ring.to_le_bytes(), n.to_le_bytes()].concat()).as_bytes();
        let mut order: Vec<usize> = (0..nodes).collect();
        order.sort_by_cached_key(place);
        for (n, one) in order.iter().enumerate() {
            let other = order[(n + 1) % nodes];
            pairs.insert((other.min(*one), other.max(*one)));
        }
    }
    pairs
}

/// Ends when every view is as wanted, and says when the last one became so.
pub(crate) fn all_know(
    meshes: &[Mesh],
    wanted: impl Fn(&FleetView) -> bool + Clone + Send + Sync + 'static,
) -> impl Future<Output = Instant> {
    let knowing: JoinSet<Instant> = meshes
        .iter()
        .map(|mesh| {
            let (mut view, wanted) = (mesh.view(), wanted.clone());
            async move {
                view.wait_for(|view| wanted(view)).await.expect("the mesh runs");
                Instant::now()
            }
        })
        .collect();
    async { knowing.join_all().await.into_iter().max().expect("there are nodes") }
}

fn bytes(meshes: &[Mesh]) -> f64 {
    meshes.iter().map(|mesh| mesh.counters().bytes_sent as f64).sum()
}

/// Bytes of frames each node sends in a second where nothing happens.
async fn idle(meshes: &[Mesh]) -> f64 {
    tokio::time::sleep(IDLE).await;
    let (before, began) = (bytes(meshes), Instant::now());
    tokio::time::sleep(IDLE).await;
    (bytes(meshes) - before) / meshes.len() as f64 / began.elapsed().as_secs_f64()
}
