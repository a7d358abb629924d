//! A fleet to plan for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use sedge_scheduler::{ControlState, Go, Plan, PlanInput, SteeredBy, WaveGate, Wish, plan};
use sedge_statement::{
    Action, Certificate, Deployment, Downgrade, Frontier, GatePolicy, GateReport, Generation, NodeId, Percent,
    Priority, ReleaseId, Role, RolloutId, Sha256, SlotName, SlotReport, SlotState, Timestamp, WaveSize,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(10_000_000);
pub(crate) const RELEASE: ReleaseId = ReleaseId::from_bytes([0xAA; 32]);
pub(crate) const ROOT: NodeId = NodeId::from_bytes([0xFF; 32]);

#[derive(Debug, Clone, Default)]
pub(crate) struct Fleet {
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) frontier: Frontier,
    pub(crate) deployments: BTreeMap<RolloutId, Wish>,
    pub(crate) releases: BTreeSet<ReleaseId>,
    pub(crate) gates: BTreeMap<RolloutId, BTreeMap<NodeId, GateReport>>,
    pub(crate) slots: BTreeMap<(NodeId, SlotName), SlotReport>,
    pub(crate) now: Timestamp,
}

pub(crate) fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

pub(crate) fn slot() -> SlotName {
    "detector".parse().unwrap()
}

pub(crate) fn certificate(n: u8) -> Certificate {
    Certificate {
        subject: node(n),
        name: format!("robot-{n}").parse().unwrap(),
        roles: BTreeSet::from([Role::Device]),
        cell: "acme/plant-7".parse().unwrap(),
        labels: BTreeMap::new(),
        architecture: "x86_64".parse().unwrap(),
        class: "x86-server".parse().unwrap(),
        issuer: ROOT,
        serial: u64::from(n) + 1,
        revision: 1,
        not_before: Timestamp::default(),
        not_after: None,
    }
}

/// A deployment over all certificates so far: a canary, then the rest.
pub(crate) fn deployment(fleet: &Fleet, generation: u64) -> Deployment {
    Deployment {
        command: "00000000-0000-0000-0000-000000000001".parse::<Uuid>().unwrap(),
        release: RELEASE,
        slot: slot(),
        selector: "cell=acme/**".parse().unwrap(),
        frontier: fleet.frontier.clone(),
        generation: Generation { epoch: 0, n: generation },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![WaveSize::Count(1)],
        gate: GatePolicy { quorum: Percent::ALL, max_failed: 0, soak: Duration::from_secs(30) },
        probation: Duration::from_secs(10),
        deadline: NOW.plus(Duration::from_secs(86_400)),
        start_by: None,
        created_at: NOW,
    }
}

use uuid::Uuid;

impl Fleet {
    /// So many robots, enrolled, with the release known.
    pub(crate) fn of(robots: u8) -> Self {
        let mut fleet = Self { releases: BTreeSet::from([RELEASE]), now: NOW, ..Self::default() };
        (0..robots).for_each(|n| fleet.enrol(certificate(n)));
        fleet
    }

    pub(crate) fn enrol(&mut self, certificate: Certificate) {
        let last = self.frontier.0.entry(certificate.issuer).or_default();
        *last = certificate.serial.max(*last);
        self.certificates.push(certificate);
    }

    pub(crate) fn deploy(&mut self, deployment: Deployment) -> RolloutId {
        let id = deployment.id();
        self.deployments.insert(id, Wish { deployment, control: ControlState::Running });
        id
    }

    pub(crate) fn control(&mut self, rollout: RolloutId, control: ControlState) {
        self.deployments.get_mut(&rollout).unwrap().control = control;
    }

    /// Signed evidence, its soak over.
    pub(crate) fn sign(&mut self, rollout: RolloutId, node: NodeId, state: SlotState) {
        self.sign_soaked(rollout, node, state, Duration::from_secs(30));
    }

    pub(crate) fn sign_soaked(&mut self, rollout: RolloutId, node: NodeId, state: SlotState, soaked: Duration) {
        let sha256 = (state == SlotState::Committed).then_some(Sha256::from_bytes([1; 32]));
        let report = GateReport { rollout, state, reason: None, sha256, soaked, at: NOW };
        self.gates.entry(rollout).or_default().insert(node, report);
    }

    /// What a node says of its slot.
    pub(crate) fn say(&mut self, rollout: RolloutId, node: NodeId, state: SlotState, serving: Option<ReleaseId>) {
        let report =
            SlotReport { slot: slot(), rollout: Some(rollout), state, reason: None, since: NOW, serving, sha256: None };
        self.slots.insert((node, slot()), report);
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&PlanInput {
            certificates: &self.certificates,
            frontier: &self.frontier,
            deployments: &self.deployments,
            releases: &self.releases,
            gates: &self.gates,
            slots: &self.slots,
            now: self.now,
        })
    }
}

/// By whom, for tests.
pub(crate) fn by() -> SteeredBy {
    SteeredBy { node: node(0), reason: "night shift".to_owned(), at: NOW }
}

/// A plan in words, with its reasons.
pub(crate) fn render(plan: &Plan) -> String {
    let mut text = String::new();
    for (id, r) in &plan.rollouts {
        write!(text, "rollout {}: {}", id.short(), r.state).unwrap();
        writeln!(text, "{}", r.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()).unwrap();
        for (n, wave) in r.waves.iter().chain(&r.late).enumerate() {
            let open = if wave.gate.is_open() { "open" } else { "closed" };
            writeln!(
                text,
                "  wave {n} {open}: {} of {} committed, {} failed, {} pending ({})",
                wave.committed,
                wave.total,
                wave.failed,
                wave.pending,
                wave.gate.reason()
            )
            .unwrap();
        }
        for (node, progress) in &r.nodes {
            let reason = progress.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            writeln!(text, "  {} {}{reason}", plan.who(*node), progress.state).unwrap();
        }
    }
    for ((node, slot), assignment) in &plan.assignments {
        let go = match &assignment.go {
            Go::Now => "now".to_owned(),
            Go::Wait(reason) => format!("wait: {reason}"),
        };
        let lost: Vec<String> = assignment.superseded.iter().map(RolloutId::short).collect();
        write!(text, "{}/{slot} <- {} {go}", plan.who(*node), assignment.rollout.short()).unwrap();
        writeln!(text, "{}", if lost.is_empty() { String::new() } else { format!(" over {}", lost.join(", ")) })
            .unwrap();
    }
    text
}

pub(crate) fn open(plan: &Plan, rollout: RolloutId) -> Vec<bool> {
    plan.rollouts[&rollout].waves.iter().map(|wave| wave.gate.is_open()).collect()
}

pub(crate) fn gate(plan: &Plan, rollout: RolloutId, wave: usize) -> WaveGate {
    plan.rollouts[&rollout].waves[wave].gate.clone()
}
