//! `sedge`: the command line of Sedge, and the process that hosts an agent.

fn main() -> std::process::ExitCode {
    sedge_cli::main()
}
