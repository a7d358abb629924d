//! What went wrong with peers, and what was said to them, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What went wrong with peers since the start, and how much was said to them. Counts, never causes: causes are in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections refused because the remote is no member, or too many were open.
    pub refused_connections: u64,
    /// Connections and requests ended because the peer broke a protocol: frames too long, truncated, late or not understood.
    pub violations: u64,
    /// Connections dropped because the peer did not read.
    pub slow_peers: u64,
    /// Connections dropped because the peer said nothing.
    pub silent_peers: u64,
    /// Connections given up for another one to the same peer.
    pub duplicate_connections: u64,
    /// Handlers that panicked. Each is a bug of ours; the connection is lost, nothing else.
    pub handler_panics: u64,
    /// Bytes of sync frames that went out, their lengths included.
    pub bytes_sent: u64,
}

/// One count of [`Counters`], shared between tasks.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The live counts behind [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) refused: Count,
    pub(crate) violations: Count,
    pub(crate) slow: Count,
    pub(crate) silent: Count,
    pub(crate) duplicate: Count,
    pub(crate) panics: Count,
    pub(crate) bytes_sent: Count,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            refused_connections: self.refused.get(),
            violations: self.violations.get(),
            slow_peers: self.slow.get(),
            silent_peers: self.silent.get(),
            duplicate_connections: self.duplicate.get(),
            handler_panics: self.panics.get(),
            bytes_sent: self.bytes_sent.get(),
        }
    }
}
