//! When to try again: exponential, with full jitter, for ever.

use std::time::Duration;

use tokio::time::Instant;

/// The ceiling of the first wait.
const BASE: Duration = Duration::from_millis(250);
/// The highest ceiling. A partition heals at most this long after the network does.
const CAP: Duration = Duration::from_secs(15);
/// The least wait, so that jitter never makes a busy loop.
const FLOOR: Duration = Duration::from_millis(20);

/// The next attempt at something that may keep failing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    failures: u32,
    at: Instant,
}

impl Retry {
    /// Due at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self { failures: 0, at: now }
    }

    /// When the next attempt is due.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Due at once, and if that fails, after no shorter a wait than before.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.at = self.at.min(now);
    }

    /// Waits longer than last time.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.at = now + self.wait();
    }

    /// Waits as after a first failure: it worked, and then ended.
    pub(crate) fn worked(&mut self, now: Instant) {
        self.failures = 0;
        self.at = now + self.wait();
    }

    fn wait(&self) -> Duration {
        let ceiling = BASE.saturating_mul(1 << self.failures.min(16)).min(CAP);
        FLOOR + rand::random_range(Duration::ZERO..=ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_fall_back_once_it_worked() {
        let now = Instant::now();
        let mut retry = Retry::new(now);
        assert_eq!(retry.at(), now);
        for _ in 0..100 {
            retry.failed(now);
            assert!(retry.at() >= now + FLOOR && retry.at() <= now + FLOOR + CAP);
        }
        retry.worked(now);
        assert!(retry.at() <= now + FLOOR + BASE);
    }

    #[test]
    fn two_nodes_that_failed_together_do_not_try_again_together() {
        let now = Instant::now();
        let waits: std::collections::BTreeSet<_> = (0..20)
            .map(|_| {
                let mut retry = Retry::new(now);
                (0..6).for_each(|_| retry.failed(now));
                retry.at()
            })
            .collect();
        assert!(waits.len() > 10);
    }
}
