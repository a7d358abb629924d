//! Waves, and what opens them.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Action, Deployment, GateReport, NodeId, SlotState, WaveSize};

use crate::roster::Roster;
use crate::{Quorum, Reason, WaveGate, Who};

/// How many nodes of a wave are its witnesses. Their reports go to the whole mesh, so their number is bounded; 64 still
/// tell a failure of one in twenty from none with 96 % certainty.
pub const MAX_WITNESSES: usize = 64;

/// A rollout's evidence.
pub(crate) type Evidence = BTreeMap<NodeId, GateReport>;

/// A wave, judged by evidence alone.
#[derive(Debug, Clone)]
pub(crate) struct Wave {
    pub(crate) members: Vec<NodeId>,
    pub(crate) gate: WaveGate,
    /// What its own witnesses have signed.
    pub(crate) quorum: Quorum,
    /// Whether failures in it count: see [`may_have_opened`].
    counts: bool,
}

impl Wave {
    pub(crate) fn witnesses(&self) -> &[NodeId] {
        witnesses(&self.members)
    }
}

/// All waves of a rollout, and what the evidence says of it as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Waves {
    pub(crate) waves: Vec<Wave>,
    pub(crate) late: Option<Wave>,
    /// Who failed in waves that are open, or have been.
    pub(crate) failed: Vec<NodeId>,
    /// The first wave that keeps the next one closed.
    pub(crate) blocked: Option<usize>,
}

/// The state that counts as success.
pub(crate) const fn success(action: Action) -> SlotState {
    match action {
        Action::Activate => SlotState::Committed,
        Action::StageOnly => SlotState::Staged,
    }
}

/// Cuts the roster into waves and judges each by the one before.
pub(crate) fn judge(d: &Deployment, roster: Roster, evidence: &Evidence, who: &dyn Fn(NodeId) -> Who) -> Waves {
    let mut waves: Vec<Wave> = Vec::new();
    for (n, members) in cut(&roster.ranked, &d.waves).into_iter().enumerate() {
        let before = waves.last();
        let counts = before.is_none_or(|before| before.counts && may_have_opened(d, before.witnesses(), evidence));
        let gate = match before {
            None => WaveGate::Open(Reason::FirstWave),
            Some(before) if before.gate.is_open() => gate(n, &before.quorum, who),
            Some(_) => {
                let earlier = waves.iter().position(|wave| !wave.gate.is_open()).unwrap_or(0);
                WaveGate::Closed(Reason::EarlierWaveClosed { wave: n, earlier })
            }
        };
        let quorum = quorum(d, &members, evidence);
        waves.push(Wave { members, gate, quorum, counts });
    }
    let late = (!roster.late.is_empty()).then(|| {
        let gate = match waves.last() {
            Some(last) if last.gate.is_open() => WaveGate::Open(Reason::LastWaveOpen),
            _ => WaveGate::Closed(Reason::LastWaveClosed),
        };
        let counts = waves.last().is_some_and(|last| last.counts);
        // Nobody waits for those that came late, so none of them is a witness.
        Wave { quorum: quorum(d, &[], evidence), members: roster.late, gate, counts }
    });
    let open = waves.iter().chain(&late).filter(|wave| wave.counts).flat_map(|wave| &wave.members);
    let failed = open.filter(|node| evidence.get(node).is_some_and(|report| report.state.is_failure()));
    let failed = failed.copied().collect();
    let blocked = waves.iter().position(|wave| !wave.gate.is_open()).and_then(|closed| closed.checked_sub(1));
    Waves { waves, late, failed, blocked }
}

/// Cuts the ranked roster. Named nodes go where they are named and nowhere else; whoever is left after the sizes given
/// forms one more wave.
///
/// A size that adds nobody makes no wave, but for a named one: where none of those named is in the roster, what was to
/// be tried on them goes no further.
fn cut(ranked: &[NodeId], sizes: &[WaveSize]) -> Vec<Vec<NodeId>> {
    let sizes = &sizes[..sizes.len().min(WaveSize::MAX)];
    let mut left: Vec<NodeId> = ranked.to_vec();
    let mut waves = Vec::new();
    let named = sizes.iter().flat_map(|size| match size {
        WaveSize::Named(canaries) => canaries.nodes().iter().copied().collect(),
        WaveSize::Count(_) | WaveSize::Share(_) => BTreeSet::new(),
    });
    let mut named: BTreeSet<NodeId> = named.collect();
    for size in sizes {
        let wave: Vec<NodeId> = match size {
            WaveSize::Named(canaries) => {
                let wave = left.iter().copied().filter(|node| canaries.nodes().contains(node)).collect();
                named.retain(|node| !canaries.nodes().contains(node));
                wave
            }
            WaveSize::Count(size) => {
                let size = usize::try_from(*size).unwrap_or(usize::MAX).max(1);
                left.iter().copied().filter(|node| !named.contains(node)).take(size).collect()
            }
            WaveSize::Share(share) => {
                let reached = ranked.len() - left.len();
                let size = share.of(ranked.len()).saturating_sub(reached);
                left.iter().copied().filter(|node| !named.contains(node)).take(size).collect()
            }
        };
        let taken: BTreeSet<NodeId> = wave.iter().copied().collect();
        left.retain(|node| !taken.contains(node));
        if !wave.is_empty() || matches!(size, WaveSize::Named(_)) {
            waves.push(wave);
        }
    }
    if !left.is_empty() {
        waves.push(left);
    }
    waves
}

fn witnesses(members: &[NodeId]) -> &[NodeId] {
    &members[..members.len().min(MAX_WITNESSES)]
}

/// What the witnesses of one wave signed.
fn quorum(d: &Deployment, members: &[NodeId], evidence: &Evidence) -> Quorum {
    let success = success(d.action);
    // A model that is only staged serves nothing, so there is no time for it to serve.
    let soak = if d.action == Action::StageOnly { std::time::Duration::ZERO } else { d.gate.soak };
    let mut quorum = Quorum::default();
    let witnesses = witnesses(members);
    for node in witnesses {
        let place = match evidence.get(node) {
            Some(report) if report.state == success && report.soaked >= soak => &mut quorum.committed,
            Some(report) if report.state == success => &mut quorum.soaking,
            Some(report) if report.state == SlotState::Rejected => &mut quorum.excused,
            Some(report) if report.state.is_final() => &mut quorum.ended,
            _ => &mut quorum.silent,
        };
        place.push(*node);
    }
    // Whatever the share, a wave that nobody committed has shown nothing.
    quorum.needed = d.gate.quorum.of(witnesses.len() - quorum.excused.len()).max(1);
    quorum
}

/// Whether the wave behind these witnesses is open, or was before one of them changed what it said. Failures behind a
/// gate that shut again still count: else a witness that takes its word back would undo a halt. Whoever ever signed
/// anything is counted, because only that cannot be taken back.
fn may_have_opened(d: &Deployment, witnesses: &[NodeId], evidence: &Evidence) -> bool {
    let reported = witnesses.iter().filter(|node| evidence.contains_key(node)).count();
    reported >= d.gate.quorum.of(witnesses.len()).max(1)
}

fn gate(wave: usize, before: &Quorum, who: &dyn Fn(NodeId) -> Who) -> WaveGate {
    let (needed, committed) = (before.needed, before.committed.len());
    if committed >= needed {
        return WaveGate::Open(Reason::Quorum { wave, committed, needed });
    }
    let names = |nodes: &[NodeId]| nodes.iter().copied().map(who).collect();
    WaveGate::Closed(Reason::NoQuorum {
        wave,
        needed,
        committed,
        soaking: names(&before.soaking),
        waiting_for: names(&before.silent),
    })
}

impl Quorum {
    /// Whether no report that can still come carries the wave over its quorum. A node that is yet to be excused lowers
    /// the number needed by one at most, so that nothing helps more than its commitment.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.committed.len() + self.soaking.len() + self.silent.len() < self.needed
    }
}
