//! Waiting for conditions, never for time.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::words::show_duration;

/// Between two looks: short beside anything an agent does, long beside asking.
const BETWEEN: Duration = Duration::from_millis(40);

/// What a look found.
pub(super) enum Look<T> {
    /// It is so.
    Seen(T),
    /// Not yet; what is seen instead.
    Not(String),
}

/// Looks until it is so, or until `within` has passed: then the error says what was seen instead.
pub(super) async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match look().await? {
            Look::Seen(value) => return Ok(value),
            Look::Not(instead) if Instant::now() >= deadline => {
                bail!("{what} did not come about within {}: {instead}", show_duration(within))
            }
            Look::Not(_) => tokio::time::sleep(BETWEEN).await,
        }
    }
}

/// Seen where `is`, else `instead`.
pub(super) fn so_or(is: bool, instead: impl FnOnce() -> String) -> Look<()> {
    if is { Look::Seen(()) } else { Look::Not(instead()) }
}
