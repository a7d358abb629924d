//! Who is a member, and of which cell.

use std::collections::BTreeMap;

use sedge_fleet::FleetView;
use sedge_statement::{Blake3, CellPath, NodeId};

use crate::presence::Brief;

/// How many members of each cell keep connections to the cell above.
const GATEWAYS: usize = 2;

/// The members of the mesh by their certificates, each with its cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Roster(BTreeMap<NodeId, CellPath>);

impl FromIterator<(NodeId, CellPath)> for Roster {
    fn from_iter<I: IntoIterator<Item = (NodeId, CellPath)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl Roster {
    pub(crate) fn of(view: &FleetView) -> Self {
        view.members.iter().map(|(id, certificate)| (*id, certificate.cell.clone())).collect()
    }

    /// Whether it is that of `view`, found without copying anything.
    pub(crate) fn is_of(&self, view: &FleetView) -> bool {
        let theirs = view.members.iter().map(|(id, certificate)| (id, &certificate.cell));
        self.0.len() == view.members.len() && self.0.iter().eq(theirs)
    }

    pub(crate) fn contains(&self, node: &NodeId) -> bool {
        self.0.contains_key(node)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.keys().copied()
    }

    pub(crate) fn cell(&self, node: &NodeId) -> Option<&CellPath> {
        self.0.get(node)
    }

    /// The member whose id begins so; of several, which nobody finds by trying, the first.
    pub(crate) fn find(&self, brief: Brief) -> Option<NodeId> {
        let mut least = [0; 32];
        least[..brief.0.len()].copy_from_slice(&brief.0);
        let (id, _) = self.0.range(NodeId::from_bytes(least)..).next()?;
        (Brief::node(*id) == brief).then_some(*id)
    }

    /// The nearest cell above `cell` that has members.
    pub(crate) fn above(&self, cell: &CellPath) -> Option<&CellPath> {
        let mut above = cell.parent();
        while let Some(parent) = above {
            if let Some(found) = self.0.values().find(|cell| **cell == parent) {
                return Some(found);
            }
            above = parent.parent();
        }
        None
    }

    /// Whether `me` is one of those who connect its cell to the one above: the first two of its members by a hash that all of them compute
    /// alike, of those that are `reachable`. Nobody votes: members that reach others differently may make a few more.
    pub(crate) fn is_gateway(&self, me: NodeId, reachable: impl Fn(&NodeId) -> bool) -> bool {
        let Some(cell) = self.cell(&me) else { return false };
        let rank = |node: &NodeId| *Blake3::of(&[b"sedge gateway 1".as_slice(), node.as_bytes()].concat()).as_bytes();
        let mine = rank(&me);
        let others = self.0.iter().filter(|(id, of)| **id != me && *of == cell && reachable(id));
        others.filter(|(id, _)| rank(id) < mine).take(GATEWAYS).count() < GATEWAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn cell(text: &str) -> CellPath {
        text.parse().expect("a cell")
    }

    #[test]
    fn a_member_is_found_by_the_beginning_of_its_id() {
        let roster: Roster = [(node(1), cell("a")), (node(3), cell("a"))].into_iter().collect();
        assert_eq!(roster.find(Brief::node(node(3))), Some(node(3)));
        assert_eq!(roster.find(Brief::node(node(2))), None);
        assert_eq!(roster.find(Brief([0xff; 8])), None);
    }

    #[test]
    fn the_cell_above_is_the_nearest_that_has_members() {
        let roster: Roster = [(node(1), cell("/")), (node(2), cell("a/b/c"))].into_iter().collect();
        assert_eq!(roster.above(&cell("a/b/c")), Some(&cell("/")));
        assert_eq!(roster.above(&cell("/")), None);
    }

    #[test]
    fn two_members_of_a_cell_are_its_gateways_and_others_follow_when_they_are_gone() {
        let roster: Roster = (1..=20).map(|n| (node(n), cell(if n <= 10 { "a" } else { "b" }))).collect();
        let gateways = |gone: &[NodeId]| -> Vec<NodeId> {
            let there = (1..=10).map(node).filter(|id| !gone.contains(id));
            there.filter(|me| roster.is_gateway(*me, |other| !gone.contains(other))).collect()
        };
        let first = gateways(&[]);
        assert_eq!(first.len(), GATEWAYS);
        let second = gateways(&first[..1]);
        assert_eq!(second.len(), GATEWAYS);
        assert!(second.contains(&first[1]) && !second.contains(&first[0]));
        assert!(roster.is_gateway(node(7), |_| false), "whoever reaches nobody stands in for all");
        assert!(!roster.is_gateway(node(99), |_| true), "no member");
    }
}
