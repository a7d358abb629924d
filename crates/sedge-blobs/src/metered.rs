//! A stream of weights on its way out, held to the upload limit and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::{SendStream as Stream, VarInt};
use iroh_blobs::util::SendStream;

use crate::limit::Limiter;

/// How long a reader may take over one block, of 16 KiB at most. Whoever needs longer keeps others waiting, and is not answered on.
const BLOCK_DEADLINE: Duration = Duration::from_secs(20);

/// Lets blocks out one by one, as the limit has it. Where there is no limit a block costs a lock: iroh-blobs' own events for throttling
/// cost two messages between tasks for each 16 KiB.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: Stream,
    limiter: Arc<Limiter>,
    served: Arc<AtomicU64>,
}

impl Metered {
    /// Sends over `stream` under the limit, and adds what was sent to the count.
    pub(crate) fn new(stream: Stream, (limiter, served): (Arc<Limiter>, Arc<AtomicU64>)) -> Self {
        Self { stream, limiter, served }
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
        self.limiter.take(size).await;
        if let Err(error) = taken(self.stream.send_bytes(bytes)).await {
            self.limiter.refund(size);
            return Err(error);
        }
        self.served.fetch_add(size, Ordering::Relaxed);
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
