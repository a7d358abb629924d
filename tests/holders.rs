//! Weights come from whoever holds them, with or without a connection for documents.
//!
//! Agents in one process, with homes, files and sockets of their own, so that each can be told how many neighbours to look for:
//! as many as there may be is more than a test has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sedge_agent::api::{DeployRequest, Invitation, InviteRequest, Model, ModelAdd, Request};
use sedge_agent::{Agent, AgentConfig, Client, InitOptions, JoinOptions, PeerAddress};
use sedge_fleet::FleetView;
use sedge_statement::{Action, CellPath, DeploymentDraft, Downgrade, GatePolicy, ModelType, Priority, WaveSize};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

/// Longer than anything here takes on a machine with two busy cores.
const DEADLINE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_has_no_connection_with_the_publisher_fetches_from_it_all_the_same() -> Result<()> {
    a_canary_fetches_from_afar(CellPath::root()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_of_another_cell_which_knows_no_holder_fetches_from_the_publisher() -> Result<()> {
    a_canary_fetches_from_afar("plant-8".parse()?).await
}

/// The canary's only neighbour is of the publisher's cell, and has no copy.
async fn a_canary_fetches_from_afar(cell: CellPath) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let home = |name: &str| dir.path().join(name);
    sedge_agent::init(&home("alpha"), InitOptions { name: "acme".parse()?, node: "alpha".parse()? }).await?;
    let alpha = run(&home("alpha"), &[]).await?;
    for (name, cell) in [("beta", CellPath::root()), ("gamma", cell.clone())] {
        let (roles, labels) = (Default::default(), BTreeMap::new());
        let invite = InviteRequest { cell, roles, labels, uses: 1, expires_in: DEADLINE };
        let ticket: Invitation = ask(&home("alpha"), &Request::Invite(invite)).await?;
        let options = JoinOptions { ticket: ticket.ticket.parse()?, name: name.parse()?, nearby: false };
        sedge_agent::join(&home(name), options).await?;
    }
    // A line: each knows where the others are, and has its documents from the one before it.
    let beta = run(&home("beta"), &[&alpha]).await?;
    let gamma = run(&home("gamma"), &[&beta]).await?;
    let elsewhere = cell != CellPath::root();
    let met = |view: &Arc<FleetView>| view.members.len() == 3 && (elsewhere || view.profiles.len() == 3);
    for agent in [&alpha, &beta, &gamma] {
        let mut view = agent.view();
        timeout(DEADLINE, view.wait_for(met)).await.context("they never met")??;
    }

    let release: Model = ask(&home("alpha"), &Request::ModelAdd(digits()?)).await?;
    let draft = DeploymentDraft {
        slot: "digits".parse()?,
        selector: "node=gamma".parse()?,
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![WaveSize::Count(1)],
        gate: GatePolicy::default(),
        probation: Duration::ZERO,
        deadline_in: Duration::from_secs(3600),
        start_within: None,
    };
    let request = DeployRequest { model: release.release.to_string(), canaries: Vec::new(), draft };
    let _: Value = ask(&home("alpha"), &Request::Deploy(request)).await?;
    let mut slot = gamma.watch_slot(&"digits".parse()?);
    let report = timeout(DEADLINE, slot.until_serving()).await;
    let report = report.context("the weights never came")?.context("the agent stopped")?;

    if elsewhere {
        // Nobody whom the publisher hears holds that cell's documents: it says so, and not that there is nothing.
        let shown: Value = ask(&home("alpha"), &Request::NodeShow { node: "gamma".to_owned() }).await?;
        ensure!(shown["held"] == false && shown["profile"].is_null(), "{shown}");
        let view = gamma.view();
        let told = view.borrow().holders.values().any(|nodes| nodes.contains(&alpha.node_id()));
        ensure!(!told, "it was told that the publisher has the file, so that this shows nothing");
    }
    let (status_a, status_c): (Value, Value) =
        (ask(&home("alpha"), &Request::Status).await?, ask(&home("gamma"), &Request::Status).await?);
    for (status, other) in [(&status_a, gamma.node_id()), (&status_c, alpha.node_id())] {
        let peers = status["peers"].as_array().context("no peers")?;
        let linked = peers.iter().any(|peer| peer["id"] == other.to_string() && peer["connected"] == true);
        ensure!(!linked, "they are neighbours, so that this shows nothing: {peers:?}");
    }
    let held = beta.status().await;
    ensure!(held.slots.is_empty(), "the one between them has it too: {:?}", held.slots);
    println!("fetched {:?} from a node that is no neighbour", report.sha256.map(|sha256| sha256.short()));
    for agent in [gamma, beta, alpha] {
        agent.shutdown().await;
    }
    Ok(())
}

/// An agent that looks for no neighbours but these.
async fn run(home: &Path, neighbours: &[&Agent]) -> Result<Agent> {
    let mut config = AgentConfig::new(home).listen("127.0.0.1:0".parse()?).nearby(false).neighbours(0);
    for agent in neighbours {
        config = config.peer(PeerAddress { id: Some(agent.node_id()), addr: agent.listen_addresses()[0] });
    }
    Ok(Agent::start(config).await?)
}

async fn ask<T: DeserializeOwned>(home: &Path, request: &Request) -> Result<T> {
    Ok(Client::connect(home).await?.ask(request).await?)
}

fn digits() -> Result<ModelAdd> {
    let models: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    Ok(ModelAdd {
        file: models.join("digits-1.0.0.onnx").canonicalize()?,
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
    })
}
