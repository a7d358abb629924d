//! Rollouts.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::words;

/// `sedge rollout …`
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// List every rollout, newest first
    #[command(visible_alias = "ls", after_help = "Example:\n  sedge rollout list")]
    List,
    /// Show one rollout: its waves and its nodes
    #[command(after_help = "Example:\n  sedge rollout show 3f9a1c")]
    Show {
        /// Its id, or at least six digits of it
        rollout: String,
    },
    /// Follow a rollout until it ends: exit 0 where it completed, 4 where its time was over first, 1 where it ended otherwise
    #[command(after_help = "Example:\n  sedge rollout watch 3f9a1c\n  sedge rollout watch 3f9a1c --json | jq .state")]
    Watch {
        /// Its id, or at least six digits of it
        rollout: String,
        /// How long to stay; by default until it ends
        #[arg(long, value_name = "TIME", value_parser = words::duration)]
        timeout: Option<Duration>,
    },
    /// Say why a node does, or does not, what a rollout asks
    #[command(after_help = "Example:\n  sedge rollout explain 3f9a1c robot-1")]
    Explain {
        /// Its id, or at least six digits of it
        rollout: String,
        /// The node's name, its id or the first digits of it
        node: String,
    },
    /// Agree to it, and to its release, as the authority that this node is
    #[command(after_help = "Example:\n  sedge rollout show 3f9a1c && sedge rollout approve 3f9a1c")]
    Approve {
        /// Its id, or at least six digits of it
        rollout: String,
    },
    /// Start nothing new until resumed
    #[command(after_help = "Example:\n  sedge rollout pause 3f9a1c --reason \"night shift\"")]
    Pause(ControlArgs),
    /// Go on with a paused rollout
    #[command(after_help = "Example:\n  sedge rollout resume 3f9a1c")]
    Resume(ControlArgs),
    /// Withdraw what is not yet active; what is active stays
    #[command(after_help = "Example:\n  sedge rollout cancel 3f9a1c")]
    Cancel(ControlArgs),
    /// End a rollout for ever: nothing of it starts again
    #[command(after_help = "Example:\n  sedge rollout halt 3f9a1c --reason \"drops frames\"")]
    Halt(ControlArgs),
}

/// What pausing, resuming, cancelling and halting take.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// The rollout's id, or at least six digits of it
    pub(crate) rollout: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}
