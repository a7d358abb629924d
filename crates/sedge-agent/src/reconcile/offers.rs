//! What the plan means for this node's slots.

use std::collections::BTreeMap;

use sedge_scheduler::{Go as PlanGo, RolloutState, choose};
use sedge_slot::{Event, Go, Offer, Reason, Update, Withdrawal};
use sedge_statement::{NodeId, Profile, SlotName};

use crate::core::Planned;

/// The events that a plan gives, withdrawals first. Saying them again changes nothing.
pub(super) fn events(
    planned: &Planned,
    me: NodeId,
    profile: &Profile,
    updates: &BTreeMap<SlotName, Update>,
) -> Vec<(SlotName, Event)> {
    let withdrawn = updates.iter().filter_map(|(slot, update)| {
        let rollout = update.offer.rollout;
        let why = match planned.plan.rollouts.get(&rollout).map(|plan| plan.state) {
            // Gone from the view, as when its author's document is found forked: what runs, runs on; nothing of it starts.
            None | Some(RolloutState::Cancelled) => Withdrawal::Cancelled,
            Some(RolloutState::Halted) => Withdrawal::Halted,
            _ if is_superseded(planned, me, slot, update) => Withdrawal::Superseded,
            _ => return None,
        };
        (!update.is_settled()).then(|| (slot.clone(), Event::Withdrawn { rollout, why }))
    });
    let mine = planned.plan.assignments.iter().filter(|((node, _), _)| *node == me);
    let offered = mine.filter_map(|((_, slot), assignment)| {
        let deployment = &planned.view.deployments.get(&assignment.rollout)?.deployment;
        let release = &planned.view.releases.get(&deployment.release)?.release;
        // Where nothing fits, the first variant is offered: the fit check then says what speaks against it.
        let variants = &release.manifest.variants;
        let variant = choose(variants, profile).ok().or_else(|| variants.first())?;
        let go = match &assignment.go {
            PlanGo::Now => Go::Now,
            PlanGo::Wait(why) => Go::Wait(Reason::new(why.to_string())),
        };
        Some((slot.clone(), Event::Offered { offer: Box::new(Offer::new(deployment, release, variant)), go }))
    });
    withdrawn.chain(offered).collect()
}

fn is_superseded(planned: &Planned, me: NodeId, slot: &SlotName, update: &Update) -> bool {
    let assignment = planned.plan.assignments.get(&(me, slot.clone()));
    assignment.is_some_and(|a| a.superseded.contains(&update.offer.rollout))
}
