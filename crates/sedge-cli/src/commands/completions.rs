//! `sedge completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::grammar::Cli;
use crate::screen::Screen;

/// Prints a shell's script, whatever else is wanted: it is no answer of an agent.
pub(crate) fn run(shell: Shell, screen: &Screen) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sedge", &mut script);
    screen.line(String::from_utf8_lossy(&script).trim_end())
}
