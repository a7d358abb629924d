//! The chain of reasons for one node.

use sedge_statement::{ByteSize, Certificate, NodeId, Profile, Role, RolloutId, Selector, Term, Variant};

use crate::plan::{Go, Plan, RolloutState};
use crate::{Fit, Reason, WavePlan, choose, fit};

/// What is known of a node and a release beside the plan. What is absent is left out of the chain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The node's certificate.
    pub certificate: Option<&'a Certificate>,
    /// What it says of its machine.
    pub profile: Option<&'a Profile>,
    /// The release's variants, where it is held.
    pub variants: Option<&'a [Variant]>,
}

/// Why a node is where it is in a rollout, from whether it is named at all to what it waits for.
pub fn explain(plan: &Plan, rollout: RolloutId, node: NodeId, facts: Facts<'_>) -> Vec<Reason> {
    let Some(r) = plan.rollouts.get(&rollout) else { return vec![Reason::UnknownRollout(rollout)] };
    if !plan.names.contains_key(&node) {
        return vec![Reason::NoCertificate(node)];
    }
    let Some(progress) = r.nodes.get(&node) else {
        let mut chain = vec![not_named(&r.selector, facts.certificate)];
        if r.state == RolloutState::Failed {
            chain.extend(r.reason.clone());
        }
        return chain;
    };
    let mut chain = vec![matches(&r.selector, facts.certificate)];
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
    chain.extend(facts.variants.map(|variants| fitness(variants, facts.profile)));
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

/// Whether the node can run one of the variants, with the numbers.
pub fn fitness(variants: &[Variant], profile: Option<&Profile>) -> Reason {
    let Some(profile) = profile else { return Reason::ProfileUnknown };
    match choose(variants, profile) {
        Ok(variant) => match fit(variant, profile) {
            Fit::Feasible { memory, backend } => Reason::Fits {
                variant: variant.name.clone(),
                backend,
                need: memory,
                have: profile.memory.first().map_or(ByteSize(0), |pool| pool.allocatable),
            },
            unfit @ Fit::Unfit(_) => Reason::Unfit(vec![(variant.name.clone(), unfit.to_string())]),
        },
        Err(unfit) => Reason::Unfit(unfit.into_iter().map(|(v, why)| (v.name.clone(), why.to_string())).collect()),
    }
}

/// That a selector names a node, and what its certificate says to each term.
fn matches(selector: &Selector, certificate: Option<&Certificate>) -> Reason {
    let facts = certificate.map(|c| selector.terms().iter().map(|term| fact(term, c)).collect());
    Reason::Matches { selector: selector.clone(), facts: facts.unwrap_or_default() }
}

/// That it does not, and which terms do not hold.
pub fn not_named(selector: &Selector, certificate: Option<&Certificate>) -> Reason {
    let holds = |term: &Term, c: &Certificate| Selector::try_from(vec![term.clone()]).is_ok_and(|s| s.matches(c));
    let mut facts = Vec::new();
    if let Some(c) = certificate {
        facts.extend(selector.terms().iter().filter(|term| !holds(term, c)).map(|term| fact(term, c)));
        if !c.may(Role::Device) {
            facts.push(format!("it lacks the role {}", Role::Device));
        }
    }
    Reason::NotNamed { selector: selector.clone(), facts }
}

/// What a certificate says to what a term asks.
fn fact(term: &Term, c: &Certificate) -> String {
    match term {
        Term::Cell(_) => format!("its cell is {}", c.cell),
        Term::Label(key, _) => match c.labels.get(key) {
            Some(value) => format!("its label {key} is {value}"),
            None => format!("it has no label {key}"),
        },
        Term::Node(_) | Term::Nodes(_) => format!("its name is {}", c.name),
        Term::Arch(_) => format!("its architecture is {}", c.architecture),
        Term::Class(_) => format!("its class is {}", c.class),
    }
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
