//! What must hold of a fleet under attack, asked of those who know what was truly said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::FleetView;
use sedge_scheduler::Plan;
use sedge_statement::{CellPath, NodeId};

use crate::invariants::{check_findings, named_by};
use crate::node::SLOWEST;
use crate::{Broken, Charter, Seat, World, plan_of};

/// The most that any node may come to store, bytes: what everybody here says in a siege is a sixth of it, and the room that villains have for
/// statements of their own is bounded for each.
const MOST_STORED: usize = 2 << 20;

impl World {
    /// Checks some nodes in the midst of a siege: whatever a villain says, no node's plan holds what no authority said.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub(crate) fn spot_check(&mut self, seats: &[Seat]) -> Result<(), Broken> {
        for seat in seats {
            let Some(view) = self.view(*seat) else { continue };
            let plan = plan_of(&view, self.common_time());
            self.check_plan(*seat, &view, &plan)?;
            check_findings(*seat, &view, &self.forgers)?;
        }
        Ok(())
    }

    /// Checks a fleet that has come to rest; answers how many assignments of plans were among what was checked.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub(crate) fn check_fleet(&mut self) -> Result<usize, Broken> {
        let mut planned = 0;
        let mut of_cells: BTreeMap<Option<CellPath>, Seat> = BTreeMap::new();
        for seat in self.believed() {
            let Some(view) = self.view(seat) else { continue };
            check_findings(seat, &view, &self.forgers)?;
            self.named.extend(named_by(&view));
            let stored = self.stored(seat);
            if stored > MOST_STORED {
                return Err(Broken::Bulky { seat, stored });
            }
            let cell = view.members.get(&self.id(seat)).map(|certificate| certificate.cell.clone());
            if cell != Some(self.cell(seat)) {
                return Err(Broken::Misplaced(seat));
            }
            of_cells.entry(cell).or_insert(seat);
        }
        // Views are one in every cell, so one node of each stands for all.
        for seat in of_cells.into_values() {
            let Some(view) = self.view(seat) else { continue };
            let plan = plan_of(&view, self.common_time());
            planned += plan.assignments.len();
            crate::waves::check(&view, &plan)?;
            self.check_plan(seat, &view, &plan)?;
            self.check_nothing_lost(&view)?;
            self.check_controls(&view)?;
        }
        let shows = self.villains.iter().filter(|(_, villain)| villain.character().shows());
        let unnamed = shows.filter(|(seat, _)| !self.named.contains(&self.id(**seat)));
        match unnamed.map(|(_, villain)| villain.character()).next() {
            Some(character) => Err(Broken::Unnamed(character)),
            None => Ok(planned),
        }
    }

    /// Bytes of keys and values in a node's store.
    pub(crate) fn stored(&self, seat: Seat) -> usize {
        self.node(seat).store.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Where a node truly stands.
    pub(crate) fn cell(&self, seat: Seat) -> CellPath {
        self.truth.moved.get(&seat).cloned().unwrap_or_else(|| self.charter.post(seat).cell)
    }

    /// No node is to do what no authority said, and no clock was moved by who may not.
    fn check_plan(&self, by: Seat, view: &FleetView, plan: &Plan) -> Result<(), Broken> {
        let ahead = Charter::time(self.now() + SLOWEST + Duration::from_secs(1));
        if view.verified > ahead {
            return Err(Broken::Poisoned { by, verified: view.verified });
        }
        let diaries = || self.nodes.iter().map(|node| &node.diary);
        let said: BTreeSet<_> = diaries().flat_map(|diary| diary.deployments.iter().copied()).collect();
        let released: BTreeSet<_> = diaries().flat_map(|diary| diary.releases.iter().copied()).collect();
        for ((node, _), assignment) in &plan.assignments {
            let release = view.deployments.get(&assignment.rollout).map(|published| published.deployment.release);
            if !said.contains(&assignment.rollout) || release.is_none_or(|release| !released.contains(&release)) {
                return Err(Broken::Started { by, node: *node, rollout: assignment.rollout });
            }
        }
        for published in view.deployments.values() {
            let cell = published.deployment.selector.widest_cell();
            let forged = published.given.iter().find(|given| {
                let rollout = published.deployment.id();
                let wrote = |seat: &Seat| match self.villains.contains_key(seat) {
                    // Within its rights it may say what it likes.
                    true => self.charter.post(*seat).cell.covers(&cell),
                    false => self.diary(*seat).controls.contains_key(&(rollout, given.count)),
                };
                !self.seats_of(&given.by.author).iter().any(wrote)
            });
            if let Some(forged) = forged {
                return Err(Broken::Steered { by, author: forged.by.author, rollout: published.deployment.id() });
            }
        }
        Ok(())
    }

    /// Every control of an honest authority is heard.
    fn check_controls(&self, view: &FleetView) -> Result<(), Broken> {
        for seat in self.believed() {
            let id = self.id(seat);
            let wrote = self.diary(seat).controls.keys().filter(|(rollout, _)| view.deployments.contains_key(rollout));
            let wanted: BTreeSet<_> = wrote.copied().collect();
            let all = view.deployments.iter().flat_map(|(rollout, published)| {
                published.given.iter().filter(|given| given.by.author == id).map(|given| (*rollout, given.count))
            });
            let found: BTreeSet<_> = all.collect();
            if found != wanted {
                return Err(Broken::Lost { what: "controls", found: found.len(), wanted: wanted.len() });
            }
        }
        Ok(())
    }

    fn seats_of(&self, id: &NodeId) -> Vec<Seat> {
        self.seats().into_iter().filter(|seat| self.id(*seat) == *id).collect()
    }
}
