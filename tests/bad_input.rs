//! Bad input, to the real program: the exit status that scripts rely on, a sentence of what and one of what to do, nothing
//! half-written, and the agent alive.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostile::Intruder;
use redb::{Database, ReadableDatabase, TableDefinition};
use rustix::process::Signal;
use sedge_statement::Ticket;
use support::models::{digits, word};
use support::node::{Node, list, text};
use support::outcome::exit::{DONE, FAILED, INTERRUPTED, NO_AGENT, NOT_IN_TIME, REFUSED, USAGE};
use support::skip::{in_ci, skip};
use support::until::{so_or, until};
use tempfile::TempDir;

/// A mesh of one node, its agent running.
struct Alone {
    node: Node,
    dir: TempDir,
}

impl Alone {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut node = Node::new(dir.path(), "alpha");
        node.init().await?;
        node.start(&[]).await?;
        Ok(Self { node, dir })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Checks that a command fails as promised, adds nothing to the home, and leaves the agent alive.
    async fn refuses(&self, args: &[&str], status: i32, why: &str) -> Result<()> {
        let before = self.node.listing()?;
        self.node.run(args).await?.fails_with(status, why)?;
        self.node.status().await?;
        let after = self.node.listing()?;
        ensure!(before == after, "{args:?} changed the home from {before:#?} to {after:#?}");
        Ok(())
    }

    async fn has_no_model(&self) -> Result<()> {
        let models = self.node.ask(&["model", "list"]).await?;
        ensure!(list(&models, "")?.is_empty(), "something was published: {models}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_or_foreign_model_file_is_not_published() -> Result<()> {
    let alone = Alone::start().await?;
    let good = fs::read(digits("digits-2.0.0.onnx"))?;
    let half = alone.write("half-1.0.0.onnx", &good[..good.len() / 2])?;
    let one_short = alone.write("short-1.0.0.onnx", &good[..good.len() - 1])?;
    let empty = alone.write("empty-1.0.0.onnx", &[])?;
    let text = alone.write("text-1.0.0.onnx", b"version https://git-lfs.github.com/spec/v1\n")?;
    let archive = alone.write("archive-1.0.0.onnx", b"PK\x03\x04 and so on, as an archive begins")?;
    let gguf = alone.write("llama-1.0.0.onnx", b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")?;
    for file in [&half, &one_short, &empty, &text, &archive, &gguf] {
        let file = word(file)?;
        alone.refuses(&["model", "add", file], REFUSED, "onnx").await.with_context(|| file.to_owned())?;
        // The same file, said without an agent.
        alone.refuses(&["model", "inspect", file], REFUSED, "onnx").await?;
    }
    let missing = alone.dir.path().join("missing-1.0.0.onnx");
    alone.refuses(&["model", "add", word(&missing)?], FAILED, "missing-1.0.0.onnx").await?;
    alone.refuses(&["model", "add", word(alone.dir.path())?], USAGE, "not a regular file").await?;
    alone.has_no_model().await
}

#[tokio::test(flavor = "multi_thread")]
async fn path_traversal_by_model_id_file_name_or_slot_is_a_usage_error() -> Result<()> {
    let alone = Alone::start().await?;
    let model = digits("digits-1.0.0.onnx");
    let file = word(&model)?;
    for id in ["../../etc/passwd", "/etc/passwd", "..", ".hidden", "a/b", "A", ""] {
        alone.refuses(&["model", "add", file, "--id", id], USAGE, "--id").await?;
        alone.refuses(&["infer", id, "--input", file], USAGE, "slot").await?;
    }
    alone.refuses(&["model", "add", file, "--version", "../1"], USAGE, "--version").await?;
    let hidden = alone.write(".hidden-1.0.0.onnx", &fs::read(&model)?)?;
    alone.refuses(&["model", "add", word(&hidden)?, "--id", "x", "--version", "1"], USAGE, "name").await?;
    alone.has_no_model().await?;
    let ticket = alone.node.ticket(&[]).await?;
    let other = Node::new(alone.dir.path(), "other");
    other.run(&["join", &ticket, "--name", "../x"]).await?.fails_with(USAGE, "--name")?;
    ensure!(!other.home.exists(), "a home was made for a name that is none");
    alone.refuses(&["model", "show", "../../etc/passwd"], USAGE, "../../etc/passwd").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_that_matches_nothing_or_cannot_be_read_deploys_nothing() -> Result<()> {
    let alone = Alone::start().await?;
    let model = digits("digits-1.0.0.onnx");
    alone.node.ask(&["model", "add", word(&model)?]).await?;
    for selector in ["label.site=nowhere", "node=nobody", "cell=another/**", "arch=z80"] {
        alone.refuses(&["deploy", "digits", "--to", selector], USAGE, "matches no device").await?;
    }
    for selector in ["", "everyone", "cell=../**", "label.site"] {
        alone.refuses(&["deploy", "digits", "--to", selector], USAGE, "--to").await?;
    }
    alone.refuses(&["deploy", "another"], FAILED, "another").await?;
    let rollouts = alone.node.ask(&["rollout", "list"]).await?;
    ensure!(list(&rollouts, "")?.is_empty(), "something was deployed: {rollouts}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_of_a_joining_ticket_is_refused() -> Result<()> {
    let alone = Alone::start().await?;
    let ticket = alone.node.ticket(&["--uses", "1"]).await?;
    let node = |name| Node::new(alone.dir.path(), name);
    let (first, second) = (node("first"), node("second"));
    first.ask(&["join", &ticket, "--name", "first"]).await?;
    second.run(&["join", &ticket, "--name", "second"]).await?.fails_with(REFUSED, "used")?;
    first.run(&["join", &ticket, "--name", "first"]).await?.fails_with(FAILED, "already belongs to a mesh")?;

    // Over, as the newcomer's own clock says.
    let short = alone.node.ticket(&["--expires", "1ms"]).await?;
    second.run(&["join", &short, "--name", "second"]).await?.fails_with(REFUSED, "expired")?;
    // Over, though somebody made the ticket say otherwise: its issuer knows.
    let mut edited: Ticket = short.parse()?;
    edited.expires = edited.expires.plus(Duration::from_secs(3600));
    second.run(&["join", &edited.to_string(), "--name", "second"]).await?.fails_with(REFUSED, "expired")?;
    // A secret that was never issued, and text that is no ticket.
    let mut guessed: Ticket = alone.node.ticket(&[]).await?.parse()?;
    guessed.secret = sedge_statement::TicketSecret::from_bytes([7; 16]);
    second.run(&["join", &guessed.to_string(), "--name", "second"]).await?.fails_with(REFUSED, "not known")?;
    let damaged = ticket.replace(char::is_numeric, "a");
    second.run(&["join", &damaged, "--name", "second"]).await?.fails_with(USAGE, "ticket")?;
    second.run(&["join", "hello", "--name", "second"]).await?.fails_with(USAGE, "ticket")?;

    // Nothing of all that is left in the home: it belongs to no mesh, and joins with a ticket that holds.
    second.fails_to_start().await?.fails_with(FAILED, "belongs to no mesh")?;
    let members = alone.node.ask(&["node", "list"]).await?;
    ensure!(list(&members, "")?.len() == 2, "somebody got in: {members}");
    second.join(&alone.node, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_one_home_is_turned_away() -> Result<()> {
    let alone = Alone::start().await?;
    let before = alone.node.listing()?;
    alone.node.fails_to_start().await?.fails_with(FAILED, "another sedge process uses")?;
    alone.node.run(&["init", "--node", "again"]).await?.fails_with(FAILED, "another sedge process uses")?;
    ensure!(before == alone.node.listing()?, "the second agent changed the home");
    // The first still has its socket.
    alone.node.status().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_of_a_newer_format_is_left_as_it_is() -> Result<()> {
    let mut alone = Alone::start().await?;
    let id = alone.node.id().await?;
    alone.node.stop().await?;
    let state = alone.node.home.join("state.redb");
    set_format(&state, 2)?;
    let before = alone.node.listing()?;
    let records = dump(&state)?;
    alone.node.fails_to_start().await?.fails_with(FAILED, "format 2")?;
    alone.node.run(&["init", "--node", "again"]).await?.fails_with(FAILED, "format 2")?;
    ensure!(before == alone.node.listing()?, "the home was changed");
    ensure!(records == dump(&state)?, "the state was changed");
    // The program of its time still finds everything.
    set_format(&state, 1)?;
    alone.node.start(&[]).await?;
    ensure!(alone.node.id().await? == id, "another node came back");
    Ok(())
}

/// The table that says what the file is.
const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");

fn set_format(state: &Path, format: u32) -> Result<()> {
    let write = Database::open(state)?.begin_write()?;
    write.open_table(META)?.insert(b"format".as_slice(), format.to_le_bytes().as_slice())?;
    Ok(write.commit()?)
}

fn dump(state: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let read = Database::open(state)?.begin_read()?;
    let table = read.open_table(META)?;
    let records = redb::ReadableTable::iter(&table)?.map(|record| {
        let (key, value) = record?;
        Ok((key.value().to_vec(), value.value().to_vec()))
    });
    records.collect()
}

/// How large the file system is that fills up, MiB: what the agent keeps free, and a little.
const SMALL_DISK: u64 = 80;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_while_adding_adds_nothing_and_room_helps() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return skip("a file system of its own needs root", "run this test as root");
    }
    let dir = tempfile::tempdir()?;
    let mut node = Node::new(dir.path(), "alpha");
    let Some(_disk) = Disk::mount(&node.home)? else { return Ok(()) };
    node.init().await?;
    node.start(&[]).await?;
    let filler = node.home.join("filler");
    let free = free(&node)?;
    fs::write(&filler, vec![0; usize::try_from(free)?.saturating_sub(1 << 20)])?;
    let before = node.listing()?;
    let model = digits("digits-2.0.0.onnx");
    node.run(&["model", "add", word(&model)?]).await?.fails_with(FAILED, "space")?;
    ensure!(before == node.listing()?, "something was left behind: {:#?}", node.listing()?);
    let models = node.ask(&["model", "list"]).await?;
    ensure!(list(&models, "")?.is_empty(), "something was published: {models}");
    fs::remove_file(&filler)?;
    // The system may take a moment to give the room back.
    until("the room being there again", async || {
        let now = self::free(&node)?;
        Ok(so_or(now.saturating_add(4 << 20) >= free, || format!("{now} bytes are free")))
    })
    .await?;
    node.ask(&["model", "add", word(&model)?]).await?;
    node.stop().await
}

/// Bytes that may still be written in a node's home.
fn free(node: &Node) -> Result<u64> {
    let system = rustix::fs::statvfs(&node.home)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// A small file system in memory, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one; none where this machine does not allow that and may skip.
    fn mount(at: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(at)?;
        let size = format!("size={SMALL_DISK}m,mode=0700");
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Some(Self(at.to_owned()))),
            Ok(output) if in_ci() => anyhow::bail!("no tmpfs: {}", String::from_utf8_lossy(&output.stderr)),
            other => {
                skip(&format!("no tmpfs could be mounted ({other:?})"), "run it where root may mount")?;
                Ok(None)
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a killed agent may hold files for a moment longer.
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_speaks_another_protocol_is_turned_away_and_nothing_is_written() -> Result<()> {
    let alone = Alone::start().await?;
    let intruder = Intruder::join(&alone.node, 42).await?;
    let at: sedge_mesh::PeerAddr = alone.node.address().await?.parse()?;
    let before = alone.node.listing()?;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    for noise in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 1200]] {
        socket.send_to(noise, at.addr)?;
    }
    ensure!(intruder.dial(&alone.node, b"sedge/sync/9").await.is_err(), "another version was accepted");
    let mut session = intruder.greet(&alone.node).await?;
    session.say_raw(b"GET / HTTP/1.1\r\nHost: sedge\r\n\r\n").await;
    let reason = session.is_closed().await?;
    ensure!(reason.contains("protocol violation"), "{reason}");
    ensure!(before == alone.node.listing()?, "the home was changed");
    alone.node.status().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_every_command_that_needs_one_says_so() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let node = Node::new(dir.path(), "alpha");
    let model = digits("digits-1.0.0.onnx");
    let input = digits("inputs/three.json");
    let needing: [&[&str]; 10] = [
        &["status"],
        &["node", "list"],
        &["invite"],
        &["model", "list"],
        &["model", "add", word(&model)?],
        &["deploy", "digits"],
        &["rollout", "list"],
        &["infer", "digits", "--input", word(&input)?],
        &["agent", "offline"],
        &["agent", "stop"],
    ];
    for args in needing {
        node.run(args).await?.fails_with(NO_AGENT, "no agent")?;
    }
    ensure!(!node.home.exists(), "asking made a home");
    node.fails_to_start().await?.fails_with(FAILED, "belongs to no mesh")?;
    // What needs none goes on without.
    ensure!(node.run(&["model", "inspect", word(&model)?]).await?.status == Some(DONE), "inspecting needs an agent");
    // An agent that was killed leaves its socket, and nobody behind it.
    node.init().await?;
    let mut node = node;
    node.start(&[]).await?;
    node.end_by(Signal::KILL).await?;
    node.run(&["status"]).await?.fails_with(NO_AGENT, "no agent")?;
    node.start(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_watched_ends_with_its_reader() -> Result<()> {
    let alone = Alone::start().await?;
    let (line, status) = alone.node.first_line(&["status", "--watch"]).await?;
    ensure!(line.contains("alpha") && status == Some(DONE), "{status:?}: {line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_and_late_have_statuses_of_their_own() -> Result<()> {
    let mut alone = Alone::start().await?;
    let mut other = Node::new(alone.dir.path(), "other");
    other.join(&alone.node, &[]).await?;
    let model = digits("digits-1.0.0.onnx");
    alone.node.ask(&["model", "add", word(&model)?]).await?;
    // Its one node never started.
    let deploy = ["deploy", "digits", "--to", "node=other", "--wait", "--timeout", "1s"];
    let late = alone.node.run(&deploy).await?;
    ensure!(late.status == Some(NOT_IN_TIME), "a rollout that reaches nobody: {late}");
    other.start(&[]).await?;
    let rollouts = alone.node.ask(&["rollout", "list"]).await?;
    let rollout = text(&rollouts, "/0/rollout")?.to_owned();
    until("the late rollout being completed", async || {
        let shown = alone.node.ask(&["rollout", "show", &rollout]).await?;
        Ok(so_or(shown["state"] == "completed", || shown.to_string()))
    })
    .await?;
    ensure!(other.end_by(Signal::INT).await? == Some(INTERRUPTED), "an interrupted agent has another status");
    ensure!(alone.node.end_by(Signal::TERM).await? == Some(DONE), "an agent that was told to end has another status");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_another_project_that_is_bad_is_refused_at_its_place() -> Result<()> {
    let alone = Alone::start().await?;
    let path = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/peat/bad").join(name);
    let cases = [
        ("path-as-id.manifest.json", "$.model_id"),
        ("bad-priority.command.json", "$.priority is 9"),
        ("duplicate-keys.manifest.json", "$.version"),
        ("over-deep.manifest.json", "deeper than 32 levels"),
    ];
    for (name, why) in cases {
        alone.refuses(&["model", "import", word(&path(name))?], REFUSED, why).await?;
    }
    alone.refuses(&["model", "import", "nowhere.json"], FAILED, "nowhere.json").await?;
    alone.refuses(&["model", "import"], USAGE, "FILE.json").await?;
    alone.refuses(&["model", "forget", "../x"], USAGE, "../x").await?;
    alone.refuses(&["model", "show", "nothing", "--peat"], FAILED, "nothing").await?;
    alone.has_no_model().await
}
