//! Bringing one piece from one provider.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{Connection, ConnectionError, ReadError};
use iroh_blobs::get::fsm::{
    self, AtBlobContent, AtBlobHeaderNextError, AtConnected, BlobContentNext, ConnectedNext, DecodeError,
};
use iroh_blobs::protocol::{ChunkRanges, ChunkRangesExt, ERR_PERMISSION, GetRequest};
use sedge_statement::{ByteSize, ModelFile, NodeId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::DialFrom;
use super::error::FetchError;
use super::pace::{self, Clock};
use super::peers::Fault;
use super::plan::Order;
use crate::node;
use crate::store::{Inner, StoreError};

/// Verified items between the network and the store's writer: half a mebibyte of leaves.
const WRITE_AHEAD: usize = 32;

/// Bytes that came, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) from: NodeId,
    pub(crate) bytes: u64,
}

/// How the piece ended.
#[derive(Debug)]
pub(crate) enum End {
    Delivered,
    TheyFailed(Fault),
    WeFailed(FetchError),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::TheyFailed(fault)
    }
}

/// What came of an order.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) order: Order,
    /// The connection, for the next order.
    pub(crate) link: Option<Connection>,
    pub(crate) end: End,
}

/// What every piece of one fetch shares.
#[derive(Clone)]
pub(crate) struct Depot {
    pub(crate) inner: Arc<Inner>,
    pub(crate) from: DialFrom,
    pub(crate) file: ModelFile,
    pub(crate) arrived: mpsc::Sender<Arrived>,
}

impl Depot {
    /// Carries an order out, over `link` where that still lives.
    pub(crate) async fn carry_out(self, order: Order, link: Option<Connection>, clock: Arc<Clock>) -> Delivery {
        let link = match link.filter(|l| l.close_reason().is_none()) {
            Some(link) => Ok(link),
            None => self.connect(order.peer).await,
        };
        let link = match link {
            Ok(link) => link,
            Err(fault) => return Delivery { order, link: None, end: fault.into() },
        };
        let asked = order.range.end - order.range.start;
        self.inner.download.take(asked).await;
        let mut meter = Meter::new(&self.inner.patience, clock);
        let end = match self.transfer(&order, &link, &mut meter).await {
            Ok(()) => End::Delivered,
            // A connection closed on us for want of permission says more than the read that broke.
            Err(End::TheyFailed(Fault::Broke)) if was_refused(&link) => Fault::Refused.into(),
            Err(end) => end,
        };
        self.inner.download.refund(asked.saturating_sub(meter.brought));
        Delivery { order, link: link.close_reason().is_none().then_some(link), end }
    }

    async fn connect(&self, peer: NodeId) -> Result<Connection, Fault> {
        let id = node::endpoint_id(peer).ok_or(Fault::Unreachable)?;
        let endpoint = self.from.endpoint().ok_or(Fault::Unreachable)?;
        let connecting = endpoint.connect(id, iroh_blobs::ALPN);
        match tokio::time::timeout(self.inner.patience.connect, connecting).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.short(), %error, "a provider could not be reached");
                Err(Fault::Unreachable)
            }
            Err(_) => Err(Fault::Unreachable),
        }
    }

    async fn transfer(&self, order: &Order, link: &Connection, meter: &mut Meter) -> Result<(), End> {
        let size = NonZeroU64::new(self.file.size.get()).ok_or(Fault::WrongLength)?;
        let ranges = ChunkRanges::bytes(order.range.clone());
        let request = GetRequest::blob_ranges(node::hash(self.file.blake3), ranges);
        let start = fsm::start(link.clone(), request, Default::default());
        let connected: AtConnected = meter.wait(start.next()).await?.map_err(|_| Fault::Broke)?;
        let ConnectedNext::StartRoot(root) = meter.wait(connected.next()).await?.map_err(|_| Fault::Broke)? else {
            return Err(Fault::Broke.into());
        };
        let (content, found) = meter.wait(root.next().next()).await?.map_err(|e| match e {
            AtBlobHeaderNextError::NotFound { .. } => Fault::Lacks,
            AtBlobHeaderNextError::Read { source, .. } => of_read(&source),
        })?;
        // Before the first byte is taken: nobody makes us fetch more than was signed.
        if found != size.get() {
            return Err(Fault::WrongLength.into());
        }
        self.store(order, content, size, meter).await
    }

    /// Takes verified items from the network into the store. What came before a fault stays.
    async fn store(
        &self,
        order: &Order,
        mut content: AtBlobContent,
        size: NonZeroU64,
        meter: &mut Meter,
    ) -> Result<(), End> {
        let import = self.inner.fs.import_bao(node::hash(self.file.blake3), size, WRITE_AHEAD).await;
        let import = import.map_err(|e| End::WeFailed(StoreError::of(e).into()))?;
        let brought = loop {
            let (next, item) = match meter.wait(content.next()).await {
                Ok(BlobContentNext::More(more)) => more,
                Ok(BlobContentNext::Done(_)) => break Ok(()),
                Err(fault) => break Err(fault),
            };
            let item = match item {
                Ok(item) => item,
                Err(error) => break Err(of_decode(&error)),
            };
            let new = next.stats().payload_bytes_read - meter.brought;
            meter.arrived(new);
            if import.tx.send(item).await.is_err() {
                // The writer failed; it says how below.
                break Ok(());
            }
            if new > 0 {
                let _nobody_watches = self.arrived.try_send(Arrived { from: order.peer, bytes: new });
            }
            content = next;
        };
        drop(import.tx);
        let written = import.rx.await.map_err(|e| End::WeFailed(StoreError::of(e).into()))?;
        written.map_err(|e| End::WeFailed(self.of_write(e)))?;
        brought.map_err(End::from)
    }

    fn of_write(&self, error: iroh_blobs::api::Error) -> FetchError {
        let iroh_blobs::api::Error::Io(io) = error;
        if matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let need = self.inner.space.need(self.file.size.get());
            return FetchError::NoSpace { need, have: self.inner.space.free().unwrap_or(ByteSize(0)) };
        }
        StoreError::of(io).into()
    }
}

/// Measures a provider: by the bytes it brought, against only the time we waited for it.
struct Meter {
    clock: Arc<Clock>,
    stall: Duration,
    least: u64,
    waited: Duration,
    in_window: u64,
    brought: u64,
}

impl Meter {
    fn new(patience: &super::Patience, clock: Arc<Clock>) -> Self {
        let millis = u64::try_from(patience.stall.as_millis()).unwrap_or(u64::MAX);
        let least = (patience.least.get().saturating_mul(millis) / 1000).max(1);
        Self { clock, stall: patience.stall, least, waited: Duration::ZERO, in_window: 0, brought: 0 }
    }

    fn arrived(&mut self, bytes: u64) {
        self.in_window += bytes;
        self.brought += bytes;
        self.clock.brought(bytes);
    }

    /// Waits for the provider, as long as each window brings the least and the fetch does not say that it is enough.
    async fn wait<T>(&mut self, answer: impl Future<Output = T>) -> Result<T, Fault> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let begun = Instant::now();
            let left = self.stall.saturating_sub(self.waited).min(pace::LOOK);
            let answered = tokio::select! {
                biased;
                answered = tokio::time::timeout(left, &mut answer) => answered,
                why = self.clock.is_enough() => return Err(why),
            };
            let spent = begun.elapsed();
            self.waited += spent;
            self.clock.waited(spent);
            match answered {
                Ok(value) => return Ok(value),
                Err(_) if self.waited < self.stall => {}
                Err(_) if self.in_window < self.least => return Err(Fault::Stalled),
                Err(_) => (self.waited, self.in_window) = (Duration::ZERO, 0),
            }
        }
    }
}

fn was_refused(link: &Connection) -> bool {
    matches!(link.close_reason(), Some(ConnectionError::ApplicationClosed(close)) if close.error_code == ERR_PERMISSION)
}

fn of_read(error: &io::Error) -> Fault {
    match error.get_ref().and_then(|e| e.downcast_ref::<ReadError>()) {
        Some(ReadError::Reset(code)) if *code == ERR_PERMISSION => Fault::Refused,
        _ => Fault::Broke,
    }
}

fn of_decode(error: &DecodeError) -> Fault {
    match error {
        DecodeError::ParentHashMismatch { .. } | DecodeError::LeafHashMismatch { .. } => Fault::Lied,
        DecodeError::ChunkNotFound { .. } | DecodeError::ParentNotFound { .. } | DecodeError::LeafNotFound { .. } => {
            Fault::Lacks
        }
        DecodeError::Read { source, .. } => of_read(source),
        _ => Fault::Broke,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Patience;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_drips_is_stalled_and_one_that_is_merely_slow_is_not() {
        let patience = Patience { stall: Duration::from_secs(10), least: ByteSize(1000), ..Patience::default() };
        for (per_second, verdict) in [(900, Err(Fault::Stalled)), (1100, Ok(()))] {
            let mut meter = Meter::new(&patience, Arc::default());
            let mut end = Ok(());
            for _ in 0..60 {
                end = meter.wait(tokio::time::sleep(Duration::from_secs(1))).await;
                if end.is_err() {
                    break;
                }
                meter.arrived(per_second);
            }
            assert_eq!(end, verdict, "{per_second} bytes a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_spent_on_our_own_side_is_not_held_against_a_provider() {
        let mut meter = Meter::new(&Patience::default(), Arc::default());
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            meter.wait(async {}).await.unwrap();
        }
    }
}
