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
    /// How many nodes the waves before the last take, the canary first
    #[arg(long, value_name = "N,N…", default_value = "1", value_parser = words::waves)]
    pub(crate) waves: Waves,
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
    /// Stay until the rollout ends
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to stay
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = words::duration, requires = "wait")]
    pub(crate) timeout: Duration,
}
