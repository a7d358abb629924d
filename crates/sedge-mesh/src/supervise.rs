//! Keeps a panic in one connection's handler from stopping all others: the router stops at the first one it sees.

use std::sync::Arc;

use iroh::endpoint::Connection;
use iroh::protocol::{AcceptError, DynProtocolHandler, ProtocolHandler};
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use crate::counters::Tally;
use crate::herald::ignore;
use crate::wire::{Closing, SYNC_ALPN};

/// A handler whose connections are each served in a task of their own.
#[derive(Debug, Clone)]
pub(crate) struct Supervised {
    handler: Arc<Box<dyn DynProtocolHandler>>,
    tally: Arc<Tally>,
}

impl Supervised {
    pub(crate) fn new(handler: Box<dyn DynProtocolHandler>, tally: Arc<Tally>) -> Self {
        Self { handler: Arc::new(handler), tally }
    }
}

impl ProtocolHandler for Supervised {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let (handler, watched) = (self.handler.clone(), connection.clone());
        let mut task = AbortOnDropHandle::new(tokio::spawn(async move { handler.accept(connection).await }));
        let ended = tokio::select! {
            ended = &mut task => ended,
            // Sync says something by datagrams, and hears them itself.
            () = ignore(&watched), if watched.alpn() != SYNC_ALPN => {
                self.tally.violations.add_one();
                Closing::Violation.close(&watched);
                task.await
            }
        };
        drop(watched);
        match ended {
            Ok(result) => result,
            Err(e) => {
                if e.is_panic() {
                    error!(error = %e, "a protocol handler panicked");
                    self.tally.panics.add_one();
                }
                Err(AcceptError::from_err(e))
            }
        }
    }

    async fn shutdown(&self) {
        self.handler.shutdown().await;
    }
}
