//! Waves, and what opens them.

use std::collections::BTreeMap;

use sedge_statement::{Action, Deployment, GateReport, NodeId, SlotState, WaveSize};

use crate::roster::Roster;
use crate::{Reason, WaveGate, Who};

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
    /// Whether failures in it count: see [`Tally::may_have_opened`].
    counts: bool,
}

impl Wave {
    pub(crate) fn witnesses(&self) -> &[NodeId] {
        &self.members[..self.members.len().min(MAX_WITNESSES)]
    }
}

/// All waves of a rollout, and what the evidence says of it as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Waves {
    pub(crate) waves: Vec<Wave>,
    pub(crate) late: Option<Wave>,
    /// Who failed in waves that are open, or have been.
    pub(crate) failed: Vec<NodeId>,
    /// The wave that no further report will carry over its quorum.
    pub(crate) stalled: Option<Reason>,
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
    let mut stalled = None;
    for (n, members) in cut(roster.ranked, &d.waves).into_iter().enumerate() {
        let tally = waves.last().map(|before| (Tally::of(d, before.witnesses(), evidence), before.counts));
        let counts = tally.as_ref().is_none_or(|(tally, counts)| *counts && tally.may_have_opened());
        let gate = match waves.last().zip(tally) {
            None => WaveGate::Open(Reason::FirstWave),
            Some((before, _)) if !before.gate.is_open() => {
                let earlier = waves.iter().position(|wave| !wave.gate.is_open()).unwrap_or(0);
                WaveGate::Closed(Reason::EarlierWaveClosed { wave: n, earlier })
            }
            Some((_, (tally, _))) => {
                stalled = tally.stalled(n - 1);
                tally.gate(n, who)
            }
        };
        waves.push(Wave { members, gate, counts });
    }
    let late = (!roster.late.is_empty()).then(|| {
        let gate = match waves.last() {
            Some(last) if last.gate.is_open() => WaveGate::Open(Reason::LastWaveOpen),
            _ => WaveGate::Closed(Reason::LastWaveClosed),
        };
        Wave { members: roster.late, gate, counts: waves.last().is_some_and(|last| last.counts) }
    });
    let open = waves.iter().chain(&late).filter(|wave| wave.counts).flat_map(|wave| &wave.members);
    let failed = open.filter(|node| evidence.get(node).is_some_and(|report| report.state.is_failure()));
    let failed = failed.copied().collect();
    Waves { waves, late, failed, stalled }
}

/// Whoever is left after the sizes given forms one more wave.
fn cut(ranked: Vec<NodeId>, sizes: &[WaveSize]) -> Vec<Vec<NodeId>> {
    let mut waves = Vec::new();
    let mut rest = &ranked[..];
    for WaveSize::Count(size) in sizes {
        let size = usize::try_from(*size).unwrap_or(usize::MAX).clamp(1, rest.len().max(1));
        if rest.is_empty() {
            return waves;
        }
        let (wave, left) = rest.split_at(size);
        waves.push(wave.to_vec());
        rest = left;
    }
    if !rest.is_empty() {
        waves.push(rest.to_vec());
    }
    waves
}

/// What the witnesses of one wave signed.
struct Tally {
    needed: usize,
    /// How many signed a final state of any kind, and how many would have to for a quorum of all.
    reported: usize,
    quorum: usize,
    succeeded: usize,
    soaking: Vec<NodeId>,
    silent: Vec<NodeId>,
}

impl Tally {
    fn of(d: &Deployment, witnesses: &[NodeId], evidence: &Evidence) -> Self {
        let success = success(d.action);
        // A model that is only staged serves nothing, so there is no time for it to serve.
        let soak = if d.action == Action::StageOnly { std::time::Duration::ZERO } else { d.gate.soak };
        let mut tally =
            Self { needed: 0, reported: 0, quorum: 0, succeeded: 0, soaking: Vec::new(), silent: Vec::new() };
        let mut excused = 0;
        for node in witnesses {
            match evidence.get(node) {
                Some(report) if report.state == success && report.soaked >= soak => tally.succeeded += 1,
                Some(report) if report.state == success => tally.soaking.push(*node),
                Some(report) if report.state == SlotState::Rejected => excused += 1,
                Some(report) if report.state.is_final() => {}
                _ => tally.silent.push(*node),
            }
        }
        // Whatever the share, a wave that nobody committed has shown nothing.
        tally.needed = d.gate.quorum.of(witnesses.len() - excused).max(1);
        tally.quorum = d.gate.quorum.of(witnesses.len()).max(1);
        tally.reported = witnesses.len() - tally.silent.len();
        tally
    }

    fn gate(self, wave: usize, who: &dyn Fn(NodeId) -> Who) -> WaveGate {
        if self.succeeded >= self.needed {
            return WaveGate::Open(Reason::Quorum { wave, committed: self.succeeded, needed: self.needed });
        }
        WaveGate::Closed(Reason::NoQuorum {
            wave,
            needed: self.needed,
            committed: self.succeeded,
            soaking: self.soaking.into_iter().map(who).collect(),
            waiting_for: self.silent.into_iter().map(who).collect(),
        })
    }

    /// Whether the next wave is open, or was before a witness changed what it said. Failures behind a gate that shut
    /// again still count: else a witness that takes its word back would undo a halt.
    fn may_have_opened(&self) -> bool {
        self.reported >= self.quorum
    }

    fn stalled(&self, wave: usize) -> Option<Reason> {
        let over = self.silent.is_empty() && self.soaking.is_empty() && self.succeeded < self.needed;
        over.then_some(Reason::Stalled { wave, needed: self.needed, committed: self.succeeded })
    }
}
