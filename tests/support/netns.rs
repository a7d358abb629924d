//! Networks made for a test: namespaces of the kernel, joined by bridges. Everything goes with the value that made it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::skip::skip;
use super::until::DEADLINE;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Networks apart from this machine's own.
#[derive(Debug)]
pub(crate) struct Networks {
    prefix: String,
    made: Vec<String>,
    plugs: u32,
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.made {
            // What is left of it would be removed by hand.
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

impl Networks {
    /// Makes ready; none, with a word of why, where this user or machine cannot.
    pub(crate) fn new() -> Result<Option<Self>> {
        if !rustix::process::getuid().is_root() {
            skip("network namespaces need root", "run the test as root")?;
            return Ok(None);
        }
        for (program, argument, package) in [("ip", "-V", "iproute2"), ("python3", "-V", "python3")] {
            let found = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !found.is_ok_and(|status| status.success()) {
                skip(&format!("{program} is missing"), &format!("apt-get install {package}"))?;
                return Ok(None);
            }
        }
        let prefix = format!("sedge{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut networks = Self { prefix, made: Vec::new(), plugs: 0 };
        match networks.host("probe") {
            Ok(_) => Ok(Some(networks)),
            Err(why) => {
                skip(&format!("namespaces cannot be made: {why:#}"), "run the test where they can").map(|()| None)
            }
        }
    }

    /// A host with nothing but itself.
    pub(crate) fn host(&mut self, name: &str) -> Result<String> {
        let full = format!("{}-{name}", self.prefix);
        ip(&["netns", "add", &full])?;
        self.made.push(full.clone());
        ip(&["-n", &full, "link", "set", "lo", "up"])?;
        // An address of IPv6 is good at once, and not after a second of asking whose it is.
        for setting in ["accept_dad", "router_solicitations"] {
            for scope in ["all", "default"] {
                let set = format!("echo 0 > /proc/sys/net/ipv6/conf/{scope}/{setting}");
                run("ip", &["netns", "exec", &full, "sh", "-c", &set])?;
            }
        }
        Ok(full)
    }

    /// A switch that hosts are plugged into.
    pub(crate) fn switch(&mut self, name: &str) -> Result<String> {
        let full = self.host(name)?;
        ip(&["-n", &full, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"])?;
        ip(&["-n", &full, "link", "set", "br0", "up"])?;
        Ok(full)
    }

    /// Plugs a host into a switch, by a device with these addresses.
    pub(crate) fn plug(&mut self, host: &str, switch: &str, device: &str, addresses: &[&str]) -> Result<()> {
        self.plugs += 1;
        let port = format!("p{}", self.plugs);
        ip(&["link", "add", device, "netns", host, "type", "veth", "peer", "name", &port, "netns", switch])?;
        ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"])?;
        for address in addresses {
            ip(&["-n", host, "addr", "add", address, "dev", device])?;
        }
        ip(&["-n", host, "link", "set", device, "up"])
    }
}

/// Runs `ip`.
pub(crate) fn ip(args: &[&str]) -> Result<()> {
    run("ip", args)
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let done = Command::new(program).args(args).output().with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program} {}: {}", args.join(" "), said.trim());
    Ok(())
}

/// Where a packet went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) protocol: String,
    pub(crate) to: IpAddr,
    pub(crate) port: Option<u16>,
}

/// Listens to all that a host sends.
#[derive(Debug)]
pub(crate) struct Capture {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Capture {
    /// Listens from now on.
    pub(crate) async fn of(host: &str) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/capture.py");
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", host, "python3"]).arg(script).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        timeout(DEADLINE, said.read_line(&mut line)).await.context("the capture does not begin")??;
        ensure!(line.trim() == "ready", "the capture says {line:?}");
        Ok(Self { child, said })
    }

    /// Ends, and says where packets went.
    pub(crate) async fn end(mut self) -> Result<BTreeSet<Sent>> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        timeout(DEADLINE, self.said.read_to_string(&mut text)).await.context("the capture does not end")??;
        let list: Vec<(String, IpAddr, Option<u16>)> = serde_json::from_str(&text).context(text)?;
        Ok(list.into_iter().map(|(protocol, to, port)| Sent { protocol, to, port }).collect())
    }
}

/// What went anywhere but into networks of the test's own and to groups that no router passes on, and every question to a
/// name server.
pub(crate) fn beyond(sent: &BTreeSet<Sent>, own: impl Fn(IpAddr) -> bool) -> Vec<&Sent> {
    let stays = |to: IpAddr| match to {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0] || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.segments()[0] == 0xff02 || ip.is_unicast_link_local(),
    };
    sent.iter().filter(|sent| sent.port == Some(53) || !(own(sent.to) || stays(sent.to))).collect()
}

/// How a node is connected with another one, where it is.
pub(crate) fn path_to(status: &Value, id: &str) -> Option<String> {
    let peers = status["peers"].as_array()?;
    let peer = peers.iter().find(|peer| peer["id"] == id && peer["connected"] == true)?;
    peer["path"].as_str().map(str::to_owned)
}
