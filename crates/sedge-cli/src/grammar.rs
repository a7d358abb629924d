//! The words of the command line: nouns, then verbs.

mod chat;
mod deploy;
mod events;
mod mesh;
mod model;
mod rollout;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sedge_agent::PeerAddress;
use sedge_statement::{ByteSize, RelayAddress, SlotName};

use crate::words;
pub(crate) use chat::ChatArgs;
pub(crate) use deploy::DeployArgs;
pub(crate) use events::EventsArgs;
pub(crate) use mesh::{ApproveArgs, EnrollCommand, InitArgs, InviteArgs, JoinArgs, MeshCommand};
pub(crate) use model::{AddArgs, ImportArgs, ModelCommand};
pub(crate) use rollout::{ControlArgs, RolloutCommand};
pub(crate) use trust::{LabelArgs, RevokeArgs, TrustCommand};

/// Keeps a fleet of devices supplied with models, without a server.
#[derive(Debug, Parser)]
#[command(
    name = "sedge",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 failed, 2 usage, 3 refused, 4 not reached in time, 5 no agent running, \
                  130 interrupted.\n\nTry `sedge demo`: a mesh of real agents on this machine, through the whole life of an update."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// This node's directory; by default the XDG data directory
    #[arg(long, global = true, env = "SEDGE_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON on the standard output, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a mesh of real agents on this machine, through the whole life of an update
    #[command(after_help = "Example:\n  sedge demo --nodes 5\n  sedge demo --model detector.onnx --json")]
    Demo(DemoArgs),
    /// Make a mesh; this node becomes its root
    #[command(after_help = "Example:\n  sedge init --name acme && sedge agent run")]
    Init(InitArgs),
    /// Print a ticket with which others join
    #[command(after_help = "Example:\n  sedge invite --cell plant-7 --label site=oslo --uses 10 --expires 2h")]
    Invite(InviteArgs),
    /// Join a mesh
    #[command(after_help = "Example:\n  sedge join sedgeaf2x… --name robot-1 && sedge agent run")]
    Join(JoinArgs),
    /// Join with no network: a request file one way, an approval file the other
    #[command(subcommand)]
    Enroll(EnrollCommand),
    /// Run this node's agent, or tell it something
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Show this node, its slots, its peers and how fresh its view is
    #[command(after_help = "Example:\n  sedge status --watch")]
    Status(StatusArgs),
    /// Show the nodes of the mesh, and say who they are
    #[command(subcommand)]
    Node(NodeCommand),
    /// Show the mesh itself, and change who its roots are
    #[command(subcommand)]
    Mesh(TrustCommand),
    /// Publish and look at models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Say which model belongs in which slot of which nodes
    #[command(
        after_help = "Example:\n  sedge deploy digits:2.0.0 --to cell=plant-7/**,label.site=oslo --waves 1,25%,100% --soak 10m --wait\n  sedge deploy digits:2.0.0 --canary robot-1,robot-7 --waves 50% --plan"
    )]
    Deploy(DeployArgs),
    /// Look at rollouts and steer them
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Ask the model in a slot
    #[command(
        after_help = "Example:\n  sedge infer digits --input seven.json\n  sedge infer digits --input image.npy --input-name image\n  echo 'Once upon a' | sedge infer writer --input -"
    )]
    Infer(InferArgs),
    /// Talk with the language model in a slot
    #[command(
        after_help = "Example:\n  sedge chat writer\n  sedge chat writer --prompt 'Tell me of the sea.' --temperature 0.8 --seed 7\n\nOn a terminal, Ctrl-C stops an answer and Ctrl-D ends. Elsewhere each line of the standard input is one thing said.\nA conversation is put in the form that the model was trained on where its file shows one of chatml, llama3 or phi3; otherwise\nthe model goes on from it as from plain text."
    )]
    Chat(ChatArgs),
    /// Show who said what, when, and whether it counts: the signed audit trail
    #[command(
        after_help = "Example:\n  sedge events --since 7d\n  sedge events --follow --json | jq .what\n  sedge events --export audit.sedge && sedge events --verify audit.sedge --mesh 3f9a1c…\n\nEvery time is by the clock of whoever signed it. A file proves what is in it; that nothing was left out of it, it does not: the end of a document and whole objects can be missing, as on a node that has not heard of them."
    )]
    Events(EventsArgs),
    /// Say what is wrong here, and what to do about it
    #[command(after_help = "Example:\n  sedge doctor")]
    Doctor,
    /// Print a script that completes these commands in a shell
    #[command(after_help = "Example:\n  sedge completions bash > /etc/bash_completion.d/sedge")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `sedge demo`
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// How many agents
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16), value_name = "N")]
    pub(crate) nodes: u8,
    /// An ONNX or GGUF model of yours in the place of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Leave the homes and logs of the agents behind
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `sedge agent …`
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Run this node's agent until it is told to stop
    #[command(
        after_help = "Example:\n  sedge agent run --listen 0.0.0.0:4433 --peer 10.0.0.7:4433 --download-limit 2MiB\n\nThe log goes to the standard error; SEDGE_LOG=debug shows more of it."
    )]
    Run(RunArgs),
    /// Keep radio silence: all mesh traffic stops, models go on serving
    #[command(after_help = "Example:\n  sedge agent offline")]
    Offline,
    /// End radio silence
    #[command(after_help = "Example:\n  sedge agent online")]
    Online,
    /// Stop the agent
    #[command(after_help = "Example:\n  sedge agent stop")]
    Stop,
}

/// `sedge agent run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Where to listen, UDP; port 0 takes a free one. May be given several times; by default on every address
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// A node to connect to; may be given several times
    #[arg(long, value_name = "[ID@]IP:PORT")]
    pub(crate) peer: Vec<PeerAddress>,
    /// A relay of yours, for nodes that cannot reach each other directly: http://HOST:PORT, or https:// for one whose
    /// certificate a public authority signed; an authority of your own is refused. An IP address as the host spares asking a
    /// name server. May be given up to four times; by default the relays of the ticket that this node joined with, and no other
    /// relay ever
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Vec<RelayAddress>,
    /// Neither look for members on the local network by multicast, nor be found there
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// The most to send, a second
    #[arg(long, value_name = "RATE", value_parser = words::rate)]
    pub(crate) upload_limit: Option<ByteSize>,
    /// The most to fetch, a second
    #[arg(long, value_name = "RATE", value_parser = words::rate)]
    pub(crate) download_limit: Option<ByteSize>,
    /// Run in the background, the log in the home, and return once the agent answers
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `sedge status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show it again and again, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `sedge node …`
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List every node
    #[command(visible_alias = "ls", after_help = "Example:\n  sedge node list")]
    List,
    /// Show one node: hardware, slots
    #[command(after_help = "Example:\n  sedge node show robot-1")]
    Show {
        /// Its name, its id or the first digits of it
        node: String,
    },
    /// Set and remove labels of a node, or move it to another cell
    #[command(
        after_help = "Example:\n  sedge node label robot-1 site=oslo power-\n  sedge node label robot-1 --cell plant-8/line-1"
    )]
    Label(LabelArgs),
    /// Take back, for ever, what a node may say; every member closes its connections to it
    #[command(
        after_help = "Example:\n  sedge node revoke robot-1 --reason stolen\n  sedge node revoke gate-2 --good-until 2026-11-20T08:00:00Z --last-enrolled robot-9"
    )]
    Revoke(RevokeArgs),
}

/// `sedge infer`
#[derive(Debug, Args)]
pub(crate) struct InferArgs {
    /// The slot
    pub(crate) slot: SlotName,
    /// Tensors as JSON (`{"inputs":[…]}` or a list), an .npy file, or an ONNX test_data_set directory; several add up. For a
    /// language model a .txt file, or `-` for the standard input: it goes on from the text
    #[arg(long, required = true, value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// The name of the input that an .npy file is for; by default the file's name without .npy
    #[arg(long, value_name = "NAME")]
    pub(crate) input_name: Option<String>,
    /// The most tokens by which a language model continues a text [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
}

#[cfg(test)]
mod tests;
