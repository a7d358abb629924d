//! How long a thing takes on the processor, since other programs share the machine.

use std::time::{Duration, UNIX_EPOCH};

/// Runs `work` and says how long this thread was on the processor for it, user and system; by the wall where the kernel does not say. What it
/// answers is handed back, so that nothing is optimised away and freeing it is not counted.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (before, began) = (processor_time(), wall());
    let answer = std::hint::black_box(work());
    let (after, ended) = (processor_time(), wall());
    let by_the_wall = ended.saturating_sub(began);
    (answer, before.zip(after).map_or(by_the_wall, |(before, after)| after.saturating_sub(before)))
}

/// The middle of five measurements.
pub(crate) fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..5).map(|_| measure()).collect();
    all.sort();
    all[2]
}

/// Time of day: crates without clocks forbid the others to their benches too, and only differences are used.
fn wall() -> Duration {
    UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// How long this thread has run, as the scheduler counts it. Yielding first makes it count up to now.
fn processor_time() -> Option<Duration> {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
