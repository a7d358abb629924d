//! How a command ended.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The exit statuses that scripts rely on.
pub(crate) mod exit {
    pub(crate) const DONE: i32 = 0;
    pub(crate) const FAILED: i32 = 1;
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const REFUSED: i32 = 3;
    pub(crate) const NOT_IN_TIME: i32 = 4;
    pub(crate) const NO_AGENT: i32 = 5;
    pub(crate) const INTERRUPTED: i32 = 130;
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The command, for messages.
    pub(crate) command: String,
    /// Its exit status; absent where a signal ended it.
    pub(crate) status: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Outcome {
    /// The one JSON value that it printed, where it was done.
    pub(crate) fn json(&self) -> Result<Value> {
        ensure!(self.status == Some(exit::DONE), "{}: {self}", self.command);
        serde_json::from_str(&self.stdout).with_context(|| format!("{} printed no JSON: {self}", self.command))
    }

    /// Checks that it failed as promised: with this status, nothing on the standard output, and on the standard error one
    /// sentence of what and one of what to do, the first of which says `why`.
    pub(crate) fn fails_with(&self, status: i32, why: &str) -> Result<()> {
        ensure!(self.status == Some(status), "{} should exit with {status}: {self}", self.command);
        ensure!(self.stdout.is_empty(), "{} should print nothing: {self}", self.command);
        let said = self.stderr.trim_end();
        ensure!(said.contains("error:"), "{} should say what is wrong: {self}", self.command);
        ensure!(said.to_lowercase().contains(&why.to_lowercase()), "{} should say {why:?}: {self}", self.command);
        let lines = said.lines().filter(|line| !line.trim().is_empty()).count();
        ensure!(lines >= 2, "{} should say what to do: {self}", self.command);
        ensure!(!said.contains("panicked"), "{} panicked: {self}", self.command);
        Ok(())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status.map_or("a signal".to_owned(), |status| status.to_string());
        write!(f, "exit {status} after {:?}\n{}{}", self.took, self.stdout, self.stderr)
    }
}
