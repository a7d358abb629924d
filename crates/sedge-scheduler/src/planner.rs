//! Puts a plan together: each rollout by itself, then who wins each slot, then what that makes of the rollouts.

mod state;

use std::collections::BTreeMap;

use sedge_statement::{Action, NodeId, RolloutId, SlotName, SlotState};

use crate::plan::{Assignment, Go, NodeProgress, Plan, RolloutPlan, RolloutState, WaveGate, WavePlan};
use crate::roster::{self, Gap, Roster};
use crate::waves::{self, Evidence, Wave, Waves};
use crate::{ControlState, PlanInput, Reason, SteeredBy, Steering, Wish};

/// Computes the plan. Equal views give equal plans, on every node and in whatever order the view was gathered.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let newest = roster::newest(input.certificates.iter());
    let mut plan = Plan { names: newest.iter().map(|(node, c)| (*node, c.name.clone())).collect(), ..Plan::default() };
    let trials: BTreeMap<RolloutId, Trial<'_>> =
        input.deployments.iter().map(|(id, wish)| (*id, Trial::of(*id, wish, input, &plan))).collect();
    plan.assignments = assign(&trials, input);
    plan.rollouts = trials.iter().map(|(id, trial)| (*id, trial.conclude(*id, input, &plan))).collect();
    plan
}

/// A rollout judged by itself, before others for the same slot come in.
struct Trial<'a> {
    wish: &'a Wish,
    waves: Vec<Wave>,
    late: Option<Wave>,
    /// Nodes that match as far as is known, where the waves are not.
    presumed: Vec<NodeId>,
    /// What ends it for every node that has not activated it.
    end: Option<(RolloutState, Reason)>,
    /// What holds every node back for now.
    hold: Option<(RolloutState, Reason)>,
    /// Who failed in waves that are open or have been.
    failed: Vec<NodeId>,
    /// The first wave that keeps the next one closed.
    blocked: Option<usize>,
}

static NO_EVIDENCE: Evidence = Evidence::new();

fn evidence<'a>(id: RolloutId, input: &PlanInput<'a>) -> &'a Evidence {
    input.gates.get(&id).unwrap_or(&NO_EVIDENCE)
}

impl<'a> Trial<'a> {
    fn of(id: RolloutId, wish: &'a Wish, input: &PlanInput<'a>, plan: &Plan) -> Self {
        let d = &wish.deployment;
        let who = |node| plan.who(node);
        let steering = |by: &SteeredBy| Steering { who: who(by.node), why: by.reason.clone(), at: by.at };
        let roster = roster::resolve(d, input.certificates);
        let mut hold = match &wish.control {
            ControlState::AwaitingApproval(approvals) => {
                Some((RolloutState::AwaitingApproval, Reason::AwaitingApproval(*approvals)))
            }
            ControlState::Paused(by) => Some((RolloutState::Paused, Reason::Paused(steering(by)))),
            _ if !input.releases.contains(&d.release) => {
                Some((RolloutState::Running, Reason::ReleaseUnknown(d.release)))
            }
            _ => None,
        };
        let by_authority = match &wish.control {
            ControlState::Cancelled(by) => Some((RolloutState::Cancelled, Reason::Cancelled(steering(by)))),
            ControlState::Halted(by) => Some((RolloutState::Halted, Reason::HaltedByAuthority(steering(by)))),
            _ => None,
        };
        let over = (input.now >= d.deadline).then_some((RolloutState::Expired, Reason::DeadlinePassed(d.deadline)));
        if d.is_settled(input.now) {
            // What is left of the evidence on it says nothing: it is forgotten epoch by epoch.
            let end = by_authority.or(Some((RolloutState::Expired, Reason::LongOver(d.deadline))));
            return Self::ended(wish, roster, end);
        }
        if let Some(Gap { issuer, have, need }) = roster::gap(&d.frontier, input.frontier) {
            let reason = Reason::RosterIncomplete { issuer: who(issuer), have, need };
            hold.get_or_insert((RolloutState::Running, reason));
            return Self { hold, ..Self::ended(wish, roster, by_authority.or(over)) };
        }
        let nobody = roster.ranked.is_empty();
        let judged = waves::judge(d, roster, evidence(id, input), &who);
        let allowed = d.gate.max_failed;
        let too_many = judged.failed.len() > usize::try_from(allowed).unwrap_or(usize::MAX);
        let end = by_authority
            .or_else(|| nobody.then(|| (RolloutState::Failed, Reason::NoTarget(d.selector.clone()))))
            .or_else(|| {
                let failed = || judged.failed.iter().map(|node| who(*node)).collect();
                too_many.then(|| (RolloutState::Halted, Reason::TooManyFailed { failed: failed(), allowed }))
            })
            .or(over);
        let Waves { waves, late, failed, blocked } = judged;
        Self { wish, waves, late, presumed: Vec::new(), end, hold, failed, blocked }
    }

    /// One whose waves are not known, or not any more.
    fn ended(wish: &'a Wish, roster: Roster, end: Option<(RolloutState, Reason)>) -> Self {
        let presumed = roster.ranked.into_iter().chain(roster.late).collect();
        Self { wish, waves: Vec::new(), late: None, presumed, end, hold: None, failed: Vec::new(), blocked: None }
    }

    /// Every node that it concerns, with the wave's gate.
    fn nodes(&self) -> impl Iterator<Item = (NodeId, Option<&WaveGate>)> {
        let gated = self.waves.iter().chain(&self.late);
        let gated = gated.flat_map(|wave| wave.members.iter().map(|node| (*node, Some(&wave.gate))));
        gated.chain(self.presumed.iter().map(|node| (*node, None)))
    }

    /// Whether the node may go on, were this rollout the winner.
    fn go(&self, id: RolloutId, node: NodeId, gate: Option<&WaveGate>, input: &PlanInput<'_>) -> Go {
        let d = &self.wish.deployment;
        if let Some((_, reason)) = self.end.as_ref().filter(|_| !self.is_active(id, node, input)).or(self.hold.as_ref())
        {
            return Go::Wait(reason.clone());
        }
        if let Some(WaveGate::Closed(reason)) = gate {
            return Go::Wait(reason.clone());
        }
        match d.start_by {
            // What has started goes on, and only the node itself can say that it has.
            Some(start_by) if input.now >= start_by && !self.has_started(id, node, input) => {
                Go::Wait(Reason::StartByPassed(start_by))
            }
            _ => Go::Now,
        }
    }

    /// Whether the node has gone over to this rollout's model, as far as it said.
    fn is_active(&self, id: RolloutId, node: NodeId, input: &PlanInput<'_>) -> bool {
        let d = &self.wish.deployment;
        let committed = evidence(id, input).get(&node).is_some_and(|report| report.state == SlotState::Committed);
        let says = input.slots.get(&(node, d.slot.clone()));
        committed
            || says.is_some_and(|report| {
                use SlotState::{Activating, Committed, Probation, RollingBack};
                let active = matches!(report.state, Activating | Probation | Committed | RollingBack);
                (active && report.rollout == Some(id)) || report.serving == Some(d.release)
            })
    }

    fn has_started(&self, id: RolloutId, node: NodeId, input: &PlanInput<'_>) -> bool {
        let report = input.slots.get(&(node, self.wish.deployment.slot.clone()));
        report.is_some_and(|report| {
            use SlotState::{Accepted, Offered, Waiting};
            report.rollout == Some(id) && !matches!(report.state, Offered | Accepted | Waiting)
        })
    }

    fn conclude(&self, id: RolloutId, input: &PlanInput<'_>, plan: &Plan) -> RolloutPlan {
        let d = &self.wish.deployment;
        let nodes: BTreeMap<NodeId, NodeProgress> =
            self.nodes().map(|(node, gate)| (node, self.progress(id, node, gate, input, plan))).collect();
        let (state, reason) = state::of(self, id, &nodes, input, plan);
        RolloutPlan {
            over: state.is_final() || (state == RolloutState::Stalled && input.now >= d.deadline),
            failed: self.failed.clone(),
            release: d.release,
            slot: d.slot.clone(),
            selector: d.selector.clone(),
            generation: d.generation,
            action: d.action,
            waves: self.waves.iter().map(|wave| self.wave(wave, &nodes, state)).collect(),
            late: self.late.as_ref().map(|wave| self.wave(wave, &nodes, state)),
            state,
            reason,
            nodes,
        }
    }

    fn wave(&self, wave: &Wave, nodes: &BTreeMap<NodeId, NodeProgress>, state: RolloutState) -> WavePlan {
        let success = waves::success(self.wish.deployment.action);
        let states = || wave.members.iter().filter_map(|node| nodes.get(node)).map(|progress| progress.state);
        let stop = self.end.as_ref().or(self.hold.as_ref()).map(|(_, reason)| reason);
        // A rollout that was completed in time is not shown as shut when its time is over.
        let in_time = state == RolloutState::Completed && self.end.is_some();
        let stop = stop.filter(|_| !in_time);
        WavePlan {
            witnesses: wave.witnesses().len(),
            gate: stop.map_or_else(|| wave.gate.clone(), |reason| WaveGate::Closed(reason.clone())),
            quorum: wave.quorum.clone(),
            superseded: states().filter(|state| *state == SlotState::Superseded).count(),
            total: wave.members.len(),
            committed: states().filter(|state| *state == success).count(),
            failed: states().filter(|state| state.is_failure()).count(),
            pending: states().filter(|state| *state != success && !state.is_final()).count(),
            members: wave.members.clone(),
        }
    }

    fn progress(
        &self,
        id: RolloutId,
        node: NodeId,
        gate: Option<&WaveGate>,
        input: &PlanInput<'_>,
        plan: &Plan,
    ) -> NodeProgress {
        let slot = &self.wish.deployment.slot;
        let said = input.slots.get(&(node, slot.clone())).filter(|report| report.rollout == Some(id));
        // A node that was superseded or withdrawn may have been offered it again since.
        let signed = evidence(id, input).get(&node).filter(|report| {
            let for_now = matches!(report.state, SlotState::Superseded | SlotState::Cancelled);
            !(for_now && said.is_some_and(|said| said.state != report.state))
        });
        if let Some(report) = signed {
            let reason = report.reason.clone().map(|text| Reason::Said { state: report.state, reason: Some(text) });
            return NodeProgress { state: report.state, reason, since: Some(report.at), sha256: report.sha256 };
        }
        if let Some(report) = said {
            use SlotState::{Accepted, Offered, Paused, Staged, Waiting};
            let held = matches!(report.state, Offered | Accepted | Waiting | Paused)
                || (report.state == Staged && self.wish.deployment.action == Action::Activate);
            let reason = match self.go(id, node, gate, input) {
                // A node says once that it waits; what it waits for now is known here.
                Go::Wait(reason) if held => Some(reason),
                _ => report.reason.clone().map(|text| Reason::Said { state: report.state, reason: Some(text) }),
            };
            return NodeProgress { state: report.state, reason, since: Some(report.since), sha256: report.sha256 };
        }
        let silent = |state, reason| NodeProgress { state, reason: Some(reason), since: None, sha256: None };
        let winner = plan.assignments.get(&(node, slot.clone())).map(|winner| winner.rollout);
        match (&self.end, winner.filter(|winner| *winner != id)) {
            // What was lost before the end was not left unreached by it.
            (None | Some((RolloutState::Expired, _)), Some(winner)) => {
                silent(SlotState::Superseded, superseded_by(winner, input))
            }
            (Some((RolloutState::Expired, reason)), None) => silent(SlotState::Expired, reason.clone()),
            (Some((_, reason)), _) => silent(SlotState::Cancelled, reason.clone()),
            (None, None) => match self.go(id, node, gate, input) {
                Go::Now => silent(SlotState::Offered, Reason::Free),
                Go::Wait(reason) => silent(SlotState::Waiting, reason),
            },
        }
    }
}

fn superseded_by(rollout: RolloutId, input: &PlanInput<'_>) -> Reason {
    let generation = input.deployments.get(&rollout).map(|wish| wish.deployment.generation).unwrap_or_default();
    Reason::SupersededBy { rollout, generation }
}

/// A rollout that wants a slot, and the gate of the wave that the node falls into.
type Candidate<'a> = (RolloutId, Option<&'a WaveGate>);

/// Finds who wins each slot of each node: the highest generation, ties by the greater id. What has ended wins only where
/// it is active, so that its end changes nothing there, and elsewhere leaves the slot to whoever was next.
fn assign(trials: &BTreeMap<RolloutId, Trial<'_>>, input: &PlanInput<'_>) -> BTreeMap<(NodeId, SlotName), Assignment> {
    let mut wanted: BTreeMap<(NodeId, SlotName), Vec<Candidate<'_>>> = BTreeMap::new();
    for (id, trial) in trials {
        for (node, gate) in trial.nodes() {
            if trial.end.is_none() || trial.is_active(*id, node, input) {
                wanted.entry((node, trial.wish.deployment.slot.clone())).or_default().push((*id, gate));
            }
        }
    }
    let mut assignments = BTreeMap::new();
    for ((node, slot), candidates) in wanted {
        let rank = |id: &RolloutId| trials.get(id).map(|trial| (trial.wish.deployment.generation, *id));
        let Some((rollout, gate)) = candidates.iter().copied().max_by_key(|(id, _)| rank(id)) else { continue };
        let Some(winner) = trials.get(&rollout) else { continue };
        let losers = candidates.iter().map(|(id, _)| *id).filter(|id| *id != rollout);
        let superseded = losers.filter(|id| trials.get(id).is_some_and(|trial| trial.end.is_none())).collect();
        let go = winner.go(rollout, node, gate, input);
        assignments.insert((node, slot), Assignment { rollout, go, superseded });
    }
    assignments
}
