//! Twenty-four agents in one process, and how long until all of them know a new deployment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sedge_agent::api::{DeployRequest, Deployed, Invitation, InviteRequest, Model, ModelAdd, Request};
use sedge_agent::{Agent, AgentConfig, Client, InitOptions, JoinOptions, PeerAddress};
use sedge_statement::{
    Action, CellPath, DeploymentDraft, Downgrade, GatePolicy, ModelType, Priority, Selector, WaveSize,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::child::figures;
use crate::host::{median, quiet, worst};
use crate::report::{Line, Report};
use crate::roster::loopback;

const AGENTS: usize = 24;
/// How many of those before it each agent is told of, beside whoever let it in.
const NEIGHBOURS: usize = 3;
const ROUNDS: usize = 7;
/// What is promised, milliseconds.
const PROMISE: f64 = 500.0;
/// Longer than a rollout takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Measures.
pub(crate) async fn measure(report: &mut Report) {
    println!("{AGENTS} agents");
    quiet().await;
    let bare: Bare = figures(&["bare", &AGENTS.to_string()]).await;
    let dir = TempDir::new().expect("a temporary directory");
    let agents = start(dir.path()).await;
    let root = home(dir.path(), 0);
    let release: Model = ask(&root, &Request::ModelAdd(digits())).await;
    let (mut times, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet().await;
        let (known, answered, rollout) = deploy(&agents, &root, &release).await;
        times.push(known);
        answers.push(answered);
        carried_out(&root, &rollout).await;
    }
    for agent in agents {
        agent.shutdown().await;
    }
    println!("  rounds of {times:.0?} ms, the first agent's answer after {answers:.0?} ms");
    let anchor = ("72 round trips, bare iroh", bare.round_trips);
    let promise = Some(0.0..=PROMISE);
    let (what, measured) = ("24 agents know a deployment, median of 7", median(&times));
    report.add(Line { what, measured, unit: "ms", promise: promise.clone(), anchor });
    let (what, measured) = ("24 agents know a deployment, worst of 7", worst(&times));
    report.add(Line { what, measured, unit: "ms", promise, anchor });
}

fn home(dir: &Path, n: usize) -> PathBuf {
    dir.join(format!("a{n}"))
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

/// Makes a mesh, lets all in, and waits until all see all.
async fn start(dir: &Path) -> Vec<Agent> {
    let root = home(dir, 0);
    sedge_agent::init(&root, InitOptions { name: name("bench"), node: name("a0") }).await.expect("an empty home");
    let mut agents = vec![run(&root, &[]).await];
    let invite = InviteRequest {
        cell: CellPath::root(),
        roles: Default::default(),
        labels: BTreeMap::new(),
        uses: u32::try_from(AGENTS).expect("a few dozen"),
        expires_in: DEADLINE,
    };
    let invitation: Invitation = ask(&root, &Request::Invite(invite)).await;
    for n in 1..AGENTS {
        let options = JoinOptions { ticket: name(&invitation.ticket), name: name(&format!("a{n}")), nearby: false };
        sedge_agent::join(&home(dir, n), options).await.expect("the ticket is good");
        let before = &agents[n.saturating_sub(NEIGHBOURS)..];
        agents.push(run(&home(dir, n), before).await);
    }
    let seeing: JoinSet<()> = agents
        .iter()
        .map(|agent| {
            let mut view = agent.view();
            async move {
                view.wait_for(|view| view.profiles.len() == AGENTS).await.expect("the agent runs");
            }
        })
        .collect();
    tokio::time::timeout(DEADLINE, seeing.join_all()).await.expect("all hear of all");
    agents
}

async fn run(home: &Path, neighbours: &[Agent]) -> Agent {
    let peers =
        neighbours.iter().map(|agent| PeerAddress { id: Some(agent.node_id()), addr: agent.listen_addresses()[0] });
    let config = peers.fold(AgentConfig::new(home).listen(loopback()).nearby(false), AgentConfig::peer);
    Agent::start(config).await.expect("the home is a member's")
}

async fn ask<T: serde::de::DeserializeOwned>(home: &Path, request: &Request) -> T {
    Client::connect(home).await.expect("its agent runs").ask(request).await.expect("it is done")
}

fn digits() -> ModelAdd {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    ModelAdd {
        file: models.join("digits-1.0.0.onnx").canonicalize().expect("the repository has it"),
        beside: Vec::new(),
        draft: None,
        id: None,
        version: None,
        variant: None,
        model_type: ModelType::Classifier,
        license: "Apache-2.0".to_owned(),
        source: String::new(),
        probes: Vec::new(),
        metadata: BTreeMap::new(),
    }
}

/// Deploys; says how long until every view held it, how long until the agent answered, and the rollout.
async fn deploy(agents: &[Agent], root: &Path, release: &Model) -> (f64, f64, String) {
    let draft = DeploymentDraft {
        slot: name("digits"),
        selector: Selector::whole_mesh(),
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![WaveSize::Count(1)],
        gate: GatePolicy::default(),
        probation: Duration::ZERO,
        deadline_in: Duration::from_secs(3600),
        start_within: None,
    };
    let before = agents[0].view().borrow().deployments.len();
    let knowing: JoinSet<Instant> = agents
        .iter()
        .map(|agent| {
            let mut view = agent.view();
            async move {
                view.wait_for(|view| view.deployments.len() > before).await.expect("the agent runs");
                Instant::now()
            }
        })
        .collect();
    let request = Request::Deploy(DeployRequest { model: release.release.to_string(), canaries: Vec::new(), draft });
    let began = Instant::now();
    let deployed: Deployed = ask(root, &request).await;
    let answered = began.elapsed();
    let known = tokio::time::timeout(DEADLINE, knowing.join_all()).await.expect("all hear of it");
    let known = known.into_iter().max().expect("there are agents").duration_since(began);
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    (millis(known), millis(answered), deployed.rollout.to_string())
}

/// Waits until every agent has done what it asks, so that one round's work is not in the next.
async fn carried_out(root: &Path, rollout: &str) {
    let waiting = async {
        let mut after = None;
        loop {
            let shown: Value = ask(root, &Request::RolloutShow { rollout: rollout.to_owned(), after }).await;
            if shown["state"] == "completed" {
                return;
            }
            after = shown["revision"].as_u64();
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("the rollout completes");
}
