//! Hosts on one network without routes, addresses or name servers: they find each other by multicast, and talk to nobody else.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

mod support;

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sedge_statement::{Sha256, Ticket};
use support::models::{digits, word};
use support::netns::{Capture, Networks, beyond, ip, path_to};
use support::node::{Node, list, text};
use support::trio::answer;
use support::until::{so_or, until};

/// How long a silent node is listened to, which only time can show: first questions, dials and relays come within a second.
const SILENCE: Duration = Duration::from_secs(5);
/// How long it takes until a dial to nobody has ended and the next one has begun.
const NEXT_DIAL: Duration = Duration::from_secs(13);
/// Nobody's address here.
const NOBODY: &str = "10.77.0.99:9";

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_with_only_multicast_between_them_finish_a_deployment_with_no_address_given() -> Result<()> {
    let Some(mut networks) = Networks::new()? else { return Ok(()) };
    let (hub, host_a, host_b) = (networks.switch("hub")?, networks.host("a")?, networks.host("b")?);
    networks.plug(&host_a, &hub, "eth0", &["10.77.0.1/24"])?;
    networks.plug(&host_b, &hub, "eth0", &["10.77.0.2/24"])?;
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha").within(&host_a);
    let mut b = Node::new(dir.path(), "beta").within(&host_b);
    a.init().await?;
    a.run_agent(&[]).await?;
    let mut ticket: Ticket = a.ticket(&[]).await?.parse()?;
    ensure!(!ticket.addresses.is_empty(), "the ticket names no address to take away");
    ticket.addresses = vec![NOBODY.parse()?];
    let joined = b.run(&["join", &ticket.to_string(), "--name", &b.name]).await?;
    joined.json()?;
    b.run_agent(&[]).await?;
    meet(&a, &b, "10.77.0.2").await?;

    let file = digits("digits-1.0.0.onnx");
    let probe = digits("probes/digits-1.0.0.probe-a.json");
    a.ask(&["model", "add", word(&file)?, "--probe", word(&probe)?]).await?;
    let deploy = ["deploy", "digits:1.0.0", "--slot", "digits", "--to", "cell=**", "--waves", "1"];
    let rollout = a.ask(&[&deploy[..], &["--probation", "1s", "--wait"]].concat()).await?;
    ensure!(rollout["state"] == "completed", "it ended as {rollout}");
    ensure!(list(&rollout, "/waves")?.len() == 2, "no canary in {rollout}");
    let proven = Sha256::of(&fs::read(&file)?).to_string();
    for node in [&a, &b] {
        let answer = answer(node).await?;
        ensure!(answer.sha256 == proven, "{} answers with {answer:?}, and not {proven}", node.name);
    }

    // Both come back elsewhere: what each remembers of the other is wrong.
    a.stop().await?;
    b.stop().await?;
    for (host, old, new) in [(&host_a, "10.77.0.1/24", "10.77.0.11/24"), (&host_b, "10.77.0.2/24", "10.77.0.22/24")] {
        ip(&["-n", host, "addr", "del", old, "dev", "eth0"])?;
        ip(&["-n", host, "addr", "add", new, "dev", "eth0"])?;
    }
    a.run_agent(&[]).await?;
    b.run_agent(&[]).await?;
    meet(&a, &b, "10.77.0.22").await?;
    println!("2 hosts, no route and no address given: joined in {:.1?}, both answer with {proven:.10}", joined.took);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sends_nothing_beyond_its_own_network() -> Result<()> {
    let Some(mut networks) = Networks::new()? else { return Ok(()) };
    let (hub, host_a, host_b) = (networks.switch("hub")?, networks.host("a")?, networks.host("b")?);
    for (host, v4, v6) in [(&host_a, "10.77.1.1/24", "fd77::1/64"), (&host_b, "10.77.1.2/24", "fd77::2/64")] {
        networks.plug(host, &hub, "eth0", &[v4, v6])?;
        // A way out that nobody guards: whatever is meant for the world leaves, and is seen.
        for (gateway, flag) in [("10.77.1.254", "-4"), ("fd77::ffff", "-6")] {
            ip(&["-n", host, "neigh", "add", gateway, "lladdr", "02:00:00:00:00:01", "dev", "eth0"])?;
            ip(&["-n", host, flag, "route", "add", "default", "via", gateway, "dev", "eth0"])?;
        }
    }
    let captures = [Capture::of(&host_a).await?, Capture::of(&host_b).await?];
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha").within(&host_a);
    let mut b = Node::new(dir.path(), "beta").within(&host_b);
    a.init().await?;
    a.run_agent(&[]).await?;
    b.join(&a, &[]).await?;
    b.run_agent(&[]).await?;
    meet(&a, &b, "").await?;
    let model = digits("digits-1.0.0.onnx");
    a.ask(&["model", "add", word(&model)?]).await?;
    a.ask(&["deploy", "digits:1.0.0", "--slot", "digits", "--probation", "5s", "--wait"]).await?;
    a.stop().await?;
    b.stop().await?;
    let own = |to: IpAddr| match to {
        IpAddr::V4(ip) => ip.octets()[..3] == [10, 77, 1],
        IpAddr::V6(ip) => ip.segments()[..4] == [0xfd77, 0, 0, 0],
    };
    let mut kinds = 0;
    for capture in captures {
        let sent = capture.end().await?;
        ensure!(sent.iter().any(|s| s.port == Some(5353)), "no multicast was seen: {sent:?}");
        ensure!(sent.iter().any(|s| own(s.to)), "no traffic between the two was seen: {sent:?}");
        let beyond = beyond(&sent, own);
        ensure!(beyond.is_empty(), "these went beyond: {beyond:?}");
        kinds += sent.len();
    }

    // The same look finds what is sent there on purpose.
    let capture = Capture::of(&host_a).await?;
    let send = "import socket\nfor to in ('198.51.100.7', 53), ('10.77.1.2', 53), ('198.51.100.8', 4433):\n    \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', to)";
    ip(&["netns", "exec", &host_a, "python3", "-c", send])?;
    let sent = capture.end().await?;
    ensure!(beyond(&sent, own).len() == 3, "not all that was sent on purpose was found: {sent:?}");
    println!(
        "2 agents over a deployment: {kinds} kinds of packets, none beyond their network, no question to a name server"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_told_to_be_silent_says_nothing_when_it_starts_again() -> Result<()> {
    let Some(mut networks) = Networks::new()? else { return Ok(()) };
    let (hub, host_a, host_b) = (networks.switch("hub")?, networks.host("a")?, networks.host("b")?);
    networks.plug(&host_a, &hub, "eth0", &["10.77.4.1/24"])?;
    networks.plug(&host_b, &hub, "eth0", &["10.77.4.2/24"])?;
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha").within(&host_a);
    let mut b = Node::new(dir.path(), "beta").within(&host_b);
    a.init().await?;
    // The kernel takes its time to leave a group: none is joined yet.
    a.run_agent(&["--no-mdns"]).await?;
    b.join(&a, &[]).await?;
    b.run_agent(&[]).await?;
    meet(&a, &b, "10.77.4.2").await?;
    let (id_a, listens) = (a.id().await?, text(&a.status().await?, "/node/listen/0")?.to_owned());
    b.stop().await?;
    a.ask(&["agent", "offline"]).await?;
    a.stop().await?;

    // It knows a peer, a relay and the local network, and speaks to none of them. Nobody is where the relay should be; what is
    // meant for it leaves all the same.
    ip(&["-n", &host_a, "neigh", "add", "10.77.4.9", "lladdr", "02:00:00:00:00:01", "dev", "eth0"])?;
    let captures = [Capture::of(&host_a).await?, Capture::of(&host_b).await?];
    a.run_agent(&["--relay", "http://10.77.4.9:3340"]).await?;
    b.run_agent(&["--peer", &format!("{id_a}@{listens}")]).await?;
    tokio::time::sleep(SILENCE).await;
    let [sent, tried] = captures.map(Capture::end);
    let (sent, tried) = (sent.await?, tried.await?);
    ensure!(sent.is_empty(), "a silent node sent {sent:?}");
    ensure!(tried.iter().any(|s| s.to.to_string() == "10.77.4.1"), "nobody spoke to it: {tried:?}");

    let capture = Capture::of(&host_a).await?;
    a.ask(&["agent", "online"]).await?;
    meet(&a, &b, "10.77.4.2").await?;
    tokio::time::sleep(SILENCE).await;
    let sent = capture.end().await?;
    for port in [5353, 3340] {
        let spoke = sent.iter().any(|s| s.port == Some(port));
        ensure!(spoke, "the same look finds nothing at port {port} of a node that speaks: {sent:?}");
    }
    a.stop().await?;
    b.stop().await?;
    println!("1 silent node started: no packet left it; told to speak, it met the other");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_two_networks_brings_nodes_together_that_know_only_it() -> Result<()> {
    let Some(mut networks) = Networks::new()? else { return Ok(()) };
    let (left, right) = (networks.switch("left")?, networks.switch("right")?);
    let (host_a, host_b, host_c) = (networks.host("a")?, networks.host("b")?, networks.host("c")?);
    networks.plug(&host_a, &left, "eth0", &["10.77.2.1/24"])?;
    networks.plug(&host_a, &right, "eth1", &["fd78::1/64"])?;
    networks.plug(&host_b, &left, "eth0", &["10.77.2.2/24"])?;
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha").within(&host_a);
    let mut b = Node::new(dir.path(), "beta").within(&host_b);
    let mut c = Node::new(dir.path(), "gamma").within(&host_c);
    a.init().await?;
    a.run_agent(&["--listen", "10.77.2.1:4400", "--listen", "[fd78::1]:4400"]).await?;
    let ticket: Ticket = a.ticket(&["--uses", "2"]).await?.parse()?;
    ensure!(ticket.addresses.len() == 2, "the ticket names {:?}", ticket.addresses);
    b.ask(&["join", &ticket.to_string(), "--name", "beta"]).await?;
    b.run_agent(&[]).await?;
    meet(&a, &b, "10.77.2.2").await?;
    // The other network, of the other family, comes up later.
    networks.plug(&host_c, &right, "eth0", &["fd78::3/64"])?;
    c.ask(&["join", &ticket.to_string(), "--name", "gamma"]).await?;
    c.run_agent(&[]).await?;
    meet(&a, &c, "[fd78::3]").await?;
    // A cable between the two, and they meet by what the one in the middle told them.
    networks.plug(&host_b, &right, "eth1", &["fd78::2/64"])?;
    meet(&b, &c, "[fd78::3]").await?;
    let path = path_to(&b.status().await?, &c.id().await?).context("not connected")?;
    println!("1 node on 2 networks of 2 families, 2 nodes met through it, {path}");
    Ok(())
}

/// Says on the local network, as fast as it can, that nodes are where they are not: on that network, and out in the world.
const LIAR: &str = r#"
import base64, os, socket, struct, sys
service, victim = b"\x0f" + sys.argv[1].encode() + b"\x04_udp\x05local\x00", bytes.fromhex(sys.argv[2])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.3.3"))
for n in range(60000):
    node = victim if n % 2 else os.urandom(32)
    name = b"\x34" + base64.b32encode(node).rstrip(b"=").lower() + service
    target = b"\x01x\x05local\x00"
    packet = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 1)
    packet += name + struct.pack("!HHIH", 33, 1, 120, 6 + len(target)) + struct.pack("!3H", 0, 0, 1 + n % 60000) + target
    place = [198, 51, 100, 1 + n % 200] if n % 3 == 1 else [10, 77, 3, 100 + n % 100]
    packet += target + struct.pack("!HHIH", 1, 1, 120, 4) + bytes(place)
    sock.sendto(packet if n % 5 else os.urandom(200), ("224.0.0.251", 5353))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_false_answers_parts_nobody_and_fills_no_memory() -> Result<()> {
    let Some(mut networks) = Networks::new()? else { return Ok(()) };
    let hub = networks.switch("hub")?;
    let (host_a, host_b, host_c) = (networks.host("a")?, networks.host("b")?, networks.host("c")?);
    for (host, at) in [(&host_a, "10.77.3.1/24"), (&host_b, "10.77.3.2/24"), (&host_c, "10.77.3.3/24")] {
        networks.plug(host, &hub, "eth0", &[at])?;
    }
    let dir = tempfile::tempdir()?;
    let mut a = Node::new(dir.path(), "alpha").within(&host_a);
    let mut b = Node::new(dir.path(), "beta").within(&host_b);
    a.init().await?;
    a.run_agent(&[]).await?;
    b.join(&a, &[]).await?;
    b.run_agent(&[]).await?;
    meet(&a, &b, "10.77.3.2").await?;
    let (status, victim) = (a.status().await?, b.id().await?);
    let service = format!("_sedge-{:.8}", text(&status, "/mesh/id")?);
    let before = a.peak_memory()?;
    // The victim is away meanwhile, so that every lie is about somebody who is looked for. The way out is open.
    b.stop().await?;
    ip(&["-n", &host_a, "neigh", "add", "10.77.3.254", "lladdr", "02:00:00:00:00:01", "dev", "eth0"])?;
    ip(&["-n", &host_a, "route", "add", "default", "via", "10.77.3.254", "dev", "eth0"])?;
    let capture = Capture::of(&host_a).await?;
    ip(&["netns", "exec", &host_c, "python3", "-c", LIAR, &service, &victim])?;
    let status = a.status().await?;
    let peers = list(&status, "/peers")?;
    ensure!(peers.len() == 1, "strangers were believed in: {peers:?}");
    let believed = list(&peers[0], "/addresses")?;
    let lies = believed.iter().filter(|at| at.as_str().is_some_and(|at| at.starts_with("10.77.3.1"))).count();
    ensure!(believed.len() <= 16 && lies > 0, "of the flood came {believed:?}");
    // The dial that began when the victim went knew only where it had been.
    tokio::time::sleep(NEXT_DIAL).await;
    b.run_agent(&[]).await?;
    meet(&a, &b, "10.77.3.2").await?;
    let sent = capture.end().await?;
    let own = |to: IpAddr| matches!(to, IpAddr::V4(ip) if ip.octets()[..3] == [10, 77, 3]);
    let aimed = beyond(&sent, own);
    ensure!(aimed.is_empty(), "a neighbour aimed the agent at {aimed:?}");
    let grown = a.peak_memory()?.saturating_sub(before) >> 20;
    ensure!(grown < 32, "the agent grew by {grown} MiB");
    println!("60000 false answers: {lies} lies believed for now, {grown} MiB of memory, the true one found again");
    Ok(())
}

/// Waits until both are connected, and `a` reaches `b` at an address that begins so.
async fn meet(a: &Node, b: &Node, at: &str) -> Result<()> {
    let (id_a, id_b) = (a.id().await?, b.id().await?);
    b.is_connected(&id_a, true).await?;
    until(&format!("{} reaching {} at {at}", a.name, b.name), async || {
        let status = a.status().await?;
        let path = path_to(&status, &id_b);
        let right = path.as_ref().is_some_and(|path| path.starts_with(&format!("direct {at}")));
        Ok(so_or(right, || format!("{path:?} of {}", text(&status, "/node/name").unwrap_or_default())))
    })
    .await
}
