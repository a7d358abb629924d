//! Waiting for conditions, never for time.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

/// Longer than anything that is waited for takes on a machine with two busy cores.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
/// Between two looks: short beside what an agent does, long beside asking it.
const BETWEEN: Duration = Duration::from_millis(60);

/// What a look saw: what was waited for, or what there is instead.
pub(crate) type Look<T> = Result<T, String>;

/// Looks until it is so. Past the deadline, the error says what was seen last.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Look<T>>) -> Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        match look().await? {
            Ok(seen) => return Ok(seen),
            Err(instead) if Instant::now() >= end => bail!("{what}: not within {DEADLINE:?}; {instead}"),
            Err(_) => tokio::time::sleep(BETWEEN).await,
        }
    }
}

/// Seen where `is`, else `instead`.
pub(crate) fn so_or(is: bool, instead: impl FnOnce() -> String) -> Look<()> {
    if is { Ok(()) } else { Err(instead()) }
}
