//! One connection of `sedge/sync/1`: its stream, its two directions, and their deadlines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use sedge_statement::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::actor::Command;
use crate::admission::Gatekeeper;
use crate::counters::Tally;
use crate::endpoint::{remote_address, remote_node};
use crate::herald::{Herald, ignore};
use crate::peers::PeerTable;
use crate::telling::Telling;
use crate::wire::{
    BEAT, Closing, FrameError, HELLO_DEADLINE, MAX_BEATS, MAX_FRAME, MAX_STRANGER_FRAME, SILENCE_DEADLINE,
    WRITE_DEADLINE, has_enough, read_frame, write_frame,
};

/// How many frames may wait for one peer. With [`OUTBOX_BYTES`] it is what a slow reader costs before it is dropped.
const OUTBOX_FRAMES: usize = 4096;
/// How many bytes may wait for one peer: several whole frames, and the documents of a large fleet.
const OUTBOX_BYTES: usize = 32 << 20;
/// How many frames of one peer may wait for the actor, so that a busy peer queues behind itself and not before others.
const INBOX_FRAMES: usize = 4;
/// How many nodes without a certificate may be heard at once.
const MAX_STRANGERS: usize = 32;

/// Names one session among all of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId(u64);

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) me: NodeId,
    pub(crate) actor: mpsc::Sender<Command>,
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) tally: Arc<Tally>,
    pub(crate) telling: Telling,
    pub(crate) herald: Herald,
    strangers: Semaphore,
    next: AtomicU64,
}

/// A session that asks the actor to be taken.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) id: SessionId,
    pub(crate) peer: NodeId,
    /// Who dialled: the lower of two ids wins where both did.
    pub(crate) dialled_by: NodeId,
    pub(crate) connection: Connection,
    pub(crate) outbox: Outbox,
    /// The peer's hello, where the peer dialled.
    pub(crate) first: Option<Vec<u8>>,
    pub(crate) observed: Option<SocketAddr>,
    /// Answered with the reason where the session is not taken.
    pub(crate) verdict: oneshot::Sender<Result<(), Closing>>,
}

/// A frame from a peer. The permit is dropped once the actor is done with it.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) session: SessionId,
    pub(crate) peer: NodeId,
    pub(crate) frame: Vec<u8>,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The other end, or this node's actor, ended it.
    Over,
    /// The other end has neighbours enough.
    Enough,
    /// The peer broke the protocol.
    Violation,
    /// The peer does not read.
    TooSlow,
    /// The peer says nothing.
    Silent,
}

/// The queue towards one peer, bounded in frames and bytes.
#[derive(Debug)]
pub(crate) struct Outbox {
    frames: mpsc::Sender<(Bytes, OwnedSemaphorePermit)>,
    bytes: Arc<Semaphore>,
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unqueued {
    /// The peer reads too slowly.
    Full,
    /// The session ended.
    Ended,
}

impl Outbox {
    fn new() -> (Self, mpsc::Receiver<(Bytes, OwnedSemaphorePermit)>) {
        let (frames, queue) = mpsc::channel(OUTBOX_FRAMES);
        (Self { frames, bytes: Arc::new(Semaphore::new(OUTBOX_BYTES)) }, queue)
    }

    /// Queues a frame without ever waiting.
    pub(crate) fn push(&self, frame: Vec<u8>) -> Result<(), Unqueued> {
        let weight = u32::try_from(frame.len()).map_err(|_| Unqueued::Full)?;
        let permit = self.bytes.clone().try_acquire_many_owned(weight).map_err(|_| Unqueued::Full)?;
        self.frames.try_send((frame.into(), permit)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Unqueued::Full,
            mpsc::error::TrySendError::Closed(_) => Unqueued::Ended,
        })
    }
}

/// Tells the table of peers that a dial is over, however it ended.
#[derive(Debug)]
pub(crate) struct DialGuard {
    pub(crate) table: PeerTable,
    pub(crate) peer: NodeId,
}

impl Drop for DialGuard {
    fn drop(&mut self) {
        self.table.dial_ended(self.peer);
    }
}

impl Sessions {
    pub(crate) fn new(
        me: NodeId,
        actor: mpsc::Sender<Command>,
        gatekeeper: Gatekeeper,
        tally: Arc<Tally>,
        telling: Telling,
        herald: Herald,
    ) -> Self {
        let strangers = Semaphore::new(MAX_STRANGERS);
        Self { me, actor, gatekeeper, tally, telling, herald, strangers, next: AtomicU64::new(0) }
    }

    /// Serves a connection that a peer dialled. The peer speaks first: until its hello came, nothing is said to it.
    pub(crate) async fn inbound(&self, connection: Connection) {
        let peer = remote_node(&connection);
        let limit = if self.gatekeeper.is_member(peer) { MAX_FRAME } else { MAX_STRANGER_FRAME };
        let hello = async {
            let _permit = match limit {
                MAX_FRAME => None,
                _ => Some(self.strangers.try_acquire().map_err(|_| Closing::Busy)?),
            };
            let (send, mut recv) = connection.accept_bi().await.map_err(|_| Closing::Done)?;
            match read_frame(&mut recv, limit).await {
                Ok(frame) => Ok((send, recv, frame)),
                Err(FrameError::Ended) => Err(Closing::Done),
                Err(_) => Err(Closing::Violation),
            }
        };
        let hello = async {
            tokio::select! {
                hello = hello => hello,
                () = ignore(&connection) => Err(Closing::Violation),
            }
        };
        match timeout(HELLO_DEADLINE, hello).await.unwrap_or(Err(Closing::Silent)) {
            Ok((send, recv, frame)) => self.attach(peer, peer, connection, send, recv, Some(frame), None).await,
            Err(closing) => {
                debug!(peer = %peer.short(), reason = closing.reason(), "no hello");
                match closing {
                    Closing::Busy => self.tally.refused.add_one(),
                    Closing::Violation | Closing::Silent => self.tally.violations.add_one(),
                    _ => {}
                }
                closing.close(&connection);
            }
        }
    }

    /// Serves a connection that this node dialled.
    pub(crate) async fn outbound(&self, connection: Connection, guard: DialGuard) {
        let peer = remote_node(&connection);
        match timeout(HELLO_DEADLINE, connection.open_bi()).await {
            Ok(Ok((send, recv))) => self.attach(peer, self.me, connection, send, recv, None, Some(guard)).await,
            _ => Closing::Silent.close(&connection),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "both ends of a stream and how it came about; a struct would be used once"
    )]
    async fn attach(
        &self,
        peer: NodeId,
        dialled_by: NodeId,
        connection: Connection,
        send: SendStream,
        recv: RecvStream,
        first: Option<Vec<u8>>,
        guard: Option<DialGuard>,
    ) {
        let id = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (outbox, queue) = Outbox::new();
        let (verdict, answer) = oneshot::channel();
        let observed = remote_address(&connection);
        let connection_of_actor = connection.clone();
        let attachment =
            Attachment { id, peer, dialled_by, connection: connection_of_actor, outbox, first, observed, verdict };
        let sent = self.actor.send(Command::Attach(Box::new(attachment))).await;
        let verdict = match sent {
            Ok(()) => answer.await.unwrap_or(Err(Closing::Stopping)),
            Err(_) => Err(Closing::Stopping),
        };
        drop(guard);
        if let Err(closing) = verdict {
            debug!(peer = %peer.short(), reason = closing.reason(), "session not taken");
            closing.close(&connection);
            return;
        }
        let ending = tokio::select! {
            ending = self.run(id, peer, send, recv, queue) => ending,
            () = self.telling.exchange(&connection) => Ending::Violation,
            () = self.herald.hear(&connection) => Ending::Violation,
        };
        let ending = if ending == Ending::Over && has_enough(&connection) { Ending::Enough } else { ending };
        debug!(peer = %peer.short(), ?ending, closed = ?connection.close_reason(), "session over");
        let closing = match ending {
            Ending::Over | Ending::Enough => Closing::Done,
            Ending::Violation => Closing::Violation,
            Ending::TooSlow => Closing::TooSlow,
            Ending::Silent => Closing::Silent,
        };
        closing.close(&connection);
        self.count(ending);
        // Where the actor is gone there is nobody left to tell.
        let _ = self.actor.send(Command::Detach { session: id, peer, ending }).await;
    }

    async fn run(
        &self,
        session: SessionId,
        peer: NodeId,
        mut send: SendStream,
        mut recv: RecvStream,
        mut queue: mpsc::Receiver<(Bytes, OwnedSemaphorePermit)>,
    ) -> Ending {
        let inbox = Arc::new(Semaphore::new(INBOX_FRAMES));
        let reading = async {
            let (mut since, mut empty) = (Instant::now(), 0);
            loop {
                let frame = match timeout(SILENCE_DEADLINE, read_frame(&mut recv, MAX_FRAME)).await {
                    Ok(Ok(frame)) => frame,
                    Ok(Err(e)) if e.is_violation() => return Ending::Violation,
                    Ok(Err(_)) => return Ending::Over,
                    Err(_) => return Ending::Silent,
                };
                if frame.is_empty() {
                    if since.elapsed() >= BEAT {
                        (since, empty) = (Instant::now(), 0);
                    }
                    empty += 1;
                    if empty > MAX_BEATS {
                        return Ending::Violation;
                    }
                }
                let permit = inbox.clone().acquire_owned().await.expect("the inbox's semaphore is never closed");
                let inbound = Inbound { session, peer, frame, permit };
                if self.actor.send(Command::Frame(inbound)).await.is_err() {
                    return Ending::Over;
                }
            }
        };
        let writing = async {
            while let Some((frame, _permit)) = queue.recv().await {
                let bytes = size_of::<u32>() + frame.len();
                match timeout(WRITE_DEADLINE, write_frame(&mut send, frame)).await {
                    Ok(Ok(())) => self.tally.bytes_sent.add(bytes as u64),
                    Ok(Err(_)) => return Ending::Over,
                    Err(_) => return Ending::TooSlow,
                }
            }
            Ending::Over
        };
        tokio::select! {
            ending = reading => ending,
            ending = writing => ending,
        }
    }

    fn count(&self, ending: Ending) {
        match ending {
            Ending::Over | Ending::Enough => {}
            Ending::Violation => self.tally.violations.add_one(),
            Ending::TooSlow => self.tally.slow.add_one(),
            Ending::Silent => self.tally.silent.add_one(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_by_bytes_before_it_grows_and_by_frames_before_it_is_long() {
        let (outbox, mut queue) = Outbox::new();
        for _ in 0..OUTBOX_BYTES / MAX_FRAME {
            assert_eq!(outbox.push(vec![0; MAX_FRAME]), Ok(()));
        }
        assert_eq!(outbox.push(vec![0]), Err(Unqueued::Full));
        drop(queue.try_recv());
        assert_eq!(outbox.push(vec![0]), Ok(()));
        drop(queue);
        assert_eq!(outbox.push(vec![0]), Err(Unqueued::Ended));
        let (outbox, _queue) = Outbox::new();
        (0..OUTBOX_FRAMES).for_each(|_| assert_eq!(outbox.push(vec![0]), Ok(())));
        assert_eq!(outbox.push(vec![0]), Err(Unqueued::Full));
    }
}
