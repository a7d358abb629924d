//! Rate limits: token buckets that every transfer of one direction shares.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How fast this node may move weights, bytes per second over all peers together; `None` for as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// To other nodes.
    pub upload: Option<u64>,
    /// From other nodes.
    pub download: Option<u64>,
}

/// A bucket may fill up to this part of a second's worth, so that an idle minute buys no burst.
const BURST_PARTS: u64 = 20;

/// The arithmetic of a token bucket, with the time as an argument.
///
/// Whoever finds tokens may overdraw once; the next one waits until the debt is paid. So any amount can be taken
/// at once, however small the bucket, and over `t` seconds at most `rate × t + burst` bytes and the last taking pass.
#[derive(Debug)]
struct Bucket {
    rate: Option<u64>,
    tokens: i64,
    at: Instant,
}

impl Bucket {
    fn new(rate: Option<u64>, now: Instant) -> Self {
        Self { rate: rate.map(|r| r.max(1)), tokens: 1, at: now }
    }

    fn take(&mut self, bytes: u64, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let burst = i64::try_from(rate / BURST_PARTS).unwrap_or(i64::MAX).max(1);
        let nanos = now.saturating_duration_since(self.at).as_nanos();
        let earned = nanos.saturating_mul(u128::from(rate)) / 1_000_000_000;
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(i64::try_from(earned).unwrap_or(i64::MAX)).min(burst);
            // Only the time that bought whole bytes is spent; the rest goes on counting.
            let spent = u64::try_from(earned.saturating_mul(1_000_000_000) / u128::from(rate)).unwrap_or(u64::MAX);
            self.at = self.at.checked_add(Duration::from_nanos(spent)).unwrap_or(now).min(now);
        }
        if self.tokens > 0 {
            self.tokens = self.tokens.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
            return Ok(());
        }
        let owed = u128::from(self.tokens.unsigned_abs()) + 1;
        let nanos = owed.saturating_mul(1_000_000_000).div_ceil(u128::from(rate));
        Err(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// A token bucket that tasks wait on, first come first served.
#[derive(Debug)]
pub(crate) struct Limiter {
    bucket: Mutex<Bucket>,
    turn: tokio::sync::Mutex<()>,
}

impl Limiter {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self { bucket: Mutex::new(Bucket::new(rate, Instant::now())), turn: tokio::sync::Mutex::new(()) }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rate in force, bytes per second.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.bucket().rate
    }

    /// Waits until `bytes` more may move.
    pub(crate) async fn take(&self, bytes: u64) {
        let _turn = self.turn.lock().await;
        loop {
            let Err(wait) = self.bucket().take(bytes, Instant::now()) else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// Gives back what was taken for bytes that never moved.
    pub(crate) fn refund(&self, bytes: u64) {
        let mut bucket = self.bucket();
        bucket.tokens = bucket.tokens.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `step` bytes whenever the bucket lets it, for `length`; virtual time.
    fn drain(rate: u64, step: u64, length: Duration) -> u64 {
        let start = Instant::now();
        let mut bucket = Bucket::new(Some(rate), start);
        let (mut now, mut moved) = (start, 0);
        while now < start + length {
            match bucket.take(step, now) {
                Ok(()) => moved += step,
                Err(wait) => now += wait,
            }
        }
        moved
    }

    #[test]
    fn over_three_seconds_the_rate_is_kept_within_fifteen_percent() {
        for (rate, step) in [(1_000_000, 16 << 10), (4_000_000, 1_000_000), (200_000, 64 << 10), (77_777, 4096)] {
            let moved = drain(rate, step, Duration::from_secs(3));
            let asked = rate * 3;
            assert!(moved <= asked + rate / BURST_PARTS + step, "{moved} of {asked} at {rate}, {step} at a time");
            assert!(moved * 100 >= asked * 85, "{moved} of {asked} at {rate}, {step} at a time");
        }
    }

    #[test]
    fn an_idle_minute_buys_no_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Some(1000), start);
        let later = start + Duration::from_secs(60);
        let moved = (0..1000).take_while(|_| bucket.take(10, later).is_ok()).count();
        assert!(moved <= 6, "{moved} takings of 10 bytes at once");
    }

    #[test]
    fn a_trickle_of_time_is_not_lost_to_rounding() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Some(1000), start);
        assert_eq!(bucket.take(101, start), Ok(()));
        for tick in 1..=200 {
            let _ = bucket.take(0, start + Duration::from_micros(tick * 500));
        }
        assert_eq!(bucket.tokens, 0, "100 ms pay 100 bytes, though no half millisecond paid a whole one");
    }
}
