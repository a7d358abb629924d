//! The chain of reasons for one node.

use sedge_statement::{NodeId, RolloutId};

use crate::plan::{Go, Plan, RolloutState};
use crate::{Reason, WavePlan};

/// Why a node is where it is in a rollout, from whether it is named at all to what it waits for.
pub fn explain(plan: &Plan, rollout: RolloutId, node: NodeId) -> Vec<Reason> {
    let Some(r) = plan.rollouts.get(&rollout) else { return vec![Reason::UnknownRollout(rollout)] };
    if !plan.names.contains_key(&node) {
        return vec![Reason::NoCertificate(node)];
    }
    let Some(progress) = r.nodes.get(&node) else {
        let mut chain = vec![Reason::NotNamed(r.selector.clone())];
        if r.state == RolloutState::Failed {
            chain.extend(r.reason.clone());
        }
        return chain;
    };
    let mut chain = vec![Reason::Matches(r.selector.clone())];
    let mut before = 0;
    let of = r.waves.iter().map(|wave| wave.total).sum();
    for (n, wave) in r.waves.iter().enumerate() {
        if let Some(at) = place(wave, node) {
            chain.push(Reason::Ranked { rank: before + at + 1, of, wave: n, witness: at < wave.witnesses });
            // A node far behind wants to know which wave stands in the way, not only that one does.
            let closed = r.waves[..n].iter().find(|earlier| !earlier.gate.is_open());
            chain.extend(closed.map(|earlier| earlier.gate.reason().clone()));
            push(&mut chain, wave.gate.reason());
        }
        before += wave.total;
    }
    if let Some(wave) = r.late.as_ref().filter(|wave| place(wave, node).is_some()) {
        chain.push(Reason::Late);
        push(&mut chain, wave.gate.reason());
    }
    if let Some(reason) = &r.reason {
        push(&mut chain, reason);
    }
    match plan.assignments.get(&(node, r.slot.clone())) {
        Some(assignment) if assignment.rollout == rollout => match &assignment.go {
            Go::Now => push(&mut chain, &Reason::Free),
            Go::Wait(reason) => push(&mut chain, reason),
        },
        Some(assignment) => {
            let winner = plan.rollouts.get(&assignment.rollout);
            let generation = winner.map(|winner| winner.generation).unwrap_or_default();
            push(&mut chain, &Reason::SupersededBy { rollout: assignment.rollout, generation });
        }
        None => {}
    }
    match (&progress.reason, progress.since) {
        (Some(reason), _) => push(&mut chain, reason),
        (None, Some(_)) => chain.push(Reason::Said { state: progress.state, reason: None }),
        (None, None) => {}
    }
    chain
}

fn place(wave: &WavePlan, node: NodeId) -> Option<usize> {
    wave.members.iter().position(|member| *member == node)
}

/// The same reason often holds twice: for the wave and for the node.
fn push(chain: &mut Vec<Reason>, reason: &Reason) {
    if !chain.contains(reason) {
        chain.push(reason.clone());
    }
}
