//! How long each state may last.
//!
//! Fetching, waiting and pausing are bounded by the deployment's own deadline: a field unit may meet the network once
//! a week, and only the operator knows how long is too long.

use std::time::Duration;

/// A fit check reads facts already gathered: milliseconds. Missing this counts against the rollout, so a machine that is
/// busy starting has to have the time.
pub const FIT: Duration = Duration::from_secs(5 * 60);
/// 64 GiB from storage that reads 40 MB/s takes 29 minutes.
pub const VERIFY: Duration = Duration::from_secs(45 * 60);
/// Loading beside a busy model and running up to 64 probes on a small board.
pub const TEST: Duration = Duration::from_secs(15 * 60);
/// Loading 16 GiB at 40 MB/s takes 7 minutes; switching takes none.
pub const ACTIVATE: Duration = Duration::from_secs(10 * 60);
/// As long as activating: going back may have to load the old model from disk.
pub const ROLL_BACK: Duration = Duration::from_secs(10 * 60);

/// How often a proof or a trial is begun before the restarts that ended it are taken for its doing.
pub const TRIES: u8 = 3;
/// How often a model is activated: once, and once more after a restart, which may have been a power cut.
pub const ACTIVATIONS: u8 = 2;
/// How often going back is begun before the slot asks for help.
pub const ROLL_BACKS: u8 = 3;
