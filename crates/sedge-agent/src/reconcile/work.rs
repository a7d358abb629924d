//! Work that takes time: fetching, proving, loading, trying. Each task answers with one [`Done`] and holds nothing else.

use std::sync::Arc;
use std::time::Duration;

use sedge_blobs::{DialFrom, FetchOptions};
use sedge_runtime::Gated;
use sedge_slot::{Offer, Outcome, Reason, Serving};
use sedge_statement::{ModelFile, ReleaseId, RolloutId, SlotName, Variant, VariantName};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::providers::Providers;
use crate::core::{Core, now};

/// What to do.
pub(super) enum Work {
    /// Get every file of an offer.
    Fetch(Box<Offer>),
    /// Prove every file of an offer, read back from disk.
    Verify(Box<Offer>),
    /// Load and try an offer's model beside the one that serves.
    Test(Box<Offer>),
    /// The same, to take over at once: after a restart.
    Activate(Box<Offer>),
    /// Load what the slot stands for, fetching again what the disk lost.
    Serve(Box<Serving>),
    /// The same, to end the roll back of a rollout.
    GoBack(RolloutId, Box<Serving>),
}

/// What came of it.
pub(super) enum Done {
    /// Of work that leaves nothing in memory.
    Outcome { slot: SlotName, rollout: RolloutId, outcome: Outcome },
    /// Of [`Work::Test`].
    Tested { slot: SlotName, rollout: RolloutId, result: Result<Gated, String> },
    /// Of [`Work::Activate`].
    Activated { slot: SlotName, rollout: RolloutId, result: Result<Gated, String> },
    /// Of [`Work::Serve`] and [`Work::GoBack`]; `rolling_back` names what is rolled back.
    Served { slot: SlotName, rollout: RolloutId, result: Result<Gated, String>, rolling_back: Option<RolloutId> },
}

impl Done {
    pub(super) fn slot(&self) -> &SlotName {
        match self {
            Self::Outcome { slot, .. }
            | Self::Tested { slot, .. }
            | Self::Activated { slot, .. }
            | Self::Served { slot, .. } => slot,
        }
    }

    /// The rollout that the job was started for.
    pub(super) fn rollout(&self) -> RolloutId {
        match self {
            Self::Outcome { rollout, .. } | Self::Tested { rollout, .. } | Self::Activated { rollout, .. } => *rollout,
            Self::Served { rollout, rolling_back, .. } => rolling_back.unwrap_or(*rollout),
        }
    }
}

impl Work {
    /// The variant that is to be loaded, where one is.
    pub(super) fn variant(&self) -> Option<(ReleaseId, &VariantName)> {
        match self {
            Self::Fetch(_) | Self::Verify(_) => None,
            Self::Test(offer) | Self::Activate(offer) => Some((offer.release, &offer.variant)),
            Self::Serve(serving) | Self::GoBack(_, serving) => Some((serving.release, &serving.variant)),
        }
    }

    /// Does it, and says what came of it.
    pub(super) async fn run(
        self,
        slot: SlotName,
        variant: Result<Variant, String>,
        core: Arc<Core>,
        providers: Providers,
        done: mpsc::Sender<Done>,
    ) {
        let answer = match self {
            Self::Fetch(offer) => {
                let until = offer.deadline.since(now());
                let result = fetch_all(&core, offer.files.iter().chain(&offer.probes), &providers, Some(until)).await;
                let outcome = Outcome::Fetched(result.map_err(Reason::new));
                Done::Outcome { slot, rollout: offer.rollout, outcome }
            }
            Self::Verify(offer) => {
                let result = prove_all(&core, offer.files.iter().chain(&offer.probes)).await;
                let outcome = Outcome::Verified(result.map_err(Reason::new));
                Done::Outcome { slot, rollout: offer.rollout, outcome }
            }
            Self::Test(offer) => {
                Done::Tested { slot, rollout: offer.rollout, result: try_offer(&core, variant, &offer).await }
            }
            Self::Activate(offer) => {
                Done::Activated { slot, rollout: offer.rollout, result: try_offer(&core, variant, &offer).await }
            }
            Self::Serve(serving) => {
                let result = load(&core, variant, &serving, &providers).await;
                Done::Served { slot, rollout: serving.rollout, result, rolling_back: None }
            }
            Self::GoBack(rollout, serving) => {
                let result = load(&core, variant, &serving, &providers).await;
                Done::Served { slot, rollout: serving.rollout, result, rolling_back: Some(rollout) }
            }
        };
        // The loop is gone only when the agent stops; then nobody waits for the answer.
        let _ = done.send(answer).await;
    }
}

async fn try_offer(core: &Core, variant: Result<Variant, String>, offer: &Offer) -> Result<Gated, String> {
    core.try_model(offer.release, &variant?, offer.probes.as_ref()).await
}

/// What served before serves again. Its probes were passed when it came; here it must load and answer.
async fn load(
    core: &Core,
    variant: Result<Variant, String>,
    serving: &Serving,
    providers: &Providers,
) -> Result<Gated, String> {
    let variant = variant?;
    if prove_all(core, serving.files.iter()).await.is_err() {
        fetch_all(core, serving.files.iter(), providers, None).await?;
        prove_all(core, serving.files.iter()).await?;
    }
    core.try_model(serving.release, &variant, None).await
}

async fn fetch_all(
    core: &Core,
    files: impl Iterator<Item = &ModelFile>,
    providers: &Providers,
    within: Option<Duration>,
) -> Result<(), String> {
    let deadline = within.and_then(|within| Instant::now().checked_add(within));
    for file in files {
        let seed = u64::from_le_bytes(*core.me().as_bytes().first_chunk().expect("an id has 32 bytes"));
        let options = FetchOptions { deadline, seed };
        let mesh = core.mesh.clone();
        let from = DialFrom::new(move || mesh.endpoint());
        let fetch = core.blobs.fetch(from, file, providers.of(file.blake3), options);
        fetch.done().await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Proves each file. What fails is dropped, so that it is neither served to others nor found again by the next fetch.
async fn prove_all(core: &Core, files: impl Iterator<Item = &ModelFile>) -> Result<(), String> {
    for file in files {
        if let Err(error) = core.blobs.prove(file).await {
            // Only what is known to be wrong: an error of the system's says nothing of the bytes.
            if error.is_damage()
                && let Err(discard) = core.blobs.discard(file).await
            {
                tracing::error!(file = %file.name, error = %discard, "damaged bytes could not be dropped");
            }
            return Err(error.to_string());
        }
    }
    Ok(())
}
