//! Finds members on the local network, and lets them find this node, by multicast alone.
//!
//! What is heard there is a hint about a member and nothing more: a stranger is never dialled, nor any address outside the network
//! that it was heard on, and a hint is tried like any other, within the limits of the table of peers. Whatever is flooded there costs a bounded number of looks a second.

mod links;
mod packet;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sedge_statement::{MeshId, NodeId};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, trace};

use crate::admission::Gatekeeper;
use crate::clock::now;
use crate::line::Line;
use crate::peers::PeerTable;
use links::{Ground, Link, links};
use packet::{Heard, MAX_PACKET, Service};

/// How long after a first question a second one is asked; then each time twice as long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The longest between two questions. A node whose announcements were all lost is found this late.
const ASK_AT_LEAST: Duration = Duration::from_secs(30);
/// Within this time of a question answers come at random moments, so that a crowd does not answer at once.
const SPREAD: std::ops::Range<Duration> = Duration::from_millis(20)..Duration::from_millis(120);
/// The least between two answers on one network, however often is asked.
const ANSWER_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the node is silent; every few of these also whether networks came or went.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS_PER_REFRESH: u32 = 5;
/// How many messages of one network are read in each [`WINDOW`]; more wait, and are dropped by the system.
const READ_AT_MOST: u32 = 32;
const WINDOW: Duration = Duration::from_millis(100);
/// How many messages may wait to be looked at.
const WAITING: usize = 64;

/// Lets this node be found, and finds.
pub(crate) struct Beacon {
    pub(crate) mesh: MeshId,
    pub(crate) line: Line,
    pub(crate) table: PeerTable,
    pub(crate) gatekeeper: Gatekeeper,
}

/// A network that is spoken on.
struct Station {
    link: Link,
    ground: Ground,
    socket: Arc<UdpSocket>,
    ask_at: Instant,
    ask_again: Duration,
    answer_at: Option<Instant>,
    answered: Option<Instant>,
    _reading: AbortOnDropHandle<()>,
}

type Stations = BTreeMap<Link, Station>;

impl Beacon {
    /// Runs until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let service = Service::of(self.mesh);
        let me = self.line.node();
        let (tell, mut heard) = mpsc::channel(WAITING);
        let mut stations = Stations::new();
        let mut moves = self.line.moves();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = 0u32;
        loop {
            let due = stations.values().flat_map(|s| s.answer_at.into_iter().chain([s.ask_at])).min();
            let mut refresh = false;
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = looks.tick() => {
                    look = look.wrapping_add(1);
                    refresh = look % LOOKS_PER_REFRESH == 1 || stations.is_empty() || !self.gatekeeper.is_online();
                }
                // The sender lives as long as the line.
                _ = moves.changed() => {
                    refresh = true;
                    stations.values_mut().for_each(|station| station.answer_at = Some(Instant::now()));
                }
                Some((link, words)) = heard.recv() => self.hear(link, words, me, &mut stations),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let listen = self.line.addresses();
                    for station in stations.values_mut() {
                        station.speak(&service, Some((me, &listen))).await;
                    }
                }
            }
            if refresh {
                self.refresh(&mut stations, &service, &tell).await;
            }
        }
    }

    /// Opens and closes stations as networks come and go. A silent node has none: joining a group is itself heard.
    async fn refresh(&self, stations: &mut Stations, service: &Service, tell: &mpsc::Sender<(Link, Heard)>) {
        let listen = self.line.addresses();
        let heard_by_others = self.gatekeeper.is_online() && listen.iter().any(|addr| !addr.ip().is_loopback());
        let wanted = if heard_by_others { links(Some(&listen)).await } else { BTreeMap::new() };
        stations.retain(|link, _| wanted.contains_key(link));
        for (link, ground) in wanted {
            if let Some(station) = stations.get_mut(&link) {
                station.ground = ground;
                continue;
            }
            match Station::open(link, ground, service.clone(), tell.clone()) {
                Ok(mut station) => {
                    debug!(?link, "looks for members nearby");
                    station.answer_at = Some(Instant::now());
                    stations.insert(link, station);
                }
                Err(error) => debug!(?link, %error, "cannot be spoken on"),
            }
        }
    }

    fn hear(&self, link: Link, heard: Heard, me: NodeId, stations: &mut Stations) {
        match heard {
            Heard::Question => {
                if let Some(station) = stations.get_mut(&link) {
                    station.asked();
                }
            }
            Heard::Answer(nodes) => {
                let Some(station) = stations.get(&link) else { return };
                for (node, at) in nodes.iter().filter(|(node, _)| *node != me && self.gatekeeper.is_member(*node)) {
                    let at = station.near(at);
                    trace!(node = %node.short(), ?at, "is nearby");
                    self.table.nearby(*node, &at, now());
                }
            }
        }
    }
}

impl Station {
    fn open(link: Link, ground: Ground, service: Service, tell: mpsc::Sender<(Link, Heard)>) -> std::io::Result<Self> {
        let socket = Arc::new(link.open()?);
        let reading = AbortOnDropHandle::new(tokio::spawn(read(Arc::clone(&socket), link, service, tell)));
        let ask_at = Instant::now();
        let ask_again = ASK_AGAIN;
        Ok(Self { link, ground, socket, ask_at, ask_again, answer_at: None, answered: None, _reading: reading })
    }

    /// Of addresses that somebody named here those that are here. Anybody can name any, and every node that hears of one tries
    /// it: those of other networks are not for this one to name.
    fn near(&self, named: &[SocketAddr]) -> Vec<SocketAddr> {
        named.iter().copied().filter(|addr| self.ground.is_near(addr.ip())).collect()
    }

    fn asked(&mut self) {
        let soon = Instant::now() + rand::random_range(SPREAD);
        let at = self.answered.map_or(soon, |answered| soon.max(answered + ANSWER_EVERY));
        self.answer_at = Some(self.answer_at.map_or(at, |planned| planned.min(at)));
    }

    /// Asks and answers what is due: which node is here, and where it listens, first of all on this network.
    async fn speak(&mut self, service: &Service, answer: Option<(NodeId, &[SocketAddr])>) {
        let now = Instant::now();
        if self.ask_at <= now {
            self.send(&service.question()).await;
            self.ask_at = now + self.ask_again.mul_f64(rand::random_range(0.8..1.2));
            self.ask_again = (self.ask_again * 2).min(ASK_AT_LEAST);
        }
        if self.answer_at.is_some_and(|at| at <= now) {
            if let Some((me, listen)) = answer {
                let mut listen = listen.to_vec();
                listen.sort_by_key(|addr| !self.ground.is_own(addr.ip()));
                self.send(&service.answer(me, &listen)).await;
            }
            self.answer_at = None;
            self.answered = Some(now);
        }
    }

    async fn send(&self, packet: &[u8]) {
        if let Err(error) = self.socket.send_to(packet, self.link.group()).await {
            trace!(link = ?self.link, %error, "not said");
        }
    }
}

/// Reads what is said on a network, no more of it than is good.
async fn read(socket: Arc<UdpSocket>, link: Link, service: Service, tell: mpsc::Sender<(Link, Heard)>) {
    let mut packet = [0; MAX_PACKET + 1];
    let (mut window, mut read) = (Instant::now(), 0);
    loop {
        if window.elapsed() >= WINDOW {
            (window, read) = (Instant::now(), 0);
        }
        if read == READ_AT_MOST {
            sleep_until(window + WINDOW).await;
            continue;
        }
        match socket.recv_from(&mut packet).await {
            Ok((len, _)) => {
                read += 1;
                if let Some(heard) = packet.get(..len).and_then(|packet| service.read(packet)) {
                    // Where too much waits already, this is said again.
                    let _ = tell.try_send((link, heard));
                }
            }
            // A network that went away is noticed by whoever holds the station.
            Err(_) => read = READ_AT_MOST,
        }
    }
}

/// Asks on every network of this machine where one node of a mesh is, and gives each answer to come.
pub(crate) struct Search {
    service: Service,
    node: NodeId,
    stations: Stations,
    heard: mpsc::Receiver<(Link, Heard)>,
}

impl Search {
    pub(crate) async fn begin(mesh: MeshId, node: NodeId) -> Self {
        let service = Service::of(mesh);
        let (tell, heard) = mpsc::channel(WAITING);
        let open = |(link, ground): (Link, Ground)| {
            Some((link, Station::open(link, ground, service.clone(), tell.clone()).ok()?))
        };
        let stations = links(None).await.into_iter().filter_map(open).collect();
        Self { service, node, stations, heard }
    }

    /// Waits for the next answer that says where the node is; for ever where there is none.
    pub(crate) async fn next(&mut self) -> Vec<SocketAddr> {
        loop {
            let due = self.stations.values().map(|station| station.ask_at).min();
            tokio::select! {
                Some((link, heard)) = self.heard.recv() => {
                    let Heard::Answer(nodes) = heard else { continue };
                    let at = nodes.into_iter().find(|(node, _)| *node == self.node).map(|(_, at)| at);
                    let at = at.zip(self.stations.get(&link)).map(|(at, station)| station.near(&at));
                    if let Some(at) = at.filter(|at| !at.is_empty()) {
                        return at;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    for station in self.stations.values_mut() {
                        station.speak(&self.service, None).await;
                    }
                }
                // Without a network there is nobody to ask.
                else => std::future::pending().await,
            }
        }
    }
}
