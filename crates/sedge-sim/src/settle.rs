//! Healing everything, and waiting until there is nothing more to say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::FleetView;
use sedge_statement::CellPath;

use crate::schedule::Act;
use crate::timeline::Happening;
use crate::{Broken, Seat, World};

/// How long nobody may say more than digests before the mesh counts as quiet: two rounds of them, and some.
const SILENCE: Duration = Duration::from_secs(13);
/// How soon every node that is down comes back.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// How a mesh came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// How long after healing the last view changed.
    pub converged_in: Duration,
    /// The digest of the view that every node of each cell has.
    pub views: BTreeMap<CellPath, [u8; 32]>,
}

impl World {
    /// Heals the network, starts and joins everybody, and waits until all agree on what the whole mesh holds, and each cell's nodes on everything, and nobody says more than digests.
    ///
    /// # Errors
    /// [`Broken::Diverged`] or [`Broken::NotQuiet`] after `within`, and whatever breaks on the way.
    pub fn settle(&mut self, within: Duration) -> Result<Settled, Broken> {
        let healed = self.now();
        self.heal();
        loop {
            self.run(Duration::from_secs(1))?;
            self.move_in()?;
            let quiet = self.now().saturating_sub(self.network.traffic.last_news) > SILENCE;
            let is_over = self.now() >= healed + within;
            if !quiet && !is_over {
                continue;
            }
            match self.agreed() {
                Ok(views) if quiet => {
                    let converged_in = self.last_change.saturating_sub(healed);
                    return Ok(Settled { converged_in, views });
                }
                _ if !is_over => {}
                Ok(_) => return Err(Broken::NotQuiet { after: within }),
                Err(views) => return Err(Broken::Diverged { after: within, views }),
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

    /// The view of each cell's nodes, where they agree, and all on what the whole mesh holds; else how many different views there are. A node that is
    /// down has a view of its own.
    fn agreed(&mut self) -> Result<BTreeMap<CellPath, [u8; 32]>, usize> {
        let seen: Vec<_> = self.believed().into_iter().map(|seat| (seat, self.view(seat))).collect();
        // A clone is in its original's cell.
        let cell = |seat: &Seat, view: Option<&FleetView>| {
            view.and_then(|view| view.held.first().cloned()).unwrap_or_else(|| self.cell(*seat))
        };
        let of_mesh: BTreeSet<_> = seen.iter().map(|(_, view)| view.as_ref().map(|view| view.mesh_digest())).collect();
        let of_cells: BTreeSet<_> =
            seen.iter().map(|(seat, view)| (cell(seat, view.as_deref()), view.as_ref().map(|v| v.digest()))).collect();
        let views: BTreeMap<_, _> =
            of_cells.iter().filter_map(|(cell, digest)| Some((cell.clone(), (*digest)?))).collect();
        let is_one = of_mesh.len() == 1 && views.len() == of_cells.len();
        if is_one { Ok(views) } else { Err(of_mesh.len().max(of_cells.len())) }
    }
}
