//! The wall clock, read in one place.

use std::time::{Duration, SystemTime};

use sedge_statement::Timestamp;

/// Now, by this machine's clock; the epoch where the clock stands before it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(0).plus(since)
}
