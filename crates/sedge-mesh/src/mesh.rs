//! The handle.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::Connection;
use iroh::protocol::{AcceptError, DynProtocolHandler, ProtocolHandler};
use sedge_fleet::{Edit, Entry, Fleet, FleetStats, FleetView, KeepError, PublishError, Remnant, WriteError};
use sedge_statement::{CellPath, DocKind, Gauges, NodeId, Object, RelayAddress, Scope, Timestamp};
use tokio::sync::{OnceCell, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::actor::{Actor, COMMANDS, Command, StopReason};
use crate::admission::Gatekeeper;
use crate::clock::now;
use crate::counters::{Counters, Tally};
use crate::dialler::Dialler;
use crate::endpoint::{ListenError, Voice};
use crate::front::{Front, Place};
use crate::herald::Herald;
use crate::join::{EnrollerSlot, JoinHandler};
use crate::line::Line;
use crate::mdns::Beacon;
use crate::peers::PeerTable;
use crate::session::Sessions;
use crate::storage::Storage;
use crate::supervise::Supervised;
use crate::telling::Telling;
use crate::wire::{JOIN_ALPN, SYNC_ALPN};
use crate::{Agreed, Enroller, MeshConfig, PeerAddr, PeerStatus, Presented, Sighting, Standing};

/// Why a mesh did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The endpoint could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// Why something was not written to a document of this node's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeshWriteError {
    /// The fleet refused the edits.
    #[error("{0}")]
    Refused(#[from] WriteError),
    /// The mesh stopped; [`Mesh::stopped`] says why. Whether the write was kept is seen after a restart.
    #[error("the mesh has stopped")]
    Stopped,
}

/// Why an object was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeshPublishError {
    /// The fleet refused the object.
    #[error("{0}")]
    Refused(#[from] PublishError),
    /// The mesh stopped; [`Mesh::stopped`] says why. Whether the object was kept is seen after a restart.
    #[error("the mesh has stopped")]
    Stopped,
}

/// How well this node hears the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncStats {
    /// Members of the mesh, this node included.
    pub members: usize,
    /// Neighbours that documents are exchanged with now.
    pub neighbours: usize,
    /// Documents held.
    pub documents: usize,
    /// Documents of which a neighbour said it has more.
    pub behind: usize,
    /// When any of them last said anything, by this node's clock.
    pub last_heard: Option<Timestamp>,
}

/// One node's part in a mesh: its endpoint, its documents, and its neighbours. Clones are handles of the same; when the last
/// one goes everything stops, less gently than by [`Self::shutdown`].
#[derive(Debug, Clone)]
pub struct Mesh {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    me: NodeId,
    line: Line,
    front: Front,
    gatekeeper: Gatekeeper,
    table: PeerTable,
    tally: Arc<Tally>,
    enroller: EnrollerSlot,
    actor: mpsc::Sender<Command>,
    view: watch::Receiver<Arc<FleetView>>,
    fleet: watch::Receiver<FleetStats>,
    changes: watch::Receiver<u64>,
    stopped: watch::Receiver<Option<StopReason>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    started: Instant,
    settled: OnceCell<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Serves further protocols on the mesh's endpoint, to members only. Whoever dials one of them may open 16 streams both ways at
/// once and none one way, and have 64 KiB under way that are not read; the node that it dials may open none. What a handler does when it is shut down must leave
/// it fit to serve again.
pub type Protocols = BTreeMap<Vec<u8>, Box<dyn DynProtocolHandler>>;

impl Mesh {
    /// Binds the endpoint and starts to sync `fleet`, whose records `storage` keeps. `protocols` are served beside sync and
    /// joining; each connection of theirs is a member's, and a panic in one costs that connection only.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: MeshConfig,
        mut fleet: Fleet,
        storage: Arc<dyn Storage>,
        protocols: Protocols,
    ) -> Result<Self, StartError> {
        let me = config.key.node_id();
        let tally = Arc::new(Tally::default());
        let gatekeeper = Gatekeeper::new(tally.clone());
        let table = PeerTable::new(me, config.neighbours, config.pulse);
        let first = fleet.view(now());
        table.set_members(&first);
        gatekeeper.set_members(first.members.keys().copied().collect(), |_| false);
        if config.offline {
            table.pause();
            gatekeeper.go_offline();
        }
        let place = Place {
            key: config.key.clone(),
            listen: config.listen,
            relays: config.relays.clone(),
            table: table.clone(),
            gatekeeper: gatekeeper.clone(),
        };
        let line = Front::line(&place, if config.offline { Voice::Silent } else { Voice::Speaks }).await?;
        for peer in config.peers {
            table.add(peer, now());
        }
        for sighting in config.sightings {
            table.recall(sighting, now());
        }
        if !config.relays.is_empty() {
            table.use_relay();
        }
        let mesh = first.mesh;
        let (actor, commands) = mpsc::channel(COMMANDS);
        let (view_sender, view) = watch::channel(first);
        let (stats_sender, stats) = watch::channel(fleet.stats());
        let (changes_sender, changes) = watch::channel(0);
        let (stop_sender, stopped) = watch::channel(None);
        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        let telling = Telling { line: line.clone(), table: table.clone(), gatekeeper: gatekeeper.clone() };
        let herald = Herald { table: table.clone(), gatekeeper: gatekeeper.clone() };
        let (of_actor, keeper) = (actor.clone(), gatekeeper.clone());
        let sessions = Arc::new(Sessions::new(me, of_actor, keeper, tally.clone(), telling, herald.clone()));
        let enroller = EnrollerSlot::default();
        let join = JoinHandler::new(
            enroller.clone(),
            actor.clone(),
            line.clone(),
            table.clone(),
            config.genesis,
            me,
            tally.clone(),
        );

        let supervised = |handler| Supervised::new(handler, tally.clone());
        let mut handlers: BTreeMap<_, _> = protocols.into_iter().map(|(alpn, h)| (alpn, supervised(h))).collect();
        handlers.insert(SYNC_ALPN.to_vec(), supervised(Box::new(SyncHandler { sessions: sessions.clone() })));
        handlers.insert(JOIN_ALPN.to_vec(), supervised(Box::new(join)));
        let front = Front::open(place, line.clone(), handlers);
        let driver = Actor {
            fleet,
            me,
            key: config.key,
            storage,
            gatekeeper: gatekeeper.clone(),
            table: table.clone(),
            tally: tally.clone(),
            view: view_sender,
            stats: stats_sender,
            changes: changes_sender,
            wanted: BTreeSet::new(),
            sessions: BTreeMap::new(),
            looked: Instant::now(),
        };
        let cancelled = cancel.clone();
        tasks.spawn(async move {
            let driving = AbortOnDropHandle::new(tokio::spawn(driver.run(commands, cancelled.clone())));
            let reason = driving.await.unwrap_or(StopReason::Panicked);
            stop_sender.send_replace(Some(reason));
            cancelled.cancel();
        });
        let (of_dialler, relays) = (table.clone(), config.relays);
        let dialler = Dialler { line: line.clone(), table: of_dialler, sessions, relays };
        tasks.spawn(dialler.run(cancel.clone()));
        tasks.spawn(herald.run(cancel.clone()));
        if config.nearby {
            let bound = line.endpoint().map(|endpoint| endpoint.bound_sockets()).unwrap_or_default();
            if bound.iter().any(|at| !at.ip().is_loopback()) {
                table.listen_for_neighbours();
            }
            let beacon = Beacon { mesh, line: line.clone(), table: table.clone(), gatekeeper: gatekeeper.clone() };
            tasks.spawn(beacon.run(cancel.clone()));
        }
        tasks.spawn(line.clone().tell_of_moves(table.clone(), cancel.clone()));
        tasks.close();
        let inner = Inner {
            me,
            line,
            front,
            gatekeeper,
            table,
            tally,
            enroller,
            actor,
            view,
            fleet: stats,
            changes,
            stopped,
            cancel,
            tasks,
            started: Instant::now(),
            settled: OnceCell::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.inner.me
    }

    /// The fold of all documents, now and whenever it changes.
    pub fn view(&self) -> watch::Receiver<Arc<FleetView>> {
        self.inner.view.clone()
    }

    /// Writes one change of a document of this node's own. When this returns, the change survives a loss of power, shows in
    /// [`Self::view`], and is on its way to the neighbours.
    ///
    /// The first write after a start waits until the neighbours had a moment to say what they hold of this node, ten seconds at
    /// most and not at all where none is reached: a node restored from a backup would contradict itself otherwise.
    ///
    /// # Errors
    /// See [`MeshWriteError`].
    pub async fn write(&self, kind: DocKind, edits: Vec<Edit>) -> Result<(), MeshWriteError> {
        self.inner.settled.get_or_init(|| self.inner.table.settled(self.inner.started)).await;
        let (reply, result) = oneshot::channel();
        self.ask(Command::Write { kind, edits, reply }).await.ok_or(MeshWriteError::Stopped)?;
        Ok(result.await.map_err(|_| MeshWriteError::Stopped)??)
    }

    /// Publishes an object that stands alone, such as a certificate just issued; kept and shown as by [`Self::write`].
    ///
    /// # Errors
    /// See [`MeshPublishError`].
    pub async fn publish(&self, object: Object) -> Result<(), MeshPublishError> {
        let (reply, result) = oneshot::channel();
        self.ask(Command::Publish { object, reply }).await.ok_or(MeshPublishError::Stopped)?;
        Ok(result.await.map_err(|_| MeshPublishError::Stopped)??)
    }

    /// What proves a node to one who knows only the genesis: its certificate, those above it, and every later version of the roots; empty where it has
    /// none. None where the mesh stopped.
    pub async fn path_of(&self, node: NodeId) -> Option<Vec<Object>> {
        let (reply, path) = oneshot::channel();
        self.ask(Command::Path { node, reply }).await?;
        path.await.ok()
    }

    /// What a revocation of a node keeps; see [`sedge_fleet::Fleet::kept_of`]. None where the mesh stopped.
    pub async fn kept_of(
        &self,
        node: NodeId,
        until: Timestamp,
        last: Option<u64>,
    ) -> Option<Result<Remnant, KeepError>> {
        let (reply, kept) = oneshot::channel();
        self.ask(Command::Kept { node, until, last, reply }).await?;
        kept.await.ok()
    }

    /// Counts changes of what is held, also of what the view does not show; and looks, now and then, at what time alone changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.clone()
    }

    /// The audit trail of everything held here. None where the mesh stopped.
    pub async fn trail(&self) -> Option<Vec<Entry>> {
        let (reply, trail) = oneshot::channel();
        self.ask(Command::Trail { reply }).await?;
        trail.await.ok()
    }

    /// The audit trail as a file that proves itself. None where the mesh stopped.
    pub async fn archive(&self) -> Option<Vec<u8>> {
        let (reply, archive) = oneshot::channel();
        self.ask(Command::Archive { reply }).await?;
        archive.await.ok()
    }

    /// Holds the documents of further cells for ten minutes from now, as far as a neighbour has them; they show in [`Self::view`] as they come. Asking
    /// again makes it ten minutes from then.
    pub async fn want(&self, cells: BTreeSet<CellPath>) {
        // A mesh that stopped shows nothing new either.
        let _ = self.ask(Command::Want { cells }).await;
    }

    /// Lets `enroller` redeem tickets from now on. Until then, newcomers are refused.
    pub fn enrol_with(&self, enroller: Arc<dyn Enroller>) {
        self.inner.enroller.set(Some(enroller));
    }

    /// Every peer that was configured or met, with where it is.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.inner.table.statuses()
    }

    /// The peers that documents are exchanged with, now and whenever they change.
    pub fn neighbours(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.inner.table.neighbours()
    }

    /// Every address of a peer that worked or was heard of.
    pub fn known_peers(&self) -> Vec<PeerAddr> {
        let peers = self.peers().into_iter();
        peers.flat_map(|p| p.addresses.into_iter().map(move |addr| PeerAddr { id: Some(p.id), addr })).collect()
    }

    /// The addresses worth remembering over a restart, for [`MeshConfig::sightings`].
    pub fn sightings(&self) -> Vec<Sighting> {
        self.inner.table.sightings(now())
    }

    /// Dials a further peer, now and for ever.
    pub fn add_peer(&self, peer: PeerAddr) {
        self.inner.table.add(peer, now());
    }

    /// How well this node hears the others.
    pub fn stats(&self) -> SyncStats {
        let peers = self.peers();
        let fleet = *self.inner.fleet.borrow();
        SyncStats {
            documents: fleet.documents,
            behind: fleet.behind,
            members: self.inner.view.borrow().members.len(),
            neighbours: peers.iter().filter(|p| p.connected).count(),
            last_heard: peers.iter().filter_map(|p| p.last_heard).max(),
        }
    }

    /// What this node's machine says of itself, which neighbours are told with its presence.
    pub fn set_gauges(&self, gauges: Gauges) {
        self.inner.table.set_gauges(gauges);
    }

    /// What a node last said of itself, where it was a neighbour since the start; of this node, what it says now.
    pub fn presence_of(&self, node: NodeId) -> Option<Presented> {
        self.inner.table.presented(node, now())
    }

    /// How long ago a member gave its last sign of life, to this node or, as far as is told, to anybody that its neighbours hear of.
    pub fn silent_for(&self, node: NodeId) -> Option<Duration> {
        self.inner.table.silent_for(node)
    }

    /// How new this node's view is.
    pub fn standing(&self) -> Standing {
        self.inner.table.standing()
    }

    /// When this node and a neighbour last held the same, scope by scope; none of a scope in which nobody was found to agree.
    pub fn agreed(&self) -> BTreeMap<Scope, Agreed> {
        self.inner.table.agreed()
    }

    /// What went wrong with peers.
    pub fn counters(&self) -> Counters {
        self.inner.tally.read()
    }

    /// The node's endpoint, for further protocols. Its connections are admitted, ended and silenced with all others. After the
    /// node was silent it may be another one, and there may be none for a moment: ask each time that something is dialled.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.inner.line.endpoint()
    }

    /// Where others can reach this node.
    pub fn listen_addresses(&self) -> Vec<SocketAddr> {
        self.inner.line.addresses()
    }

    /// The operator's relays through which this node is reached too.
    pub fn relays(&self) -> &[RelayAddress] {
        &self.inner.front.place.relays
    }

    /// Whether the node takes part in the network, rather than being [`Self::offline`].
    pub fn is_online(&self) -> bool {
        self.inner.gatekeeper.is_online()
    }

    /// Goes silent: ends every connection on every protocol and to every relay, answers nobody, dials nobody. Returns once none is
    /// left.
    pub async fn offline(&self) {
        let mut turn = self.inner.front.turn().await;
        self.inner.table.pause();
        self.inner.gatekeeper.go_offline();
        let (reply, done) = oneshot::channel();
        if self.ask(Command::DropSessions { reply }).await.is_some() {
            // A mesh that stopped meanwhile holds no session either.
            let _ = done.await;
        }
        // Once it stops, no other endpoint comes after the one that is closed.
        if !self.inner.cancel.is_cancelled() {
            turn.leave_relays().await;
        }
    }

    /// Takes part again, and dials everyone at once.
    pub async fn online(&self) {
        let mut turn = self.inner.front.turn().await;
        self.inner.gatekeeper.go_online();
        if !self.inner.cancel.is_cancelled() {
            turn.connect_relays().await;
        }
        self.inner.table.resume();
    }

    /// Waits until the mesh stops, and says why.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.inner.stopped.clone();
        // The sender goes without a word only together with its runtime.
        stopped.wait_for(Option::is_some).await.ok().and_then(|r| r.clone()).unwrap_or(StopReason::Shutdown)
    }

    /// Ends everything in order: sessions, protocols, endpoint. What was written before is kept.
    pub async fn shutdown(&self) {
        self.inner.cancel.cancel();
        self.inner.enroller.set(None);
        self.inner.tasks.wait().await;
        self.inner.front.close().await;
    }

    async fn ask(&self, command: Command) -> Option<()> {
        self.inner.actor.send(command).await.ok()
    }
}

/// Serves `sedge/sync/1`.
#[derive(Debug)]
struct SyncHandler {
    sessions: Arc<Sessions>,
}

impl ProtocolHandler for SyncHandler {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        self.sessions.inbound(connection).await;
        Ok(())
    }
}
