//! Prerequisites that may be missing on a developer's machine, and must not be where all changes are judged.

use anyhow::{Result, ensure};

/// Whether a missing prerequisite is a failure, as under `.ci/run`, or a reason to skip.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("SEDGE_CI").is_some_and(|value| value == "1")
}

/// Says what was skipped for want of what, and how to have it; under `SEDGE_CI=1` that is a failure.
pub(crate) fn skip(what: &str, how: &str) -> Result<()> {
    ensure!(!in_ci(), "{what}, which SEDGE_CI=1 does not forgive; to have it: {how}");
    println!("skipped: {what}; to have it: {how}");
    Ok(())
}
