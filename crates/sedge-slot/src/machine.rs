//! The machine: what each event does in each state.

use std::time::Duration;

use sedge_statement::{Action, GateReport, ReleaseId, RolloutId, Sha256, SlotName, SlotReport, SlotState, Timestamp};

use crate::{Effect, Event, Floor, Go, Journal, JournalError, Offer, Outcome, Reason, Serving, Update, Withdrawal};

mod clock;
mod outcome;
mod restart;

/// The model that answers requests right now, as far as the machine was told.
#[derive(Debug, Clone, Copy)]
struct Answering {
    rollout: RolloutId,
    release: ReleaseId,
    sha256: Sha256,
    since: Timestamp,
}

/// One slot. See the crate's documentation for the states.
#[derive(Debug, Clone)]
pub struct SlotMachine {
    journal: Journal,
    /// Never journalled: after a start nothing answers until it is seen to.
    answering: Option<Answering>,
    /// What is wrong with the model that serves, where something is.
    ailment: Option<Reason>,
    /// A newer update that waits for the end of one that can no longer be superseded. Not journalled: the plan offers
    /// it again.
    next: Option<(Box<Offer>, Go)>,
}

impl SlotMachine {
    /// A slot without a journal; `floor` is what was kept beside it, if anything was.
    pub fn new(slot: SlotName, floor: Floor) -> Self {
        Self::of(Journal::new(slot, floor))
    }

    /// Continues from the last record. Handle [`Event::Restarted`] before anything else.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(journal: &[u8]) -> Result<Self, JournalError> {
        Journal::from_bytes(journal).map(Self::of)
    }

    fn of(journal: Journal) -> Self {
        Self { journal, answering: None, ailment: None, next: None }
    }

    /// What the machine stands on.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What the slot stands for, whether or not it answers at the moment.
    pub fn serving(&self) -> Option<&Serving> {
        self.journal.serving.as_ref()
    }

    /// The newest update.
    pub fn update(&self) -> Option<&Update> {
        self.journal.update.as_ref()
    }

    /// The state of the newest update.
    pub fn state(&self) -> Option<SlotState> {
        self.update().map(|update| update.state)
    }

    /// Handles one event. `now` must not jump while the process lives: take the wall clock once and add monotonic
    /// time, for probation and soak are measured with it.
    ///
    /// An event that means nothing in this state gives nothing. Where the state changed, the first effect is
    /// [`Effect::Journal`].
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut effects = match event {
            Event::Offered { offer, go } => self.offered(*offer, go, now),
            Event::Withdrawn { rollout, why } => self.withdrawn(rollout, why, now),
            Event::Paused { rollout, reason } => self.go(rollout, Go::Wait(reason), now),
            Event::Resumed { rollout } => self.go(rollout, Go::Now, now),
            Event::Finished { rollout, outcome } if self.is_about(rollout) => self.finished(outcome, now),
            Event::Finished { .. } => Vec::new(),
            Event::Healthy { rollout } => self.healthy(rollout, now),
            Event::Unhealthy { rollout, reason } => self.unhealthy(rollout, reason, now),
            Event::Tick => self.tick(now),
            Event::Restarted => self.restarted(now),
        };
        if self.update().is_none_or(Update::is_settled)
            && let Some((offer, go)) = self.next.take()
        {
            effects.extend(self.offered(*offer, go, now));
        }
        effects
    }

    /// What the node's document says of the slot; nothing before the first offer.
    pub fn report(&self) -> Option<SlotReport> {
        let journal = &self.journal;
        let (rollout, state, since) = match (&journal.update, &journal.serving) {
            (Some(update), _) => (update.offer.rollout, update.state, update.since),
            (None, Some(serving)) => (serving.rollout, SlotState::Committed, serving.since),
            (None, None) => return None,
        };
        let reason = journal.update.as_ref().and_then(|update| update.reason.as_ref()).or(self.ailment.as_ref());
        Some(SlotReport {
            slot: journal.slot.clone(),
            rollout: Some(rollout),
            state,
            reason: reason.map(ToString::to_string),
            since,
            serving: self.answering.map(|a| a.release),
            sha256: self.answering.map(|a| a.sha256),
        })
    }

    fn is_about(&self, rollout: RolloutId) -> bool {
        self.update().is_some_and(|update| update.offer.rollout == rollout)
    }

    fn offered(&mut self, offer: Offer, go: Go, now: Timestamp) -> Vec<Effect> {
        let mut stop = Vec::new();
        if let Some(update) = &self.journal.update {
            let current = update.offer.rollout;
            if current == offer.rollout && update.state != SlotState::Superseded {
                self.next = None;
                return self.go(current, go, now);
            }
            if is_past_withdrawing(update.state) {
                self.next = (!self.has_ended(offer.rollout)).then(|| (Box::new(offer), go));
                return Vec::new();
            }
        }
        if self.has_ended(offer.rollout) || self.serving().is_some_and(|s| s.rollout == offer.rollout) {
            // What is wanted is already there, or was already tried: only what stands in its way has to go.
            return match self.update() {
                Some(update) if !update.is_settled() => self.settle(SlotState::Superseded, None, now),
                _ => Vec::new(),
            };
        }
        if let Some(update) = self.journal.update.as_mut().filter(|update| !update.is_settled()) {
            stop.extend(stop_effect(update));
            update.state = SlotState::Superseded;
            update.since = now;
            update.reason = None;
            stop.extend(self.gate(now));
        }
        let refusal = self.refusal(&offer, now);
        let check = Effect::CheckFit(Box::new(offer.clone()));
        self.journal.update = Some(Update {
            offer,
            go,
            state: SlotState::Offered,
            since: now,
            attempt: 1,
            reason: None,
            refused: false,
            soaked: false,
        });
        match refusal {
            Some((state, reason)) => self.enter(state, Some(reason), now, stop),
            None => {
                stop.push(check);
                self.enter(SlotState::Offered, None, now, stop)
            }
        }
    }

    /// Why an offer is not even looked at.
    fn refusal(&self, offer: &Offer, now: Timestamp) -> Option<(SlotState, Reason)> {
        if offer.files.is_empty() {
            return Some((SlotState::Rejected, "the variant lists no file".into()));
        }
        if let Err(refusal) = self.journal.floor.admit(offer, self.serving().map(|serving| serving.release)) {
            return Some((SlotState::Rejected, refusal.to_string().into()));
        }
        (now >= offer.last_start()).then(|| (SlotState::Expired, "its time to start was over when it came".into()))
    }

    fn withdrawn(&mut self, rollout: RolloutId, why: Withdrawal, now: Timestamp) -> Vec<Effect> {
        if self.next.as_ref().is_some_and(|(offer, _)| offer.rollout == rollout) {
            self.next = None;
        }
        if !self.is_about(rollout) {
            return Vec::new();
        }
        let Some(update) = &mut self.journal.update else { return Vec::new() };
        let state = update.state;
        if is_past_withdrawing(state) || state == SlotState::Committed {
            // Being superseded is the way of every model that serves; only what an authority asked is answered.
            if why == Withdrawal::Superseded || std::mem::replace(&mut update.refused, true) {
                return Vec::new();
            }
            return vec![self.record(), Effect::Refused { rollout, why, state }];
        }
        if update.is_settled() {
            return Vec::new();
        }
        match why {
            Withdrawal::Cancelled => self.settle(SlotState::Cancelled, Some("cancelled by an authority".into()), now),
            Withdrawal::Halted => self.settle(SlotState::Cancelled, Some("the rollout was halted".into()), now),
            Withdrawal::Superseded => self.settle(SlotState::Superseded, None, now),
        }
    }

    /// Ends an update that has not touched what serves, stopping what runs for it.
    fn settle(&mut self, state: SlotState, reason: Option<Reason>, now: Timestamp) -> Vec<Effect> {
        let stop = self.update().and_then(stop_effect).into_iter().collect();
        self.enter(state, reason, now, stop)
    }

    fn go(&mut self, rollout: RolloutId, go: Go, now: Timestamp) -> Vec<Effect> {
        if !self.is_about(rollout) {
            return Vec::new();
        }
        let Some(update) = self.journal.update.as_mut().filter(|update| !update.is_settled()) else {
            return Vec::new();
        };
        // A hold for another reason is the same hold: were each new reason written down, every node of a closed wave
        // would write a change each time one witness of the wave before reports.
        if matches!((&update.go, &go), (Go::Now, Go::Now) | (Go::Wait(_), Go::Wait(_))) {
            return Vec::new();
        }
        update.go = go.clone();
        match (update.state, go) {
            (SlotState::Waiting, Go::Now) if now >= update.offer.last_start() => {
                self.settle(SlotState::Expired, Some("its time to start is over".into()), now)
            }
            (SlotState::Waiting | SlotState::Paused, Go::Now) => self.fetch(now),
            (SlotState::Staged, Go::Now) => self.test(now),
            (SlotState::Fetching, Go::Wait(reason)) => {
                self.enter(SlotState::Paused, Some(reason), now, vec![Effect::Stop(rollout)])
            }
            // It counts when the running step is done.
            _ => vec![self.record()],
        }
    }

    fn fetch(&mut self, now: Timestamp) -> Vec<Effect> {
        let fetch = self.with_offer(Effect::Fetch);
        self.enter(SlotState::Fetching, None, now, fetch)
    }

    fn test(&mut self, now: Timestamp) -> Vec<Effect> {
        let test = self.with_offer(Effect::Test);
        self.enter(SlotState::Testing, None, now, test)
    }

    fn roll_back(&mut self, reason: Reason, now: Timestamp) -> Vec<Effect> {
        if self.state() == Some(SlotState::Probation) {
            self.answering = None;
        }
        let to = self.journal.serving.clone().map(Box::new);
        let back = self.with_offer(|offer| Effect::RollBack { offer, to });
        self.enter(SlotState::RollingBack, Some(reason), now, back)
    }

    fn healthy(&mut self, rollout: RolloutId, now: Timestamp) -> Vec<Effect> {
        let watched = matches!(self.state(), Some(SlotState::Probation | SlotState::RollingBack));
        let serving = self.journal.serving.as_ref().filter(|serving| serving.rollout == rollout && !watched);
        let Some(serving) = serving else { return Vec::new() };
        if self.answering.is_some() && self.ailment.is_none() {
            return Vec::new();
        }
        self.answering = Some(Answering::from_serving(serving, now));
        self.ailment = None;
        self.report().map(Effect::Report).into_iter().collect()
    }

    fn unhealthy(&mut self, rollout: RolloutId, reason: Reason, now: Timestamp) -> Vec<Effect> {
        if self.state() == Some(SlotState::Probation) && self.is_about(rollout) {
            return self.roll_back(reason, now);
        }
        let watched = matches!(self.state(), Some(SlotState::Probation | SlotState::RollingBack));
        if watched || self.serving().is_none_or(|serving| serving.rollout != rollout) {
            return Vec::new();
        }
        if self.answering.is_none() && self.ailment.as_ref() == Some(&reason) {
            return Vec::new();
        }
        self.answering = None;
        self.ailment = Some(reason);
        self.report().map(Effect::Report).into_iter().collect()
    }

    /// Goes to a state: journals it, then what it asks for, then says so.
    fn enter(&mut self, state: SlotState, reason: Option<Reason>, now: Timestamp, then: Vec<Effect>) -> Vec<Effect> {
        let update = self.journal.update.as_mut().expect("only an update enters a state");
        // Probation belongs to the activation before it: a restart in either has used up one of the two.
        if update.state != state && state != SlotState::Probation {
            update.attempt = 1;
        }
        (update.state, update.reason, update.since) = (state, reason, now);
        let settled = update.is_settled();
        if settled && !matches!(state, SlotState::Cancelled | SlotState::Superseded) {
            let rollout = update.offer.rollout;
            self.journal.ended.push(crate::Ended { rollout, state });
            if self.journal.ended.len() > Journal::MAX_ENDED {
                self.journal.ended.remove(0);
            }
        }
        let mut effects = vec![self.record()];
        effects.extend(then);
        effects.extend(self.report().map(Effect::Report));
        if settled {
            effects.extend(self.gate(now));
        }
        effects
    }

    fn record(&self) -> Effect {
        Effect::Journal(self.journal.to_bytes())
    }

    /// What the gate document says of the update.
    fn gate(&self, now: Timestamp) -> Option<Effect> {
        let update = self.update()?;
        let soaked = match self.answering {
            Some(a) if a.rollout == update.offer.rollout && update.state == SlotState::Committed => {
                now.since(a.since.max(update.since))
            }
            _ => Duration::ZERO,
        };
        Some(Effect::Gate(GateReport {
            rollout: update.offer.rollout,
            state: update.state,
            reason: update.reason.as_ref().map(ToString::to_string),
            sha256: self.answering.map(|a| a.sha256),
            soaked,
            at: now,
        }))
    }

    fn with_offer(&self, effect: impl FnOnce(Box<Offer>) -> Effect) -> Vec<Effect> {
        self.update().map(|update| effect(Box::new(update.offer.clone()))).into_iter().collect()
    }

    fn has_ended(&self, rollout: RolloutId) -> bool {
        self.journal.ended.iter().any(|ended| ended.rollout == rollout)
    }
}

impl Answering {
    fn from_serving(serving: &Serving, since: Timestamp) -> Self {
        Self { rollout: serving.rollout, release: serving.release, sha256: serving.sha256, since }
    }
}

/// Whether the update has begun to take over: from here it runs to its own end.
fn is_past_withdrawing(state: SlotState) -> bool {
    matches!(state, SlotState::Activating | SlotState::Probation | SlotState::RollingBack)
}

fn stop_effect(update: &Update) -> Option<Effect> {
    let runs =
        matches!(update.state, SlotState::Offered | SlotState::Fetching | SlotState::Verifying | SlotState::Testing);
    runs.then_some(Effect::Stop(update.offer.rollout))
}
