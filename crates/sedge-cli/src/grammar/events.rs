//! The audit trail.

use std::path::PathBuf;

use clap::Args;
use sedge_statement::{MeshId, Timestamp};

use crate::words;

/// `sedge events`
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Stay, and show what is said from now on, and what stops counting
    #[arg(long, conflicts_with_all = ["export", "verify"])]
    pub(crate) follow: bool,
    /// Only what was said then or later: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    pub(crate) since: Option<Timestamp>,
    /// Write all of it, with every signature, into a file that proves itself
    #[arg(long, value_name = "FILE", conflicts_with_all = ["verify", "since"])]
    pub(crate) export: Option<PathBuf>,
    /// Prove such a file and show what it says; needs neither an agent nor a home. Exit 3 where anything in it does not hold
    #[arg(long, value_name = "FILE")]
    pub(crate) verify: Option<PathBuf>,
    /// The mesh that the file must be of, as `sedge mesh show` gives it; without, the file is proven against itself alone
    #[arg(long, value_name = "ID", requires = "verify")]
    pub(crate) mesh: Option<MeshId>,
}
