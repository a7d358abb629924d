//! Deployments.

use std::time::Duration;

use clap::Args;
use sedge_statement::{Percent, Priority, Selector, SlotName};

use crate::words::{self, Waves};

/// `sedge deploy`
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// MODEL[:VERSION], or the first digits of a release's id; the newest release where no version is given
    pub(crate) model: String,
    /// On which nodes: cell=PATH[/**], label.KEY=VALUE, node=NAME[|NAME…], arch=NAME, class=NAME, joined by commas
    #[arg(long, value_name = "SELECTOR", default_value = "cell=**")]
    pub(crate) to: Selector,
    /// In which slot; by default the one named as the model
    #[arg(long, value_name = "SLOT")]
    pub(crate) slot: Option<SlotName>,
    /// The waves, in order: each a number of nodes, or the share of all nodes that it brings the rollout to, rounded up.
    /// Whoever is left forms one more. By default one canary, or with --canary none but it
    #[arg(long, value_name = "N|SHARE,…", value_parser = words::waves)]
    pub(crate) waves: Option<Waves>,
    /// Nodes that go first, in a wave of their own: names, ids or first digits of ids
    #[arg(long, value_name = "NODE,…", value_delimiter = ',')]
    pub(crate) canary: Vec<String>,
    /// The share of a wave that must have committed before the next opens
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = words::percent)]
    pub(crate) quorum: Percent,
    /// How many nodes may fail before the rollout halts
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_failed: u32,
    /// How long a wave must have served before the next opens
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = words::duration)]
    pub(crate) soak: Duration,
    /// How long a node watches the new model before it commits to it
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = words::duration)]
    pub(crate) probation: Duration,
    /// When the rollout ends, reached or not
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = words::duration)]
    pub(crate) deadline: Duration,
    /// Past it nothing new starts; by default the deadline alone ends it
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    pub(crate) start_by: Option<Duration>,
    /// Which fetch comes first, 1 (first) to 5 (last)
    #[arg(long, value_name = "1-5", default_value = "3", value_parser = words::priority)]
    pub(crate) priority: Priority,
    /// Hold the model, proven, and go on serving what serves
    #[arg(long)]
    pub(crate) stage_only: bool,
    /// Let slots go back to an older release
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// Show who would get it, when, and who not and why; publish nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) plan: bool,
    /// Stay until the rollout ends
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to stay
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = words::duration, requires = "wait")]
    pub(crate) timeout: Duration,
}
