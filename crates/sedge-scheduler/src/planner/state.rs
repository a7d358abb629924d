//! What a rollout comes to as a whole.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{NodeId, RolloutId};

use super::{Trial, superseded_by};
use crate::plan::{NodeProgress, Plan, RolloutState};
use crate::{PlanInput, Reason, Who, waves};

/// The nodes of a roster, by what became of them.
struct Ledger {
    /// Whoever is not done.
    unsettled: Vec<Who>,
    /// Whether any node went to another rollout before it was done with this one.
    cut_short: bool,
    /// Whether any succeeded; where some were lost on the way, any that is still its own.
    succeeded: bool,
    /// The rollout that won the first of those that were lost on the way, else of them all where all were lost.
    winner: Option<RolloutId>,
}

/// The state of a rollout, and why.
pub(super) fn of(
    trial: &Trial<'_>,
    id: RolloutId,
    nodes: &BTreeMap<NodeId, NodeProgress>,
    input: &PlanInput<'_>,
    plan: &Plan,
) -> (RolloutState, Option<Reason>) {
    let is_told = |(state, reason): &&(_, _)| *state != RolloutState::Expired || matches!(reason, Reason::LongOver(_));
    if let Some((state, reason)) = trial.end.as_ref().filter(is_told) {
        return (*state, Some(reason.clone()));
    }
    let ledger = ledger(trial, id, nodes, plan);
    let done = trial.waves.iter().any(|wave| !wave.members.is_empty()) && ledger.unsettled.is_empty();
    if done && ledger.succeeded {
        return (RolloutState::Completed, None);
    }
    let all_lost = nodes.keys().all(|node| lost(trial, id, *node, plan).is_some()) && !nodes.is_empty();
    if let Some(winner) = ledger.winner.filter(|_| all_lost || (done && ledger.cut_short)) {
        return (RolloutState::Superseded, Some(superseded_by(winner, input)));
    }
    if done {
        return (RolloutState::Failed, Some(Reason::NobodySucceeded));
    }
    let blocked = trial.blocked.and_then(|wave| Some((wave, &trial.waves.get(wave)?.quorum)));
    let names = |nodes: &[NodeId]| nodes.iter().map(|node| plan.who(*node)).collect::<Vec<_>>();
    match (&trial.end, &trial.hold, blocked) {
        (Some(_), _, Some((wave, quorum))) => {
            let reason = Reason::NoQuorumInTime {
                deadline: trial.wish.deployment.deadline,
                wave,
                needed: quorum.needed,
                committed: quorum.committed.len(),
                soaking: names(&quorum.soaking),
                silent: names(&quorum.silent),
                unreached: ledger.unsettled,
            };
            (RolloutState::Stalled, Some(reason))
        }
        (Some((state, _)), _, None) => (*state, Some(Reason::Unreached(ledger.unsettled))),
        (None, Some((state, reason)), _) => (*state, Some(reason.clone())),
        (None, None, Some((wave, quorum))) if quorum.is_out_of_reach() => {
            let (needed, committed) = (quorum.needed, quorum.committed.len());
            (RolloutState::Stalled, Some(Reason::Stalled { wave, needed, committed, ended: names(&quorum.ended) }))
        }
        (None, None, _) => (RolloutState::Running, None),
    }
}

fn ledger(trial: &Trial<'_>, id: RolloutId, nodes: &BTreeMap<NodeId, NodeProgress>, plan: &Plan) -> Ledger {
    let success = waves::success(trial.wish.deployment.action);
    let roster: BTreeSet<NodeId> = trial.waves.iter().flat_map(|wave| &wave.members).copied().collect();
    let lost = |node: &NodeId| lost(trial, id, *node, plan);
    let superseded = |p: &NodeProgress| p.state == sedge_statement::SlotState::Superseded;
    let is_done = |node: &NodeId, p: &NodeProgress| {
        use sedge_statement::SlotState::{Expired, Superseded};
        match p.state {
            // One whose time ran out was not reached.
            Expired => false,
            // One whose slot came back is offered it again, unless it was too late for that.
            Superseded => trial.end.is_some() || lost(node).is_some(),
            state => state == success || state.is_final(),
        }
    };
    let unsettled = roster.iter().filter(|node| nodes.get(node).is_none_or(|p| !is_done(node, p)));
    let unsettled = unsettled.map(|node| plan.who(*node)).collect();
    let on_the_way: Vec<&NodeId> = roster.iter().filter(|node| nodes.get(node).is_some_and(superseded)).collect();
    let cut_short = !on_the_way.is_empty();
    let mut won = roster.iter().filter(|node| nodes.get(node).is_some_and(|p| p.state == success));
    Ledger {
        unsettled,
        cut_short,
        succeeded: won.any(|node| !cut_short || lost(node).is_none()),
        winner: on_the_way.into_iter().chain(nodes.keys()).find_map(lost),
    }
}

/// The rollout that has a node's slot in the place of this one.
fn lost(trial: &Trial<'_>, id: RolloutId, node: NodeId, plan: &Plan) -> Option<RolloutId> {
    let key = (node, trial.wish.deployment.slot.clone());
    plan.assignments.get(&key).map(|winner| winner.rollout).filter(|winner| *winner != id)
}
