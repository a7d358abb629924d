//! What the answers to effects do.

use super::*;

impl SlotMachine {
    /// An answer in a state that did not ask for it is late or repeated, and means nothing.
    pub(super) fn finished(&mut self, outcome: Outcome, now: Timestamp) -> Vec<Effect> {
        let Some(state) = self.state() else { return Vec::new() };
        match (state, outcome) {
            (SlotState::Offered, Outcome::Fit(Ok(()))) => self.accepted(now),
            (SlotState::Offered, Outcome::Fit(Err(why))) => self.enter(SlotState::Rejected, Some(why), now, Vec::new()),
            (SlotState::Fetching, Outcome::Fetched(Ok(()))) => {
                let verify = self.with_offer(Effect::Verify);
                self.enter(SlotState::Verifying, None, now, verify)
            }
            (SlotState::Verifying, Outcome::Verified(Ok(()))) => self.staged(now),
            (SlotState::Testing, Outcome::Tested(Ok(()))) => self.tested(now),
            (SlotState::Fetching, Outcome::Fetched(Err(why)))
            | (SlotState::Verifying, Outcome::Verified(Err(why)))
            | (SlotState::Testing, Outcome::Tested(Err(why))) => {
                self.enter(SlotState::Failed, Some(why), now, Vec::new())
            }
            (SlotState::Activating, Outcome::Activated(Ok(()))) => self.activated(now),
            (SlotState::Activating, Outcome::Activated(Err(why))) => self.roll_back(why, now),
            (SlotState::RollingBack, Outcome::RolledBack(Ok(()))) => self.rolled_back(now),
            (SlotState::RollingBack, Outcome::RolledBack(Err(why))) => self.roll_back_failed(&why, now),
            _ => Vec::new(),
        }
    }

    /// `Accepted` is passed through: nothing waits in it.
    fn accepted(&mut self, now: Timestamp) -> Vec<Effect> {
        match self.hold() {
            None => self.fetch(now),
            Some(reason) => self.enter(SlotState::Waiting, Some(reason), now, Vec::new()),
        }
    }

    fn staged(&mut self, now: Timestamp) -> Vec<Effect> {
        let stage_only = self.update().is_some_and(|update| update.offer.action == Action::StageOnly);
        match self.hold() {
            None if !stage_only => self.test(now),
            Some(reason) if !stage_only => self.enter(SlotState::Staged, Some(reason), now, Vec::new()),
            _ => self.enter(SlotState::Staged, None, now, Vec::new()),
        }
    }

    fn tested(&mut self, now: Timestamp) -> Vec<Effect> {
        match self.hold() {
            None => self.activate(now),
            // A hold is for an unknown time; the model is tried again when it takes over.
            Some(reason) => self.enter(SlotState::Staged, Some(reason), now, Vec::new()),
        }
    }

    pub(super) fn activate(&mut self, now: Timestamp) -> Vec<Effect> {
        let Some(update) = &self.journal.update else { return Vec::new() };
        self.journal.floor.move_to(&update.offer);
        let mut then = vec![Effect::SetFloor(self.journal.floor.clone())];
        then.extend(self.activate_effect());
        self.enter(SlotState::Activating, None, now, then)
    }

    pub(super) fn activate_effect(&self) -> Vec<Effect> {
        let replaces = self.journal.serving.clone().map(Box::new);
        self.with_offer(|offer| Effect::Activate { offer, replaces })
    }

    fn activated(&mut self, now: Timestamp) -> Vec<Effect> {
        let Some(serving) = self.new_serving(now) else { return Vec::new() };
        self.answering = Some(Answering::from_serving(&serving, now));
        self.ailment = None;
        self.enter(SlotState::Probation, None, now, Vec::new())
    }

    pub(super) fn commit(&mut self, now: Timestamp) -> Vec<Effect> {
        let Some(serving) = self.new_serving(now) else { return Vec::new() };
        let dropped = self.journal.serving.replace(serving.clone()).map(Box::new);
        let then = vec![Effect::Commit { serving: Box::new(serving), dropped }];
        self.enter(SlotState::Committed, None, now, then)
    }

    fn rolled_back(&mut self, now: Timestamp) -> Vec<Effect> {
        self.answering = self.journal.serving.as_ref().map(|old| Answering::from_serving(old, now));
        self.ailment = None;
        let cause = self.update().and_then(|update| update.reason.clone());
        let reason = match (cause, &self.journal.serving) {
            (Some(cause), None) => Some(Reason::new(format!("{NOTHING_SERVES}{cause}"))),
            (cause, _) => cause,
        };
        self.enter(SlotState::RolledBack, reason, now, Vec::new())
    }

    pub(super) fn roll_back_failed(&mut self, why: &Reason, now: Timestamp) -> Vec<Effect> {
        self.answering = None;
        let cause = self.update().and_then(|update| update.reason.clone());
        let reason = match cause {
            Some(cause) => Reason::new(format!("could not go back: {why}; it went back because: {cause}")),
            None => Reason::new(format!("could not go back: {why}")),
        };
        self.enter(SlotState::RollbackFailed, Some(reason), now, Vec::new())
    }

    fn hold(&self) -> Option<Reason> {
        match &self.update()?.go {
            Go::Now => None,
            Go::Wait(reason) => Some(reason.clone()),
        }
    }

    fn new_serving(&self, now: Timestamp) -> Option<Serving> {
        let offer = &self.update()?.offer;
        Some(Serving {
            rollout: offer.rollout,
            release: offer.release,
            model: offer.model.clone(),
            variant: offer.variant.clone(),
            files: offer.files.clone(),
            sha256: offer.sha256()?,
            deployment_generation: offer.deployment_generation,
            release_generation: offer.release_generation,
            since: now,
        })
    }
}

/// What stands before the cause where there was no model to go back to.
const NOTHING_SERVES: &str = "nothing serves, for there was no model to go back to: ";
