//! What authorities say, and whether they may say it.
//!
//! Everything is heard first and judged after: whether a deployment holds depends on releases, and a control on deployments,
//! that another document brings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{
    Approval, Approved, CellPath, Certificate, Control, ControlAction, Deployment, DocId, Generation, NodeId, Release,
    ReleaseId, Role, RolloutId, Timestamp,
};

use super::{Agreement, ControlState, GivenControl, PublishedDeployment, PublishedRelease, SetBy};
use crate::finding::Findings;
use crate::membership::Membership;
use crate::schema::AuthorityContent;
use crate::{Finding, FindingKind};

/// How far a statement's generation may lie above the others of its author. No author publishes a million times; a stolen
/// key that jumps to the end of the count would leave nobody a higher number to answer with.
const MAX_JUMP: u64 = 1_000_000;

/// One statement with the document that holds it.
struct Said<'a, T> {
    doc: &'a DocId,
    by: &'a Certificate,
    what: T,
}

type Published = (BTreeMap<ReleaseId, PublishedRelease>, BTreeMap<RolloutId, PublishedDeployment>);

/// All statements of all `authority` documents.
pub(super) struct Authorities<'a> {
    membership: &'a Membership,
    releases: Vec<Said<'a, (ReleaseId, Release)>>,
    deployments: Vec<Said<'a, (RolloutId, Deployment)>>,
    controls: Vec<Said<'a, Control>>,
    approvals: Vec<Said<'a, Approval>>,
}

impl<'a> Authorities<'a> {
    pub(super) fn new(membership: &'a Membership) -> Self {
        let (releases, deployments) = (Vec::new(), Vec::new());
        Self { membership, releases, deployments, controls: Vec::new(), approvals: Vec::new() }
    }

    /// Takes in one document, as far as its author's roles and dates go. What is said past the dates is inert: a key that
    /// outlived its certificate says nothing more.
    pub(super) fn hear(&mut self, doc: &'a DocId, content: AuthorityContent, found: &mut Findings) {
        let membership = self.membership;
        let Some(by) = membership.certificate(&doc.author) else { return };
        if !by.may(Role::Release) && !by.may(Role::Deploy) {
            found.note(not_allowed(doc, "its author holds neither the release nor the deploy role"));
            return;
        }
        let mut admit = |role: Role, at: Timestamp, what: &str| {
            let refusal = if !by.may(role) {
                Some(format!("a {what} by an author without the {role} role"))
            } else if !membership.held_role(&doc.author, role, at) {
                Some(format!("a {what} made outside its author's dates"))
            } else {
                None
            };
            refusal.map(|detail| found.note(not_allowed(doc, detail))).is_none()
        };
        let AuthorityContent { releases, deployments, controls, approvals } = content;
        let releases = releases.into_iter().filter(|(_, r)| admit(Role::Release, r.published_at, "release"));
        self.releases.extend(releases.map(|what| Said { doc, by, what }));
        let deployments = deployments.into_iter().filter(|(_, d)| admit(Role::Deploy, d.created_at, "deployment"));
        self.deployments.extend(deployments.map(|what| Said { doc, by, what }));
        let controls = controls.into_iter().filter(|c| admit(Role::Deploy, c.at, "control"));
        self.controls.extend(controls.map(|what| Said { doc, by, what }));
        let approvals = approvals.into_iter().filter(|a| match a.of {
            Approved::Release(_) => admit(Role::Release, a.at, "release's approval"),
            Approved::Rollout(_) => admit(Role::Deploy, a.at, "deployment's approval"),
        });
        self.approvals.extend(approvals.map(|what| Said { doc, by, what }));
    }

    /// Judges what was heard.
    pub(super) fn judge(mut self, found: &mut Findings) -> Published {
        let roots = self.membership.roots();
        drop_jumps(&mut self.releases, |(_, release)| release.generation, roots.version, found);
        drop_jumps(&mut self.deployments, |(_, deployment)| deployment.generation, roots.version, found);
        let agreed = Agreed::new(self.membership, &self.releases, &self.deployments, &self.approvals);
        let mut publishers: BTreeMap<ReleaseId, BTreeSet<NodeId>> = BTreeMap::new();
        for said in &self.releases {
            publishers.entry(said.what.0).or_default().insert(said.doc.author);
        }
        let controls = ByRollout::new(self.controls);
        let mut deployments = BTreeMap::new();
        // The least author comes first by now, and the first one stays.
        for Said { doc, by, what: (id, deployment) } in self.deployments {
            let cell = deployment.selector.widest_cell();
            if !by.cell.covers(&cell) {
                found.note(not_allowed(
                    doc,
                    format_args!("a deployment for cell {cell}, outside its author's {}", by.cell),
                ));
                continue;
            }
            let of_release = publishers.get(&deployment.release);
            if of_release.is_some_and(|nodes| !nodes.iter().any(|node| self.membership.covers(node, &cell))) {
                let release = deployment.release.short();
                let detail =
                    format_args!("a deployment for cell {cell} of release {release}, published for a narrower cell");
                found.note(not_allowed(doc, detail));
                continue;
            }
            if of_release.is_none() {
                let detail = format_args!(
                    "deployment {} names release {}, not held yet",
                    id.short(),
                    deployment.release.short()
                );
                found.note(Finding::new(FindingKind::UnknownRelease, doc.author, Some(doc.clone()), detail));
            }
            deployments.entry(id).or_insert_with(|| {
                let (control, given) = (controls.resolve(&id, &cell), controls.given(&id, &cell));
                // The next one counts on from the highest.
                let controls = given.last().map_or(0, |last| last.count);
                let agreement = agreed.on(Approved::Rollout(id), &cell, roots.approvals.deploy);
                let of_release = Approved::Release(deployment.release);
                // Of a release that nobody published here yet, nothing can be asked.
                let needed = if publishers.contains_key(&deployment.release) { roots.approvals.release } else { 0 };
                let release_agreement = agreed.on(of_release, &cell, needed);
                let author = doc.author;
                PublishedDeployment { deployment, author, agreement, release_agreement, control, given, controls }
            });
        }
        controls.note_powerless(&deployments, found);
        (widest_publishers(self.releases), deployments)
    }
}

/// Keeps of each author what can be counted up to by steps of at most [`MAX_JUMP`] from zero, under each version of the roots anew, up to
/// `version`; the rest is noted. Leaves the statements in the order of authors.
fn drop_jumps<T>(
    said: &mut Vec<Said<'_, T>>,
    generation: impl Fn(&T) -> Generation,
    version: u32,
    found: &mut Findings,
) {
    said.sort_by_key(|s| (s.doc.author, generation(&s.what)));
    let mut last: Option<(NodeId, Generation)> = None;
    said.retain(|s| {
        let Generation { epoch, n } = generation(&s.what);
        let before = last.filter(|(author, before)| *author == s.doc.author && before.epoch == epoch);
        let base = before.map_or(0, |(_, before)| before.n);
        // Sorted, so whatever follows a jump is at least as far away.
        let reached = epoch <= version && n.saturating_sub(base) <= MAX_JUMP;
        if reached {
            last = Some((s.doc.author, Generation { epoch, n }));
        } else {
            let known = epoch.min(version);
            let detail = format_args!("generation {epoch}.{n} jumps too far above {known}.{base}");
            found.note(Finding::new(FindingKind::GenerationJump, s.doc.author, Some(s.doc.clone()), detail));
        }
        reached
    });
}

fn widest_publishers(mut said: Vec<Said<'_, (ReleaseId, Release)>>) -> BTreeMap<ReleaseId, PublishedRelease> {
    // The last one stays: the shallowest cell, then the least author.
    said.sort_by_key(|s| Reverse((depth(&s.by.cell), s.doc.author)));
    said.into_iter()
        .map(|Said { doc, what: (id, release), .. }| (id, PublishedRelease { release, publisher: doc.author }))
        .collect()
}

fn depth(cell: &CellPath) -> usize {
    std::iter::successors(cell.parent(), CellPath::parent).count()
}

/// Who agrees to what: those who said it, and those who approved it.
struct Agreed<'a> {
    membership: &'a Membership,
    by: BTreeMap<Approved, BTreeSet<NodeId>>,
}

impl<'a> Agreed<'a> {
    fn new(
        membership: &'a Membership,
        releases: &[Said<'_, (ReleaseId, Release)>],
        deployments: &[Said<'_, (RolloutId, Deployment)>],
        approvals: &[Said<'_, Approval>],
    ) -> Self {
        let mut by: BTreeMap<Approved, BTreeSet<NodeId>> = BTreeMap::new();
        let releases = releases.iter().map(|s| (Approved::Release(s.what.0), s.doc.author));
        let deployments = deployments.iter().map(|s| (Approved::Rollout(s.what.0), s.doc.author));
        let approvals = approvals.iter().map(|s| (s.what.of, s.doc.author));
        for (what, author) in releases.chain(deployments).chain(approvals) {
            by.entry(what).or_default().insert(author);
        }
        Self { membership, by }
    }

    /// Who agrees to something for a cell: those whose own cell covers it.
    fn on(&self, what: Approved, cell: &CellPath, needed: u8) -> Agreement {
        let all = self.by.get(&what).into_iter().flatten();
        let given: BTreeSet<NodeId> = all.filter(|node| self.membership.covers(node, cell)).copied().collect();
        Agreement { counted: self.hands(&given), given, needed }
    }

    /// How many hands agree. All who hang on one node that a root certified are one: it may have enrolled them for the purpose. So are a root and
    /// those it certified, unless each root decides alone anyway. More who agree never count for less.
    fn hands(&self, given: &BTreeSet<NodeId>) -> usize {
        let hands: BTreeMap<NodeId, NodeId> = given.iter().filter_map(|node| self.membership.hand(node)).collect();
        let roots = self.membership.roots();
        let makes_another = |hand: &NodeId| hands.iter().any(|(other, root)| root == hand && other != hand);
        let twice = hands.keys().filter(|hand| roots.threshold > 1 && makes_another(hand)).count();
        hands.len() - twice
    }
}

/// Controls by the rollout that they are of.
struct ByRollout<'a>(BTreeMap<RolloutId, Vec<Said<'a, Control>>>);

impl<'a> ByRollout<'a> {
    fn new(controls: Vec<Said<'a, Control>>) -> Self {
        let mut by_rollout: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for said in controls {
            by_rollout.entry(said.what.rollout).or_default().push(said);
        }
        Self(by_rollout)
    }

    /// The state of a rollout for `cell`, by the authorities whose deploy role covers that cell.
    ///
    /// A halt holds for ever and over everything, a cancel over all but that; else the highest count decides, equal ones by the
    /// greater action, then the greater author.
    fn resolve(&self, rollout: &RolloutId, cell: &CellPath) -> ControlState {
        let controls = self.0.get(rollout).into_iter().flatten().filter(|said| said.by.cell.covers(cell));
        let rank = |said: &&Said<'_, Control>| {
            let Control { action, count, at, ref reason, .. } = said.what;
            let lasting = matches!(action, ControlAction::Cancel | ControlAction::Halt).then_some(action);
            // Of several lasting ones the first is the one that set it.
            let order = if lasting.is_some() { u32::MAX - count } else { count };
            (lasting, order, action, said.doc.author, at, reason.clone())
        };
        let Some(Said { doc, what, .. }) = controls.max_by_key(rank) else { return ControlState::Running };
        let by = SetBy { author: doc.author, reason: what.reason.clone(), at: what.at };
        match what.action {
            ControlAction::Pause => ControlState::Paused(by),
            ControlAction::Resume => ControlState::Running,
            ControlAction::Cancel => ControlState::Cancelled(by),
            ControlAction::Halt => ControlState::Halted(by),
        }
    }

    /// The controls that may be heard, in the order of counts, equal ones by author and time.
    fn given(&self, rollout: &RolloutId, cell: &CellPath) -> Vec<GivenControl> {
        let heard = self.0.get(rollout).into_iter().flatten().filter(|said| said.by.cell.covers(cell));
        let mut given: Vec<GivenControl> = heard
            .map(|Said { doc, what, .. }| GivenControl {
                action: what.action,
                count: what.count,
                by: SetBy { author: doc.author, reason: what.reason.clone(), at: what.at },
            })
            .collect();
        given.sort_by(|a, b| {
            let key = |g: &GivenControl| (g.count, g.by.author, g.by.at, g.action);
            key(a).cmp(&key(b)).then_with(|| a.by.reason.cmp(&b.by.reason))
        });
        given
    }

    /// Notes controls of rollouts that are not in the view, or that their author may not control.
    fn note_powerless(&self, deployments: &BTreeMap<RolloutId, PublishedDeployment>, found: &mut Findings) {
        for (rollout, controls) in &self.0 {
            let cell = deployments.get(rollout).map(|d| d.deployment.selector.widest_cell());
            for Said { doc, by, what } in controls {
                match &cell {
                    Some(cell) if by.cell.covers(cell) => {}
                    Some(cell) => {
                        let detail =
                            format_args!("a {} for cell {cell}, outside its author's {}", what.action, by.cell);
                        found.note(not_allowed(doc, detail));
                    }
                    None => {
                        let detail = format_args!("a {} of rollout {}, not held yet", what.action, rollout.short());
                        found.note(Finding::new(FindingKind::UnknownRollout, doc.author, Some((*doc).clone()), detail));
                    }
                }
            }
        }
    }
}

fn not_allowed(doc: &DocId, detail: impl std::fmt::Display) -> Finding {
    Finding::new(FindingKind::NotAllowed, doc.author, Some(doc.clone()), detail)
}
