//! Making meshes and joining them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use sedge_statement::{CellPath, LabelKey, LabelValue, MeshName, NodeName, Role};

use crate::words;

/// The commands that make a mesh grow.
#[derive(Debug)]
pub(crate) enum MeshCommand {
    Init(InitArgs),
    Invite(InviteArgs),
    Join(JoinArgs),
    Enroll(EnrollCommand),
}

/// `sedge init`
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The mesh's name
    #[arg(long, value_name = "NAME", default_value = "mesh")]
    pub(crate) name: MeshName,
    /// This node's name; by default this machine's
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<NodeName>,
}

/// `sedge invite`
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// The cell of whoever joins with the ticket
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(crate) cell: CellPath,
    /// What they may do: enroll, release, deploy, aggregate, device, observe; may be given several times
    #[arg(long, value_name = "ROLE", default_value = "device")]
    pub(crate) role: Vec<Role>,
    /// A label they carry; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = words::label)]
    pub(crate) label: Vec<(LabelKey, LabelValue)>,
    /// How many may join with it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) uses: u32,
    /// How long it holds
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = words::duration)]
    pub(crate) expires: Duration,
}

/// `sedge enroll …`
#[derive(Debug, Subcommand)]
pub(crate) enum EnrollCommand {
    /// Print a request to be enrolled, in the name of this home's key
    #[command(after_help = "Example:\n  sedge enroll request > robot-7.request")]
    Request {
        /// This node's name; by default this machine's
        #[arg(long, value_name = "NAME")]
        name: Option<NodeName>,
    },
    /// Enrol whoever wrote a request, and print the approval that it joins with
    #[command(after_help = "Example:\n  sedge enroll approve robot-7.request --cell plant-7 > robot-7.approval")]
    Approve(ApproveArgs),
}

/// `sedge enroll approve`
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// What `sedge enroll request` printed there
    #[arg(value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// Its cell
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(crate) cell: CellPath,
    /// What it may do: enroll, release, deploy, aggregate, device, observe; may be given several times
    #[arg(long, value_name = "ROLE", default_value = "device")]
    pub(crate) role: Vec<Role>,
    /// A label it carries; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = words::label)]
    pub(crate) label: Vec<(LabelKey, LabelValue)>,
}

/// `sedge join`
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// What `sedge invite` printed; `-` reads it from the standard input, where no other user can see it
    #[arg(required_unless_present = "approval", conflicts_with = "approval")]
    pub(crate) ticket: Option<String>,
    /// What `sedge enroll approve` wrote, where there is no network between the two; the name is that of the request
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub(crate) approval: Option<PathBuf>,
    /// This node's name; by default this machine's
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<NodeName>,
    /// Do not look for the issuer on the local network where it is not where the ticket says
    #[arg(long)]
    pub(crate) no_mdns: bool,
}
