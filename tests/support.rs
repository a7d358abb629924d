//! What the end-to-end tests share: homes and agents as processes of the real `sedge`, and waiting with a deadline.
//!
//! Everything is driven as an operator would: through the command line, read as JSON. Nothing here knows the agent's inside.

pub(crate) mod models;
pub(crate) mod node;
pub(crate) mod outcome;
pub(crate) mod trio;
pub(crate) mod until;

/// Whether a missing prerequisite is a failure, as under `.ci/run`, or a reason to skip.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("SEDGE_CI").is_some_and(|value| value == "1")
}

/// Says what was skipped for want of what, and how to have it; under `SEDGE_CI=1` that is a failure.
pub(crate) fn skip(what: &str, how: &str) -> anyhow::Result<()> {
    anyhow::ensure!(!in_ci(), "{what}, which SEDGE_CI=1 does not forgive: {how}");
    println!("skipped: {what}; to run it: {how}");
    Ok(())
}
