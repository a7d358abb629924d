//! The commands of the README, run as they stand with the program built from this checkout.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

#[test]
fn the_commands_of_the_readme_do_what_they_say() -> Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_sedge"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").canonicalize()?;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").canonicalize()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = program.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    let output = Command::new("bash")
        .arg(tests.join("by-hand"))
        .env("PATH", std::env::join_paths(dirs)?)
        .env("MODELS", models)
        .output()
        .context("bash is not installed")?;
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{said}{wrong}", output.status);
    ensure!(said.lines().last().is_some_and(|line| line.starts_with("by-hand: ok, ")), "it says {said}");
    println!("{}", said.trim_end());
    Ok(())
}
