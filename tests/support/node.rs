//! One node: a home, and the agent process that runs on it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::outcome::{Outcome, exit};
use super::until::{DEADLINE, so_or, until};

/// The program under test, built from this checkout.
const SEDGE: &str = env!("CARGO_BIN_EXE_sedge");
/// The longest that one command may take, waiting for rollouts included.
const COMMAND: Duration = Duration::from_secs(180);
/// How much of a log is shown with a failure, lines.
const TAIL: usize = 15;

/// A node. Its agent is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    log: PathBuf,
    agent: Option<Child>,
    /// The network namespace that it lives in, where that is not this process's.
    host: Option<String>,
}

impl Node {
    /// A node that has no home yet, below `dir`.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let (home, log) = (dir.join(name), dir.join(format!("{name}.log")));
        Self { name: name.to_owned(), home, log, agent: None, host: None }
    }

    /// The same on a host of its own.
    pub(crate) fn within(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Runs a command on this node's home, with `--json`.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<Outcome> {
        let mut command = self.command(args);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let words = format!("sedge ({}) {}", self.name, args.join(" "));
        let began = Instant::now();
        let output =
            timeout(COMMAND, child.output()).await.with_context(|| format!("{words}: no end in {COMMAND:?}"))?;
        let output = output.with_context(|| words.clone())?;
        Ok(Outcome {
            command: words,
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: began.elapsed(),
        })
    }

    /// Runs a command whose reader leaves after the first line, and gives that line and the status with which it then ends.
    pub(crate) async fn first_line(&self, args: &[&str]) -> Result<(String, Option<i32>)> {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let line = timeout(DEADLINE, lines.next_line()).await.with_context(|| format!("{args:?} says nothing"))??;
        drop(lines);
        let status = timeout(DEADLINE, child.wait()).await.with_context(|| format!("{args:?} has no end"))??;
        Ok((line.context("no line")?, status.code()))
    }

    /// Runs a command that goes on, and gives its lines. It is killed with what is returned.
    pub(crate) fn lines(&self, args: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok((child, lines))
    }

    /// Runs a command that must be done, and gives what it printed.
    pub(crate) async fn ask(&self, args: &[&str]) -> Result<Value> {
        self.run(args).await?.json().with_context(|| self.tail())
    }

    /// Makes a mesh.
    pub(crate) async fn init(&self) -> Result<()> {
        self.ask(&["init", "--name", "acme", "--node", &self.name]).await.map(drop)
    }

    /// Makes a ticket and joins with it.
    pub(crate) async fn join(&self, issuer: &Self, invite: &[&str]) -> Result<()> {
        let ticket = issuer.ticket(invite).await?;
        self.ask(&["join", &ticket, "--name", &self.name]).await.map(drop)
    }

    /// Makes a ticket.
    pub(crate) async fn ticket(&self, flags: &[&str]) -> Result<String> {
        let made = self.ask(&[&["invite"], flags].concat()).await?;
        Ok(text(&made, "/ticket")?.to_owned())
    }

    /// Starts the agent on a port of the system's choice, on this machine alone, and waits until it answers.
    pub(crate) async fn start(&mut self, flags: &[&str]) -> Result<()> {
        self.run_agent(&[&["--no-mdns", "--listen", "127.0.0.1:0"], flags].concat()).await
    }

    /// Starts the agent with these flags and no others, and waits until it answers.
    pub(crate) async fn run_agent(&mut self, flags: &[&str]) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = self.command(&[&["agent", "run"], flags].concat());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.agent = Some(command.spawn()?);
        let name = self.name.clone();
        let what = format!("the agent of {name} answering");
        until(&what, async || {
            if let Some(status) = self.agent.as_mut().and_then(|agent| agent.try_wait().transpose()).transpose()? {
                bail!("the agent of {name} ended with {status}\n{}", self.tail());
            }
            let outcome = self.run(&["status"]).await?;
            match outcome.status {
                Some(exit::NO_AGENT) => Ok(Err(outcome.stderr)),
                _ => outcome.json().map(|_| Ok(())),
            }
        })
        .await
    }

    /// Starts the agent where that must fail, and waits for its end.
    pub(crate) async fn fails_to_start(&self) -> Result<Outcome> {
        let started = self.run(&["agent", "run", "--listen", "127.0.0.1:0"]);
        timeout(DEADLINE, started).await.with_context(|| format!("{} started, and should not", self.name))?
    }

    /// Sends the agent a signal, and waits for its end.
    pub(crate) async fn end_by(&mut self, signal: rustix::process::Signal) -> Result<Option<i32>> {
        let mut agent = self.agent.take().context("no agent was started")?;
        let pid = agent.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        rustix::process::kill_process(pid.context("the agent ended already")?, signal)?;
        Ok(timeout(DEADLINE, agent.wait()).await.context("the agent does not end")??.code())
    }

    /// Stops the agent as an operator would.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.ask(&["agent", "stop"]).await?;
        let mut agent = self.agent.take().context("no agent was started")?;
        let status = timeout(DEADLINE, agent.wait()).await.context("the agent does not end")??;
        ensure!(status.success(), "the agent of {} ended with {status}\n{}", self.name, self.tail());
        Ok(())
    }

    /// This node at a glance.
    pub(crate) async fn status(&self) -> Result<Value> {
        self.ask(&["status"]).await
    }

    /// The node's id.
    pub(crate) async fn id(&self) -> Result<String> {
        Ok(text(&self.status().await?, "/node/id")?.to_owned())
    }

    /// Where to dial this node: `ID@IP:PORT`.
    pub(crate) async fn address(&self) -> Result<String> {
        let status = self.status().await?;
        Ok(format!("{}@{}", text(&status, "/node/id")?, text(&status, "/node/listen/0")?))
    }

    /// Waits until this node has a connection with the node of that id, or has none.
    pub(crate) async fn is_connected(&self, id: &str, wanted: bool) -> Result<()> {
        until(&format!("{} being connected with {id:.10}: {wanted}", self.name), async || {
            let status = self.status().await?;
            let peers = list(&status, "/peers")?;
            let connected = peers.iter().any(|peer| peer["id"] == id && peer["connected"] == true);
            Ok(so_or(connected == wanted, || format!("its peers are {peers:?}")))
        })
        .await
    }

    /// Waits until this node knows a release.
    pub(crate) async fn knows_model(&self, id: &str, version: &str) -> Result<()> {
        until(&format!("{} knowing {id}:{version}", self.name), async || {
            let models = self.ask(&["model", "list"]).await?;
            let models = list(&models, "")?;
            let known = models.iter().any(|model| model["id"] == id && model["version"] == version);
            Ok(so_or(known, || format!("it knows {}", models.len())))
        })
        .await
    }

    /// The agent's process.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.agent.as_ref().and_then(Child::id).context("no agent runs")
    }

    /// Where the agent says what it does.
    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }

    /// The most memory that the agent's process ever held, bytes: a peak counts though it was given back.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let pid = self.pid()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib << 10)
    }

    /// Every path below the home with its length, but those that change without anything having been added: the database,
    /// whose file grows in steps, and the socket.
    pub(crate) fn listing(&self) -> Result<BTreeMap<PathBuf, u64>> {
        let mut found = BTreeMap::new();
        let mut next = vec![self.home.clone()];
        while let Some(dir) = next.pop() {
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e).with_context(|| dir.display().to_string()),
            };
            for entry in entries {
                let entry = entry?;
                let (path, meta) = (entry.path(), entry.metadata()?);
                if meta.is_dir() {
                    next.push(path.clone());
                }
                let changes = ["redb", "db", "sock"].map(Some).contains(&path.extension().and_then(|e| e.to_str()));
                if !changes {
                    let length = if meta.is_dir() { 0 } else { meta.len() };
                    found.insert(path.strip_prefix(&self.home)?.to_owned(), length);
                }
            }
        }
        Ok(found)
    }

    /// The last lines of the agent's log.
    pub(crate) fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("the log of {} ends:\n{}", self.name, lines[lines.len().saturating_sub(TAIL)..].join("\n"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.host {
            Some(host) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", host, SEDGE]);
                command
            }
            None => Command::new(SEDGE),
        };
        command.arg("--home").arg(&self.home).arg("--json").args(args).kill_on_drop(true);
        command.env_remove("SEDGE_HOME").env_remove("SEDGE_LOG").env("NO_COLOR", "1");
        command
    }
}

/// The text at a place in JSON.
pub(crate) fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str> {
    value.pointer(at).and_then(Value::as_str).with_context(|| format!("no text at {at:?} of {value}"))
}

/// The list at a place in JSON.
pub(crate) fn list<'a>(value: &'a Value, at: &str) -> Result<&'a [Value]> {
    let list = value.pointer(at).and_then(Value::as_array);
    list.map(Vec::as_slice).with_context(|| format!("no list at {at:?} of {value}"))
}
