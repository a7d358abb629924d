//! Whom to ask for weights: of each file, who is likeliest to have it and be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sedge_fleet::FleetView;
use sedge_statement::{Blake3, NodeId};
use tokio::sync::watch;

/// How many nodes without a connection are tried for one file: each that is gone costs a dial.
const MOST_APART: usize = 64;

/// The providers of every file that is being fetched, kept up to date while there is anybody who asks.
#[derive(Debug, Clone)]
pub(super) struct Providers(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    me: NodeId,
    connected: BTreeSet<NodeId>,
    view: Arc<FleetView>,
    wanted: BTreeMap<Blake3, watch::Sender<Vec<NodeId>>>,
}

impl Providers {
    pub(super) fn new(me: NodeId, view: Arc<FleetView>) -> Self {
        Self(Arc::new(Mutex::new(State { me, connected: BTreeSet::new(), view, wanted: BTreeMap::new() })))
    }

    /// Takes what is known now.
    pub(super) fn update(&self, connected: BTreeSet<NodeId>, view: &Arc<FleetView>) {
        let mut state = self.lock();
        if state.connected == connected && Arc::ptr_eq(&state.view, view) {
            return;
        }
        state.connected = connected;
        state.view = Arc::clone(view);
        state.wanted.retain(|_, list| list.receiver_count() > 0);
        for (file, list) in &state.wanted {
            let providers = state.of(*file);
            list.send_if_modified(|list| {
                let changed = *list != providers;
                *list = providers;
                changed
            });
        }
    }

    /// The providers of a file, best first, now and whenever they change.
    pub(super) fn of(&self, file: Blake3) -> watch::Receiver<Vec<NodeId>> {
        let mut state = self.lock();
        let now = state.of(file);
        state.wanted.entry(file).or_insert_with(|| watch::Sender::new(now)).subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&self, file: Blake3) -> Vec<NodeId> {
        let holders = self.view.holders.get(&file);
        let sources = sources(&self.view, &file);
        rank(self.me, file, &self.connected, holders.unwrap_or(&BTreeSet::new()), &sources, |node| {
            self.view.members.contains_key(&node)
        })
    }
}

/// Who had the file first: those who published a release with it, and those who deploy one. Of other cells' nodes it is not known here what they hold.
fn sources(view: &FleetView, file: &Blake3) -> BTreeSet<NodeId> {
    let has_it = view.releases.iter().filter(|(_, r)| r.release.manifest.files().any(|f| f.blake3 == *file));
    let releases: BTreeMap<_, _> = has_it.map(|(id, published)| (*id, published.publisher)).collect();
    let deployments = view.deployments.values().filter(|d| releases.contains_key(&d.deployment.release));
    releases.values().copied().chain(deployments.map(|d| d.author)).collect()
}

/// Holders with a connection, then other members with one, which may have it and not have said so here, then holders that would
/// have to be dialled, and at last who published or deployed it, who may be far away. Among equals each node and file has an order of its own, so that the same few are not asked by everybody.
fn rank(
    me: NodeId,
    file: Blake3,
    connected: &BTreeSet<NodeId>,
    holders: &BTreeSet<NodeId>,
    sources: &BTreeSet<NodeId>,
    is_member: impl Fn(NodeId) -> bool,
) -> Vec<NodeId> {
    let shuffled = |node: &NodeId| {
        let mut hasher = DefaultHasher::new();
        (me, file, node).hash(&mut hasher);
        hasher.finish()
    };
    let in_order = |nodes: BTreeSet<NodeId>| {
        let mut nodes: Vec<_> = nodes.into_iter().filter(|node| *node != me && is_member(*node)).collect();
        nodes.sort_by_key(shuffled);
        nodes
    };
    let near = in_order(connected & holders);
    let may_have = in_order(connected - holders);
    let apart = in_order(holders - connected);
    let known: BTreeSet<NodeId> = connected | holders;
    let far = in_order(sources - &known);
    near.into_iter().chain(may_have).chain(apart.into_iter().take(MOST_APART)).chain(far).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(of: impl IntoIterator<Item = u8>) -> BTreeSet<NodeId> {
        of.into_iter().map(|n| NodeId::from_bytes([n; 32])).collect()
    }

    fn ranked(me: u8, connected: &BTreeSet<NodeId>, holders: &BTreeSet<NodeId>) -> Vec<u8> {
        ranked_with(me, connected, holders, &BTreeSet::new())
    }

    fn ranked_with(
        me: u8,
        connected: &BTreeSet<NodeId>,
        holders: &BTreeSet<NodeId>,
        sources: &BTreeSet<NodeId>,
    ) -> Vec<u8> {
        let is_member = |node: NodeId| node.as_bytes()[0] < 200;
        let file = Blake3::of(b"weights");
        rank(NodeId::from_bytes([me; 32]), file, connected, holders, sources, is_member)
            .iter()
            .map(|n| n.as_bytes()[0])
            .collect()
    }

    #[test]
    fn holders_that_are_near_come_first_and_holders_that_must_be_dialled_come_last() {
        let found = ranked(9, &nodes([1, 2, 3, 4]), &nodes([3, 4, 5, 6]));
        assert_eq!(found[..2].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([3, 4]));
        assert_eq!(found[2..4].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
        assert_eq!(found[4..].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([5, 6]));
    }

    #[test]
    fn neither_this_node_nor_who_is_no_member_is_asked() {
        assert_eq!(ranked(1, &nodes([1, 2, 201]), &nodes([1, 202])), [2]);
    }

    #[test]
    fn who_published_it_is_dialled_last_and_named_once() {
        assert_eq!(ranked_with(9, &nodes([1]), &nodes([2]), &nodes([1, 2, 3, 9, 201])), [1, 2, 3]);
        assert_eq!(ranked_with(9, &nodes([]), &nodes([]), &nodes([3])), [3]);
    }

    #[test]
    fn two_nodes_do_not_ask_the_same_few_first() {
        let holders = nodes(0..100);
        let firsts: BTreeSet<u8> =
            (100..120).filter_map(|me| ranked(me, &holders, &holders).first().copied()).collect();
        assert!(firsts.len() > 10, "{firsts:?}");
    }

    #[test]
    fn of_holders_without_end_some_are_tried() {
        assert_eq!(ranked(1, &nodes([2]), &nodes(0..150)).len(), 1 + MOST_APART);
    }
}
