//! Collection on demand.
//!
//! iroh-blobs deletes nothing but in its own collector, which runs on a timer and asks a callback first. Ours waits
//! in that callback until something is to be deleted; so nothing is ever collected by the clock, and what a caller
//! asked for is gone when [`Sweeper::sweep`] returns. What carries no tag goes.

use std::sync::Arc;
use std::time::Duration;

use iroh_blobs::store::{GcConfig, ProtectCb, ProtectOutcome};
use tokio::sync::{Mutex, Notify, watch};

/// The collector's pause before it asks again: how long a second deletion waits behind a first.
const PAUSE: Duration = Duration::from_millis(5);

/// The collector has ended: one error ends it for good. Only a restart of the store brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Wakes the collector.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// How often the collector has asked; each asking after the first ends a run.
    asked: Mutex<watch::Receiver<u64>>,
    go: Arc<Notify>,
}

impl Sweeper {
    /// The waking end, and the configuration of the collector that it wakes.
    pub(crate) fn new() -> (Self, GcConfig) {
        let (asking, asked) = watch::channel(0);
        let go = Arc::new(Notify::new());
        let wake = go.clone();
        // The callback alone owns `asking`: when the collector ends, `asked` learns of it.
        let callback: ProtectCb = Arc::new(move |_| {
            asking.send_modify(|n| *n += 1);
            let wake = wake.clone();
            Box::pin(async move {
                wake.notified().await;
                ProtectOutcome::Continue
            })
        });
        (Self { asked: Mutex::new(asked), go }, GcConfig { interval: PAUSE, add_protected: Some(callback) })
    }

    /// Has the collector run once, from beginning to end.
    pub(crate) async fn sweep(&self) -> Result<(), Stopped> {
        let mut asked = self.asked.lock().await;
        let ready = *asked.wait_for(|n| *n > 0).await.map_err(|_| Stopped)?;
        self.go.notify_one();
        asked.wait_for(|n| *n > ready).await.map_err(|_| Stopped)?;
        Ok(())
    }
}
