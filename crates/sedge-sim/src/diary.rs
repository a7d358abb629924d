//! What an author has said and persisted: what must not be lost.

use std::collections::{BTreeMap, BTreeSet};

use sedge_fleet::Edit;
use sedge_statement::{Blake3, Control, GateReport, Profile, ReleaseId, RolloutId, SlotName, SlotReport};

/// The state that an author's own edits make, kept beside the documents and by other means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diary {
    /// Releases published.
    pub releases: BTreeSet<ReleaseId>,
    /// Deployments published.
    pub deployments: BTreeSet<RolloutId>,
    /// Controls, by rollout and count.
    pub controls: BTreeMap<(RolloutId, u32), Control>,
    /// The last profile.
    pub profile: Option<Profile>,
    /// The last report of each slot.
    pub slots: BTreeMap<SlotName, SlotReport>,
    /// The evidence on each rollout that counts: the first failure, else the last.
    pub gates: BTreeMap<RolloutId, GateReport>,
    /// Files held.
    pub artifacts: BTreeSet<Blake3>,
}

impl Diary {
    /// Notes edits that were persisted.
    pub fn note(&mut self, edits: &[Edit]) {
        for edit in edits.iter().cloned() {
            match edit {
                Edit::PutRelease(release) => {
                    self.releases.insert(release.id());
                }
                Edit::PutDeployment(deployment) => {
                    self.deployments.insert(deployment.id());
                }
                Edit::PutControl(control) => {
                    self.controls.insert((control.rollout, control.count), control);
                }
                Edit::PutProfile(profile) => self.profile = Some(profile),
                Edit::PutSlot(report) => {
                    self.slots.insert(report.slot.clone(), report);
                }
                Edit::RemoveSlot(slot) => {
                    self.slots.remove(&slot);
                }
                Edit::PutGate(report) => {
                    let counts = |held: &GateReport| {
                        let again = (held.state, &held.reason, held.sha256)
                            == (report.state, &report.reason, report.sha256)
                            && report.soaked <= held.soaked;
                        held.state.is_failure() || again
                    };
                    if !self.gates.get(&report.rollout).is_some_and(counts) {
                        self.gates.insert(report.rollout, report);
                    }
                }
                Edit::PutArtifact { blake3, .. } => {
                    self.artifacts.insert(blake3);
                }
                Edit::RemoveArtifact(blake3) => {
                    self.artifacts.remove(&blake3);
                }
                other => unreachable!("the pen writes no {other:?}"),
            }
        }
    }
}
