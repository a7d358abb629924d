//! `sedge agent run --detach`: the same program in a process of its own, waited for until it answers.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sedge_agent::Client;
use sedge_agent::api::{Request, Status};
use serde_json::json;
use tokio::time::Instant;

use super::agent::greeting;
use crate::failure::{Exit, Failure};
use crate::screen::Screen;

/// How long an agent may take until it answers: opening a large state after a power cut repairs it first.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How often the socket is tried.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How much of the log's end is shown where the agent does not come up, bytes.
const TAIL: u64 = 2048;

/// Starts the agent in the background and returns once it answers.
pub(crate) async fn run(home: &Path, screen: &Screen) -> Result<Exit, Failure> {
    if Client::connect(home).await.is_ok() {
        let what = format!("an agent already runs on {}", home.display());
        return Err(Failure::failed(what, "Stop it with `sedge agent stop`, or give another home with --home."));
    }
    let log_path = home.join("agent.log");
    let (mut child, begins) = start(home, &log_path).map_err(|error| {
        Failure::failed(
            format!("{}: {error}", log_path.display()),
            "Make the home first, with `sedge init` or `sedge join TICKET`.",
        )
    })?;
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let said = tail(&log_path, begins);
            return Err(Failure::failed(
                format!("the agent ended at once ({status}): {said}"),
                "See its log in the home.",
            ));
        }
        if let Ok(mut client) = Client::connect(home).await
            && let Ok(status) = client.ask::<Status>(&Request::Status).await
        {
            let shown = json!({"node": status.node, "mesh": status.mesh, "pid": child.id()});
            screen.show(&shown, |_, _| greeting(&status))?;
            return Ok(Exit::Done);
        }
        if Instant::now() >= deadline {
            // It may yet come up: it is left alone, and said where to look.
            let what = "the agent does not answer yet".to_owned();
            return Err(Failure { exit: Exit::NotInTime, what, remedy: "See agent.log in its home.".to_owned() });
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}

/// The child, and where its part of the log begins.
fn start(home: &Path, log_path: &PathBuf) -> io::Result<(Child, u64)> {
    let log = OpenOptions::new().create(true).append(true).open(log_path)?;
    let begins = log.metadata()?.len();
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    let child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .env("SEDGE_HOME", home)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Its own group: a Ctrl-C for the shell is not one for the agent.
        .process_group(0)
        .spawn()?;
    Ok((child, begins))
}

fn tail(log: &Path, begins: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(begins.max(end.saturating_sub(TAIL))))?;
        let mut text = Vec::new();
        file.take(TAIL).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    };
    read().unwrap_or_else(|error| error.to_string())
}
