//! Runs the real program.

use std::path::Path;
use std::process::{Command, Stdio};

/// The program on a home, without anything of this user's environment.
pub(crate) fn sedge(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sedge"));
    command.arg("--home").arg(home).env_remove("SEDGE_HOME").env_remove("SEDGE_LOG").stdin(Stdio::null());
    command
}
