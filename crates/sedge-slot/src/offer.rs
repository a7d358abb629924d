//! What a slot is asked to do.

use std::time::Duration;

use sedge_statement::{
    Action, Deployment, Downgrade, Generation, ModelFile, ModelId, Release, ReleaseId, RolloutId, Sha256, Timestamp,
    Variant, VariantName,
};
use serde::{Deserialize, Serialize};

use crate::Reason;

/// Whether the update may go on now, as the plan says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Go {
    /// It may.
    Now,
    /// Not yet: the wave is closed, an authority paused it, or something here holds it back.
    Wait(Reason),
}

/// A deployment as one slot sees it: everything that the update needs, so that a restart needs no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The rollout that it belongs to; names this update in every event and effect.
    pub rollout: RolloutId,
    /// What is to serve.
    pub release: ReleaseId,
    /// Of which model: floors of releases are kept by model.
    pub model: ModelId,
    /// The variant that fits this node.
    pub variant: VariantName,
    /// The variant's files; the first is the one that is opened. Without one the offer is rejected.
    pub files: Vec<ModelFile>,
    /// The release's probes, where it has them.
    pub probes: Option<ModelFile>,
    /// Orders deployments.
    pub deployment_generation: Generation,
    /// Orders the releases of the model.
    pub release_generation: Generation,
    /// Whether the slot may go down.
    pub downgrade: Downgrade,
    /// Serve it, or only hold it.
    pub action: Action,
    /// How long the new model is watched before it is committed.
    pub probation: Duration,
    /// How long it must then have served before the gate takes this node for a success.
    pub soak: Duration,
    /// When the rollout ends.
    pub deadline: Timestamp,
    /// Past it the update does not start.
    pub start_by: Option<Timestamp>,
}

impl Offer {
    /// Puts an offer together from what authorities published and the variant that this node chose.
    pub fn new(deployment: &Deployment, release: &Release, variant: &Variant) -> Self {
        Self {
            rollout: deployment.id(),
            release: deployment.release,
            model: release.manifest.id.clone(),
            variant: variant.name.clone(),
            files: variant.files.clone(),
            probes: release.manifest.probes.clone(),
            deployment_generation: deployment.generation,
            release_generation: release.generation,
            downgrade: deployment.downgrade,
            action: deployment.action,
            probation: deployment.probation,
            soak: deployment.gate.soak,
            deadline: deployment.deadline,
            start_by: deployment.start_by,
        }
    }

    /// The digest of the file that will answer requests.
    pub fn sha256(&self) -> Option<Sha256> {
        self.files.first().map(|file| file.sha256)
    }

    /// From when on the update may no longer start.
    pub fn last_start(&self) -> Timestamp {
        self.start_by.map_or(self.deadline, |start_by| start_by.min(self.deadline))
    }
}
