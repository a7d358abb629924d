//! Making meshes and joining them.

use std::time::Duration;

use clap::Args;
use sedge_statement::{CellPath, LabelKey, LabelValue, MeshName, NodeName, Role};

use crate::words;

/// The commands that make a mesh grow.
#[derive(Debug)]
pub(crate) enum MeshCommand {
    Init(InitArgs),
    Invite(InviteArgs),
    Join(JoinArgs),
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

/// `sedge join`
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// What `sedge invite` printed; `-` reads it from the standard input, where no other user can see it
    pub(crate) ticket: String,
    /// This node's name; by default this machine's
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<NodeName>,
    /// Do not look for the issuer on the local network where it is not where the ticket says
    #[arg(long)]
    pub(crate) no_mdns: bool,
}
