//! The one owner of the fleet: events in, effects out, in order, nothing sent before it is kept.
//!
//! Events that wait together are handled together: their records are kept in one commit, and then their frames leave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sedge_fleet::{
    CloseReason, Edit, Effect, Entry, Event, Fleet, FleetStats, FleetView, KeepError, PublishError, Remnant, Write,
    WriteError,
};
use sedge_statement::{CellPath, DocKind, NodeId, Object, SecretKey, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::admission::Gatekeeper;
use crate::clock::now;
use crate::counters::Tally;
use crate::peers::{PeerTable, Spell, Standing};
use crate::session::{Attachment, Ending, Inbound, Outbox, SessionId, Unqueued};
use crate::storage::{Storage, StorageError};
use crate::wire::{BEAT, Closing};

/// How many commands may wait for the actor. Sessions bound their own part of it; callers wait.
pub(crate) const COMMANDS: usize = 256;
/// How many commands share one commit: few enough that a digest is never late, many enough that a flood of changes is not
/// one sync to disk each.
const BATCH: usize = 64;
/// How often the fleet is told the time.
const TICK: Duration = Duration::from_secs(1);
/// How often the view is looked at though nothing changed: certificates begin and end with time.
const LOOK: Duration = Duration::from_secs(5);
/// How many sessions are held at once, counting those that others began: every node of a small fleet may know only this one.
const MAX_SESSIONS: usize = 256;
/// Within this time of a session's beginning, a second one counts as dialled at the same time. Later, the peer dials because
/// it lost the first.
const SIMULTANEOUS: Duration = Duration::from_secs(5);

/// What is asked of the actor.
#[derive(Debug)]
pub(crate) enum Command {
    Write { kind: DocKind, edits: Vec<Edit>, reply: oneshot::Sender<Result<(), WriteError>> },
    Publish { object: Object, reply: oneshot::Sender<Result<(), PublishError>> },
    Path { node: NodeId, reply: oneshot::Sender<Vec<Object>> },
    Want { cells: BTreeSet<CellPath> },
    Kept { node: NodeId, until: Timestamp, last: Option<u64>, reply: oneshot::Sender<Result<Remnant, KeepError>> },
    Trail { reply: oneshot::Sender<Vec<Entry>> },
    Archive { reply: oneshot::Sender<Vec<u8>> },
    Attach(Box<Attachment>),
    Frame(Inbound),
    Detach { session: SessionId, peer: NodeId, ending: Ending },
    DropSessions { reply: oneshot::Sender<()> },
}

/// Why the mesh stopped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to.
    Shutdown,
    /// Records could not be kept. Look at the disk, then start again: what was kept is whole.
    Storage(Arc<StorageError>),
    /// The actor panicked, which is a bug of ours. Start again: what was kept is whole.
    Panicked,
}

pub(crate) struct Actor {
    pub(crate) fleet: Fleet,
    pub(crate) me: NodeId,
    pub(crate) key: SecretKey,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) table: PeerTable,
    pub(crate) tally: Arc<Tally>,
    pub(crate) view: watch::Sender<Arc<FleetView>>,
    pub(crate) stats: watch::Sender<FleetStats>,
    /// Counts how often anything changed, in the view or beside it.
    pub(crate) changes: watch::Sender<u64>,
    /// The cells beside its own in which neighbours are looked for.
    pub(crate) wanted: BTreeSet<CellPath>,
    pub(crate) sessions: BTreeMap<NodeId, Session>,
    /// When the view was last looked at.
    pub(crate) looked: Instant,
}

/// A session as the actor knows it.
pub(crate) struct Session {
    id: SessionId,
    dialled_by: NodeId,
    since: Instant,
    said: Instant,
    admitted: bool,
    /// Whether another connection of the peer was turned away for this one.
    doubted: bool,
    connection: iroh::endpoint::Connection,
    outbox: Outbox,
}

/// What one batch of commands comes to.
#[derive(Default)]
struct Deeds {
    writes: Vec<Write>,
    sends: Vec<(NodeId, SessionId, Vec<u8>)>,
    replies: Vec<Reply>,
    changed: bool,
}

enum Reply {
    Written(oneshot::Sender<Result<(), WriteError>>, Result<(), WriteError>),
    Published(oneshot::Sender<Result<(), PublishError>>, Result<(), PublishError>),
    Dropped(oneshot::Sender<()>),
}

impl Actor {
    /// Runs until cancelled, until nobody can ask any more, or until records cannot be kept.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, cancel: CancellationToken) -> StopReason {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let reason = loop {
            let mut deeds = Deeds::default();
            tokio::select! {
                () = cancel.cancelled() => break StopReason::Shutdown,
                count = commands.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break StopReason::Shutdown;
                    }
                    for command in batch.drain(..) {
                        self.handle(command, &mut deeds);
                    }
                }
                _ = ticks.tick() => {
                    let effects = self.fleet.handle(Event::Tick, now());
                    self.collect(effects, &mut deeds);
                    deeds.changed |= self.looked.elapsed() >= LOOK;
                    let standing = self.standing();
                    self.table.set_standing(standing);
                    self.beat(&mut deeds);
                }
            }
            if let Err(e) = self.carry_out(deeds).await {
                error!(error = %e, "the mesh stops");
                break StopReason::Storage(Arc::new(e));
            }
        };
        self.drop_sessions(Closing::Stopping, &mut Deeds::default());
        reason
    }

    fn handle(&mut self, command: Command, deeds: &mut Deeds) {
        match command {
            Command::Write { kind, edits, reply } => {
                let result = self.fleet.write(&self.key, kind, now(), &edits);
                let result = result.map(|effects| self.collect(effects, deeds));
                deeds.replies.push(Reply::Written(reply, result));
            }
            Command::Publish { object, reply } => {
                let result = self.fleet.publish(object, now());
                let result = result.map(|effects| self.collect(effects, deeds));
                deeds.replies.push(Reply::Published(reply, result));
            }
            Command::Want { cells } => {
                let effects = self.fleet.want(cells, now());
                self.collect(effects, deeds);
            }
            Command::Path { node, reply } => {
                // The caller may have given up.
                let _ = reply.send(self.fleet.certificate_path(node));
            }
            Command::Kept { node, until, last, reply } => {
                // The caller may have given up.
                let _ = reply.send(self.fleet.kept_of(node, until, last));
            }
            Command::Trail { reply } => {
                // The caller may have given up.
                let _ = reply.send(self.fleet.trail(now()));
            }
            Command::Archive { reply } => {
                // The caller may have given up.
                let _ = reply.send(self.fleet.archive());
            }
            Command::Attach(attachment) => {
                let Attachment { id, peer, dialled_by, connection, outbox, first, observed, verdict } = *attachment;
                let since = Instant::now();
                let weak = connection.weak_handle();
                let session =
                    Session { id, dialled_by, since, said: since, admitted: false, doubted: false, connection, outbox };
                let spoke = first.is_some();
                let result = self.attach(peer, session, first, deeds);
                if result.is_ok() {
                    self.table.connected(peer, observed, weak, now());
                    if spoke {
                        self.table.heard(peer, now());
                    }
                }
                // A session that ended meanwhile tells so by its own command.
                let _ = verdict.send(result);
            }
            Command::Frame(Inbound { session, peer, frame, permit }) => {
                self.receive(session, peer, frame, deeds);
                drop(permit);
            }
            Command::Detach { session, peer, ending } => {
                if self.sessions.get(&peer).is_some_and(|s| s.id == session) {
                    let spell = match ending {
                        Ending::Over => Spell::Good,
                        Ending::Enough => Spell::Enough,
                        Ending::Violation | Ending::TooSlow | Ending::Silent => Spell::Bad,
                    };
                    self.detach(peer, spell, deeds);
                }
            }
            Command::DropSessions { reply } => {
                self.drop_sessions(Closing::Offline, deeds);
                deeds.replies.push(Reply::Dropped(reply));
            }
        }
    }

    fn attach(
        &mut self,
        peer: NodeId,
        session: Session,
        first: Option<Vec<u8>>,
        deeds: &mut Deeds,
    ) -> Result<(), Closing> {
        if !self.gatekeeper.is_online() {
            return Err(Closing::Offline);
        }
        if let Some(existing) = self.sessions.get_mut(&peer) {
            self.tally.duplicate.add_one();
            // A peer that still had this one would not ask twice: it was restarted, and lost it.
            let insists = std::mem::replace(&mut existing.doubted, true);
            if !insists && existing.is_preferred_to(&session, self.me.min(peer)) {
                return Err(Closing::Duplicate);
            }
            Closing::Duplicate.close(&existing.connection);
            self.detach(peer, Spell::Good, deeds);
        } else if self.sessions.len() >= MAX_SESSIONS {
            self.tally.refused.add_one();
            return Err(Closing::Busy);
        }
        let id = session.id;
        self.sessions.insert(peer, session);
        let sends_before = deeds.sends.len();
        let effects = self.fleet.handle(Event::Connected { peer }, now());
        self.collect(effects, deeds);
        if let Some(frame) = first {
            self.receive(id, peer, frame, deeds);
        }
        if self.sessions.get(&peer).is_some_and(|s| s.id == id) {
            return Ok(());
        }
        // Refused: what the fleet had to say to the peer stays unsaid.
        let kept = deeds.sends.split_off(sends_before).into_iter().filter(|(_, to, _)| *to != id);
        deeds.sends.extend(kept);
        Err(Closing::NotAMember)
    }

    fn receive(&mut self, session: SessionId, peer: NodeId, frame: Vec<u8>, deeds: &mut Deeds) {
        if self.sessions.get(&peer).is_none_or(|s| s.id != session) {
            return;
        }
        let time = now();
        self.table.heard(peer, time);
        if frame.is_empty() {
            // It says that somebody is there, and not yet who.
            if self.sessions.get(&peer).is_some_and(|held| !held.admitted) {
                self.close(peer, Closing::Violation, deeds);
            }
            return;
        }
        let effects = self.fleet.handle(Event::Received { peer, frame }, time);
        self.collect(effects, deeds);
        let Some(held) = self.sessions.get_mut(&peer) else { return };
        if !held.admitted && !self.fleet.dismisses(&peer) {
            if !self.fleet.admit(peer, time) {
                self.close(peer, Closing::NotAMember, deeds);
                return;
            }
            held.admitted = true;
            self.gatekeeper.admit(&held.connection);
        }
    }

    /// Says something to each peer that has heard nothing for a while.
    fn beat(&self, deeds: &mut Deeds) {
        let quiet = self.sessions.iter().filter(|(_, session)| session.said.elapsed() >= BEAT);
        deeds.sends.extend(quiet.map(|(peer, session)| (*peer, session.id, Vec::new())));
    }

    /// Sorts effects by when they may be carried out.
    fn collect(&mut self, effects: Vec<Effect>, deeds: &mut Deeds) {
        for effect in effects {
            match effect {
                Effect::Persist(writes) => deeds.writes.extend(writes),
                Effect::Send { peer, frame } => {
                    if let Some(session) = self.sessions.get(&peer) {
                        deeds.sends.push((peer, session.id, frame));
                    }
                }
                Effect::Close { peer, reason } => {
                    debug!(peer = %peer.short(), %reason, "the fleet closes a session");
                    let closing = match reason {
                        CloseReason::NotAMember | CloseReason::Revoked | CloseReason::OtherMesh => Closing::NotAMember,
                        CloseReason::OtherProtocol => Closing::OtherProtocol,
                        _ => Closing::Violation,
                    };
                    self.close(peer, closing, deeds);
                }
                Effect::Changed => deeds.changed = true,
            }
        }
    }

    /// Ends every connection of a peer on every protocol.
    fn close(&mut self, peer: NodeId, closing: Closing, deeds: &mut Deeds) {
        match closing {
            Closing::NotAMember => self.tally.refused.add_one(),
            _ => self.tally.violations.add_one(),
        }
        if let Some(session) = self.sessions.get(&peer) {
            closing.close(&session.connection);
        }
        self.gatekeeper.close(peer, closing);
        self.detach(peer, Spell::Bad, deeds);
    }

    fn detach(&mut self, peer: NodeId, spell: Spell, deeds: &mut Deeds) {
        let Some(session) = self.sessions.remove(&peer) else { return };
        self.table.disconnected(peer, if session.admitted { spell } else { Spell::Bad });
        let effects = self.fleet.handle(Event::Disconnected { peer }, now());
        self.collect(effects, deeds);
    }

    fn drop_sessions(&mut self, closing: Closing, deeds: &mut Deeds) {
        for peer in self.sessions.keys().copied().collect::<Vec<_>>() {
            if let Some(session) = self.sessions.get(&peer) {
                closing.close(&session.connection);
            }
            self.detach(peer, Spell::Good, deeds);
        }
    }

    /// Keeps first, then shows, then sends, then answers.
    async fn carry_out(&mut self, mut deeds: Deeds) -> Result<(), StorageError> {
        self.keep(std::mem::take(&mut deeds.writes)).await?;
        if deeds.changed {
            self.show(now());
        }
        let mut failed = Deeds::default();
        for (peer, session, frame) in std::mem::take(&mut deeds.sends) {
            self.send(peer, session, frame, &mut failed);
        }
        // A peer that went away can make the fleet keep something, but it has nothing to say to anyone for it that could
        // not wait for the next digest.
        self.keep(failed.writes).await?;
        self.stats.send_replace(self.fleet.stats());
        self.show_wanted();
        for reply in deeds.replies {
            reply.give();
        }
        Ok(())
    }

    async fn keep(&self, writes: Vec<Write>) -> Result<(), StorageError> {
        if writes.is_empty() {
            return Ok(());
        }
        let storage = self.storage.clone();
        match tokio::task::spawn_blocking(move || storage.commit(&writes)).await {
            Ok(result) => result,
            Err(panic) => Err(StorageError(Box::new(panic))),
        }
    }

    /// Publishes the view where it changed, and the roster with it.
    fn show(&mut self, time: Timestamp) {
        self.looked = Instant::now();
        self.changes.send_modify(|changes| *changes += 1);
        let view = self.fleet.view(time);
        if *view == **self.view.borrow() {
            return;
        }
        self.table.set_members(&view);
        self.gatekeeper.set_members(view.members.keys().copied().collect(), |node| self.fleet.dismisses(node));
        self.view.send_replace(view);
    }

    /// How new this node's view is, for its presence.
    fn standing(&mut self) -> Standing {
        Standing {
            verified: self.fleet.verified_time(),
            authorities: self.fleet.authorities(),
            digests: self.fleet.digests(),
        }
    }

    /// Tells who looks for neighbours in which cells they are needed.
    fn show_wanted(&mut self) {
        let wanted = self.fleet.wanted_cells();
        if wanted != self.wanted {
            self.table.want_cells(wanted.clone());
            self.wanted = wanted;
        }
    }

    fn send(&mut self, peer: NodeId, session: SessionId, frame: Vec<u8>, failed: &mut Deeds) {
        let Some(held) = self.sessions.get_mut(&peer).filter(|s| s.id == session) else { return };
        held.said = Instant::now();
        match held.outbox.push(frame) {
            Ok(()) => {}
            Err(Unqueued::Full) => {
                info!(peer = %peer.short(), "a slow reader is dropped");
                self.tally.slow.add_one();
                Closing::TooSlow.close(&held.connection);
                self.detach(peer, Spell::Bad, failed);
            }
            Err(Unqueued::Ended) => self.detach(peer, Spell::Good, failed),
        }
    }
}

impl Session {
    /// Whether this session stays when `other`, a newer one to the same peer, turns up.
    fn is_preferred_to(&self, other: &Self, lower: NodeId) -> bool {
        let at_the_same_time = other.since.duration_since(self.since) < SIMULTANEOUS;
        let open = self.connection.close_reason().is_none();
        open && at_the_same_time && self.dialled_by == lower && other.dialled_by != lower
    }
}

impl Reply {
    /// Answers; a caller that gave up is no concern.
    fn give(self) {
        match self {
            Self::Written(reply, result) => drop(reply.send(result)),
            Self::Published(reply, result) => drop(reply.send(result)),
            Self::Dropped(reply) => drop(reply.send(())),
        }
    }
}
