//! Many meshes in one process, a third of which is restarted at random for a minute: whether all are one mesh at its end, and what is left over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sedge_fleet::Edit;
use sedge_mesh::{Mesh, Protocols, Sighting};
use sedge_statement::DocKind;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::child::figures;
use crate::host::{quiet, resident};
use crate::report::{Line, Report};
use crate::roster::{Memory, Roster, deployment, now, release};
use crate::sync::all_know;

const NODES: usize = 250;
/// One of so many is restarted again and again.
const EVERY: usize = 3;
/// How long that goes on.
const LASTS: Duration = Duration::from_secs(60);
/// How long a node runs between two restarts, at least and at most.
const RUNS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(12));
/// How many others a node knows where to find when it first starts.
const KNOWN: usize = 8;
/// How long the mesh is left alone before anything is counted: three messages of presence, and whatever was lost is noticed.
const SETTLES: Duration = Duration::from_secs(35);
/// Longer than anything takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);
/// What is promised: from the end of the restarts until all know a deployment, milliseconds.
const KNOWS: f64 = 5000.0;

/// What a mesh takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Tasks of the runtime.
    tasks: usize,
    /// Connections of sync, each counted at both its ends.
    links: usize,
    /// Resident memory, MB.
    memory: f64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Churn {
    restarts: usize,
    /// From writing a deployment until every view holds it, milliseconds: in the mesh at rest, and at the end of the restarts.
    at_rest: f64,
    knows: f64,
    before: Taken,
    after: Taken,
    /// Tasks that are left when all have stopped.
    left: usize,
}

/// Measures it.
pub(crate) async fn measure(report: &mut Report) {
    println!("{NODES} endpoints, {} of them restarted again and again for a minute", NODES / EVERY);
    quiet().await;
    let churn: Churn = figures(&["churn", &NODES.to_string()]).await;
    let Churn { restarts, before, after, .. } = churn;
    println!(
        "  {restarts} restarts; before {before:?}; after {after:?}; {} tasks left when all have stopped",
        churn.left
    );
    let mut add = |what, measured, unit, most: f64, anchor| {
        report.add(Line { what, measured, unit, promise: Some(0.0..=most), anchor });
    };
    add("churn-250: all know a deployment when it ends", churn.knows, "ms", KNOWS, ("at rest", churn.at_rest));
    // A task more or less for each connection; connections are chosen by chance.
    let (tasks, links) = (before.tasks as f64, before.links as f64);
    add("churn-250: tasks after it", after.tasks as f64, "", tasks * 1.15, ("before", tasks));
    add("churn-250: ends of connections after it", after.links as f64, "", links * 1.25, ("before", links));
    // What the allocator keeps of the busiest moment is no leak; what grows with every restart would be many times that.
    add("churn-250: resident memory after it", after.memory, "MB", before.memory * 1.3, ("before", before.memory));
    add("churn-250: tasks left when all have stopped", churn.left as f64, "", 0.0, ("before", tasks));
}

struct Running {
    n: usize,
    mesh: Mesh,
    storage: Arc<Memory>,
}

async fn start(roster: &Roster, n: usize, storage: Arc<Memory>, known: Vec<Sighting>) -> Running {
    let config = roster.config(n).sightings(known);
    let mesh = roster.open(config, n, storage.clone(), Protocols::new()).await;
    Running { n, mesh, storage }
}

/// Runs `nodes` of them.
pub(crate) async fn run(nodes: usize) -> Churn {
    let idle = Handle::current().metrics().num_alive_tasks();
    let roster = Arc::new(Roster::new(nodes));
    let mut all: Vec<Running> = Vec::with_capacity(nodes);
    for n in 0..nodes {
        let known = (1..=KNOWN.min(n)).map(|step| {
            let other = &all[(n * 31 + step * step * 7) % n].mesh;
            Sighting { node: other.node_id(), addr: other.listen_addresses()[0], seen: now(), proven: true }
        });
        let known = known.collect();
        all.push(start(&roster, n, Arc::default(), known).await);
    }
    let root = all[0].mesh.clone();
    let release = release();
    let release_id = release.id();
    root.write(DocKind::Authority, vec![Edit::PutRelease(release)]).await.expect("the root may publish");
    let these = meshes(&all);
    let knowing = all_know(&these, move |view| view.releases.contains_key(&release_id));
    tokio::time::timeout(DEADLINE, knowing).await.expect("everyone hears of the release");
    drop(these);
    tokio::time::sleep(SETTLES).await;
    let spread = async |all: &[Running], n| {
        let frontier = root.view().borrow().frontier.clone();
        let wish = deployment(release_id, frontier, n);
        let rollout = wish.id();
        let these = meshes(all);
        let knowing = all_know(&these, move |view| view.deployments.contains_key(&rollout));
        let began = Instant::now();
        root.write(DocKind::Authority, vec![Edit::PutDeployment(wish)]).await.expect("the root may deploy");
        let last = tokio::time::timeout(DEADLINE, knowing).await.expect("everyone hears of the deployment");
        last.duration_since(began).as_secs_f64() * 1000.0
    };
    let at_rest = spread(&all, 0).await;
    let before = taken(&all);

    let (churned, mut others): (Vec<_>, Vec<_>) = all.into_iter().partition(|running| running.n % EVERY == 1);
    let until = Instant::now() + LASTS;
    let churning: JoinSet<_> = churned.into_iter().map(|one| restart_until(Arc::clone(&roster), one, until)).collect();
    let (mut restarts, mut all) = (0, std::mem::take(&mut others));
    for (running, count) in churning.join_all().await {
        restarts += count;
        all.push(running);
    }
    let knows = spread(&all, 1).await;
    tokio::time::sleep(SETTLES).await;
    let after = taken(&all);
    drop(root);
    let ending: JoinSet<()> = all.into_iter().map(|running| async move { running.mesh.shutdown().await }).collect();
    tokio::time::timeout(DEADLINE, ending.join_all()).await.expect("everyone stops");
    let ends = Instant::now() + Duration::from_secs(10);
    let left = || Handle::current().metrics().num_alive_tasks().saturating_sub(idle);
    while left() > 0 && Instant::now() < ends {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Churn { restarts, at_rest, knows, before, after, left: left() }
}

/// Restarts one on what it kept, every other time without letting it stop, and says how often that was.
async fn restart_until(roster: Arc<Roster>, mut running: Running, until: Instant) -> (Running, usize) {
    let mut count = 0;
    loop {
        let runs = rand::random_range(RUNS.0..=RUNS.1);
        if Instant::now() + runs >= until {
            tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
            return (running, count);
        }
        tokio::time::sleep(runs).await;
        let Running { n, mesh, storage } = running;
        let known = mesh.sightings();
        if count % 2 == 0 {
            mesh.shutdown().await;
        }
        drop(mesh);
        running = start(&roster, n, storage, known).await;
        count += 1;
    }
}

fn meshes(all: &[Running]) -> Vec<Mesh> {
    all.iter().map(|running| running.mesh.clone()).collect()
}

fn taken(all: &[Running]) -> Taken {
    let links = all.iter().map(|running| running.mesh.neighbours().borrow().len()).sum();
    Taken { tasks: Handle::current().metrics().num_alive_tasks(), links, memory: resident() }
}
