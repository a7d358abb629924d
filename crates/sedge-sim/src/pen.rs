//! What nodes say: random statements that hang together as real ones do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::{Edit, FleetView};
use sedge_statement::{
    Accelerator, Action, Blake3, ByteSize, Canaries, CellPath, Control, ControlAction, Deployment, Downgrade, Frontier,
    GatePolicy, GateReport, Generation, HardwareRequirements, Manifest, MemoryPool, ModelFacts, ModelFile, ModelFormat,
    ModelType, NodeId, OnnxFacts, Percent, Priority, Profile, Quantization, Release, ReleaseId, RolloutId, RuntimeFact,
    Selector, Sha256, SlotReport, SlotState, Timestamp, Variant, WaveSize,
};

use crate::Dice;

const SLOTS: [&str; 3] = ["detector", "assistant", "planner"];
const MODELS: [&str; 3] = ["digits", "words", "routes"];
const SELECTORS: [&str; 5] = ["cell=**", "cell=acme/plant-7/**", "class=sim", "node=node-5", "arch=x86_64"];
const STATES: [SlotState; 8] = [
    SlotState::Offered,
    SlotState::Fetching,
    SlotState::Staged,
    SlotState::Probation,
    SlotState::Committed,
    SlotState::Rejected,
    SlotState::Failed,
    SlotState::RolledBack,
];
const ACTIONS: [ControlAction; 6] = [
    ControlAction::Pause,
    ControlAction::Resume,
    ControlAction::Pause,
    ControlAction::Resume,
    ControlAction::Cancel,
    ControlAction::Halt,
];

/// What an authority may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Voice {
    /// For which cell and below.
    pub(crate) cell: CellPath,
    /// Whether it may publish releases.
    pub(crate) releases: bool,
}

/// Writes statements about what anybody has published so far, whether or not the writer can know of it yet.
#[derive(Debug)]
pub(crate) struct Pen {
    dice: Dice,
    releases: Vec<ReleaseId>,
    rollouts: Vec<RolloutId>,
    /// The widest cell that each names.
    cells: BTreeMap<RolloutId, CellPath>,
}

impl Pen {
    pub(crate) fn new(dice: Dice) -> Self {
        Self { dice, releases: vec![], rollouts: vec![], cells: BTreeMap::new() }
    }

    /// Takes note of what was published.
    pub(crate) fn published(&mut self, edits: &[Edit]) {
        for edit in edits {
            match edit {
                Edit::PutRelease(release) => self.releases.push(release.id()),
                Edit::PutDeployment(deployment) => {
                    self.rollouts.push(deployment.id());
                    self.cells.insert(deployment.id(), deployment.selector.widest_cell());
                }
                _ => {}
            }
        }
    }

    /// A rollout that was published, if any was.
    pub(crate) fn rollout(&self) -> Option<RolloutId> {
        self.rollouts.last().copied()
    }

    /// What an authority says next: edits of one kind of document; none where there is nothing that it may say yet.
    pub(crate) fn authority(&mut self, view: &FleetView, now: Timestamp, voice: &Voice) -> Vec<Edit> {
        let what = self.dice.below(8);
        if voice.releases && (self.releases.is_empty() || what < 3) {
            let releases = 1 + self.dice.below(2);
            return (0..releases).map(|_| Edit::PutRelease(self.release(now))).collect();
        }
        if self.releases.is_empty() {
            return vec![];
        }
        let covered = |rollout: &&RolloutId| self.cells.get(*rollout).is_some_and(|cell| voice.cell.covers(cell));
        let own: Vec<RolloutId> = self.rollouts.iter().filter(covered).copied().collect();
        if own.is_empty() || what < 6 {
            return vec![Edit::PutDeployment(self.deployment(view, now, &voice.cell))];
        }
        let control = Control {
            rollout: *self.dice.pick(&own),
            action: *self.dice.pick(&ACTIONS),
            count: u32::try_from(1 + self.dice.below(4)).unwrap_or(1),
            reason: self.word(),
            at: now,
        };
        vec![Edit::PutControl(control)]
    }

    /// What any node says next: edits of one kind of document.
    pub(crate) fn device(&mut self, now: Timestamp) -> Vec<Edit> {
        match self.dice.below(10) {
            0..4 => (0..=self.dice.below(2)).map(|_| Edit::PutSlot(self.slot(now))).collect(),
            4 => vec![Edit::RemoveSlot(self.dice.pick(&SLOTS).parse().expect("a valid slot name"))],
            5 => vec![Edit::PutProfile(self.profile())],
            6 => vec![self.artifact()],
            7 => vec![Edit::RemoveArtifact(blake3(self.dice.number(0, 20)))],
            _ if self.rollouts.is_empty() => vec![self.artifact()],
            _ => vec![Edit::PutGate(self.gate(now))],
        }
    }

    /// A file held.
    pub(crate) fn artifact(&mut self) -> Edit {
        let n = self.dice.number(0, 20);
        Edit::PutArtifact { blake3: blake3(n), size: n }
    }

    fn release(&mut self, now: Timestamp) -> Release {
        let n = self.dice.number(1, 9);
        let model = *self.dice.pick(&MODELS);
        release_of(model, n, self.word(), now)
    }

    fn deployment(&mut self, view: &FleetView, now: Timestamp, cell: &CellPath) -> Deployment {
        let start_by = self.dice.chance(200).then(|| now.plus(Duration::from_secs(60)));
        let quorum = Percent::try_from(u8::try_from(self.dice.number(1, 100)).unwrap_or(100));
        let release = *self.dice.pick(&self.releases);
        let slot = self.dice.pick(&SLOTS).parse().expect("a valid slot name");
        let selector = self.selector(cell);
        let n = self.dice.number(1, 9);
        Deployment {
            slot,
            frontier: view.frontier.clone(),
            action: if self.dice.chance(800) { Action::Activate } else { Action::StageOnly },
            downgrade: if self.dice.chance(800) { Downgrade::Refuse } else { Downgrade::Allow },
            waves: self.waves(view),
            gate: GatePolicy {
                quorum: quorum.expect("a percentage"),
                max_failed: u32::try_from(self.dice.below(3)).unwrap_or(0),
                soak: Duration::from_secs(self.dice.number(0, 5)),
            },
            start_by,
            ..deployment_of(release, selector, n, now)
        }
    }

    /// Within a cell.
    fn selector(&mut self, cell: &CellPath) -> Selector {
        let any = self.dice.pick(&SELECTORS);
        let own = format!("cell={cell}/**");
        if *cell == CellPath::root() { any } else { own.as_str() }.parse().expect("a valid selector")
    }

    /// Sizes of every kind; named nodes need not be those that the deployment names.
    fn waves(&mut self, view: &FleetView) -> Vec<WaveSize> {
        let members: Vec<NodeId> = view.members.keys().copied().collect();
        let mut waves = Vec::new();
        if !members.is_empty() && self.dice.chance(300) {
            let named: BTreeSet<NodeId> = (0..=self.dice.below(2)).map(|_| *self.dice.pick(&members)).collect();
            waves.extend(Canaries::try_from(named).ok().map(WaveSize::Named));
        }
        for n in 0..self.dice.below(3) {
            waves.push(if self.dice.chance(500) {
                WaveSize::Count(1 << n)
            } else {
                let share = u8::try_from(self.dice.number(1, 100)).unwrap_or(100);
                WaveSize::Share(Percent::try_from(share).expect("a percentage"))
            });
        }
        waves
    }

    fn slot(&mut self, now: Timestamp) -> SlotReport {
        let serves = self.dice.chance(500);
        SlotReport {
            slot: self.dice.pick(&SLOTS).parse().expect("a valid slot name"),
            rollout: (!self.rollouts.is_empty()).then(|| *self.dice.pick(&self.rollouts)),
            state: *self.dice.pick(&STATES),
            reason: self.dice.chance(300).then(|| self.word()),
            since: now,
            serving: self.releases.first().copied().filter(|_| serves),
            sha256: serves.then(|| Sha256::of(b"weights")),
        }
    }

    fn gate(&mut self, now: Timestamp) -> GateReport {
        GateReport {
            rollout: *self.dice.pick(&self.rollouts),
            state: *self.dice.pick(&STATES[4..]),
            reason: self.dice.chance(300).then(|| self.word()),
            sha256: None,
            soaked: Duration::from_secs(self.dice.number(0, 9)),
            at: now,
        }
    }

    fn profile(&mut self) -> Profile {
        let parts = self.dice.below(3);
        let name = |i: usize| format!("part {i}");
        Profile {
            architecture: "aarch64".parse().expect("a valid architecture"),
            os: format!("Linux 6.{}", self.dice.below(9)),
            cpu: "Cortex-A78AE".into(),
            cores: 8,
            memory: (0..parts)
                .map(|i| MemoryPool { name: name(i), total: ByteSize(9), allocatable: ByteSize(8) })
                .collect(),
            accelerators: (0..parts).map(|i| Accelerator { name: name(i), pool: name(0) }).collect(),
            disk: ByteSize(1 << 40),
            runtimes: vec![RuntimeFact {
                backend: "tract".into(),
                version: "0.23".into(),
                providers: vec!["cpu".into()],
            }],
        }
    }

    fn word(&mut self) -> String {
        format!("reason {}", self.dice.below(1000))
    }
}

fn blake3(n: u64) -> Blake3 {
    Blake3::of(&n.to_le_bytes())
}

/// A release of one small file.
pub(crate) fn release_of(model: &str, n: u64, source: String, now: Timestamp) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().expect("a valid file name"),
        size: ByteSize(7),
        sha256: Sha256::of(&n.to_le_bytes()),
        blake3: blake3(n),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "sim".into(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1,
        weight_bytes: ByteSize(4),
    };
    let variant = Variant {
        name: "onnx-f32".parse().expect("a valid variant name"),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    };
    let manifest = Manifest {
        id: model.parse().expect("a valid model id"),
        version: format!("1.{n}.0").parse().expect("a valid version"),
        model_type: ModelType::Classifier,
        license: String::new(),
        source,
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n }, published_at: now }
}

/// A deployment to all that a selector names, at once.
pub(crate) fn deployment_of(release: ReleaseId, selector: Selector, n: u64, now: Timestamp) -> Deployment {
    Deployment {
        command: Default::default(),
        release,
        slot: SLOTS[0].parse().expect("a valid slot name"),
        selector,
        frontier: Frontier::default(),
        generation: Generation { epoch: 0, n },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: vec![],
        gate: GatePolicy::default(),
        probation: Duration::from_secs(10),
        deadline: now.plus(Duration::from_secs(3600)),
        start_by: None,
        created_at: now,
    }
}
