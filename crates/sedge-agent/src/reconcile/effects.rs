//! Carries out what slot machines ask for.

use std::sync::Arc;

use sedge_fleet::{Edit, FleetView};
use sedge_scheduler::{Fit, fit};
use sedge_slot::{Effect, Event, Offer, Outcome, Reason, Serving};
use sedge_statement::{DocKind, Release, SlotName, Variant, codec};

use super::work::{Done, Work};
use super::{Reconciler, Slot};
use crate::store::{Kind, StoreError};

impl Reconciler {
    /// Writes the records among the effects, synced, before anything follows from them.
    pub(super) fn persist(&self, name: &SlotName, effects: &[Effect]) -> Result<(), StoreError> {
        let key = name.as_str().as_bytes();
        for effect in effects {
            match effect {
                Effect::Journal(bytes) => self.core.store.put(Kind::Journal, key, Some(bytes))?,
                Effect::SetFloor(floor) => self.core.store.put(Kind::Floor, key, Some(&codec::encode(floor)))?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, name: &SlotName, effect: Effect) {
        tracing::debug!(slot = %name, ?effect, "slot");
        match effect {
            // Written by `persist` before.
            Effect::Journal(_) | Effect::SetFloor(_) => {}
            Effect::CheckFit(offer) => {
                let outcome = Outcome::Fit(self.fits(&offer).map_err(Reason::new));
                self.handle(name, Event::Finished { rollout: offer.rollout, outcome });
            }
            Effect::Fetch(offer) => self.start(name, offer.rollout, Work::Fetch(offer)),
            Effect::Verify(offer) => self.start(name, offer.rollout, Work::Verify(offer)),
            Effect::Test(offer) => self.start(name, offer.rollout, Work::Test(offer)),
            Effect::Stop(rollout) => self.slot(name, |slot| {
                slot.stop_job();
                slot.gated.take_if(|(of, _)| *of == rollout);
            }),
            Effect::Activate { offer, .. } => self.activate(name, offer),
            Effect::Commit { .. } => self.slot(name, |slot| {
                // The old model goes when its last request ends; nobody waits for that.
                let _drained = slot.previous.take().map(sedge_runtime::Previous::commit);
            }),
            Effect::RollBack { offer, to } => self.roll_back(name, &offer, to),
            Effect::Serve(serving) => self.start(name, serving.rollout, Work::Serve(serving)),
            Effect::Report(report) => self.reporter.send(DocKind::Node, Edit::PutSlot(report)),
            Effect::Gate(report) => {
                let plan = &self.outlets.planned.borrow().plan;
                if report.state.is_failure() || plan.is_witness(report.rollout, self.core.me()) {
                    self.reporter.send(DocKind::Gate, Edit::PutGate(report));
                }
            }
            Effect::Refused { rollout, why, state } => {
                tracing::warn!(slot = %name, rollout = %rollout.short(), ?why, %state, "too late to withdraw");
            }
        }
    }

    /// What came of work that was started.
    pub(super) fn finished(&mut self, done: Done) {
        let name = done.slot().clone();
        self.slot(&name, |slot| {
            slot.job.take_if(|(rollout, _)| *rollout == done.rollout());
        });
        match done {
            Done::Outcome { slot, rollout, outcome } => {
                if matches!(outcome, Outcome::Fetched(Ok(()))) {
                    self.report_artifacts(&slot);
                }
                self.handle(&slot, Event::Finished { rollout, outcome });
            }
            Done::Tested { slot, rollout, result } => {
                let outcome = result.map(|gated| self.slot(&slot, |s| s.gated = Some((rollout, gated))));
                let outcome = Outcome::Tested(outcome.map_err(Reason::new));
                self.handle(&slot, Event::Finished { rollout, outcome });
            }
            Done::Activated { slot, rollout, result } => {
                let outcome = Outcome::Activated(result.map(|gated| self.put(&slot, gated)).map_err(Reason::new));
                self.handle(&slot, Event::Finished { rollout, outcome });
            }
            Done::Served { slot, rollout, result, rolling_back } => match (result, rolling_back) {
                (Ok(gated), rolling_back) => {
                    let _drained = self.core.host.activate(&slot, gated).commit();
                    let event = match rolling_back {
                        Some(rollout) => Event::Finished { rollout, outcome: Outcome::RolledBack(Ok(())) },
                        None => Event::Healthy { rollout },
                    };
                    self.handle(&slot, event);
                }
                (Err(why), Some(rollout)) => {
                    let outcome = Outcome::RolledBack(Err(Reason::new(why)));
                    self.handle(&slot, Event::Finished { rollout, outcome });
                }
                (Err(why), None) => self.handle(&slot, Event::Unhealthy { rollout, reason: Reason::new(why) }),
            },
        }
        self.drop_unneeded(&name);
    }

    /// A model that passed the gate waits only as long as its update is under way.
    fn drop_unneeded(&mut self, name: &SlotName) {
        self.slot(name, |slot| {
            if slot.machine.update().is_none_or(sedge_slot::Update::is_settled) {
                slot.gated = None;
            }
        });
    }

    fn slot<T: Default>(&mut self, name: &SlotName, change: impl FnOnce(&mut Slot) -> T) -> T {
        self.slots.get_mut(name).map(change).unwrap_or_default()
    }

    fn put(&mut self, name: &SlotName, gated: sedge_runtime::Gated) {
        let previous = self.core.host.activate(name, gated);
        self.slot(name, |slot| slot.previous = Some(previous));
    }

    fn activate(&mut self, name: &SlotName, offer: Box<Offer>) {
        let rollout = offer.rollout;
        let gated = self.slot(name, |slot| slot.gated.take_if(|(of, _)| *of == rollout));
        match gated {
            Some((_, gated)) => {
                self.put(name, gated);
                self.handle(name, Event::Finished { rollout, outcome: Outcome::Activated(Ok(())) });
            }
            // After a restart: what had passed is gone with the old process, and passes again first.
            None => self.start(name, rollout, Work::Activate(offer)),
        }
    }

    fn roll_back(&mut self, name: &SlotName, offer: &Offer, to: Option<Box<Serving>>) {
        let rollout = offer.rollout;
        let previous = self.slot(name, |slot| slot.previous.take());
        let went_back = previous.is_some_and(|previous| previous.roll_back().is_ok());
        match to {
            Some(serving) if !went_back => self.start(name, rollout, Work::GoBack(rollout, serving)),
            _ => {
                if !went_back {
                    let _drained = self.core.host.withdraw(name).map(sedge_runtime::Previous::commit);
                }
                self.handle(name, Event::Finished { rollout, outcome: Outcome::RolledBack(Ok(())) });
            }
        }
    }

    fn fits(&self, offer: &Offer) -> Result<(), String> {
        let variant = self.variant(offer.release, &offer.variant)?;
        match fit(&variant, &self.profile) {
            Fit::Feasible { .. } => {}
            Fit::Unfit(reasons) => {
                return Err(reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
            }
        }
        self.core.host.backends().choose(&variant).map(|_| ()).map_err(|why| why.to_string())
    }

    /// A release is kept beside the journal before the slot follows it, so that the slot can load it again whatever
    /// becomes of the document it was in.
    pub(super) fn keep_release(&self, view: &FleetView, offer: &Offer) {
        let key = offer.release.as_bytes();
        let kept = self.core.store.get(Kind::Release, key).is_ok_and(|kept| kept.is_some());
        let Some(published) = view.releases.get(&offer.release).filter(|_| !kept) else { return };
        if let Err(error) = self.core.store.put(Kind::Release, key, Some(&published.release.to_bytes())) {
            tracing::error!(%error, release = %offer.release.short(), "the release cannot be kept");
        }
    }

    /// The variant of a release that a slot follows.
    pub(super) fn variant(
        &self,
        release: sedge_statement::ReleaseId,
        name: &sedge_statement::VariantName,
    ) -> Result<Variant, String> {
        let kept = self.core.store.get(Kind::Release, release.as_bytes()).map_err(|e| e.to_string())?;
        let kept = kept.ok_or_else(|| format!("release {} is not kept here", release.short()))?;
        let release = Release::from_bytes(&kept).map_err(|e| format!("the release kept here is damaged: {e}"))?;
        let mut variants = release.manifest.variants.into_iter();
        variants.find(|variant| variant.name == *name).ok_or_else(|| format!("the release has no variant {name}"))
    }

    fn report_artifacts(&self, name: &SlotName) {
        let Some(update) = self.slots.get(name).and_then(|slot| slot.machine.update()) else { return };
        for file in update.offer.files.iter().chain(&update.offer.probes) {
            let edit = Edit::PutArtifact { blake3: file.blake3, size: file.size.get() };
            self.reporter.send(DocKind::Node, edit);
        }
    }

    fn start(&mut self, name: &SlotName, rollout: sedge_statement::RolloutId, work: Work) {
        let variant = work.variant().map(|(release, name)| self.variant(release, name));
        let task = work.run(
            name.clone(),
            variant.unwrap_or_else(|| Err("the work needs no variant".to_owned())),
            Arc::clone(&self.core),
            self.peers.subscribe(),
            self.done_in.clone(),
        );
        let job = tokio::spawn(task).abort_handle();
        self.slot(name, |slot| {
            slot.stop_job();
            slot.job = Some((rollout, job));
        });
    }
}
