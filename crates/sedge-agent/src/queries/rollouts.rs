//! Rollouts, as the newest plan has them.

use sedge_fleet::{PublishedDeployment, SetBy};
use sedge_scheduler::{Facts, NodeProgress, Reason, RolloutPlan, Steering, WavePlan, explain};
use sedge_statement::{NodeId, NodeName, RolloutId, SlotState, millis};

use super::{by_prefix, member, name_of};
use crate::api::{
    ApiError, Approvals, Explanation, GivenControl, MAX_CONTROLS, Rollout, RolloutNode, RolloutSummary, RolloutTerms,
    RolloutWave, WATCH_LIMIT, WaveEvidence,
};
use crate::core::{Core, Planned, now};

impl Core {
    /// Every rollout, newest first.
    pub(crate) fn rollouts(&self) -> Vec<RolloutSummary> {
        let planned = self.plan();
        let mut rollouts: Vec<RolloutSummary> =
            planned.plan.rollouts.iter().filter_map(|(id, plan)| summary(&planned, *id, plan)).collect();
        rollouts.sort_by_key(|r| std::cmp::Reverse((r.created_at, r.rollout)));
        rollouts
    }

    /// One rollout; with `after`, once anything changed since that revision, or [`WATCH_LIMIT`] passed.
    pub(crate) async fn rollout(&self, text: &str, after: Option<u64>) -> Result<Rollout, ApiError> {
        if let Some(after) = after {
            let mut planned = self.planned.clone();
            let changed = planned.wait_for(|planned| planned.revision > after);
            // Both ways out are fine: the caller gets what there is, and may ask again.
            let _ = tokio::time::timeout(WATCH_LIMIT, changed).await;
        }
        let id = self.find_rollout(text)?;
        let planned = self.plan();
        let found = planned.plan.rollouts.get(&id).and_then(|plan| whole(&planned, id, plan));
        found.ok_or_else(|| gone(text))
    }

    /// Why a node does or does not do what a rollout asks.
    pub(crate) fn explain(&self, rollout: &str, node: &str) -> Result<Explanation, ApiError> {
        let id = self.find_rollout(rollout)?;
        let planned = self.plan();
        let node = member(&planned.view, node)?;
        let view = &planned.view;
        let published = view.deployments.get(&id);
        let release = published.and_then(|published| view.releases.get(&published.deployment.release));
        let facts = Facts {
            certificate: view.members.get(&node),
            profile: view.profiles.get(&node),
            variants: release.map(|published| published.release.manifest.variants.as_slice()),
        };
        let mut reasons = explain(&planned.plan, id, node, facts);
        reasons.extend(published.into_iter().flat_map(|published| steered(&planned, published)));
        Ok(Explanation {
            rollout: id,
            node: name_of(&planned.view, node),
            reasons: reasons.iter().map(ToString::to_string).collect(),
        })
    }

    /// The rollout of that id or prefix.
    pub(crate) fn find_rollout(&self, text: &str) -> Result<RolloutId, ApiError> {
        let planned = self.plan();
        by_prefix("rollout", text, planned.plan.rollouts.keys().copied(), "sedge rollout list")
    }
}

fn gone(text: &str) -> ApiError {
    ApiError::failed(format!("rollout {text} is no longer known here"), "`sedge rollout list` shows those there are.")
}

/// Whether how far a node is was told here: by evidence that it signed, or by a document that is held, were it by its absence.
fn is_known(planned: &Planned, node: &NodeId, progress: &NodeProgress) -> bool {
    progress.since.is_some() || planned.view.knows(node)
}

fn summary(planned: &Planned, id: RolloutId, plan: &RolloutPlan) -> Option<RolloutSummary> {
    let published = planned.view.deployments.get(&id)?;
    let release = planned.view.releases.get(&plan.release).map(|r| &r.release.manifest);
    let sum = |count: fn(&WavePlan) -> usize| plan.waves.iter().chain(&plan.late).map(count).sum();
    Some(RolloutSummary {
        rollout: id,
        slot: plan.slot.clone(),
        model: release
            .map_or_else(|| format!("release {}", plan.release.short()), |m| format!("{}:{}", m.id, m.version)),
        release: plan.release,
        state: plan.state.word().to_owned(),
        author: name_of(&planned.view, published.author),
        created_at: published.deployment.created_at,
        total: sum(|wave| wave.total),
        committed: sum(|wave| wave.committed),
        failed: sum(|wave| wave.failed),
        unknown: plan.nodes.iter().filter(|(node, progress)| !is_known(planned, node, progress)).count(),
    })
}

fn whole(planned: &Planned, id: RolloutId, plan: &RolloutPlan) -> Option<Rollout> {
    let published = planned.view.deployments.get(&id)?;
    let wave = |(n, wave): (usize, &WavePlan)| RolloutWave {
        evidence: evidence(planned, id, published, wave),
        wave: n,
        open: wave.gate.is_open(),
        reason: wave.gate.reason().to_string(),
        total: wave.total,
        committed: wave.committed,
        failed: wave.failed,
        pending: wave.pending,
    };
    let ordered = plan.waves.iter().enumerate().flat_map(|(n, wave)| wave.members.iter().map(move |id| (*id, Some(n))));
    let late = plan.late.iter().flat_map(|wave| wave.members.iter().map(|id| (*id, None)));
    let node = |(id, wave): (NodeId, Option<usize>)| {
        let progress = plan.nodes.get(&id);
        if progress.is_some_and(|progress| !is_known(planned, &id, progress)) {
            let node = name_of(&planned.view, id);
            let reason = Some(format!("its cell's documents are not held here; ask with `sedge node show {node}`"));
            return RolloutNode { node, id, wave, state: None, reason, since: None, sha256: None };
        }
        RolloutNode {
            node: name_of(&planned.view, id),
            id,
            wave,
            state: Some(progress.map_or(SlotState::Offered, |p| p.state)),
            reason: progress.and_then(|p| p.reason.as_ref()).map(ToString::to_string),
            since: progress.and_then(|p| p.since),
            sha256: progress.and_then(|p| p.sha256),
        }
    };
    Some(Rollout {
        summary: summary(planned, id, plan)?,
        selector: plan.selector.to_string(),
        reason: plan.reason.as_ref().map(ToString::to_string),
        approvals: approvals(planned, &published.agreement),
        release_approvals: approvals(planned, &published.release_agreement),
        terms: terms(planned, published, plan),
        waves: plan.waves.iter().enumerate().map(wave).collect(),
        nodes: ordered.chain(late).map(node).collect(),
        revision: planned.revision,
    })
}

fn approvals(planned: &Planned, agreement: &sedge_fleet::Agreement) -> Approvals {
    let by = agreement.given.iter().map(|node| name_of(&planned.view, *node).to_string()).collect();
    Approvals { by, counted: agreement.counted, needed: agreement.needed }
}

fn terms(planned: &Planned, published: &PublishedDeployment, plan: &RolloutPlan) -> RolloutTerms {
    let d = &published.deployment;
    let shown = published.given.len().saturating_sub(MAX_CONTROLS);
    let control = |given: &sedge_fleet::GivenControl| GivenControl {
        action: given.action.to_string(),
        by: name_of(&planned.view, given.by.author),
        reason: given.by.reason.clone(),
        at: given.by.at,
    };
    RolloutTerms {
        quorum: d.gate.quorum.to_string(),
        max_failed: d.gate.max_failed,
        failures: names(planned, &plan.failed),
        soak_ms: millis(d.gate.soak),
        probation_ms: millis(d.probation),
        deadline: d.deadline,
        start_by: d.start_by,
        over: plan.over,
        controls: published.given[shown..].iter().map(control).collect(),
    }
}

fn evidence(planned: &Planned, id: RolloutId, published: &PublishedDeployment, wave: &WavePlan) -> WaveEvidence {
    let (quorum, soak, now) = (&wave.quorum, published.deployment.gate.soak, now());
    let reports = planned.view.gates.get(&id);
    let left = |node: &NodeId| Some(soak.saturating_sub(now.since(reports?.get(node)?.at)));
    WaveEvidence {
        witnesses: wave.witnesses,
        needed: quorum.needed,
        soaked: quorum.committed.len(),
        soaking: names(planned, &quorum.soaking),
        soak_left_ms: quorum.soaking.iter().filter_map(left).max().map(millis),
        excused: names(planned, &quorum.excused),
        waiting_for: names(planned, &quorum.silent),
        superseded: wave.superseded,
    }
}

/// What authorities said of a rollout, oldest first.
fn steered(planned: &Planned, published: &PublishedDeployment) -> Vec<Reason> {
    let by = |set: &SetBy| Steering { who: planned.plan.who(set.author), why: set.reason.clone(), at: set.at };
    let given = published.given.iter().map(|given| Reason::Steered { action: given.action, by: by(&given.by) });
    given.collect()
}

fn names(planned: &Planned, nodes: &[NodeId]) -> Vec<NodeName> {
    nodes.iter().map(|node| name_of(&planned.view, *node)).collect()
}
