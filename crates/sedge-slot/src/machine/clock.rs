//! What time alone does.

use super::*;
use crate::limits;

/// What happens when a state's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Expire(&'static str),
    Fail(&'static str),
    GoBack(&'static str),
    GiveUp(&'static str),
    Commit,
    Soaked,
}

impl SlotMachine {
    /// When [`Event::Tick`] is next due; nothing where no time is running.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.due().map(|(at, _)| at)
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        let Some((at, due)) = self.due() else { return Vec::new() };
        if now < at {
            return Vec::new();
        }
        match due {
            Due::Expire(why) => self.settle(SlotState::Expired, Some(why.into()), now),
            Due::Fail(why) => self.settle(SlotState::Failed, Some(why.into()), now),
            Due::GoBack(why) => self.roll_back(why.into(), now),
            Due::GiveUp(why) => self.roll_back_failed(&why.into(), now),
            Due::Commit => self.commit(now),
            Due::Soaked => self.soaked(now),
        }
    }

    fn due(&self) -> Option<(Timestamp, Due)> {
        let update = self.update()?;
        let (since, offer) = (update.since, &update.offer);
        let over = (offer.deadline, Due::Expire("the rollout ended before it was done here"));
        let start = (offer.last_start(), Due::Expire("its time to start is over"));
        match update.state {
            SlotState::Offered => {
                Some(earlier((since.plus(limits::FIT), Due::Fail("the fit check did not answer in time")), start))
            }
            SlotState::Accepted | SlotState::Waiting => Some(start),
            SlotState::Fetching | SlotState::Paused => Some(over),
            SlotState::Staged if offer.action == Action::Activate => Some(over),
            SlotState::Verifying => {
                Some(earlier((since.plus(limits::VERIFY), Due::Fail("SHA-256 was not proven in time")), over))
            }
            SlotState::Testing => {
                Some(earlier((since.plus(limits::TEST), Due::Fail("the trial did not end in time")), over))
            }
            SlotState::Activating => {
                Some((since.plus(limits::ACTIVATE), Due::GoBack("the model did not take over in time")))
            }
            SlotState::Probation => Some((since.plus(offer.probation), Due::Commit)),
            SlotState::RollingBack => {
                Some((since.plus(limits::ROLL_BACK), Due::GiveUp("the old model did not answer in time")))
            }
            SlotState::Committed if !update.soaked => {
                let answering = self.answering.filter(|a| a.rollout == offer.rollout)?;
                Some((answering.since.max(since).plus(offer.soak), Due::Soaked))
            }
            _ => None,
        }
    }

    /// The soak is said once: the gate document of a large fleet bears one more entry a witness, not one a minute.
    fn soaked(&mut self, now: Timestamp) -> Vec<Effect> {
        if let Some(update) = &mut self.journal.update {
            update.soaked = true;
        }
        let mut effects = vec![self.record()];
        effects.extend(self.gate(now));
        effects
    }
}

fn earlier(a: (Timestamp, Due), b: (Timestamp, Due)) -> (Timestamp, Due) {
    if b.0 <= a.0 { b } else { a }
}
