//! What everybody says, day by day.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_fleet::Edit;
use sedge_statement::{
    Action, Blake3, ByteSize, Deployment, Downgrade, Frontier, GatePolicy, GateReport, Generation,
    HardwareRequirements, Manifest, MemoryPool, ModelFacts, ModelFile, ModelFormat, ModelType, OnnxFacts, Percent,
    Priority, Profile, Quantization, Release, ReleaseId, RolloutId, RuntimeFact, Selector, Sha256, SlotReport,
    SlotState, Timestamp, Variant, WaveSize,
};

use crate::mesh::{CELLS, NODES_OF_CELL, Who, cell_path};

/// How many links a node writes a day.
pub(crate) const UPDATES: u64 = 20;
/// How many releases are published a day.
pub(crate) const RELEASES: u64 = 2;
/// How many deployments are published a day.
pub(crate) const DEPLOYMENTS: u64 = 5;
/// How many of a wave report.
const WITNESSES: u32 = 64;
/// How many files a node holds at a time.
const HELD: u64 = 6;

const STATES: [SlotState; 6] = [
    SlotState::Accepted,
    SlotState::Fetching,
    SlotState::Verifying,
    SlotState::Testing,
    SlotState::Probation,
    SlotState::Committed,
];

/// What node `n` says in its link `link`: of its machine at first, then every day of a file that came and one that went, and of its two slots
/// through three updates.
pub(crate) fn of_node(n: u32, link: u64, now: Timestamp) -> Edit {
    let (day, of_day) = (link / UPDATES, link % UPDATES);
    match of_day {
        0 if day == 0 => Edit::PutProfile(profile(n)),
        0 => Edit::PutArtifact { blake3: file(day), size: 1 << 20 },
        1 if day > HELD => Edit::RemoveArtifact(file(day - HELD)),
        _ => Edit::PutSlot(slot(day * UPDATES + of_day, now)),
    }
}

fn file(day: u64) -> Blake3 {
    Blake3::of(&day.to_le_bytes())
}

fn slot(step: u64, now: Timestamp) -> SlotReport {
    let update = step / STATES.len() as u64;
    let state = STATES[usize::try_from(step % STATES.len() as u64).expect("small")];
    let digest = Sha256::of(&update.to_le_bytes());
    let done = (state == SlotState::Committed).then_some(digest);
    SlotReport {
        slot: if update.is_multiple_of(2) { "detector" } else { "assistant" }.parse().expect("a slot"),
        rollout: Some(RolloutId::from_bytes(*digest.as_bytes())),
        state,
        reason: (state == SlotState::Fetching).then(|| "three of five files held".to_owned()),
        since: now,
        serving: done.map(|digest| ReleaseId::from_bytes(*digest.as_bytes())),
        sha256: done,
    }
}

fn profile(n: u32) -> Profile {
    Profile {
        architecture: "aarch64".parse().expect("an architecture"),
        os: "Linux 5.15.148-tegra #1 SMP PREEMPT".into(),
        cpu: "Cortex-A78AE".into(),
        cores: 6 + n % 3,
        memory: vec![MemoryPool { name: "system".into(), total: ByteSize(8 << 30), allocatable: ByteSize(6 << 30) }],
        accelerators: vec![],
        disk: ByteSize(256 << 30),
        runtimes: vec![RuntimeFact {
            backend: "tract".into(),
            version: "0.23.9".into(),
            providers: vec!["cpu".into()],
        }],
    }
}

/// The release that is published as number `n`.
pub(crate) fn release(n: u64, now: Timestamp) -> Release {
    let file = ModelFile {
        name: "model.onnx".parse().expect("a name"),
        size: ByteSize(1 << 20),
        sha256: Sha256::of(&n.to_le_bytes()),
        blake3: Blake3::of(&n.to_le_bytes()),
    };
    let facts = OnnxFacts {
        ir_version: 8,
        opsets: BTreeMap::from([(String::new(), 17)]),
        producer: "year".into(),
        inputs: vec![],
        outputs: vec![],
        parameters: 1 << 18,
        weight_bytes: ByteSize(1 << 20),
    };
    let variant = Variant {
        name: "onnx-f32".parse().expect("a name"),
        format: ModelFormat::Onnx,
        quantization: Quantization::F32,
        files: vec![file],
        requirements: HardwareRequirements::default(),
        facts: ModelFacts::Onnx(facts),
    };
    let manifest = Manifest {
        id: "detector".parse().expect("a name"),
        version: format!("1.{n}.0").parse().expect("a version"),
        model_type: ModelType::Classifier,
        license: "Apache-2.0".into(),
        source: String::new(),
        variants: vec![variant],
        probes: None,
        metadata: BTreeMap::new(),
    };
    Release { manifest, generation: Generation { epoch: 0, n: n + 1 }, published_at: now }
}

/// Where the day's deployment `of_day` goes: the first to the whole mesh, the others to one cell each.
pub(crate) fn target(day: u64, of_day: u64) -> Option<u32> {
    let cell = (day * (DEPLOYMENTS - 1) + of_day) % u64::from(CELLS);
    (of_day > 0).then(|| u32::try_from(cell).expect("few cells"))
}

/// The deployment that is published as number `n`, of a release, to a cell or to all: one canary, then a quarter of the mesh, then the rest.
pub(crate) fn deployment(n: u64, release: ReleaseId, target: Option<u32>, now: Timestamp) -> Deployment {
    let selector: Selector = match target {
        Some(cell) => format!("cell={}/**", cell_path(cell)).parse().expect("a selector"),
        None => Selector::whole_mesh(),
    };
    let quarter = WaveSize::Share(Percent::try_from(25).expect("a percentage"));
    Deployment {
        command: Default::default(),
        release,
        slot: "detector".parse().expect("a slot"),
        selector,
        frontier: Frontier(BTreeMap::from([(Who::Root.id(), u64::from(CELLS * NODES_OF_CELL))])),
        generation: Generation { epoch: 0, n: n + 1 },
        action: Action::Activate,
        downgrade: Downgrade::Refuse,
        priority: Priority::default(),
        waves: [WaveSize::Count(1)].into_iter().chain(target.is_none().then_some(quarter)).collect(),
        gate: GatePolicy::default(),
        probation: Duration::from_secs(10),
        deadline: now.plus(Duration::from_secs(86_400)),
        start_by: None,
        created_at: now,
    }
}

/// Who gives evidence on the deployment: the first of each wave, by an order that differs from one to the next.
pub(crate) fn witnesses(n: u64, target: Option<u32>) -> Vec<u32> {
    let (first, nodes) = target.map_or((0, CELLS * NODES_OF_CELL), |cell| (cell * NODES_OF_CELL, NODES_OF_CELL));
    let waves: &[u32] = if target.is_some() { &[1, NODES_OF_CELL - 1] } else { &[1, nodes / 4 - 1, nodes - nodes / 4] };
    // Steps that share no factor with a hundred or a thousand meet every node once.
    let step = [1, 3, 7, 9, 11, 13, 17, 19][usize::try_from(n % 8).expect("small")];
    let begin = u32::try_from(n * 31 % u64::from(nodes)).expect("few nodes");
    let mut ranked = (0..nodes).map(|i| first + (begin + i * step) % nodes);
    waves
        .iter()
        .flat_map(|wave| ranked.by_ref().take(*wave as usize).take(WITNESSES as usize).collect::<Vec<_>>())
        .collect()
}

/// A witness's evidence; one in fifty failed.
pub(crate) fn evidence(rollout: RolloutId, node: u32, n: u64, now: Timestamp) -> Edit {
    let failed = (u64::from(node) * 7 + n).is_multiple_of(50);
    Edit::PutGate(GateReport {
        rollout,
        state: if failed { SlotState::RolledBack } else { SlotState::Committed },
        reason: failed.then(|| "the probe answered otherwise".to_owned()),
        sha256: Some(Sha256::of(&n.to_le_bytes())),
        soaked: Duration::ZERO,
        at: now,
    })
}
