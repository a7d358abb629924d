//! The agent: everything that runs on one home, started and stopped as one.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sedge_blobs::{Admission, BlobStore, Limits, Options};
use sedge_fleet::{Fleet, FleetView};
use sedge_mesh::{Mesh, MeshConfig, PeerAddr, Protocols, StartError};
use sedge_runtime::{Backends, ModelHost};
use sedge_statement::{Blake3, ByteSize, MeshId, NodeId, RelayAddress, SlotName, Tensor, TextRequest};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, Status};
use crate::chat::Chat;
use crate::control;
use crate::core::{Core, OFFLINE, Planned, SILENT, ShownSlot, now};
use crate::enroll::{self, Desk, GENESIS, MESH};
use crate::events::Events;
use crate::home::{Home, HomeError, socket_path};
use crate::infer::Answer;
use crate::peers;
use crate::planning::plan_of;
use crate::presence::keep_presence;
use crate::reconcile::{Outlets, Reconciler};
use crate::slot_watch::SlotWatch;
use crate::supervise::supervise;
use crate::tickets::MAX_RELAYS;
use crate::trust;

/// How often addresses of peers are kept.
const REMEMBER_EVERY: Duration = Duration::from_secs(60);
/// The name under which `meta` keeps the port that this node listened on last.
const PORT: &str = "port";

/// How an agent is started. Built up, then given to [`Agent::start`].
#[derive(Debug, Clone)]
pub struct AgentConfig {
    home: PathBuf,
    listen: Vec<SocketAddr>,
    peers: Vec<PeerAddr>,
    relays: Vec<RelayAddress>,
    nearby: bool,
    neighbours: Option<usize>,
    limits: Limits,
}

impl AgentConfig {
    /// An agent on a home that `init` or `join` made. It listens everywhere, on the port of last time where that is free, looks
    /// for members on the local network, and uses no relay but those of the ticket that it joined with.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        let (listen, peers, relays) = (Vec::new(), Vec::new(), Vec::new());
        Self { home: home.into(), listen, peers, relays, nearby: true, neighbours: None, limits: Limits::default() }
    }

    /// Listens at this address, beside any other given so.
    #[must_use]
    pub fn listen(mut self, at: SocketAddr) -> Self {
        self.listen.push(at);
        self
    }

    /// Reaches peers that have no direct way to this node through a relay of the operator's.
    #[must_use]
    pub fn relay(mut self, relay: RelayAddress) -> Self {
        self.relays.push(relay);
        self
    }

    /// Looks for members on the local network by multicast and lets them find this node, which is the default; or does not.
    #[must_use]
    pub fn nearby(mut self, nearby: bool) -> Self {
        self.nearby = nearby;
        self
    }

    /// Looks for so many neighbours by itself, beside the peers that it is told of and whoever dials it; none with 0. Each is a
    /// connection that a metered line pays for; fewer than two may cut a node off.
    #[must_use]
    pub fn neighbours(mut self, neighbours: usize) -> Self {
        self.neighbours = Some(neighbours);
        self
    }

    /// Dials this peer, now and for ever.
    #[must_use]
    pub fn peer(mut self, peer: PeerAddr) -> Self {
        self.peers.push(peer);
        self
    }

    /// Sends at most this many bytes of weights a second.
    #[must_use]
    pub fn upload_limit(mut self, per_second: ByteSize) -> Self {
        self.limits.upload = Some(per_second.get());
        self
    }

    /// Takes at most this many bytes of weights a second.
    #[must_use]
    pub fn download_limit(mut self, per_second: ByteSize) -> Self {
        self.limits.download = Some(per_second.get());
        self
    }
}

/// Why an agent stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was asked to.
    Asked,
    /// It could not go on, as with a full disk under its state or a panic of its loop. Its log says more; start it again.
    Failed,
}

/// A running agent. Dropping it stops it without waiting; [`Agent::shutdown`] waits.
#[derive(Debug)]
pub struct Agent {
    core: Arc<Core>,
    supervisor: JoinHandle<()>,
    _home: Home,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.core.stop.cancel();
    }
}

impl Agent {
    /// Starts an agent: opens its state, joins the network, serves what it served before.
    ///
    /// # Errors
    /// A home that is in use, belongs to no mesh or was written by a newer version; an address that cannot be bound.
    pub async fn start(config: AgentConfig) -> Result<Self, ApiError> {
        let home = Home::open(&config.home)?;
        let (genesis, mesh_id) = identity(&home)?;
        let me = home.key.node_id();
        let fleet = Fleet::open(&genesis, mesh_id, me, home.store.fleet()?).map_err(|error| {
            ApiError::failed(
                format!("the documents cannot be read: {error}"),
                "Check the disk, or join anew from an empty home.",
            )
        })?;
        let options = Options { limits: config.limits, ..Options::default() };
        let blobs = BlobStore::open(&home.path, options)
            .await
            .map_err(|error| ApiError::failed(error, "Check the home's file system."))?;
        let gate = Arc::new(Gate::default());
        let mesh = start_mesh(&home, &config, genesis, fleet, &blobs, &gate).await?;
        gate.0.set(mesh.view()).expect("set once, here");
        let view = Arc::clone(&mesh.view().borrow());
        for object in enroll::unpublished(&home.store, &view)? {
            if let Err(error) = mesh.publish(object).await {
                tracing::error!(%error, "a certificate issued here cannot be published");
            }
        }

        let host = ModelHost::new(Backends::embedded());
        let profile = profile(&home.path, &host);
        let first = Planned { plan: plan_of(&view, now()), view, revision: 0 };
        let (planned_in, planned) = watch::channel(Arc::new(first));
        let (shown_in, shown) = watch::channel(Vec::<ShownSlot>::new());
        let core = Arc::new(Core {
            home: home.path.clone(),
            key: home.key.clone(),
            store: Arc::clone(&home.store),
            mesh,
            blobs,
            host,
            planned,
            shown,
            events: Events::default(),
            authoring: Mutex::new(()),
            issuing: Arc::default(),
            stop: CancellationToken::new(),
            failed: AtomicBool::new(false),
            #[cfg(test)]
            loop_panics: AtomicBool::new(false),
        });
        let desk = Desk {
            key: home.key.clone(),
            store: Arc::clone(&home.store),
            view: core.mesh.view(),
            issuing: Arc::clone(&core.issuing),
        };
        core.mesh.enrol_with(Arc::new(desk));
        let outlets = Outlets { planned: planned_in, shown: shown_in };
        let reconciler = Reconciler::new(Arc::clone(&core), outlets, profile)?;
        let socket = socket_path(&home.path);
        let listener = control::bind(&socket).map_err(|error| {
            ApiError::failed(
                format!("{}: {error}", socket.display()),
                "Use a home whose path is shorter than 90 bytes and can be written.",
            )
        })?;
        let stop = core.stop.clone();
        let mut parts = JoinSet::new();
        parts.spawn(reconciler.run());
        parts.spawn(control::serve(listener, Arc::clone(&core), stop));
        parts.spawn(keep_peers(Arc::clone(&core)));
        parts.spawn(keep_presence(Arc::clone(&core)));
        parts.spawn(trust::hold_office(Arc::clone(&core)));
        let supervisor = tokio::spawn(supervise(Arc::clone(&core), parts));
        Ok(Self { core, supervisor, _home: home })
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.core.me()
    }

    /// Where others can reach this node.
    pub fn listen_addresses(&self) -> Vec<SocketAddr> {
        self.core.mesh.listen_addresses()
    }

    /// This node, its slots, peers and sync.
    pub async fn status(&self) -> Status {
        self.core.status().await
    }

    /// The fleet as this node sees it, now and whenever it changes.
    pub fn view(&self) -> watch::Receiver<Arc<FleetView>> {
        self.core.mesh.view()
    }

    /// Follows one slot.
    pub fn watch_slot(&self, slot: &SlotName) -> SlotWatch {
        SlotWatch::new(slot.clone(), self.core.shown.clone())
    }

    /// Asks the model in a slot. A request under way during a swap ends on the model that it began with.
    ///
    /// # Errors
    /// No model serves there, the inputs do not fit it, or it did not answer in time.
    pub async fn infer(&self, slot: &SlotName, inputs: Vec<Tensor>) -> Result<Answer, ApiError> {
        self.core.infer(slot, inputs).await
    }

    /// Asks the language model in a slot for text, which comes piece by piece. A text under way during a swap ends on the model
    /// that it began with.
    ///
    /// ```no_run
    /// # async fn tell(agent: &sedge_agent::Agent) -> Result<(), Box<dyn std::error::Error>> {
    /// use sedge_agent::statement::TextRequest;
    ///
    /// let mut chat = agent.chat(&"writer".parse()?, TextRequest::answer("Tell me of the sea.")).await?;
    /// while let Some(piece) = chat.next().await {
    ///     print!("{piece}");
    /// }
    /// println!("\nby {}", chat.end().await?.sha256);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No language model serves there, or too many texts are waiting. What the model refuses, [`Chat::end`] tells.
    pub async fn chat(&self, slot: &SlotName, request: TextRequest) -> Result<Chat, ApiError> {
        self.core.chat(slot, request).await
    }

    /// Waits until the agent is told to stop: over its socket, or because it cannot go on.
    pub async fn stopped(&self) -> Stopped {
        self.core.stop.cancelled().await;
        if self.core.failed.load(Ordering::Acquire) { Stopped::Failed } else { Stopped::Asked }
    }

    /// Stops, and waits until everything is written and closed.
    pub async fn shutdown(mut self) {
        self.core.stop.cancel();
        if let Err(error) = (&mut self.supervisor).await {
            tracing::error!(%error, "the agent's supervisor ended badly");
        }
        keep_known_peers(&self.core).await;
        self.core.mesh.shutdown().await;
        self.core.blobs.shutdown().await;
        // A socket without an agent only confuses; the next agent replaces it if this fails.
        let _ = std::fs::remove_file(socket_path(&self.core.home));
    }
}

fn identity(home: &Home) -> Result<(Vec<u8>, MeshId), ApiError> {
    let no_mesh = || HomeError::NoMesh(home.path.clone());
    let genesis = home.store.meta(GENESIS)?.ok_or_else(no_mesh)?;
    let mesh: Option<[u8; 32]> = home.store.meta(MESH)?.and_then(|bytes| bytes.try_into().ok());
    Ok((genesis, MeshId::from_bytes(mesh.ok_or_else(no_mesh)?)))
}

async fn start_mesh(
    home: &Home,
    config: &AgentConfig,
    genesis: Vec<u8>,
    fleet: Fleet,
    blobs: &BlobStore,
    gate: &Arc<Gate>,
) -> Result<Mesh, ApiError> {
    let known = peers::known(&home.store)?;
    let relays = if config.relays.is_empty() { peers::relays(&home.store)? } else { config.relays.clone() };
    if config.relays.len() > MAX_RELAYS {
        let given = config.relays.len();
        return Err(ApiError::usage(format!("{given} relays"), &format!("Give at most {MAX_RELAYS} --relay.")));
    }
    let last: Option<[u8; 2]> = home.store.meta(PORT)?.and_then(|bytes| bytes.try_into().ok());
    let port = last.map_or(0, u16::from_le_bytes);
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let mut mesh_config = MeshConfig::new(home.key.clone(), genesis).peers(config.peers.iter().copied());
    mesh_config = mesh_config.sightings(known).relays(relays).nearby(config.nearby);
    mesh_config = mesh_config.offline(home.store.meta(OFFLINE)?.is_some_and(|value| value == SILENT));
    if let Some(neighbours) = config.neighbours {
        mesh_config = mesh_config.neighbours(neighbours);
    }
    let listen = if config.listen.is_empty() { vec![free_or_any(any(port))] } else { config.listen.clone() };
    for at in listen {
        mesh_config = mesh_config.listen(at);
    }
    let mut protocols = Protocols::new();
    let admission: Arc<dyn Admission> = Arc::clone(gate) as _;
    protocols.insert(sedge_blobs::ALPN.to_vec(), Box::new(blobs.protocol_handler(admission)));
    let storage = Arc::clone(&home.store);
    let mesh = Mesh::start(mesh_config, fleet, storage, protocols).await.map_err(|error| match error {
        StartError::Listen(_) => ApiError::failed(error, "Give another address with --listen, or stop what uses it."),
        _ => ApiError::failed(error, "See the agent's log."),
    })?;
    let bound = mesh.endpoint().map(|endpoint| endpoint.bound_sockets()).unwrap_or_default();
    if let Some(port) = bound.first().map(SocketAddr::port) {
        home.store.set_meta(&[(PORT, &port.to_le_bytes())])?;
    }
    Ok(mesh)
}

/// The address where its port is free, else one of the system's choice: peers remember where a node was.
fn free_or_any(addr: SocketAddr) -> SocketAddr {
    match std::net::UdpSocket::bind(addr) {
        Ok(_) => addr,
        Err(_) => SocketAddr::new(addr.ip(), 0),
    }
}

fn profile(home: &Path, host: &ModelHost) -> sedge_statement::Profile {
    let disk = sedge_hardware::disk_size(home).unwrap_or_default();
    let mut profile = sedge_hardware::detect(Path::new("/"), disk);
    profile.runtimes = host.backends().facts();
    profile
}

async fn keep_peers(core: Arc<Core>) {
    let mut every = tokio::time::interval(REMEMBER_EVERY);
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = every.tick() => keep_known_peers(&core).await,
        }
    }
}

async fn keep_known_peers(core: &Core) {
    let (store, sightings) = (Arc::clone(&core.store), core.mesh.sightings());
    // It waits for the disk.
    let kept = tokio::task::spawn_blocking(move || peers::remember(&store, sightings)).await;
    let error = match kept {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(%error, "addresses of peers could not be kept");
}

/// Who may fetch what: members, what a release names.
#[derive(Debug, Default)]
struct Gate(OnceLock<watch::Receiver<Arc<FleetView>>>);

impl Admission for Gate {
    fn may_connect(&self, peer: NodeId) -> bool {
        self.0.get().is_some_and(|view| view.borrow().members.contains_key(&peer))
    }

    fn may_fetch(&self, peer: NodeId, blob: Blake3) -> bool {
        let Some(view) = self.0.get() else { return false };
        let view = view.borrow();
        let mut files = view.releases.values().flat_map(|published| published.release.manifest.files());
        view.members.contains_key(&peer) && files.any(|file| file.blake3 == blob)
    }
}
