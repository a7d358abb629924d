//! Which neighbours a node looks for: some near, some anywhere, one outside its cell, and what else it is asked to reach.
//!
//! Half are of the node's own cell, whose documents it holds; one at least is of another cell, so that no cell can be kept from what the
//! authorities say; the others are anybody, which is what keeps a large mesh in one piece. Two members of each cell, found by
//! [`Roster::is_gateway`], have two neighbours in the cell above; and whoever looks at another cell has two there. Whoever is
//! connected already takes these seats first, whoever dialled: a neighbour is kept as long as it does.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sedge_statement::{CellPath, NodeId};

use super::roster::Roster;

/// How many neighbours there may be beyond those that a node looks for, before it looks for no better ones and lets some go.
pub(super) const SURPLUS: usize = 4;
/// How many neighbours a gateway has in the cell above, and whoever looks at a cell has there.
const ACROSS: usize = 2;
/// How many cells are looked at at once; the first of more.
pub(super) const MAX_WANTED_CELLS: usize = 8;

/// Where a member is, as seen from this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Near,
    Outside,
}

/// Who is a neighbour or may become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: NodeId,
    /// Whether it is connected, or being dialled.
    pub(super) linked: bool,
}

/// How many neighbours are looked for where there are so many.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    wanted: usize,
    linked: usize,
}

impl Kind {
    fn open(&self) -> usize {
        self.wanted.saturating_sub(self.linked)
    }
}

/// The seats at this node's table, and who sits there.
#[derive(Debug)]
pub(super) struct Seats<'a> {
    roster: &'a Roster,
    cell: Option<&'a CellPath>,
    /// All together, beside those of `across`.
    all: Kind,
    near: Kind,
    outside: Kind,
    /// Cells that this node reaches for others: the one above a gateway, and those that are looked at.
    across: BTreeMap<&'a CellPath, Kind>,
}

impl<'a> Seats<'a> {
    /// Seats for `wanted` neighbours of node `me`, and for those of `cells`, which it looks at. None at all where it looks for none.
    pub(super) fn new(
        roster: &'a Roster,
        me: NodeId,
        wanted: usize,
        cells: impl IntoIterator<Item = &'a CellPath>,
        candidates: &[Candidate],
    ) -> Self {
        let cell = roster.cell(&me);
        let none = || Kind { wanted: 0, linked: 0 };
        let mut seats = Self { roster, cell, all: none(), near: none(), outside: none(), across: BTreeMap::new() };
        if wanted > 0 {
            seats.across = cells.into_iter().filter(|of| Some(*of) != cell).map(|of| (of, none())).collect();
        }
        let (mut near, mut outside) = (0, 0);
        for Candidate { id, linked } in candidates {
            match seats.side(id) {
                Some(Side::Near) => near += 1,
                Some(Side::Outside) => outside += 1,
                None => {}
            }
            if let Some(there) = roster.cell(id).and_then(|of| seats.across.get_mut(of)) {
                there.wanted = ACROSS.min(there.wanted + 1);
            }
            if *linked {
                seats.seat(id);
            }
        }
        seats.all.wanted = wanted;
        seats.near.wanted = near.min(wanted / 2);
        // With one neighbour alone there is no choice.
        seats.outside.wanted = outside.min(usize::from(wanted > 1));
        seats
    }

    /// Gives a seat to a node that is to be dialled, if there is one for it.
    pub(super) fn take(&mut self, id: &NodeId) -> bool {
        let is_wanted = match self.side(id) {
            _ if self.is_wanted_across(id) => true,
            // Somebody outside the cell is looked for however many there are within.
            Some(Side::Outside) if self.outside.open() > 0 => true,
            Some(Side::Near) if self.near.open() > 0 => self.all.linked < self.all.wanted + SURPLUS,
            _ => self.all.linked + self.near.open() + self.outside.open() < self.all.wanted,
        };
        if is_wanted {
            self.seat(id);
        }
        is_wanted
    }

    /// Whether there are more than enough by `surplus`, and all seats but for anybody are taken without this one.
    pub(super) fn can_spare(&self, id: &NodeId, surplus: usize) -> bool {
        let is_more = |kind: &Kind| kind.linked > kind.wanted;
        let across = self.roster.cell(id).and_then(|of| self.across.get(of));
        let side = match self.side(id) {
            Some(Side::Near) => is_more(&self.near),
            Some(Side::Outside) => is_more(&self.outside),
            None => true,
        };
        self.all.wanted > 0 && self.all.linked > self.all.wanted + surplus && side && across.is_none_or(is_more)
    }

    fn is_wanted_across(&self, id: &NodeId) -> bool {
        self.roster.cell(id).and_then(|of| self.across.get(of)).is_some_and(|kind| kind.open() > 0)
    }

    fn seat(&mut self, id: &NodeId) {
        self.all.linked += 1;
        match self.side(id) {
            Some(Side::Near) => self.near.linked += 1,
            Some(Side::Outside) => self.outside.linked += 1,
            None => {}
        }
        if let Some(kind) = self.roster.cell(id).and_then(|of| self.across.get_mut(of)) {
            kind.linked += 1;
        }
    }

    /// None of a node that is no member, or where this one has no certificate itself.
    fn side(&self, id: &NodeId) -> Option<Side> {
        let (mine, theirs) = (self.cell?, self.roster.cell(id)?);
        Some(if mine == theirs { Side::Near } else { Side::Outside })
    }
}
