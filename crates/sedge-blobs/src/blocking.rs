//! Disk work off the asynchronous threads.

use std::io;

/// Runs disk work where it may block. A panic in it is an error like any other: it must not take the agent down.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(io::Error::other(e)),
    }
}
