//! The wire of this crate: protocol names, limits, deadlines, and why connections are closed.
//!
//! `sedge/sync/1` is one bidirectional stream a connection, opened by whoever dialled. Both ways it carries frames of
//! `length (u32, little-endian) ‖ payload`; the payload belongs to `sedge-fleet`. The length is checked before anything is
//! allocated. An empty frame says that its sender's actor is alive, and nothing else: neighbours that agree would otherwise be
//! silent. Each end may tell on a further stream where members are (`whereabouts.rs`), and by datagrams that it is there
//! (`presence.rs`). Non-goals: multiplexing (one stream keeps a document's links in order) and compression.

use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::{Connection, ConnectionError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};

/// The protocol that replicates documents between members.
pub const SYNC_ALPN: &[u8] = b"sedge/sync/1";
/// The protocol that redeems tickets: the only one that serves a stranger.
pub const JOIN_ALPN: &[u8] = b"sedge/join/1";

/// The longest frame, bytes.
pub(crate) const MAX_FRAME: usize = sedge_fleet::MAX_FRAME_BYTES;
/// The longest first frame of a node whose certificate is not held yet, bytes: a hello with a path of certificates fits
/// many times over.
pub(crate) const MAX_STRANGER_FRAME: usize = 64 << 10;
/// How long whoever dialled has to send its hello.
pub(crate) const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// After how long without a frame to send an empty one is sent.
pub(crate) const BEAT: Duration = Duration::from_secs(5);
/// How many empty frames may come within one [`BEAT`]: as many as a line that was held up for [`SILENCE_DEADLINE`] lets go at once.
pub(crate) const MAX_BEATS: u32 = 8;
/// How long a neighbour may say nothing: six beats went missing.
pub(crate) const SILENCE_DEADLINE: Duration = Duration::from_secs(30);
/// How long one frame may take to leave: a reader that needs longer is dropped, and will catch up when it comes back.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(20);

/// Why this node closes a connection, as the peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Nothing more to say.
    Done = 0,
    /// The peer holds no valid certificate.
    NotAMember = 1,
    /// The peer broke the protocol.
    Violation = 2,
    /// Another connection to the same peer was kept.
    Duplicate = 3,
    /// The peer reads too slowly.
    TooSlow = 4,
    /// The peer said nothing for too long.
    Silent = 5,
    /// This node went offline on purpose.
    Offline = 6,
    /// Too many connections at once.
    Busy = 7,
    /// This node stops.
    Stopping = 8,
    /// The peer speaks another version of the protocol.
    OtherProtocol = 9,
    /// This node has neighbours enough, and another one of them leads to the peer.
    Enough = 10,
}

impl Closing {
    /// The code on the wire.
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// The words on the wire, for the peer's log.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotAMember => "not a member",
            Self::Violation => "protocol violation",
            Self::Duplicate => "duplicate connection",
            Self::TooSlow => "reads too slowly",
            Self::Silent => "silent for too long",
            Self::Offline => "offline",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::OtherProtocol => "another version of the protocol",
            Self::Enough => "neighbours enough",
        }
    }

    /// Closes `connection` for this reason; an earlier reason stays.
    pub(crate) fn close(self, connection: &Connection) {
        connection.close(self.code(), self.reason().as_bytes());
    }
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream or the connection ended between two frames.
    #[error("the stream ended")]
    Ended,
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// The length is above the limit, so that this is not a frame of ours.
    #[error("a frame of {len} bytes, above the limit of {limit}")]
    TooLong {
        /// Announced, bytes.
        len: usize,
        /// Allowed, bytes.
        limit: usize,
    },
}

impl FrameError {
    /// Whether the peer broke the protocol, rather than merely left.
    pub(crate) fn is_violation(&self) -> bool {
        matches!(self, Self::Truncated | Self::TooLong { .. })
    }
}

/// Whether the other end closed the connection because it has neighbours enough.
pub(crate) fn has_enough(connection: &Connection) -> bool {
    let enough = Closing::Enough.code();
    matches!(connection.close_reason(), Some(ConnectionError::ApplicationClosed(closed)) if closed.error_code == enough)
}

/// Reads one frame of at most `limit` bytes.
pub(crate) async fn read_frame(recv: &mut RecvStream, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut header = [0; 4];
    recv.read_exact(&mut header).await.map_err(|e| match e {
        ReadExactError::FinishedEarly(read) if read > 0 => FrameError::Truncated,
        _ => FrameError::Ended,
    })?;
    let len = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if len > limit {
        return Err(FrameError::TooLong { len, limit });
    }
    let mut frame = vec![0; len];
    recv.read_exact(&mut frame).await.map_err(|e| match e {
        ReadExactError::FinishedEarly(_) => FrameError::Truncated,
        ReadExactError::ReadError(_) => FrameError::Ended,
    })?;
    Ok(frame)
}

/// Writes one frame. Frames are made here and by `sedge-fleet`, which keep to [`MAX_FRAME`].
pub(crate) async fn write_frame(send: &mut SendStream, frame: Bytes) -> Result<(), WriteError> {
    let len = u32::try_from(frame.len()).expect("frames stay under MAX_FRAME");
    send.write_all(&len.to_le_bytes()).await?;
    send.write_chunk(frame).await
}
