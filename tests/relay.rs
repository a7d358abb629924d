//! Two hosts with no route between them, and the operator's own relay that both reach.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use iroh_relay::server::{RelayConfig, Server, ServerConfig};
use sedge_statement::{Sha256, Ticket};
use support::models::{digits, word};
use support::netns::{Capture, Networks, beyond, ip, path_to};
use support::node::Node;
use support::trio::answer;
use support::until::{DEADLINE, so_or, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Tells this program, run again, to be a relay, and where.
const BE_A_RELAY: &str = "SEDGE_TEST_RELAY";
const RELAY: &str = "10.78.0.1:3340";
/// What the relay says once it listens.
const READY: &str = "relay ready";

/// How long a silent node is listened to: longer than the other one waits before it dials again.
const SILENCE: Duration = Duration::from_secs(20);

/// This program, run again with [`BE_A_RELAY`], is the relay of the other test on a host of its own. Run otherwise, it starts such a one here.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_begins_where_it_is_told() -> Result<()> {
    let Ok(at) = std::env::var(BE_A_RELAY) else {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let _relay = relay_at(&port.to_string(), None).await?;
        tokio::net::TcpStream::connect(port).await.context("the relay does not listen")?;
        return Ok(());
    };
    let at: SocketAddr = at.parse()?;
    let mut config = ServerConfig::default();
    config.relay = Some(RelayConfig::new(at));
    let _server = Server::spawn(config).await?;
    println!("{READY}");
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_without_a_route_sync_and_fetch_weights_through_the_operators_relay() -> Result<()> {
    let Some(mut networks) = Networks::new()? else { return Ok(()) };
    let (left, right) = (networks.switch("left")?, networks.switch("right")?);
    let (host_a, host_b, host_r) = (networks.host("a")?, networks.host("b")?, networks.host("relay")?);
    networks.plug(&host_a, &left, "eth0", &["10.78.1.2/24"])?;
    networks.plug(&host_b, &right, "eth0", &["10.78.2.2/24"])?;
    networks.plug(&host_r, &left, "eth0", &["10.78.1.1/24"])?;
    networks.plug(&host_r, &right, "eth1", &["10.78.2.1/24"])?;
    ip(&["-n", &host_r, "addr", "add", "10.78.0.1/32", "dev", "lo"])?;
    for (host, gateway) in [(&host_a, "10.78.1.1"), (&host_b, "10.78.2.1")] {
        // The relay forwards nothing: this leads to it and no further.
        ip(&["-n", host, "route", "add", "default", "via", gateway])?;
    }
    let _relay = relay_at(RELAY, Some(&host_r)).await?;
    let captures = [Capture::of(&host_a).await?, Capture::of(&host_b).await?];
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha").within(&host_a);
    let mut b = Node::new(dir.path(), "beta").within(&host_b);
    let url = format!("http://{RELAY}");
    a.init().await?;
    a.run_agent(&["--relay", &url]).await?;
    let text = a.ticket(&[]).await?;
    let ticket: Ticket = text.parse()?;
    ensure!(ticket.relays.len() == 1, "the ticket does not name the relay");
    b.ask(&["join", &text, "--name", "beta"]).await?;
    // It goes on with the relay of its ticket.
    b.run_agent(&[]).await?;
    let (id_a, id_b) = (a.id().await?, b.id().await?);
    for (node, other) in [(&a, &id_b), (&b, &id_a)] {
        until(&format!("{} being connected through the relay", node.name), async || {
            let path = path_to(&node.status().await?, other);
            Ok(so_or(path.as_ref().is_some_and(|path| *path == format!("relay {url}")), || format!("{path:?}")))
        })
        .await?;
    }
    let file = digits("digits-1.0.0.onnx");
    let probe = digits("probes/digits-1.0.0.probe-a.json");
    a.ask(&["model", "add", word(&file)?, "--probe", word(&probe)?]).await?;
    let deploy = ["deploy", "digits:1.0.0", "--slot", "digits", "--waves", "1", "--probation", "1s", "--wait"];
    a.ask(&deploy).await?;
    let proven = Sha256::of(&fs::read(&file)?).to_string();
    for node in [&a, &b] {
        let answer = answer(node).await?;
        ensure!(answer.sha256 == proven, "{} answers with {answer:?}, and not {proven}", node.name);
    }
    goes_silent(&b, &host_b, &id_a, &url).await?;
    a.stop().await?;
    b.stop().await?;
    for capture in captures {
        let sent = capture.end().await?;
        ensure!(sent.iter().any(|s| s.protocol == "tcp" && s.port == Some(3340)), "the relay was not used: {sent:?}");
        // Each also tries the other's own addresses, which leads nowhere but stays among those of the test.
        let own = |to: IpAddr| matches!(to, IpAddr::V4(ip) if ip.octets()[..2] == [10, 78]);
        let beyond = beyond(&sent, own);
        ensure!(beyond.is_empty(), "these went beyond: {beyond:?}");
    }
    println!("2 hosts without a route, 1 relay: both answer with {proven:.10}, nothing went elsewhere");
    Ok(())
}

/// A node told to be silent leaves the relay, and comes back to it when it may speak again.
async fn goes_silent(node: &Node, host: &str, other: &str, url: &str) -> Result<()> {
    node.ask(&["agent", "offline"]).await?;
    // The last words of the connections that it ended are on their way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let capture = Capture::of(host).await?;
    // The other one dials it through the relay meanwhile, which would pass that on to whoever is connected.
    tokio::time::sleep(SILENCE).await;
    let mut sent = capture.end().await?;
    // The kernel says twice that nobody here listens to a group any more, when it likes.
    sent.retain(|s| !["igmp", "icmp6"].contains(&s.protocol.as_str()));
    ensure!(sent.is_empty(), "a silent node sent {sent:?}");
    node.ask(&["agent", "online"]).await?;
    until("being connected through the relay again", async || {
        let path = path_to(&node.status().await?, other);
        Ok(so_or(path.as_ref().is_some_and(|path| *path == format!("relay {url}")), || format!("{path:?}")))
    })
    .await
}

/// Runs this program again as a relay, on another host where one is named.
async fn relay_at(at: &str, host: Option<&str>) -> Result<Child> {
    let this = std::env::current_exe()?;
    let mut command = match host {
        Some(host) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", host]).arg(this);
            command
        }
        None => Command::new(this),
    };
    command.args(["a_relay_begins_where_it_is_told", "--exact", "--nocapture"]).env(BE_A_RELAY, at);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains(READY) {
                return Ok(());
            }
        }
        anyhow::bail!("the relay ended")
    };
    timeout(DEADLINE, ready).await.context("the relay does not begin")??;
    Ok(child)
}
