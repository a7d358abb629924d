//! The mesh itself: its roots, and who is trusted no more.

use clap::{Args, Subcommand};
use sedge_statement::{CellPath, Timestamp};

use crate::words::{self, LabelEdit};

/// `sedge mesh …`
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Show the mesh: its roots, who is revoked, what waits for signatures
    #[command(after_help = "Example:\n  sedge mesh show")]
    Show,
    /// Propose other roots, or how many must agree on what; as many of the old and of the new ones as must agree sign it
    #[command(
        after_help = "Example:\n  sedge mesh rotate --add hq-2 --add hq-3\n  sedge mesh rotate --remove hq-1 --good-until 2d\n  sedge mesh rotate --deploy-approvals 2\n\nThe others sign with `sedge mesh approve`."
    )]
    Rotate(RotateArgs),
    /// Sign the roots that were proposed
    #[command(after_help = "Example:\n  sedge mesh show && sedge mesh approve\n  sedge mesh approve 4f1c20")]
    Approve {
        /// The first digits of its id, where more than one version waits
        id: Option<String>,
    },
}

/// `sedge mesh rotate`
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// A member that becomes a root; may be given several times
    #[arg(long, value_name = "NODE")]
    pub(crate) add: Vec<String>,
    /// A root that leaves, whose key is revoked by it; may be given several times
    #[arg(long, value_name = "NODE")]
    pub(crate) remove: Vec<String>,
    /// What a leaving root said after this does not count: a time, or how long ago [default: all it said counts]
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    pub(crate) good_until: Option<Timestamp>,
    /// How many roots must agree [default: the least majority]
    #[arg(long, value_name = "N")]
    pub(crate) threshold: Option<u8>,
    /// How many authorities must agree on a release
    #[arg(long, value_name = "N")]
    pub(crate) release_approvals: Option<u8>,
    /// How many authorities must agree on a deployment
    #[arg(long, value_name = "N")]
    pub(crate) deploy_approvals: Option<u8>,
}

/// `sedge node revoke`
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Its name, its id or the first digits of it
    pub(crate) node: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// What it said after this does not count: a time, or how long ago [default: all it said counts]
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    pub(crate) good_until: Option<Timestamp>,
    /// The last node that it rightly enrolled, or none; whom it enrolled after is no member [default: all stay]
    #[arg(long, value_name = "NODE")]
    pub(crate) last_enrolled: Option<String>,
    /// Sign the revocation of this id that another root proposed; `sedge mesh show` lists them
    #[arg(long, value_name = "ID", conflicts_with_all = ["good_until", "last_enrolled", "reason"])]
    pub(crate) proposed: Option<String>,
}

/// `sedge node label`
#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Its name, its id or the first digits of it
    pub(crate) node: String,
    /// KEY=VALUE sets a label, KEY- removes it
    #[arg(value_name = "LABEL", value_parser = words::label_edit)]
    pub(crate) labels: Vec<LabelEdit>,
    /// Where it stands from now on
    #[arg(long, value_name = "PATH")]
    pub(crate) cell: Option<CellPath>,
}
