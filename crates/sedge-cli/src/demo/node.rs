//! One agent: a process of this program with a home of its own, and the commands an operator would give it.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The longest any single command may take, on a machine that is busy with all the agents.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// The longest an agent may take to end once it was told to.
const END_LIMIT: Duration = Duration::from_secs(20);
/// How much of a log is shown.
const TAIL: usize = 15;

/// One agent.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) home: PathBuf,
    program: PathBuf,
    log: PathBuf,
    /// Where it listened first, so that a restarted one is found where it was.
    pub(super) listen: Option<String>,
    /// Flags of `agent run` besides.
    pub(super) flags: Vec<String>,
    child: Option<Child>,
}

/// A command that was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("`sedge {command}` on {node} ended with status {status}: {said}")]
pub(super) struct Refused {
    node: String,
    command: String,
    pub(super) status: i32,
    said: String,
}

impl Node {
    /// A node of that name under `dir`; nothing runs yet.
    pub(super) fn new(name: &str, dir: &Path) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            home: dir.join(name),
            program: std::env::current_exe().context("this program's own path")?,
            log: dir.join(format!("{name}.log")),
            listen: None,
            flags: Vec::new(),
            child: None,
        })
    }

    /// Gives a command, and reads its JSON answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let mut command = self.command();
        command.arg("--json").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = timeout(COMMAND_LIMIT, command.output()).await;
        let told = || format!("`sedge {}` on {}", shorten(&args.join(" ")), self.name);
        let output = output.with_context(|| format!("{} took too long", told()))?.with_context(told)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            let status = output.status.code().unwrap_or(-1);
            let command = shorten(&args.join(" "));
            return Err(Refused { node: self.name.clone(), command, status, said }.into());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("the answer to {} is not as promised", told()))
    }

    /// Starts the agent. The answer to come is [`Self::ask`]'s.
    pub(super) fn start(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).context("the agent's log")?;
        let mut command = self.command();
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:0");
        command.args(["agent", "run", "--no-mdns", "--listen", listen]).args(&self.flags);
        command.stdout(log.try_clone()?).stderr(log);
        // Ctrl-C is for the demo, which then ends its agents in order.
        command.process_group(0);
        self.child = Some(command.spawn().with_context(|| format!("the agent of {}", self.name))?);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).env_remove("SEDGE_HOME").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// How the agent ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits until the agent, having been told to, has ended by itself.
    pub(super) async fn wait(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let Ok(status) = timeout(END_LIMIT, child.wait()).await else {
            bail!("{} did not stop when told to", self.name)
        };
        self.child = None;
        let status = status?;
        if status.success() { Ok(()) } else { bail!("{} ended with {status} when told to stop", self.name) }
    }

    /// `kill -9`, as a power cut would, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself in this moment, which is as well.
            let _ = child.kill().await;
        }
    }

    /// Whether the agent was started and not yet seen to end.
    pub(super) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> Vec<String> {
        let Ok(text) = fs::read_to_string(&self.log) else { return Vec::new() };
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].iter().map(ToString::to_string).collect()
    }

    /// Where the first file of a model lies on this node's disk.
    pub(super) fn model_file(&self, sha256: &str) -> Result<PathBuf> {
        let dir = self.home.join("models").join(sha256);
        let mut entries = fs::read_dir(&dir).with_context(|| dir.display().to_string())?;
        let entry = entries.next().with_context(|| format!("{} is empty", dir.display()))??;
        Ok(entry.path())
    }
}

/// Tickets and digests are no reading matter.
fn shorten(command: &str) -> String {
    const LONGEST: usize = 40;
    let word = |word: &str| match word.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &word[..at]),
        None => word.to_owned(),
    };
    command.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Flips one bit in the middle of a read-only file, as a bad disk or a hand would, leaving its length and permissions.
pub(super) fn flip_a_byte(path: &Path) -> Result<()> {
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::unix::fs::PermissionsExt;

    let context = || path.display().to_string();
    let before = fs::metadata(path).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(context)?;
    let mut file: File = OpenOptions::new().read(true).write(true).open(path).with_context(context)?;
    let mut byte = [0u8; 1];
    let middle = SeekFrom::Start(before.len() / 2);
    file.seek(middle)?;
    file.read_exact(&mut byte)?;
    file.seek(middle)?;
    file.write_all(&[byte[0] ^ 1])?;
    file.sync_all()?;
    fs::set_permissions(path, before.permissions()).with_context(context)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn flipping_changes_one_byte_of_a_read_only_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        fs::write(&path, b"abcdef").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        flip_a_byte(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abceef");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    }

    #[test]
    fn long_words_of_a_command_are_shortened_for_people() {
        let ticket = "s".repeat(300);
        assert_eq!(shorten(&format!("join {ticket} --name x")), format!("join {}… --name x", "s".repeat(40)));
    }
}
