//! How fast a piece comes, and when somebody else should bring it.
//!
//! A provider that brings just enough not to count as stalled would own a fetch for as long as it likes. What is too slow can only be
//! told from what others do: a radio of 5 KiB/s is good where there is nothing better.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Patience;
use super::peers::Fault;

/// How often it is looked how fast pieces come.
pub(crate) const LOOK: Duration = Duration::from_millis(200);
/// A provider is too slow where another one brings so many times as much.
const TIMES_SLOWER: u64 = 4;
/// A piece is asked of a second provider where that one would have it in less than this part of the time that is left to the first.
const TIMES_SOONER: u32 = 2;
/// And where at least so much time is gained by it: for less, nothing is asked for twice.
const GAIN: Duration = Duration::from_millis(500);

/// One piece under way: its task counts, the fetch looks, and may tell it that it is enough.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    waited: AtomicU64,
    brought: AtomicU64,
    spare: AtomicBool,
    told: AtomicBool,
    enough: Notify,
}

impl Clock {
    /// Counts time that was spent waiting for the provider.
    pub(crate) fn waited(&self, time: Duration) {
        self.waited.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts bytes that it brought.
    pub(crate) fn brought(&self, bytes: u64) {
        self.brought.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Tells the task to end, since its provider is too slow.
    pub(crate) fn give_up(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            self.enough.notify_one();
        }
    }

    /// Tells the task to end, since somebody else brought the piece.
    pub(crate) fn is_spare(&self) {
        self.spare.store(true, Ordering::Relaxed);
        self.give_up();
    }

    /// Whether the task was told to end.
    pub(crate) fn is_over(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Waits until it is told to, and says why.
    pub(crate) async fn is_enough(&self) -> Fault {
        self.enough.notified().await;
        if self.spare.load(Ordering::Relaxed) { Fault::Spare } else { Fault::Slow }
    }

    /// What it has come to.
    pub(crate) fn pace(&self) -> Pace {
        let waited = Duration::from_micros(self.waited.load(Ordering::Relaxed));
        Pace { waited, brought: self.brought.load(Ordering::Relaxed) }
    }
}

/// What a provider brought in how much time that was waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) waited: Duration,
    pub(crate) brought: u64,
}

impl Pace {
    /// Bytes per second.
    pub(crate) fn rate(self) -> u64 {
        let micros = self.waited.as_micros().max(1);
        u64::try_from(u128::from(self.brought) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    /// Whether the piece should be taken from its provider. `other` is what the best of the others brings a second; where that is
    /// not known, somebody who was never tried may wait for this one's place.
    pub(crate) fn is_too_slow(self, other: Option<u64>, somebody_waits: bool, patience: &Patience) -> bool {
        match other {
            Some(other) => self.waited > patience.slow && self.rate().saturating_mul(TIMES_SLOWER) < other,
            None => somebody_waits && self.waited > patience.unproven,
        }
    }

    /// Whether it is worth it to ask another provider too, which brings `other` a second, for what is missing of a piece.
    pub(crate) fn is_worth_asking_again(self, missing: u64, other: u64) -> bool {
        let time = |rate: u64| {
            Duration::from_micros((missing.saturating_mul(1_000_000)).checked_div(rate).unwrap_or(u64::MAX))
        };
        self.waited > GAIN && time(self.rate()) > time(other).saturating_mul(TIMES_SOONER).saturating_add(GAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(seconds: u64, brought: u64) -> Pace {
        Pace { waited: Duration::from_secs(seconds), brought }
    }

    #[test]
    fn slow_is_who_brings_much_less_than_another_for_some_time() {
        let patience = Patience { slow: Duration::from_secs(5), ..Patience::default() };
        assert!(pace(10, 10_000).is_too_slow(Some(1_000_000), false, &patience));
        assert!(!pace(5, 5_000).is_too_slow(Some(1_000_000), false, &patience), "too soon to tell");
        assert!(!pace(1000, 1_000_000).is_too_slow(Some(4_000), false, &patience), "slow, as all are");
        assert!(!pace(1000, 1_000_000).is_too_slow(None, false, &patience), "slow, and the only one");
    }

    #[test]
    fn whoever_was_never_tried_need_not_wait_for_ever() {
        let patience = Patience { unproven: Duration::from_secs(30), ..Patience::default() };
        assert!(pace(31, 200_000).is_too_slow(None, true, &patience));
        assert!(!pace(29, 200_000).is_too_slow(None, true, &patience));
        assert!(!pace(31, 200_000).is_too_slow(Some(7_000), true, &patience), "it was tried, and is no better");
    }

    #[test]
    fn a_piece_is_asked_for_twice_only_where_that_gains_time() {
        assert!(pace(2, 8_000).is_worth_asking_again(4 << 20, 10 << 20));
        assert!(pace(2, 0).is_worth_asking_again(4 << 20, 1));
        assert!(!pace(0, 0).is_worth_asking_again(4 << 20, 10 << 20), "it has hardly begun");
        assert!(!pace(2, 16 << 20).is_worth_asking_again(4 << 20, 10 << 20), "it is as fast");
        assert!(!pace(1, 1 << 20).is_worth_asking_again(300 << 10, 100 << 20), "it is nearly done");
        assert!(!pace(u64::MAX / 2_000_000, u64::MAX).is_worth_asking_again(u64::MAX, 0));
    }
}
