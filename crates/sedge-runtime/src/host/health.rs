//! How a serving model does: what probation looks at.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sedge_statement::{ReleaseId, Sha256};

use crate::fault::RunError;

/// How the model of a slot has done since it was activated. Counts saturate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The release.
    pub release: ReleaseId,
    /// The digest of the model.
    pub sha256: Sha256,
    /// How long it has been there, by the monotonic clock.
    pub age: Duration,
    /// Requests that it was asked. One that its caller gave up counts nowhere else.
    pub requests: u64,
    /// Of these, answered, late answers among them.
    pub answered: u64,
    /// Of these, refused for what the caller gave: they say nothing of the model.
    pub refused: u64,
    /// Of these, failed by the model.
    pub failed: u64,
    /// Times a caller's deadline passed while the model was at it.
    pub overdue: u64,
    /// Whether the model ever panicked. It is asked further requests, for they may well succeed, and should be replaced.
    pub panicked: bool,
    /// The last failure of the model's.
    pub last_failure: Option<String>,
    /// How long answers took.
    pub latency: Latency,
}

/// How long answers took, without waiting for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// The last one.
    pub last: Duration,
    /// The longest.
    pub longest: Duration,
    /// All together; divide by the answers.
    pub total: Duration,
}

impl Health {
    /// Whether nothing speaks against the model: no panic, no failure, no deadline missed.
    pub const fn is_sound(&self) -> bool {
        !self.panicked && self.failed == 0 && self.overdue == 0
    }
}

/// The counters behind [`Health`].
#[derive(Debug)]
pub(super) struct Tally {
    since: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    answered: u64,
    refused: u64,
    failed: u64,
    overdue: u64,
    panicked: bool,
    last_failure: Option<String>,
    latency: Latency,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), counts: Mutex::default() }
    }

    pub(super) fn asked(&self) {
        self.change(|counts| counts.requests = counts.requests.saturating_add(1));
    }

    pub(super) fn answered(&self, took: Duration) {
        self.change(|counts| {
            counts.answered = counts.answered.saturating_add(1);
            counts.latency.last = took;
            counts.latency.longest = counts.latency.longest.max(took);
            counts.latency.total = counts.latency.total.saturating_add(took);
        });
    }

    pub(super) fn erred(&self, error: &RunError) {
        self.change(|counts| {
            if error.is_the_models() {
                counts.failed = counts.failed.saturating_add(1);
                counts.panicked |= matches!(error, RunError::Panicked(_));
                counts.last_failure = Some(error.to_string());
            } else {
                counts.refused = counts.refused.saturating_add(1);
            }
        });
    }

    pub(super) fn overdue(&self, limit: Duration) {
        self.change(|counts| {
            counts.overdue = counts.overdue.saturating_add(1);
            counts.last_failure = Some(format!("no answer within {limit:?}"));
        });
    }

    pub(super) fn health(&self, release: ReleaseId, sha256: Sha256) -> Health {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Health {
            release,
            sha256,
            age: self.since.elapsed(),
            requests: counts.requests,
            answered: counts.answered,
            refused: counts.refused,
            failed: counts.failed,
            overdue: counts.overdue,
            panicked: counts.panicked,
            last_failure: counts.last_failure.clone(),
            latency: counts.latency,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
