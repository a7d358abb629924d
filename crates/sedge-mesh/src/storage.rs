//! Where the fleet's records are kept.

use sedge_fleet::Write;

/// Why records were not kept. The mesh stops: going on would let a restart contradict what peers already heard.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep the fleet's records: {0}")]
pub struct StorageError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps the fleet's records: a table from bytes to bytes.
pub trait Storage: Send + Sync + 'static {
    /// Carries out `writes` in order, all or none, and returns once they survive a loss of power. Called on a thread that
    /// may block.
    ///
    /// # Errors
    /// [`StorageError`], upon which the mesh stops.
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError>;
}
