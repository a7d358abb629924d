//! Healing everything, and waiting until there is nothing more to say.

use std::time::Duration;

use crate::schedule::Act;
use crate::timeline::Happening;
use crate::{Broken, World};

/// How long nobody may say more than digests before the mesh counts as quiet: two rounds of them, and some.
const SILENCE: Duration = Duration::from_secs(13);
/// How soon every node that is down comes back.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// How a mesh came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// How long after healing the last view changed.
    pub converged_in: Duration,
    /// The digest of the first node's view, which every node of its cell has.
    pub digest: [u8; 32],
}

impl World {
    /// Heals the network, starts and joins everybody, and waits until all views are one in what they have in common, and nobody says more than
    /// digests.
    ///
    /// # Errors
    /// [`Broken::Diverged`] or [`Broken::NotQuiet`] after `within`, and whatever breaks on the way.
    pub fn settle(&mut self, within: Duration) -> Result<Settled, Broken> {
        let healed = self.now();
        self.heal();
        loop {
            self.run(Duration::from_secs(1))?;
            let quiet = self.now().saturating_sub(self.network.traffic.last_news) > SILENCE;
            let over = self.now() >= healed + within;
            let views = if quiet || over { self.views_apart() } else { None };
            match views {
                Some(1) if quiet => {
                    let converged_in = self.last_change.saturating_sub(healed);
                    let first = self.believed().into_iter().find_map(|seat| self.view(seat));
                    return Ok(Settled { converged_in, digest: first.map_or([0; 32], |view| view.digest()) });
                }
                _ if !over => {}
                Some(1) => return Err(Broken::NotQuiet { after: within }),
                _ => return Err(Broken::Diverged { after: within, views: views.unwrap_or(0) }),
            }
        }
    }

    /// Mends the network, defuses every crash to come, and brings back who is down.
    fn heal(&mut self) {
        self.mend();
        for seat in self.seats() {
            self.node_mut(seat).fuse = None;
            if self.is_up(seat) {
                continue;
            }
            let after = self.dice.between(Duration::ZERO, BACK_WITHIN);
            let joined = !self.node(seat).store.is_empty();
            match joined {
                true => self.timeline.plan(after, Happening::Start(seat)),
                false => self.plan_act(after, Act::Join(seat)),
            }
        }
    }
}
