//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::{ControlState, Finding, FindingKind, FleetView, KeepError, OpenError, PublishError, WriteError};
use sedge_scheduler::Plan;
use sedge_statement::{CellPath, Control, ControlAction, NodeId, RolloutId, Timestamp};

use crate::{Character, Diary, Seat, World, plan_of};

/// What did not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// A node cannot read what it persisted.
    #[error("the node at {0:?} does not open from its own records: {1}")]
    Open(Seat, #[source] Box<OpenError>),
    /// A node cannot write its own document.
    #[error("the node at {0:?} cannot write: {1}")]
    Write(Seat, #[source] Box<WriteError>),
    /// A node does not accept a certificate of the root's.
    #[error("the node at {0:?} refuses a certificate: {1}")]
    Publish(Seat, #[source] Box<PublishError>),
    /// What is to be kept of a node does not fit.
    #[error("the node at {0:?} cannot keep what another said: {1}")]
    Keep(Seat, #[source] KeepError),
    /// Nodes that can all hear each other do not agree.
    #[error("{views} different views {after:?} after healing")]
    Diverged {
        /// How long they had.
        after: Duration,
        /// How many views there are.
        views: usize,
    },
    /// Nodes that agree go on sending each other more than digests.
    #[error("still not quiet {after:?} after healing")]
    NotQuiet {
        /// How long they had.
        after: Duration,
    },
    /// A frame is longer than any transport carries.
    #[error("a frame of {0} bytes")]
    LongFrame(usize),
    /// The view is not what its authors persisted: something was lost, or came from nobody.
    #[error("the view's {what} are not what their authors wrote: {found} found, {wanted} written")]
    Lost {
        /// Which part of the view.
        what: &'static str,
        /// How many entries it has.
        found: usize,
        /// How many it should have, which may be as many.
        wanted: usize,
    },
    /// An honest node is found guilty of what it did not do.
    #[error("the node at {by:?} accuses an honest one: {finding:?}")]
    Accused {
        /// Who says so.
        by: Seat,
        /// What it says.
        finding: Box<Finding>,
    },
    /// A node may go on, and an earlier wave has not shown what its own waits for.
    #[error("rollout {rollout:?} lets a node of wave {wave} go on without the evidence that opens it")]
    OpenedEarly {
        /// The rollout.
        rollout: RolloutId,
        /// The wave that is open too early.
        wave: usize,
    },
    /// A node's plan holds what no authority said.
    #[error("the plan of the node at {by:?} has node {node:?} carry out {rollout:?}, which no authority said")]
    Started {
        /// Whose plan.
        by: Seat,
        /// Who would start.
        node: NodeId,
        /// What.
        rollout: RolloutId,
    },
    /// A control is heard that its author never gave, or may not give.
    #[error("the node at {by:?} hears a control of {rollout:?} that {author:?} may not have given")]
    Steered {
        /// Who hears it.
        by: Seat,
        /// In whose name.
        author: NodeId,
        /// Of what.
        rollout: RolloutId,
    },
    /// Proven time lies ahead of every honest clock.
    #[error("the node at {by:?} believes that {verified:?} is past")]
    Poisoned {
        /// Who believes it.
        by: Seat,
        /// What.
        verified: Timestamp,
    },
    /// A node stores more than it should ever need to.
    #[error("the node at {seat:?} stores {stored} bytes")]
    Bulky {
        /// Which.
        seat: Seat,
        /// How much, bytes.
        stored: usize,
    },
    /// A node does not stand where it was put last.
    #[error("the node at {0:?} is not where it was moved to")]
    Misplaced(Seat),
    /// No honest node names a villain whose doings show.
    #[error("no finding of any honest node names the {0:?}")]
    Unnamed(Character),
    /// Equal views gave different plans.
    #[error("the node at {0:?} plans otherwise from the same view")]
    Plans(Seat),
}

/// Whether a finding names somebody as one who forges, floods or breaks the protocol.
pub fn accused(finding: &Finding) -> bool {
    use FindingKind::{BadCertificate, BadChange, Fork, Malformed, NotAllowed, OverQuota, Unreadable};
    matches!(finding.kind, Fork | BadChange | Malformed | OverQuota | BadCertificate | NotAllowed | Unreadable)
}

/// Whom a view's findings name: who forges or breaks the protocol, and who keeps back what it offers.
pub(crate) fn named_by(view: &FleetView) -> impl Iterator<Item = NodeId> + use<> {
    let names = |finding: &&Finding| accused(finding) || finding.kind == FindingKind::Withheld;
    view.findings.iter().filter(names).map(|finding| finding.about).collect::<Vec<_>>().into_iter()
}

/// No finding accuses a node that is not among the forgers.
pub(crate) fn check_findings(by: Seat, view: &FleetView, forgers: &BTreeSet<NodeId>) -> Result<(), Broken> {
    match view.findings.iter().find(|finding| accused(finding) && !forgers.contains(&finding.about)) {
        Some(finding) => Err(Broken::Accused { by, finding: Box::new(finding.clone()) }),
        None => Ok(()),
    }
}

impl World {
    /// Checks what must hold of a mesh that has settled: every honest author's last word is in the view and nothing else
    /// of it, as far as its cell is held; nobody honest is accused; and the plans of a cell's nodes are one.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&mut self) -> Result<(), Broken> {
        let now = self.common_time();
        let mut plans: BTreeMap<CellPath, Plan> = BTreeMap::new();
        for seat in self.seats() {
            let Some(view) = self.view(seat) else { continue };
            check_findings(seat, &view, &self.forgers)?;
            let plan = plan_of(&view, now);
            crate::waves::check(&view, &plan)?;
            let cell = view.held.first().cloned().unwrap_or_default();
            if *plans.entry(cell).or_insert_with(|| plan.clone()) != plan {
                return Err(Broken::Plans(seat));
            }
            self.check_nothing_lost(&view)?;
        }
        Ok(())
    }

    /// What everybody said is in a view, and nothing else; what nodes say of themselves, as far as their cell is held.
    pub(crate) fn check_nothing_lost(&self, view: &FleetView) -> Result<(), Broken> {
        let believed = || self.believed().into_iter().map(|seat| (self.id(seat), self.diary(seat)));
        let diaries: BTreeMap<NodeId, &Diary> = believed().filter(|(id, _)| !self.is_forger(id)).collect();
        let honest = |id: &NodeId| diaries.contains_key(id);
        let each = || diaries.iter().map(|(id, diary)| (*id, *diary));
        let members = self.seats().into_iter().filter(|seat| !self.truth.revoked.contains(seat));
        same(
            "certificates",
            view.members.keys().copied().collect(),
            members.map(|seat| self.id(seat)).collect::<BTreeSet<_>>(),
        )?;
        let releases: BTreeSet<_> =
            view.releases.iter().filter(|(_, r)| honest(&r.publisher)).map(|(id, _)| *id).collect();
        same("releases", releases, each().flat_map(|(_, diary)| diary.releases.iter().copied()).collect())?;
        let deployments: BTreeSet<_> =
            view.deployments.iter().filter(|(_, d)| honest(&d.author)).map(|(id, _)| *id).collect();
        same("deployments", deployments, each().flat_map(|(_, diary)| diary.deployments.iter().copied()).collect())?;
        // What a node says of itself is held in its own cell alone.
        let near = || each().filter(|(id, _)| view.knows(id));
        same(
            "profiles",
            view.profiles.iter().filter(|(id, _)| honest(id)).map(|(id, p)| (*id, p.clone())).collect(),
            near().filter_map(|(id, diary)| Some((id, diary.profile.clone()?))).collect::<BTreeMap<_, _>>(),
        )?;
        same(
            "slots",
            view.slots.iter().filter(|((id, _), _)| honest(id)).map(|(key, r)| (key.clone(), r.clone())).collect(),
            near()
                .flat_map(|(id, diary)| diary.slots.iter().map(move |(slot, r)| ((id, slot.clone()), r.clone())))
                .collect::<BTreeMap<_, _>>(),
        )?;
        same(
            "artifacts",
            view.holders
                .iter()
                .flat_map(|(file, ids)| ids.iter().map(|id| (*id, *file)))
                .filter(|(id, _)| honest(id))
                .collect(),
            near().flat_map(|(id, diary)| diary.artifacts.iter().map(move |file| (id, *file))).collect::<BTreeSet<_>>(),
        )?;
        same(
            "gates",
            view.gates
                .iter()
                .flat_map(|(rollout, reports)| reports.iter().map(|(id, r)| ((*rollout, *id), r.clone())))
                .filter(|((_, id), _)| honest(id))
                .collect(),
            each()
                .flat_map(|(id, diary)| diary.gates.iter().map(move |(rollout, r)| ((*rollout, id), r.clone())))
                .collect::<BTreeMap<_, _>>(),
        )?;
        if !self.forgers.is_empty() {
            // What a forger said before the fork counts, and may have set a rollout's state.
            return Ok(());
        }
        let said = |rollout: &RolloutId| expected_control(*rollout, each());
        same(
            "controls",
            view.deployments.iter().map(|(id, published)| (*id, word(&published.control))).collect(),
            view.deployments.keys().map(|id| (*id, said(id))).collect::<BTreeMap<_, _>>(),
        )
    }
}

fn same<T: PartialEq + Entries>(what: &'static str, found: T, wanted: T) -> Result<(), Broken> {
    if found == wanted { Ok(()) } else { Err(Broken::Lost { what, found: found.entries(), wanted: wanted.entries() }) }
}

trait Entries {
    fn entries(&self) -> usize;
}

impl<T> Entries for BTreeSet<T> {
    fn entries(&self) -> usize {
        self.len()
    }
}

impl<K, V> Entries for BTreeMap<K, V> {
    fn entries(&self) -> usize {
        self.len()
    }
}

fn word(state: &ControlState) -> &'static str {
    match state {
        ControlState::Running => "running",
        ControlState::Paused(_) => "paused",
        ControlState::Cancelled(_) => "cancelled",
        ControlState::Halted(_) => "halted",
    }
}

/// What all controls of a rollout come to: a halt, else a cancel, else the last pause or resume.
fn expected_control<'a>(rollout: RolloutId, diaries: impl Iterator<Item = (NodeId, &'a Diary)>) -> &'static str {
    let said: Vec<(u32, ControlAction, NodeId)> = diaries
        .flat_map(|(id, diary)| diary.controls.values().map(move |control| (id, control)))
        .filter(|(_, control)| control.rollout == rollout)
        .map(|(id, Control { count, action, .. })| (*count, *action, id))
        .collect();
    let any = |wanted: ControlAction| said.iter().any(|(_, action, _)| *action == wanted);
    if any(ControlAction::Halt) {
        return "halted";
    }
    if any(ControlAction::Cancel) {
        return "cancelled";
    }
    match said.iter().max() {
        Some((_, ControlAction::Pause, _)) => "paused",
        _ => "running",
    }
}
