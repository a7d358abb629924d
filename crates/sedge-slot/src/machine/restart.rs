//! How a slot goes on after the process ended.

use super::*;
use crate::limits;

impl SlotMachine {
    /// Nothing runs any more: what serves is loaded again, and the step that was under way is begun again, as often as
    /// its limit allows.
    pub(super) fn restarted(&mut self, now: Timestamp) -> Vec<Effect> {
        (self.answering, self.ailment, self.next) = (None, None, None);
        let Some(update) = self.update() else { return self.serve() };
        let attempt = update.attempt.saturating_add(1);
        match update.state {
            SlotState::Offered => {
                let check = self.with_offer(Effect::CheckFit);
                self.begin_again(SlotState::Offered, attempt, now, check)
            }
            SlotState::Fetching => {
                let fetch = self.with_offer(Effect::Fetch);
                self.begin_again(SlotState::Fetching, attempt, now, fetch)
            }
            SlotState::Verifying if attempt <= limits::TRIES => {
                let verify = self.with_offer(Effect::Verify);
                self.begin_again(SlotState::Verifying, attempt, now, verify)
            }
            SlotState::Testing if attempt <= limits::TRIES => {
                let test = self.with_offer(Effect::Test);
                self.begin_again(SlotState::Testing, attempt, now, test)
            }
            SlotState::Verifying | SlotState::Testing => {
                let reason = "the process ended each time it was tried".into();
                let serve = self.serve();
                self.enter(SlotState::Failed, Some(reason), now, serve)
            }
            SlotState::Activating | SlotState::Probation if attempt <= limits::ACTIVATIONS => {
                let activate = self.activate_effect();
                self.begin_again(SlotState::Activating, attempt, now, activate)
            }
            SlotState::Activating | SlotState::Probation => {
                self.roll_back("the process ended twice while the model took over".into(), now)
            }
            SlotState::RollingBack if attempt <= limits::ROLL_BACKS => {
                let to = self.journal.serving.clone().map(Box::new);
                let back = self.with_offer(|offer| Effect::RollBack { offer, to });
                self.begin_again(SlotState::RollingBack, attempt, now, back)
            }
            SlotState::RollingBack => {
                let mut effects = self.roll_back_failed(&"the process ended each time it was tried".into(), now);
                // The old model may still load: failing to go back is no reason to stop trying to serve.
                effects.extend(self.serve());
                effects
            }
            _ => {
                let mut effects = self.serve();
                effects.extend(self.report().map(Effect::Report));
                effects
            }
        }
    }

    /// Begins a state again, with what serves loaded first.
    fn begin_again(&mut self, state: SlotState, attempt: u8, now: Timestamp, step: Vec<Effect>) -> Vec<Effect> {
        // Going back loads the old model itself.
        let mut then = if state == SlotState::RollingBack { Vec::new() } else { self.serve() };
        then.extend(step);
        let update = self.journal.update.as_mut().expect("only an update is begun again");
        (update.state, update.attempt) = (state, attempt);
        let reason = update.reason.clone();
        self.enter(state, reason, now, then)
    }

    fn serve(&self) -> Vec<Effect> {
        self.journal.serving.clone().map(|serving| Effect::Serve(Box::new(serving))).into_iter().collect()
    }
}
