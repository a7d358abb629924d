//! One fetch from beginning to end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::Connection;
use sedge_statement::{ByteSize, ModelFile, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::error::FetchError;
use super::pace::{self, Clock};
use super::peers::{Fault, Peers};
use super::piece::{Arrived, Delivery, Depot, End};
use super::proof::{Proof, Prover};
use super::{DialFrom, Progress, Ranges, plan};
use crate::hold::CompleteError;
use crate::index::Claim;
use crate::node;
use crate::store::{Inner, StoreError};
use crate::turn::Turn;

/// Notes of arrived bytes on their way to the watchers. A full channel drops notes: the store's own count corrects
/// them with every piece.
const NOTES: usize = 64;
/// The window of the rate shown.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// Fetches, places and proves. Ends only with the file, with something wrong on our side, or with something wrong
/// with the manifest; wants for providers, it waits. Where the file is added here meanwhile, that copy is the file.
pub(crate) async fn run(
    inner: Arc<Inner>,
    from: DialFrom,
    file: ModelFile,
    candidates: watch::Receiver<Vec<NodeId>>,
    seed: u64,
    progress: watch::Sender<Progress>,
) -> Result<PathBuf, FetchError> {
    let mut turn = inner.turns.next(file.blake3).await;
    let mut lost = 0;
    while lost < LOSSES {
        if inner.index().holds(&file) {
            progress.send_modify(|p| p.have = file.size);
            return Ok(inner.layout.model(file.sha256, &file.name));
        }
        if file.size.get() == 0 {
            return Err(FetchError::WrongLength { file: file.name, wanted: ByteSize(0), found: ByteSize(0) });
        }
        let depot = (inner.clone(), from.clone(), file.clone());
        match bring(depot, candidates.clone(), seed.wrapping_add(lost), &progress, &turn).await? {
            Brought::All(proof) => {
                if let Some(path) = finish(&inner, &file, proof).await? {
                    return Ok(path);
                }
                tracing::warn!(file = %file.name, "the disk lost verified bytes; fetching them again");
                lost += 1;
            }
            Brought::GaveWay => turn = turn.give_way().await,
        }
    }
    Err(FetchError::Damaged { file: file.name })
}

/// How often the disk may lose what came: the second time it is broken.
const LOSSES: u64 = 2;

/// How bringing bytes ended.
enum Brought {
    /// With all of them, and what was hashed meanwhile.
    All(Option<Proof>),
    /// Because somebody has them at hand.
    GaveWay,
}

/// Brings the store every byte that it lacks, and hashes the file meanwhile.
async fn bring(
    (inner, from, file): (Arc<Inner>, DialFrom, ModelFile),
    candidates: watch::Receiver<Vec<NodeId>>,
    seed: u64,
    progress: &watch::Sender<Progress>,
    turn: &Turn,
) -> Result<Brought, FetchError> {
    // Before the first byte, so that neither a collection nor a restart loses what comes.
    inner.claim(Claim::Want, &file).await?;
    // The open observation keeps the store's entry in memory from piece to piece.
    let _open = inner.fs.observe(node::hash(file.blake3)).stream().await.map_err(StoreError::of)?;
    let missing = inner.local(&file).await?.without(file.size.get());
    let _room = inner.space.reserve(missing.len())?;
    let prover = Prover::start(inner.layout.data(node::hash(file.blake3)), file.size.get());
    let (arrived_tx, arrived) = mpsc::channel(NOTES);
    let mut drive = Drive {
        peers: Peers::new(inner.patience.clone(), seed),
        depot: Depot { inner, from, file, arrived: arrived_tx },
        candidates,
        links: BTreeMap::new(),
        in_flight: JoinSet::new(),
        ordered: Vec::new(),
        missing,
        prover,
        arrived,
        progress: progress.clone(),
        window: (Instant::now(), 0),
    };
    tokio::select! {
        done = drive.download() => done?,
        () = turn.wanted() => {
            // Nothing writes any more when the turn is given.
            drive.in_flight.shutdown().await;
            return Ok(Brought::GaveWay);
        }
    }
    Ok(Brought::All(drive.prover.finish().await))
}

/// Names and proves what is complete. Drops it, and says `None`, where the disk did not keep it (a power cut may
/// lose what was recorded as complete); drops it for good where the manifest contradicts itself.
async fn finish(inner: &Inner, file: &ModelFile, proof: Option<Proof>) -> Result<Option<PathBuf>, FetchError> {
    // A table that still called these bytes partial would have the next start open them for writing.
    inner.fs.sync_db().await.map_err(StoreError::of)?;
    let bitfield = inner.fs.observe(node::hash(file.blake3)).await.map_err(StoreError::of)?;
    let found = ByteSize(bitfield.size());
    let error = if found == file.size {
        match inner.complete(file, proof).await {
            Ok(path) => return Ok(Some(path)),
            Err(CompleteError::Damaged) => None,
            Err(CompleteError::WrongDigest(found)) => {
                Some(FetchError::WrongDigest { file: file.name.clone(), wanted: file.sha256, found })
            }
            Err(CompleteError::Prove(e)) => {
                tracing::warn!(error = %e, "fetched bytes cannot be read back");
                None
            }
            Err(CompleteError::Place(e)) => return Err(FetchError::Io(Arc::new(e))),
            Err(CompleteError::Store(e)) => return Err(e.into()),
        }
    } else {
        Some(FetchError::WrongLength { file: file.name.clone(), wanted: file.size, found })
    };
    inner.reject(file).await.map_err(|e| FetchError::Discard(Arc::new(e)))?;
    error.map_or(Ok(None), Err)
}

struct Drive {
    depot: Depot,
    peers: Peers,
    candidates: watch::Receiver<Vec<NodeId>>,
    links: BTreeMap<NodeId, Connection>,
    in_flight: JoinSet<Delivery>,
    ordered: Vec<Outstanding>,
    /// What the store lacks.
    missing: Ranges,
    prover: Prover,
    arrived: mpsc::Receiver<Arrived>,
    progress: watch::Sender<Progress>,
    /// When the rate's window began, and the bytes since.
    window: (Instant, u64),
}

/// A piece under way.
struct Outstanding {
    order: plan::Order,
    clock: Arc<Clock>,
}

impl Drive {
    async fn download(&mut self) -> Result<(), FetchError> {
        self.count_up();
        let mut listening = true;
        let mut looks = tokio::time::interval(pace::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.missing.is_empty() {
            self.order();
            let wakes = self.peers.wakes(Instant::now());
            tokio::select! {
                Some(end) = self.in_flight.join_next() => {
                    let delivery = end.map_err(|e| StoreError::of(format!("a piece's task failed: {e}")))?;
                    self.settle(delivery).await?;
                }
                Some(arrived) = self.arrived.recv() => self.note(arrived),
                changed = self.candidates.changed(), if listening => listening = changed.is_ok(),
                () = until(wakes), if wakes.is_some() => {}
                _ = looks.tick(), if !self.ordered.is_empty() => self.hurry().await?,
            }
        }
        Ok(())
    }

    /// Orders as many pieces as there are providers free.
    fn order(&mut self) {
        let inner = &self.depot.inner;
        let me = self.depot.from.endpoint().map(|endpoint| node::node_id(endpoint.id()));
        let able = |peer: &NodeId| Some(*peer) != me && !inner.is_liar(*peer);
        let candidates: Vec<NodeId> = self.candidates.borrow_and_update().iter().copied().filter(able).collect();
        self.peers.update(candidates);
        let slots = self.peers.slots(Instant::now());
        if slots.iter().all(|s| s.free == 0) {
            return;
        }
        for order in plan::assign(&self.open(), plan::piece_size(inner.download.rate()), &slots) {
            self.ask(order);
        }
    }

    /// What is missing and asked of nobody.
    fn open(&self) -> Ranges {
        let mut open = self.missing.clone();
        self.ordered.iter().for_each(|piece| open.cut(&piece.order.range));
        open
    }

    fn ask(&mut self, order: plan::Order) {
        let clock = Arc::<Clock>::default();
        self.peers.asked(order.peer);
        self.ordered.push(Outstanding { order: order.clone(), clock: Arc::clone(&clock) });
        let link = self.links.get(&order.peer).cloned();
        self.in_flight.spawn(self.depot.clone().carry_out(order, link, clock));
    }

    /// Takes pieces from providers that are too slow; once nothing else is missing, asks for the last ones twice.
    async fn hurry(&mut self) -> Result<(), FetchError> {
        let now = Instant::now();
        let somebody_waits = self.peers.somebody_waits();
        for piece in self.ordered.iter().filter(|piece| !piece.clock.is_over()) {
            let other = self.peers.best_other(piece.order.peer, now);
            if piece.clock.pace().is_too_slow(other, somebody_waits, self.peers.patience()) {
                piece.clock.give_up();
            }
        }
        if !self.open().is_empty() {
            return Ok(());
        }
        let idle = self.peers.slots(now).into_iter().filter(|slot| slot.free > 0);
        let idle: Vec<(NodeId, u64)> = idle.filter_map(|s| Some((s.peer, self.peers.rate(s.peer)?))).collect();
        for (peer, rate) in idle {
            let is_alone = |piece: &&Outstanding| {
                let overlaps = |other: &Outstanding| {
                    other.order.range.start < piece.order.range.end && piece.order.range.start < other.order.range.end
                };
                self.ordered.iter().filter(|other| overlaps(other)).count() == 1
            };
            let running = self.ordered.iter().filter(|piece| piece.order.peer != peer && !piece.clock.is_over());
            let slowest = running.filter(is_alone).min_by_key(|piece| piece.clock.pace().rate());
            let Some((range, pace)) = slowest.map(|piece| (piece.order.range.clone(), piece.clock.pace())) else {
                return Ok(());
            };
            let left = self.look().await?.within(&range);
            if let Some(first) = left.first().filter(|_| pace.is_worth_asking_again(left.len(), rate)) {
                self.ask(plan::Order { peer, range: first.start..range.end });
            }
        }
        Ok(())
    }

    /// What the store lacks now.
    async fn look(&mut self) -> Result<Ranges, FetchError> {
        let size = self.depot.file.size.get();
        Ok(self.depot.inner.local(&self.depot.file).await?.without(size))
    }

    async fn settle(&mut self, delivery: Delivery) -> Result<(), FetchError> {
        let Delivery { order, link, end } = delivery;
        let peer = order.peer;
        if let Some(at) = self.ordered.iter().position(|piece| piece.order == order) {
            let piece = self.ordered.swap_remove(at);
            self.peers.measured(peer, piece.clock.pace());
        }
        match link {
            Some(link) => self.links.insert(peer, link),
            None => self.links.remove(&peer),
        };
        let first = self.missing.len() == self.depot.file.size.get();
        self.missing = self.look().await?;
        let missing = &self.missing;
        let is_spare = |piece: &&Outstanding| missing.within(&piece.order.range).is_empty();
        self.ordered.iter().filter(is_spare).for_each(|piece| piece.clock.is_spare());
        if first {
            // Until its tables say that a part is there, a killed process would begin anew.
            self.depot.inner.fs.sync_db().await.map_err(StoreError::of)?;
        }
        self.count_up();
        match end {
            End::Delivered => self.peers.delivered(peer),
            End::TheyFailed(Fault::Spare) => self.peers.released(peer),
            End::TheyFailed(fault) => {
                tracing::debug!(peer = %peer.short(), ?fault, file = %self.depot.file.name, "a provider failed");
                self.peers.failed(peer, fault, Instant::now());
                if fault == Fault::Lied {
                    tracing::warn!(peer = %peer.short(), file = %self.depot.file.name, "a provider sent bytes of another hash");
                    self.depot.inner.condemn(peer);
                    if let Some(link) = self.links.remove(&peer) {
                        link.close(0_u32.into(), b"");
                    }
                }
            }
            End::WeFailed(error) => return Err(error),
        }
        Ok(())
    }

    /// Shows what the store really has.
    fn count_up(&self) {
        let have = ByteSize(self.depot.file.size.get() - self.missing.len());
        self.progress.send_modify(|p| p.have = have);
        self.prover.is_whole_up_to(self.missing.first().map_or(self.depot.file.size.get(), |first| first.start));
    }

    /// Shows bytes that came between two counts.
    fn note(&mut self, arrived: Arrived) {
        let (since, bytes) = &mut self.window;
        *bytes += arrived.bytes;
        let rate = (since.elapsed() >= RATE_WINDOW).then(|| {
            let millis = since.elapsed().as_millis().max(1);
            let rate = u128::from(*bytes) * 1000 / millis;
            (*since, *bytes) = (Instant::now(), 0);
            ByteSize(u64::try_from(rate).unwrap_or(u64::MAX))
        });
        self.progress.send_modify(|p| {
            p.have = ByteSize((p.have.get() + arrived.bytes).min(p.total.get()));
            p.from = Some(arrived.from);
            p.rate = rate.unwrap_or(p.rate);
        });
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
