//! A stream of weights on its way out, held to the upload limit, counted, and ended where its reader is a member no longer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::{SendStream as Stream, VarInt};
use iroh_blobs::util::SendStream;
use sedge_statement::NodeId;

use crate::limit::Limiter;
use crate::serve::Admission;

/// How long a reader may take over one block, of 16 KiB at most. Whoever needs longer keeps others waiting, and is not answered on.
const BLOCK_DEADLINE: Duration = Duration::from_secs(20);

/// Lets blocks out one by one, as the limit has it. Where there is no limit a block costs a lock: iroh-blobs' own events for throttling
/// cost two messages between tasks for each 16 KiB.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: Stream,
    meter: Meter,
}

/// What blocks are held to.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) served: Arc<AtomicU64>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) peer: NodeId,
}

impl Metered {
    /// Sends over `stream` under the limit, and adds what was sent to the count.
    pub(crate) fn new(stream: Stream, meter: Meter) -> Self {
        Self { stream, meter }
    }
}

/// Waits until the reader has room for what is sent, no longer than it may take.
async fn taken(sending: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(BLOCK_DEADLINE, sending).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl SendStream for Metered {
    /// Sends a block of weights.
    async fn send_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        let size = bytes.len() as u64;
        self.meter.limiter.take(size).await;
        // Asked of each block: a file takes hours under a limit, and a member may be revoked meanwhile.
        let sent = if self.meter.admission.may_connect(self.meter.peer) {
            taken(self.stream.send_bytes(bytes)).await
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "no longer admitted"))
        };
        if let Err(error) = sent {
            self.meter.limiter.refund(size);
            return Err(error);
        }
        self.meter.served.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Sends what goes with them: a length, pairs of hashes.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        taken(self.stream.send(bytes)).await
    }

    async fn sync(&mut self) -> io::Result<()> {
        SendStream::sync(&mut self.stream).await
    }

    fn reset(&mut self, code: VarInt) -> io::Result<()> {
        SendStream::reset(&mut self.stream, code)
    }

    async fn stopped(&mut self) -> io::Result<Option<VarInt>> {
        SendStream::stopped(&mut self.stream).await
    }

    fn id(&self) -> u64 {
        SendStream::id(&self.stream)
    }
}
