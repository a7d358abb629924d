//! Whom a deployment names, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Certificate, Deployment, Frontier, NodeId, Role};

/// The nodes of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Roster {
    /// Those that matched at the deployment's frontier, by rank.
    pub(crate) ranked: Vec<NodeId>,
    /// Those that match now and did not then, by rank.
    pub(crate) late: Vec<NodeId>,
}

/// An issuer of whom certificates are missing.
pub(crate) struct Gap {
    pub(crate) issuer: NodeId,
    pub(crate) have: u64,
    pub(crate) need: u64,
}

/// The first issuer, by id, whose certificates are not all held.
pub(crate) fn gap(needed: &Frontier, held: &Frontier) -> Option<Gap> {
    needed.0.iter().find_map(|(issuer, need)| {
        let have = held.0.get(issuer).copied().unwrap_or(0);
        (have < *need).then_some(Gap { issuer: *issuer, have, need: *need })
    })
}

/// Resolves a deployment's selector. A node's newest certificate alone counts, once at the frontier and once now: one
/// that moved away before the deployment was made is not named by what it was.
pub(crate) fn resolve(deployment: &Deployment, certificates: &[Certificate]) -> Roster {
    let named = |c: &&Certificate| c.may(Role::Device) && deployment.selector.matches(c);
    let then = newest(certificates.iter().filter(|c| deployment.frontier.includes(c)));
    let ranked: BTreeSet<NodeId> = then.into_values().filter(named).map(|c| c.subject).collect();
    let late = newest(certificates.iter()).into_values().filter(named).map(|c| c.subject);
    let late: BTreeSet<NodeId> = late.filter(|node| !ranked.contains(node)).collect();
    Roster { ranked: rank(deployment, ranked), late: rank(deployment, late) }
}

/// The newest certificate of each node. Two of the same revision can only come from two issuers; any order will do, as
/// long as it is one.
pub(crate) fn newest<'c>(certificates: impl Iterator<Item = &'c Certificate>) -> BTreeMap<NodeId, &'c Certificate> {
    let mut newest: BTreeMap<NodeId, &Certificate> = BTreeMap::new();
    for c in certificates {
        let held = newest.entry(c.subject).or_insert(c);
        if (c.revision, c.issuer, c.serial) > (held.revision, held.issuer, held.serial) {
            *held = c;
        }
    }
    newest
}

/// Rendezvous order, by what a deployment is and not by its id: whoever asks for the plan of a deployment before it is
/// published is shown the waves that it will have. Each generation of a slot has canaries of its own. Who they are can
/// be foreseen by a member, and so named by an operator; nothing rests on their being unknown, since a wave opens by a
/// quorum of its witnesses and a canary that fails halts.
fn rank(deployment: &Deployment, nodes: BTreeSet<NodeId>) -> Vec<NodeId> {
    let seed = seed(deployment);
    let weight = |node: NodeId| *blake3::keyed_hash(&seed, node.as_bytes()).as_bytes();
    let mut ranked: Vec<([u8; 32], NodeId)> = nodes.into_iter().map(|node| (weight(node), node)).collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, node)| node).collect()
}

/// Slot, release and generation, in one key. The slot's name is of no fixed length, so it comes last.
fn seed(deployment: &Deployment) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("sedge rollout rank 2");
    hasher.update(deployment.release.as_bytes());
    hasher.update(&deployment.generation.epoch.to_le_bytes());
    hasher.update(&deployment.generation.n.to_le_bytes());
    hasher.update(deployment.slot.as_str().as_bytes());
    *hasher.finalize().as_bytes()
}
