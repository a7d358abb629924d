//! From arguments to an exit status.

use std::process::ExitCode;

use clap::Parser;

use crate::commands;
use crate::failure::{Exit, Failure};
use crate::grammar::{Cli, Command, MeshCommand};
use crate::screen::Screen;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new(cli.global.json);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::failed(
                format!("the runtime did not start: {error}"),
                "Check the limits on threads and open files of this user.",
            );
            failure.print();
            return failure.exit.into();
        }
    };
    match runtime.block_on(run(cli, &screen)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

async fn run(cli: Cli, screen: &Screen) -> Result<Exit, Failure> {
    let home = cli.global.home.unwrap_or_else(sedge_agent::default_home);
    let done = match cli.command {
        Command::Demo(args) => return crate::demo::run(args, screen).await,
        Command::Agent(command) => return commands::agent::run(&home, command, screen).await,
        Command::Deploy(args) => return commands::deploy::run(&home, args, screen).await,
        Command::Chat(args) => return commands::chat::run(&home, args, screen).await,
        Command::Rollout(command) => return commands::rollout::run(&home, command, screen).await,
        Command::Events(args) => return commands::events::run(&home, args, screen).await,
        Command::Doctor => return commands::doctor::run(&home, screen).await,
        Command::Init(args) => commands::mesh::run(&home, MeshCommand::Init(args), screen).await,
        Command::Invite(args) => commands::mesh::run(&home, MeshCommand::Invite(args), screen).await,
        Command::Enroll(command) => commands::mesh::run(&home, MeshCommand::Enroll(command), screen).await,
        Command::Mesh(command) => commands::trust::run(&home, command, screen).await,
        Command::Join(args) => commands::mesh::run(&home, MeshCommand::Join(args), screen).await,
        Command::Status(args) => commands::status::run(&home, args, screen).await,
        Command::Node(command) => commands::node::run(&home, command, screen).await,
        Command::Model(command) => commands::model::run(&home, command, screen).await,
        Command::Infer(args) => commands::infer::run(&home, args, screen).await,
        Command::Completions { shell } => commands::completions::run(shell, screen),
    };
    done.map(|()| Exit::Done)
}
