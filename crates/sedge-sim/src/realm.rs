//! A fleet of cells: who stands where, who certified whom, and who is whose neighbour.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{CellPath, Object, Role};

use crate::{Charter, Dice, Post, Seat};

/// The three roots, of whom two must agree.
pub(crate) const ROOTS: [Seat; 3] = [Seat(0), Seat(1), Seat(2)];
/// Authorities for the whole mesh.
const CENTRAL: [Seat; 2] = [Seat(3), Seat(4)];
/// How many wires a node lays to others of its cell beside a ring of that, and to anybody: with those that others lay to it, eight in all.
const NEAR: usize = 1;
const FAR: usize = 2;

/// A fleet's plan.
#[derive(Debug, Clone)]
pub(crate) struct Realm {
    cells: usize,
    nodes: usize,
}

impl Realm {
    /// So many nodes in so many cells, each of which has an enroller and an authority of its own.
    pub(crate) fn new(nodes: usize, cells: usize) -> Self {
        assert!(nodes > 3 * cells + ROOTS.len() + CENTRAL.len(), "a cell needs nodes");
        Self { cells, nodes }
    }

    /// Every seat.
    pub(crate) fn seats(&self) -> impl Iterator<Item = Seat> + use<> {
        (0..self.nodes).map(Seat)
    }

    /// How many cells there are.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// The path of a cell.
    pub(crate) fn cell(n: usize) -> CellPath {
        format!("acme/plant-{}", 6 + n).parse().expect("a valid cell")
    }

    /// Who enrols in a cell.
    pub(crate) fn enroller(&self, cell: usize) -> Seat {
        Seat(ROOTS.len() + CENTRAL.len() + cell)
    }

    /// Who deploys in a cell.
    pub(crate) fn authority(&self, cell: usize) -> Seat {
        Seat(ROOTS.len() + CENTRAL.len() + self.cells + cell)
    }

    /// Whether a seat's post lets it deploy.
    pub(crate) fn may_deploy(&self, seat: Seat) -> bool {
        self.post(seat).roles.contains(&Role::Deploy)
    }

    /// The nodes that only report of themselves.
    pub(crate) fn devices(&self) -> impl Iterator<Item = Seat> + use<> {
        (ROOTS.len() + CENTRAL.len() + 2 * self.cells..self.nodes).map(Seat)
    }

    /// The cell in which a seat is born; none for those who stand above all.
    pub(crate) fn cell_of(&self, seat: Seat) -> Option<usize> {
        Some(seat.0.checked_sub(ROOTS.len() + CENTRAL.len())? % self.cells)
    }

    /// The fleet's charter.
    pub(crate) fn charter(&self) -> Charter {
        let posts = self.seats().map(|seat| (seat, self.post(seat))).collect();
        Charter::of(&ROOTS, 2, posts)
    }

    fn post(&self, seat: Seat) -> Post {
        let cell = self.cell_of(seat);
        let (roles, issuer): (&[Role], Seat) = match cell {
            None if ROOTS.contains(&seat) => (&Role::ALL, seat),
            None => (&[Role::Release, Role::Deploy, Role::Device], Seat::ROOT),
            Some(cell) if seat == self.enroller(cell) => (&[Role::Enroll, Role::Device], Seat::ROOT),
            Some(cell) if seat == self.authority(cell) => (&[Role::Deploy, Role::Device], Seat::ROOT),
            Some(cell) => (&[Role::Device], self.enroller(cell)),
        };
        let cell = cell.map_or(CellPath::root(), Self::cell);
        Post { roles: roles.iter().copied().collect(), cell, issuer }
    }

    /// Everybody's first certificate, issuers before those whom they certify; and how many each issuer issued.
    pub(crate) fn certificates(&self, charter: &Charter) -> (Vec<Object>, BTreeMap<Seat, u64>) {
        let mut serials = BTreeMap::new();
        let mut next = |issuer: Seat| {
            let serial = serials.entry(issuer).or_insert(0);
            *serial += 1;
            *serial
        };
        let objects = self.seats().map(|seat| charter.certificate(seat, next(charter.post(seat).issuer))).collect();
        (objects, serials)
    }

    /// Pairs of neighbours: a ring of each cell, and of each node some more of its cell and some of any.
    pub(crate) fn pairs(&self, dice: &mut Dice) -> BTreeSet<(Seat, Seat)> {
        let all: Vec<Seat> = self.seats().collect();
        let mut pairs = BTreeSet::new();
        let groups = (0..self.cells).map(Some).chain([None]);
        for group in groups {
            let near: Vec<Seat> = all.iter().copied().filter(|seat| self.cell_of(*seat) == group).collect();
            let ring = near.iter().copied().zip(near.iter().copied().cycle().skip(1));
            pairs.extend(ring.map(|(a, b)| (a.min(b), a.max(b))));
            for seat in &near {
                for from in std::iter::repeat_n(&near, NEAR).chain(std::iter::repeat_n(&all, FAR)) {
                    let other = *dice.pick(from);
                    if other != *seat {
                        pairs.insert((other.min(*seat), other.max(*seat)));
                    }
                }
            }
        }
        pairs
    }
}
