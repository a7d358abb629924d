//! Blocking work on threads of its own.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::oneshot;

/// The stack of a thread that runs a model. Backends recurse over graphs, and a stack that overflows ends the process where
/// a panic would not; only the pages touched take memory.
const STACK: usize = 64 << 20;

/// Runs `work` on a new thread and gives what it returns, or what it panicked with.
///
/// Not the async runtime's blocking pool: that one waits for all of its work when it shuts down, and a model that never
/// answers would keep the process from ending. Starting a thread takes microseconds, a model longer.
///
/// # Errors
/// The system's, where it allows no further thread.
pub(crate) fn run<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<thread::Result<T>>> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
        // Nobody listening any more is nobody's error: the deadline was kept elsewhere.
        let _ = done.send(shield(work));
    })?;
    Ok(result)
}

/// Catches a panic. What `work` shares with others must stay coherent through one: models are immutable while they run.
pub(crate) fn shield<T>(work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(work))
}
