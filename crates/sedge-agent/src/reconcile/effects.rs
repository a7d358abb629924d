//! Carries out what slot machines ask for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sedge_fleet::{Edit, FleetView};
use sedge_runtime::{Gated, Previous};
use sedge_scheduler::{Fit, fit};
use sedge_slot::{Effect, Event, Offer, Outcome, Reason, Serving};
use sedge_statement::{DocKind, GateReport, Release, RolloutId, SlotName, SlotState, Variant};
use tokio::task::AbortHandle;

use super::work::{Done, Work};
use super::{Reconciler, Slot};
use crate::core::now;
use crate::store::{Kind, StoreError};

/// How long after a failure what the slot stands for is loaded again; it doubles up to the longest.
const SERVE_AGAIN: Duration = Duration::from_secs(30);
/// The longest wait between two tries.
const SERVE_AGAIN_LONGEST: Duration = Duration::from_secs(600);

impl Reconciler {
    /// Does, or starts, what an effect asks for; what is known at once comes back as an event.
    pub(super) fn carry_out(&mut self, name: &SlotName, effect: Effect) -> Option<Event> {
        tracing::debug!(slot = %name, ?effect, "slot");
        match effect {
            // Written by `Store::keep_slot` before.
            Effect::Journal(_) | Effect::SetFloor(_) => {}
            Effect::CheckFit(offer) => {
                let outcome = Outcome::Fit(self.fits(&offer).map_err(Reason::new));
                return Some(Event::Finished { rollout: offer.rollout, outcome });
            }
            Effect::Fetch(offer) => self.start(name, offer.rollout, Work::Fetch(offer)),
            Effect::Verify(offer) => self.start(name, offer.rollout, Work::Verify(offer)),
            Effect::Test(offer) => self.start(name, offer.rollout, Work::Test(offer)),
            Effect::Stop(rollout) => self.slot(name, |slot| {
                if let Some((_, job)) = slot.job.take_if(|(of, _)| *of == rollout) {
                    job.abort();
                }
                slot.gated.take_if(|(of, _)| *of == rollout);
            }),
            Effect::Activate { offer, .. } => return self.activate(name, offer),
            Effect::Commit { .. } => self.slot(name, |slot| {
                // The old model goes when its last request ends; nobody waits for that.
                let _drained = slot.previous.take().map(Previous::commit);
            }),
            Effect::RollBack { offer, to } => return self.roll_back(name, &offer, to),
            Effect::Serve(serving) => self.start_serving(name, serving),
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
        None
    }

    /// What came of work that was started.
    pub(super) fn finished(&mut self, done: Done) {
        let name = done.slot().clone();
        self.slot(&name, |slot| match &done {
            Done::Served { rolling_back: None, .. } => slot.serve = None,
            _ => {
                slot.job.take_if(|(rollout, _)| *rollout == done.rollout());
            }
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
                // An answer that comes after the machine gave up must not put its model in the slot.
                let update = self.slots.get(&slot).and_then(|s| s.machine.update());
                if update.is_some_and(|u| u.state == SlotState::Activating && u.offer.rollout == rollout) {
                    let outcome = result.map(|gated| self.put(&slot, gated)).map_err(Reason::new);
                    self.handle(&slot, Event::Finished { rollout, outcome: Outcome::Activated(outcome) });
                }
            }
            Done::Served { slot, rollout, result, rolling_back } => self.served(&slot, rollout, result, rolling_back),
        }
        self.drop_unneeded(&name);
    }

    fn served(
        &mut self,
        name: &SlotName,
        rollout: RolloutId,
        result: Result<Gated, String>,
        rolling_back: Option<RolloutId>,
    ) {
        match (result, rolling_back) {
            (Ok(gated), None) => {
                // An update that was quicker has put its own model there.
                if self.core.host.serving(name).is_none() {
                    let _drained = self.core.host.activate(name, gated).commit();
                    self.slot(name, |slot| slot.again = None);
                    self.handle(name, Event::Healthy { rollout });
                }
            }
            (Ok(gated), Some(failed)) => {
                let _drained = self.core.host.activate(name, gated).commit();
                let outcome = Outcome::RolledBack(Ok(()));
                self.handle(name, Event::Finished { rollout: failed, outcome });
                // Where the machine had given up waiting, it learns that the old model answers all the same.
                self.handle(name, Event::Healthy { rollout });
            }
            (Err(why), Some(failed)) => {
                let outcome = Outcome::RolledBack(Err(Reason::new(why)));
                self.handle(name, Event::Finished { rollout: failed, outcome });
            }
            (Err(why), None) => {
                self.slot(name, |slot| {
                    let wait = slot.again.map_or(SERVE_AGAIN, |(_, wait)| (wait * 2).min(SERVE_AGAIN_LONGEST));
                    // Slots that failed together do not try again together.
                    slot.again = Some((Instant::now() + wait.mul_f64(rand::random_range(0.5..1.0)), wait));
                });
                self.handle(name, Event::Unhealthy { rollout, reason: Reason::new(why) });
            }
        }
    }

    /// Tries to load what the slot stands for once more, where nothing serves and no update is taking over.
    pub(super) fn serve_again(&mut self, name: &SlotName) {
        let Some(slot) = self.slots.get(name) else { return };
        let busy =
            matches!(slot.machine.state(), Some(SlotState::Activating | SlotState::Probation | SlotState::RollingBack));
        let due = slot.again.is_some_and(|(at, _)| Instant::now() >= at);
        if !due || busy || slot.serve.is_some() || self.core.host.serving(name).is_some() {
            return;
        }
        if let Some(serving) = slot.machine.serving().cloned() {
            self.start_serving(name, Box::new(serving));
        }
    }

    /// Says again what this node's documents do not show, where a power cut or a full disk came between the journal and them.
    pub(super) fn say_again(&mut self, name: &SlotName) {
        let Some(slot) = self.slots.get(name) else { return };
        let planned = self.outlets.planned.borrow().clone();
        let me = self.core.me();
        if let Some(report) = slot.machine.report()
            && planned.view.slots.get(&(me, name.clone())) != Some(&report)
        {
            self.reporter.send(DocKind::Node, Edit::PutSlot(report));
        }
        let Some(update) = slot.machine.update().filter(|update| update.is_settled()) else { return };
        let rollout = update.offer.rollout;
        let now = now().max(planned.view.verified);
        // Nobody keeps evidence on it any more.
        if planned.view.deployments.get(&rollout).is_some_and(|of| of.deployment.is_settled(now)) {
            return;
        }
        let counts = update.state.is_failure() || planned.plan.is_witness(rollout, me);
        let said = planned.view.gates.get(&rollout).and_then(|reports| reports.get(&me));
        let soaked = if update.soaked { update.offer.soak } else { Duration::ZERO };
        // A failure stays, whatever became of the slot since.
        let is_news =
            |said: &GateReport| !said.state.is_failure() && (said.state != update.state || said.soaked < soaked);
        if counts && said.is_none_or(is_news) {
            let report = GateReport {
                rollout,
                state: update.state,
                reason: update.reason.as_ref().map(ToString::to_string),
                sha256: slot.machine.report().and_then(|report| report.sha256),
                soaked,
                at: update.since,
            };
            self.reporter.send(DocKind::Gate, Edit::PutGate(report));
        }
    }

    /// A model that passed the gate waits only as long as its update is under way.
    fn drop_unneeded(&mut self, name: &SlotName) {
        self.slot(name, |slot| {
            let held = slot.machine.state() == Some(SlotState::Staged);
            if held || slot.machine.update().is_none_or(sedge_slot::Update::is_settled) {
                slot.gated = None;
            }
        });
    }

    fn slot<T: Default>(&mut self, name: &SlotName, change: impl FnOnce(&mut Slot) -> T) -> T {
        self.slots.get_mut(name).map(change).unwrap_or_default()
    }

    fn put(&mut self, name: &SlotName, gated: Gated) {
        let previous = self.core.host.activate(name, gated);
        self.slot(name, |slot| slot.previous = Some(previous));
    }

    fn activate(&mut self, name: &SlotName, offer: Box<Offer>) -> Option<Event> {
        let rollout = offer.rollout;
        let gated = self.slot(name, |slot| slot.gated.take_if(|(of, _)| *of == rollout));
        let Some((_, gated)) = gated else {
            // After a restart: what had passed is gone with the old process, and passes again first.
            self.start(name, rollout, Work::Activate(offer));
            return None;
        };
        self.put(name, gated);
        Some(Event::Finished { rollout, outcome: Outcome::Activated(Ok(())) })
    }

    fn roll_back(&mut self, name: &SlotName, offer: &Offer, to: Option<Box<Serving>>) -> Option<Event> {
        let rollout = offer.rollout;
        let wanted = to.as_ref().map(|serving| serving.sha256);
        let previous = self.slot(name, |slot| slot.previous.take());
        // What served before may not be what the slot stands for: after a restart it can have been nothing.
        let is_wanted = |previous: &Previous| previous.serving().map(|serving| serving.sha256) == wanted;
        let went_back = previous.filter(is_wanted).is_some_and(|previous| previous.roll_back().is_ok());
        if !went_back {
            let _drained = self.core.host.withdraw(name).map(Previous::commit);
            if let Some(serving) = to {
                self.start(name, rollout, Work::GoBack(rollout, serving));
                return None;
            }
        }
        Some(Event::Finished { rollout, outcome: Outcome::RolledBack(Ok(())) })
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
    pub(super) fn keep_release(&self, view: &FleetView, offer: &Offer) -> Result<(), StoreError> {
        let key = offer.release.as_bytes();
        match view.releases.get(&offer.release) {
            Some(published) if self.core.store.get(Kind::Release, key)?.is_none() => {
                self.core.store.put(Kind::Release, key, Some(&published.release.to_bytes()))
            }
            _ => Ok(()),
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

    fn start(&mut self, name: &SlotName, rollout: RolloutId, work: Work) {
        let job = self.spawn(name, work);
        self.slot(name, |slot| {
            slot.stop_job();
            slot.job = Some((rollout, job));
        });
    }

    fn start_serving(&mut self, name: &SlotName, serving: Box<Serving>) {
        let job = self.spawn(name, Work::Serve(serving));
        self.slot(name, |slot| {
            if let Some(before) = slot.serve.replace(job) {
                before.abort();
            }
        });
    }

    fn spawn(&self, name: &SlotName, work: Work) -> AbortHandle {
        let variant = work.variant().map(|(release, name)| self.variant(release, name));
        let task = work.run(
            name.clone(),
            variant.unwrap_or_else(|| Err("the work needs no variant".to_owned())),
            Arc::clone(&self.core),
            self.providers.clone(),
            self.done_in.clone(),
        );
        tokio::spawn(task).abort_handle()
    }
}
