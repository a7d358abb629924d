//! The loop that makes this node do what the plan says: one owner of all slot machines.
//!
//! It observes the fleet's view, plans, offers each slot its assignment, and carries out what the machines ask for. Work that
//! takes time runs in tasks ([`work`]) that answer with a message; nothing here waits for the network or a model.

mod effects;
mod offers;
mod providers;
mod report;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sedge_fleet::FleetView;
use sedge_runtime::{Gated, Previous};
use sedge_slot::{Event, Floor, SlotMachine, Update};
use sedge_statement::{CellPath, Profile, RolloutId, SlotName, SlotState, Timestamp, codec};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::api::ApiError;
use crate::core::{Core, Planned, ShownSlot, now};
use crate::elsewhere;
use crate::planning::plan_of;
use crate::store::Kind;
use providers::Providers;
use report::Reporter;
use work::Done;

/// How often time is looked at where nothing happens: soak, probation and deadlines are counted in seconds.
const TICK: Duration = Duration::from_secs(1);
/// Finished work that waits to be looked at: a few for each slot of a device.
const DONE_QUEUE: usize = 64;

/// How often the cells of this node's own rollouts are wanted anew: well within the time for which they are held.
const FOLLOW_AGAIN: Duration = Duration::from_secs(60);

/// What the loop publishes for the rest of the agent.
pub(crate) struct Outlets {
    pub(crate) planned: watch::Sender<Arc<Planned>>,
    pub(crate) shown: watch::Sender<Vec<ShownSlot>>,
}

/// The loop's state.
pub(crate) struct Reconciler {
    core: Arc<Core>,
    outlets: Outlets,
    profile: Profile,
    reporter: Reporter,
    slots: BTreeMap<SlotName, Slot>,
    providers: Providers,
    done_in: mpsc::Sender<Done>,
    done: mpsc::Receiver<Done>,
    clock: Clock,
    revision: u64,
    /// The cells in which this node's own rollouts are followed, of which revision, and when that was last said.
    followed: Option<(BTreeSet<CellPath>, u64, Instant)>,
}

/// One slot and what belongs to it while the process lives.
struct Slot {
    machine: SlotMachine,
    /// Work of the update under way, by the rollout it is for.
    job: Option<(RolloutId, AbortHandle)>,
    /// Loading what the slot stands for, which an update beside it does not end.
    serve: Option<AbortHandle>,
    /// When loading it is tried again, and how long to wait the time after.
    again: Option<(Instant, Duration)>,
    /// A model that passed the gate and waits to take over.
    gated: Option<(RolloutId, Gated)>,
    /// What served before the model on probation.
    previous: Option<Previous>,
    /// Events whose journal could not be written; tried again with the next tick.
    stuck: Vec<Event>,
}

impl Slot {
    fn new(machine: SlotMachine) -> Self {
        Self { machine, job: None, serve: None, again: None, gated: None, previous: None, stuck: Vec::new() }
    }

    fn stop_job(&mut self) {
        if let Some((_, job)) = self.job.take() {
            job.abort();
        }
    }

    fn stop_all(&mut self) {
        self.stop_job();
        if let Some(serve) = self.serve.take() {
            serve.abort();
        }
    }
}

/// The wall clock read once, and monotonic time since: probation does not end early because somebody set the clock.
struct Clock {
    wall: Timestamp,
    since: Instant,
}

impl Clock {
    fn now(&self) -> Timestamp {
        self.wall.plus(self.since.elapsed())
    }
}

impl Reconciler {
    /// Reads the slots' journals.
    pub(crate) fn new(core: Arc<Core>, outlets: Outlets, profile: Profile) -> Result<Self, ApiError> {
        let (done_in, done) = mpsc::channel(DONE_QUEUE);
        let mut slots = BTreeMap::new();
        for (name, journal) in core.store.list(Kind::Journal)? {
            let name = String::from_utf8_lossy(&name).into_owned();
            let machine = SlotMachine::open(&journal).map_err(|error| {
                ApiError::failed(
                    format!("the journal of slot {name} cannot be read: {error}"),
                    "Update this program if a newer one wrote it; else restore the home from a backup.",
                )
            })?;
            slots.insert(machine.journal().slot.clone(), Slot::new(machine));
        }
        let reporter = Reporter::start(Arc::clone(&core), profile.clone());
        let clock = Clock { wall: now(), since: Instant::now() };
        let view = Arc::clone(&core.mesh.view().borrow());
        let providers = Providers::new(core.me(), view);
        Ok(Self {
            core,
            outlets,
            profile,
            reporter,
            slots,
            providers,
            done_in,
            done,
            clock,
            revision: 0,
            followed: None,
        })
    }

    /// Runs until the agent stops, or what it cannot do without has ended.
    pub(crate) async fn run(mut self) {
        let mut view = self.core.mesh.view();
        let stop = self.core.stop.clone();
        self.look_for_providers();
        for name in self.slots.keys().cloned().collect::<Vec<_>>() {
            self.handle(&name, Event::Restarted);
        }
        self.replan(&view.borrow_and_update().clone());
        let mut ticked = Instant::now();
        loop {
            let due = self.until_due().min(TICK.saturating_sub(ticked.elapsed()));
            tokio::select! {
                () = stop.cancelled() => break,
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let seen = view.borrow_and_update().clone();
                    self.replan(&seen);
                }
                Some(done) = self.done.recv() => self.finished(done),
                // Nobody would learn what becomes of the slots.
                () = self.reporter.ended() => break,
                () = tokio::time::sleep(due) => {
                    ticked = Instant::now();
                    self.tick();
                    let seen = view.borrow_and_update().clone();
                    self.replan(&seen);
                }
            }
            self.look_for_providers();
            self.follow_own_rollouts().await;
            #[cfg(test)]
            assert!(!self.core.loop_panics.load(std::sync::atomic::Ordering::Relaxed), "a test has the loop panic");
        }
        self.slots.values_mut().for_each(Slot::stop_all);
        self.reporter.finish().await;
    }

    fn until_due(&self) -> Duration {
        let now = self.clock.now();
        // What is stuck is tried again with the tick, not as fast as the processor goes.
        let free = self.slots.values().filter(|slot| slot.stuck.is_empty());
        let due = free.filter_map(|slot| slot.machine.deadline()).min();
        due.map_or(TICK, |due| due.since(now).clamp(Duration::from_millis(10), TICK))
    }

    fn tick(&mut self) {
        for name in self.slots.keys().cloned().collect::<Vec<_>>() {
            let stuck = self.slots.get_mut(&name).map(|slot| std::mem::take(&mut slot.stuck));
            for event in stuck.unwrap_or_default() {
                self.handle(&name, event);
            }
            if let Some(event) = self.ailing(&name) {
                self.handle(&name, event);
            }
            self.handle(&name, Event::Tick);
            self.serve_again(&name);
            self.say_again(&name);
        }
        // Between updates nothing is timed, and the wall clock may have been set meanwhile.
        if self.slots.values().all(|slot| slot.machine.deadline().is_none()) {
            self.clock = Clock { wall: now(), since: Instant::now() };
        }
    }

    /// Whether the model on probation misbehaves.
    fn ailing(&self, name: &SlotName) -> Option<Event> {
        let update = self.slots.get(name)?.machine.update()?;
        let health = self.core.host.health(name)?;
        if update.state != SlotState::Probation || health.is_sound() || Some(health.sha256) != update.offer.sha256() {
            return None;
        }
        let what = health.last_failure.unwrap_or_else(|| "it answered too late".to_owned());
        let reason = format!("{} of {} requests failed: {what}", health.failed + health.overdue, health.requests);
        Some(Event::Unhealthy { rollout: update.offer.rollout, reason: reason.into() })
    }

    /// Plans anew, tells the rest of the agent, and offers this node's slots what the plan assigns them.
    fn replan(&mut self, view: &Arc<FleetView>) {
        let plan = plan_of(view, now());
        let old = Arc::clone(&self.outlets.planned.borrow());
        if *old.view == **view && old.plan == plan && self.revision > 0 {
            return;
        }
        self.revision += 1;
        let planned = Arc::new(Planned { view: Arc::clone(view), plan, revision: self.revision });
        self.outlets.planned.send_replace(Arc::clone(&planned));
        for (name, event) in offers::events(&planned, self.core.me(), &self.profile, &self.updates()) {
            if let Event::Offered { offer, .. } = &event
                && let Err(error) = self.keep_release(&planned.view, offer)
            {
                // Without it the slot could not load the model again: not offered until it is kept.
                tracing::error!(%error, release = %offer.release.short(), "the release cannot be kept; trying again");
                self.revision = 0;
                continue;
            }
            self.handle(&name, event);
        }
    }

    fn updates(&self) -> BTreeMap<SlotName, Update> {
        let update = |(name, slot): (&SlotName, &Slot)| Some((name.clone(), slot.machine.update()?.clone()));
        self.slots.iter().filter_map(update).collect()
    }

    /// Wants the documents of the cells in which this node's own rollouts go on.
    async fn follow_own_rollouts(&mut self) {
        let planned = Arc::clone(&self.outlets.planned.borrow());
        let last = self.followed.as_ref();
        let is_fresh = last.is_some_and(|(_, _, at)| at.elapsed() < FOLLOW_AGAIN);
        if is_fresh && last.is_some_and(|(_, revision, _)| *revision == planned.revision) {
            return;
        }
        let cells = elsewhere::followed(&planned, self.core.me());
        if is_fresh
            && let Some((before, revision, _)) = &mut self.followed
            && *before == cells
        {
            *revision = planned.revision;
            return;
        }
        if !cells.is_empty() {
            self.core.mesh.want(cells.clone()).await;
        }
        self.followed = Some((cells, planned.revision, Instant::now()));
    }

    /// Follows whom weights may be asked of.
    fn look_for_providers(&self) {
        let connected = self.core.mesh.neighbours().borrow().clone();
        self.providers.update(connected, &self.core.mesh.view().borrow());
    }

    /// Hands an event to a slot's machine, making the slot where there is none, and carries out what it asks for.
    fn handle(&mut self, name: &SlotName, event: Event) {
        let now = self.clock.now();
        if !self.slots.contains_key(name) {
            match self.floor(name) {
                Ok(floor) => self.slots.insert(name.clone(), Slot::new(SlotMachine::new(name.clone(), floor))),
                // A slot whose floor is not known could be taken below it: nothing is better.
                Err(error) => return tracing::error!(slot = %name, error, "the slot's floor cannot be read"),
            };
        }
        let slot = self.slots.get_mut(name).expect("just inserted where it was missing");
        let before = slot.machine.clone();
        let effects = slot.machine.handle(event.clone(), now);
        if effects.is_empty() {
            return;
        }
        if let Err(error) = self.persist(name, &effects) {
            // Nothing may follow from a record that does not last: as if the event had not come yet.
            tracing::error!(slot = %name, %error, "the slot's journal cannot be written; trying again");
            let slot = self.slots.get_mut(name).expect("slots are never removed");
            slot.machine = before;
            if event != Event::Tick && !slot.stuck.contains(&event) {
                slot.stuck.push(event);
            }
            return;
        }
        // What is answered at once is handled after the other effects: they belong to the state before it.
        let answers: Vec<Event> = effects.into_iter().filter_map(|effect| self.carry_out(name, effect)).collect();
        self.show();
        for event in answers {
            self.handle(name, event);
        }
    }

    fn floor(&self, name: &SlotName) -> Result<Floor, String> {
        let kept = self.core.store.get(Kind::Floor, name.as_str().as_bytes()).map_err(|e| e.to_string())?;
        kept.map_or_else(|| Ok(Floor::default()), |bytes| codec::decode(&bytes, 64 << 10).map_err(|e| e.to_string()))
    }

    fn show(&self) {
        let shown = self.slots.values().filter_map(|slot| {
            let fetching = slot
                .machine
                .update()
                .filter(|update| matches!(update.state, SlotState::Fetching | SlotState::Paused | SlotState::Waiting));
            Some(ShownSlot {
                report: slot.machine.report()?,
                files: fetching.map(|u| u.offer.files.iter().chain(&u.offer.probes).cloned().collect()),
            })
        });
        self.outlets.shown.send_replace(shown.collect());
    }
}
