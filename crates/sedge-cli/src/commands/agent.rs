//! `sedge agent`: hosts an agent, or tells one something.

use std::io;
use std::path::Path;

use sedge_agent::api::{Request, Status};
use sedge_agent::{Agent, AgentConfig, Stopped};
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::ask;
use crate::failure::{Exit, Failure};
use crate::grammar::{AgentCommand, RunArgs};
use crate::paint::Paint;
use crate::screen::Screen;

/// Carries out a command.
pub(crate) async fn run(home: &Path, command: AgentCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        AgentCommand::Run(args) if args.detach => super::detach::run(home, screen).await,
        AgentCommand::Run(args) => host(home, args, screen).await,
        AgentCommand::Offline => {
            tell(home, &Request::Offline, "The mesh is silent; models go on serving.", screen).await
        }
        AgentCommand::Online => tell(home, &Request::Online, "The mesh is on again.", screen).await,
        AgentCommand::Stop => tell(home, &Request::Stop, "The agent stops.", screen).await,
    }
}

async fn tell(home: &Path, request: &Request, done: &str, screen: &Screen) -> Result<Exit, Failure> {
    let _: Value = ask(home, request).await?;
    screen.show(&json!({"ok": true}), |_, _| done.to_owned())?;
    Ok(Exit::Done)
}

async fn host(home: &Path, args: RunArgs, screen: &Screen) -> Result<Exit, Failure> {
    log_to_stderr()?;
    let mut stops = Stops::new().map_err(|error| {
        Failure::failed(format!("signals cannot be caught: {error}"), "Check the limits of this user.")
    })?;
    let mut config = AgentConfig::new(home.to_owned()).nearby(!args.no_mdns);
    for address in args.listen {
        config = config.listen(address);
    }
    for relay in args.relay {
        config = config.relay(relay);
    }
    for peer in args.peer {
        config = config.peer(peer);
    }
    if let Some(rate) = args.upload_limit {
        config = config.upload_limit(rate);
    }
    if let Some(rate) = args.download_limit {
        config = config.download_limit(rate);
    }
    let agent = Agent::start(config).await?;
    let status = agent.status().await;
    screen.show(&json!({"node": status.node, "mesh": status.mesh}), |_, _| greeting(&status))?;
    let exit = tokio::select! {
        why = agent.stopped() => match why {
            Stopped::Asked => Exit::Done,
            // A service manager starts it again.
            Stopped::Failed => Exit::Failed,
        },
        exit = stops.next() => exit,
    };
    agent.shutdown().await;
    Ok(exit)
}

pub(super) fn greeting(status: &Status) -> String {
    let listen: Vec<String> = status.node.listen.iter().map(ToString::to_string).collect();
    let listen = if listen.is_empty() { "nowhere".to_owned() } else { listen.join(", ") };
    let (node, mesh) = (&status.node, &status.mesh);
    format!("{} ({}) of the mesh {} listens on {listen}.", node.name, node.id.short(), mesh.name)
}

/// `SEDGE_LOG` as `tracing` filters are written, `info` without it.
fn log_to_stderr() -> Result<(), Failure> {
    let filter = match std::env::var("SEDGE_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            Failure::usage(
                format!("SEDGE_LOG is not a filter: {error}"),
                "Write info, debug, or sedge_mesh=debug,info.",
            )
        })?,
        // Transport libraries report every lost packet as a warning; what a person can act on is Sedge's own.
        _ => EnvFilter::new("info,iroh=error,noq=error,iroh_blobs=error,tract=error"),
    };
    let colour = Paint::stderr() != Paint::plain();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour).init();
    Ok(())
}

/// What the system sends to end a process. Listened to before the agent starts, so that none is lost.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// How the program ends once one of them came: a service manager's stop is no failure.
    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Done,
        }
    }
}
