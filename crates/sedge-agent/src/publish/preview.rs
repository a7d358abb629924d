//! What a deployment would do: the same draft and the same planner, and nothing written.

use std::collections::BTreeMap;

use sedge_fleet::FleetView;
use sedge_scheduler::{Fit, Plan, Quorum, Reason, WavePlan, choose, fit, fitness, not_named};
use sedge_slot::{Floor, Offer};
use sedge_statement::{Deployment, ModelFile, NodeId, Release, RolloutId, SlotState, Variant, codec, millis};
use uuid::Uuid;

use crate::api::{ApiError, DeployPlan, DeployRequest, Outlook, PlannedLoser, PlannedNode, PlannedOther, PlannedWave};
use crate::core::{Core, now};
use crate::planning::plan_with;
use crate::queries::name_of;
use crate::store::Kind;

impl Core {
    /// The plan of a deployment that is not published.
    pub(crate) fn plan_deployment(&self, request: DeployRequest) -> Result<DeployPlan, ApiError> {
        let view = self.view();
        let now = now();
        let deployment = self.drafted(&view, request, Uuid::new_v4(), now)?;
        let plan = plan_with(&view, Some(&deployment), now);
        let release = &view.releases[&deployment.release].release;
        let kept = self.store.get(Kind::Floor, deployment.slot.as_str().as_bytes())?;
        let floor = kept.and_then(|bytes| codec::decode(&bytes, 64 << 10).ok());
        let preview = Preview { view: &view, plan: &plan, deployment: &deployment, id: deployment.id(), release };
        Ok(preview.whole(|node| (node == self.me()).then(|| floor.clone()).flatten()))
    }
}

struct Preview<'a> {
    view: &'a FleetView,
    plan: &'a Plan,
    deployment: &'a Deployment,
    id: RolloutId,
    release: &'a Release,
}

impl Preview<'_> {
    /// `kept` gives the floor of a node whose own record is at hand.
    fn whole(&self, kept: impl Fn(NodeId) -> Option<Floor>) -> DeployPlan {
        let d = self.deployment;
        let planned = &self.plan.rollouts[&self.id];
        let mut refused = 0;
        let mut before: Option<&WavePlan> = None;
        let mut waves = Vec::new();
        for (n, wave) in planned.waves.iter().enumerate() {
            let node = |(at, id): (usize, &NodeId)| {
                let (node, refuses) = self.node(*id, at < wave.witnesses, kept(*id));
                refused += usize::from(refuses);
                node
            };
            let nodes = wave.members.iter().enumerate().map(node).collect();
            waves.push(PlannedWave { wave: n, opens: self.opens(n, before.map(|wave| &wave.quorum)), nodes });
            before = Some(wave);
        }
        let nodes = || waves.iter().flat_map(|wave: &PlannedWave| &wave.nodes);
        let others = self.view.members.iter().filter(|(id, _)| !planned.nodes.contains_key(id));
        DeployPlan {
            slot: d.slot.clone(),
            model: self.model(self.id).unwrap_or_default(),
            release: d.release,
            selector: d.selector.to_string(),
            generation: d.generation.to_string(),
            action: d.action,
            gets: nodes().filter(|node| node.gets == Outlook::Yes).count(),
            refused,
            others: others
                .map(|(id, certificate)| PlannedOther {
                    node: certificate.name.clone(),
                    id: *id,
                    why: not_named(&d.selector, Some(certificate)).to_string(),
                })
                .collect(),
            supersedes: self.supersedes(),
            quorum: d.gate.quorum.to_string(),
            max_failed: d.gate.max_failed,
            soak_ms: millis(d.gate.soak),
            probation_ms: millis(d.probation),
            deadline: d.deadline,
            start_by: d.start_by,
            move_bytes: nodes().filter_map(|node| node.move_bytes).sum(),
            waves,
        }
    }

    fn opens(&self, wave: usize, before: Option<&Quorum>) -> String {
        let Some(before) = before else { return "at once".to_owned() };
        let witnesses = before.silent.len();
        let soak = self.deployment.gate.soak;
        let soaked = if soak.is_zero() { String::new() } else { format!(" and served {soak:?}") };
        format!("once {} of {witnesses} witnesses of wave {} committed{soaked}", before.needed, wave - 1)
    }

    /// A node, and whether it is its floor that refuses.
    fn node(&self, id: NodeId, witness: bool, kept: Option<Floor>) -> (PlannedNode, bool) {
        let variants = &self.release.manifest.variants;
        let profile = self.view.profiles.get(&id);
        let chosen = profile.and_then(|profile| choose(variants, profile).ok());
        let fit = profile.zip(chosen).map(|(profile, variant)| fit(variant, profile));
        let (memory, backend) = match fit {
            Some(Fit::Feasible { memory, backend }) => (Some(memory.get()), Some(backend)),
            _ => (None, None),
        };
        let (gets, why, refuses) = self.outlook(id, chosen, kept);
        let moves = gets != Outlook::No;
        let node = PlannedNode {
            node: name_of(self.view, id),
            id,
            witness,
            gets,
            variant: chosen.map(|variant| variant.name.clone()),
            backend,
            memory_bytes: memory,
            move_bytes: chosen.filter(|_| moves).map(|variant| self.missing(id, variant)),
            why: why.to_string(),
        };
        (node, refuses)
    }

    fn outlook(&self, id: NodeId, chosen: Option<&Variant>, kept: Option<Floor>) -> (Outlook, Reason, bool) {
        let assignment = self.plan.assignments.get(&(id, self.deployment.slot.clone()));
        if let Some(other) = assignment.map(|a| a.rollout).filter(|rollout| *rollout != self.id) {
            let generation = self.plan.rollouts.get(&other).map(|r| r.generation).unwrap_or_default();
            return (Outlook::No, Reason::SupersededBy { rollout: other, generation }, false);
        }
        let fits = fitness(&self.release.manifest.variants, self.view.profiles.get(&id));
        let Some(variant) = chosen else {
            let unknown = matches!(fits, Reason::ProfileUnknown);
            return (if unknown { Outlook::Unknown } else { Outlook::No }, fits, false);
        };
        let offer = Offer::new(self.deployment, self.release, variant);
        let serving = self.view.slots.get(&(id, self.deployment.slot.clone())).and_then(|slot| slot.serving);
        match kept.unwrap_or_else(|| self.floor(id)).admit(&offer, serving) {
            Ok(()) => (Outlook::Yes, fits, false),
            Err(refusal) => (Outlook::No, Reason::FloorRefuses(refusal.to_string()), true),
        }
    }

    /// The floor of a slot as far as documents tell: nodes keep it for themselves, but say what they activated.
    fn floor(&self, node: NodeId) -> Floor {
        let slot = &self.deployment.slot;
        let activated = |id: &RolloutId| {
            use SlotState::{Activating, Committed, Probation, RollbackFailed, RolledBack, RollingBack};
            let signed = self.view.gates.get(id).and_then(|reports| reports.get(&node)).map(|r| r.state);
            let says = self.view.slots.get(&(node, slot.clone())).filter(|r| r.rollout == Some(*id)).map(|r| r.state);
            let was =
                |state| matches!(state, Activating | Probation | Committed | RollingBack | RolledBack | RollbackFailed);
            signed.into_iter().chain(says).any(was)
        };
        let published = self.view.deployments.iter().filter(|(id, p)| p.deployment.slot == *slot && activated(id));
        let mut deployments: Vec<&Deployment> = published.map(|(_, p)| &p.deployment).collect();
        deployments.sort_by_key(|d| d.generation);
        let mut floor = Floor::default();
        for deployment in deployments {
            let release = self.view.releases.get(&deployment.release).map(|published| &published.release);
            if let Some((release, variant)) = release.and_then(|r| Some((r, r.manifest.variants.first()?))) {
                floor.move_to(&Offer::new(deployment, release, variant));
            }
        }
        floor
    }

    /// The bytes of a variant that a node does not say it holds.
    fn missing(&self, node: NodeId, variant: &Variant) -> u64 {
        let held = |file: &&ModelFile| self.view.holders.get(&file.blake3).is_some_and(|nodes| nodes.contains(&node));
        let files = variant.files.iter().chain(&self.release.manifest.probes);
        files.filter(|file| !held(file)).map(|file| file.size.get()).sum()
    }

    fn supersedes(&self) -> Vec<PlannedLoser> {
        let mut losers: BTreeMap<RolloutId, usize> = BTreeMap::new();
        let won = self.plan.assignments.values().filter(|assignment| assignment.rollout == self.id);
        for loser in won.flat_map(|assignment| &assignment.superseded) {
            *losers.entry(*loser).or_default() += 1;
        }
        let loser = |(rollout, nodes)| PlannedLoser { rollout, model: self.model(rollout).unwrap_or_default(), nodes };
        losers.into_iter().map(loser).collect()
    }

    /// `MODEL:VERSION` of a rollout.
    fn model(&self, rollout: RolloutId) -> Option<String> {
        let release = self.plan.rollouts.get(&rollout)?.release;
        let manifest = &self.view.releases.get(&release)?.release.manifest;
        Some(format!("{}:{}", manifest.id, manifest.version))
    }
}
