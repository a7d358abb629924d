//! Somebody else with an account on the machine.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sedge_statement::Ticket;

use crate::siege::{Siege, under_way};
use crate::support::node::Node;
use crate::support::skip::skip;

/// The account of nobody.
const NOBODY: u32 = 65_534;
/// A line longer than anything that is asked.
const LONG: usize = 4 << 20;

/// The permissions of a path.
fn mode(path: &Path) -> Result<u32> {
    let meta = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(meta.permissions().mode() & 0o777)
}

#[tokio::test(flavor = "multi_thread")]
async fn local_user_on_the_device_finds_no_key_no_socket_and_no_state_open() -> Result<()> {
    let _turn = under_way().await;
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    let mut node = Node::new(dir.path(), "alpha");
    node.init().await?;
    node.start(&[]).await?;
    ensure!(mode(&node.home)? == 0o700, "the home is open: {:o}", mode(&node.home)?);
    for (path, wanted) in [
        ("identity", 0o700),
        ("identity/secret.key", 0o600),
        ("state.redb", 0o600),
        ("agent.sock", 0o600),
        ("agent.lock", 0o600),
    ] {
        let found = mode(&node.home.join(path))?;
        ensure!(found == wanted, "{path} is {found:o}");
    }
    // A home that was there before, and open to all: what matters is closed by itself.
    node.stop().await?;
    fs::set_permissions(&node.home, fs::Permissions::from_mode(0o777))?;
    node.start(&[]).await?;
    for path in ["identity/secret.key", "state.redb", "agent.sock"] {
        let found = mode(&node.home.join(path))?;
        ensure!(found == 0o600, "{path} is {found:o}");
    }
    if !rustix::process::geteuid().is_root() {
        return skip("another account needs root", "run this test as root");
    }
    let socket = node.home.join("agent.sock");
    let asked = as_nobody(&["sh", "-c", &format!("exec 3<>{0} || cat < {0}", socket.display())])?;
    ensure!(!asked.0, "nobody opened the socket: {}", asked.1);
    for path in ["identity/secret.key", "state.redb"] {
        let path = node.home.join(path);
        let (read, said) = as_nobody(&["cat", path.to_str().context("no text")?])?;
        ensure!(!read && said.contains("ermission denied"), "{}: {said}", path.display());
    }
    let sedge = env!("CARGO_BIN_EXE_sedge");
    let home = node.home.to_str().context("no text")?;
    let (steered, said) = as_nobody(&[sedge, "--home", home, "agent", "stop"])?;
    ensure!(!steered, "nobody stopped the agent: {said}");
    node.status().await.map(drop)
}

/// Runs a command under the account of nobody; says whether it succeeded, and what it said.
fn as_nobody(words: &[&str]) -> Result<(bool, String)> {
    let (program, args) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(args).uid(NOBODY).gid(NOBODY).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    match command.output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
        }
        // It may not even reach the program.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok((false, "Permission denied".to_owned())),
        Err(e) => Err(e.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_user_on_the_device_reads_no_secret_and_finds_no_port_of_the_agent() -> Result<()> {
    let _turn = under_way().await;
    let dir = tempfile::tempdir()?;
    let mut node = Node::new(dir.path(), "alpha");
    node.init().await?;
    node.start(&[]).await?;
    let ticket: Ticket = node.ticket(&[]).await?.parse()?;
    let mut newcomer = Node::new(dir.path(), "beta");
    newcomer.ask(&["join", &ticket.to_string(), "--name", "beta"]).await?;
    newcomer.start(&["--peer", &node.address().await?]).await?;
    newcomer.is_connected(&node.id().await?, true).await?;
    for node in [&node, &newcomer] {
        let pid = node.pid()?;
        // Every user may read these.
        let seen = [fs::read(format!("/proc/{pid}/cmdline"))?, fs::read(node.log_path())?].concat();
        let seen = String::from_utf8_lossy(&seen).to_lowercase();
        let key = fs::read(node.home.join("identity/secret.key"))?;
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let secrets = [key, ticket.to_string()];
        ensure!(secrets.iter().all(|secret| !seen.contains(&secret.to_lowercase())), "a secret is seen in {seen}");
        ensure!(tcp_sockets(pid)?.is_empty(), "{} listens for TCP: {:?}", node.name, tcp_sockets(pid)?);
    }
    Ok(())
}

/// The TCP sockets that a process holds, as the system lists them.
fn tcp_sockets(pid: u32) -> Result<Vec<String>> {
    let mut inodes = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        inodes.extend(target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned));
    }
    ensure!(!inodes.is_empty(), "the agent holds no socket at all, so that this shows nothing");
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let listed = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let ours = |line: &&str| line.split_whitespace().nth(9).is_some_and(|inode| inodes.iter().any(|i| i == inode));
        found.extend(listed.lines().skip(1).filter(ours).map(str::to_owned));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn local_user_on_the_device_who_got_at_the_socket_stops_nothing_by_garbage() -> Result<()> {
    let siege = Siege::lay().await?;
    let socket = siege.victim.home.join("agent.sock");
    let garbage: [Vec<u8>; 5] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"{\"status\":{}}\n[[[[[[\n\n\n\0\n".to_vec(),
        "[".repeat(100_000).into_bytes(),
        [vec![b'x'; LONG], vec![b'\n']].concat(),
        vec![0xff; 4096],
    ];
    let mut held = Vec::new();
    for bytes in garbage {
        let socket = socket.clone();
        let said = tokio::task::spawn_blocking(move || -> Result<UnixStream> {
            let mut stream = UnixStream::connect(socket)?;
            stream.write_all(&bytes)?;
            if bytes.ends_with(b"\n") {
                let mut answer = [0; 64];
                ensure!(stream.read(&mut answer)? > 0, "no answer");
            }
            Ok(stream)
        });
        held.push(said.await??);
        siege.is_unharmed().await?;
    }
    drop(held);
    siege.holds().await
}
