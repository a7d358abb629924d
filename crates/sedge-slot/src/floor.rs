//! The lowest generations that a slot may go to.

use std::collections::BTreeMap;

use sedge_statement::{Downgrade, Generation, ModelId, ReleaseId};
use serde::{Deserialize, Serialize};

use crate::Offer;

/// Below this a slot never goes, unless a signed deployment says [`Downgrade::Allow`].
///
/// Old statements stay validly signed for ever; the floor is what makes replaying them useless. It is raised, and
/// synced to disk, before the new model is activated: had it been raised after, a crash between the two would open the
/// way back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Floor {
    /// The newest deployment that was ever activated here. Nothing lowers it.
    pub deployment: Generation,
    /// The newest release of each model that was ever activated here: generations of different models say nothing of
    /// one another. An allowed downgrade lowers it.
    pub releases: BTreeMap<ModelId, Generation>,
}

/// Why a floor refuses an offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FloorRefusal {
    /// The deployment is older than one that was carried out. Deploy again.
    #[error("deployment {offered} is older than {floor}, which was already carried out in this slot")]
    OldDeployment {
        /// The generation offered.
        offered: Generation,
        /// The lowest allowed.
        floor: Generation,
    },
    /// The release is older than one that was activated. Deploy with `--allow-downgrade` if that is meant.
    #[error(
        "release {offered} of {model} is older than {floor}, which this slot has run; deploy with --allow-downgrade if that is meant"
    )]
    Downgrade {
        /// The model.
        model: ModelId,
        /// The generation offered.
        offered: Generation,
        /// The lowest allowed.
        floor: Generation,
    },
    /// The slot has run as many models as it remembers. Use another slot.
    #[error("this slot has run {limit} different models and remembers no more; use another slot", limit = Floor::MAX_MODELS)]
    TooManyModels,
}

impl Floor {
    /// How many models a slot remembers. A slot serves one task, with a handful of models over its life; forgetting
    /// one would forget its floor.
    pub const MAX_MODELS: usize = 64;

    /// Judges an offer. The release that serves is never a downgrade.
    ///
    /// # Errors
    /// See [`FloorRefusal`]; reject the offer.
    pub fn admit(&self, offer: &Offer, serving: Option<ReleaseId>) -> Result<(), FloorRefusal> {
        if offer.deployment_generation < self.deployment {
            return Err(FloorRefusal::OldDeployment { offered: offer.deployment_generation, floor: self.deployment });
        }
        match self.releases.get(&offer.model) {
            None if self.releases.len() >= Self::MAX_MODELS => Err(FloorRefusal::TooManyModels),
            Some(floor)
                if offer.release_generation < *floor
                    && offer.downgrade == Downgrade::Refuse
                    && serving != Some(offer.release) =>
            {
                Err(FloorRefusal::Downgrade {
                    model: offer.model.clone(),
                    offered: offer.release_generation,
                    floor: *floor,
                })
            }
            _ => Ok(()),
        }
    }

    /// Moves the floor to an offer that is about to be activated, or that is known to have been.
    pub fn move_to(&mut self, offer: &Offer) {
        self.deployment = self.deployment.max(offer.deployment_generation);
        let release = self.releases.entry(offer.model.clone()).or_default();
        *release = match offer.downgrade {
            Downgrade::Allow => offer.release_generation,
            Downgrade::Refuse => offer.release_generation.max(*release),
        };
    }
}
