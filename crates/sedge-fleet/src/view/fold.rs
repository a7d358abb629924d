//! The fold itself: documents in, a view out.
//!
//! [`Fold`] remembers what the last view was made of, and exchanges in it the parts of those documents that changed: one link among a thousand
//! nodes' costs little beyond a copy of the view, and no link nothing. That is a matter of cost alone. A fold that remembers nothing gives the
//! same view of the same input, and `tests/folding.rs` holds it to that.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use sedge_statement::{CellPath, DocId, DocKind, Genesis, MeshId, NodeId, Timestamp};

use super::authority::Authorities;
use super::reading::{Reading, Says};
use super::{FleetView, RevokedNode};
use crate::finding::Findings;
use crate::membership::Membership;
use crate::schema::{self, GateContent, NodeContent};
use crate::{Finding, FindingKind};

/// Everything a view depends on.
pub(crate) struct FoldInput<'a> {
    /// The mesh; one for all of a fold's views.
    pub(crate) mesh: MeshId,
    /// Its genesis.
    pub(crate) genesis: &'a Genesis,
    /// Its certificates.
    pub(crate) membership: &'a Membership,
    /// The cells whose `node` documents are held.
    pub(crate) held: BTreeSet<CellPath>,
    /// Verified documents, in any order. Of several epochs of a `node` document the last counts; those of the other kinds
    /// add up.
    pub(crate) documents: Vec<(&'a DocId, Arc<Reading>)>,
    /// What was found before the fold.
    pub(crate) findings: Vec<Finding>,
    /// The latest time that an authority has proven to be past.
    pub(crate) verified: Timestamp,
    /// The time at which it is asked. It decides who is a member, and nothing else: see [`Roster`].
    pub(crate) now: Timestamp,
}

/// Folds documents into views. Pure: what it remembers only saves work.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    last: Option<Last>,
}

/// The last view, and what it was made of.
#[derive(Debug)]
struct Last {
    roster: Roster,
    /// In the order of documents.
    parts: Vec<Part>,
    /// What was found in judging the authorities.
    judged: Vec<Finding>,
    view: Arc<FleetView>,
}

/// Up to when, and for which certificates, a view's members stand.
#[derive(Debug)]
struct Roster {
    revision: u64,
    steady: Range<Timestamp>,
    findings: Vec<Finding>,
}

/// A document that counts.
#[derive(Debug, Clone)]
struct Part {
    doc: DocId,
    reading: Arc<Reading>,
    /// Whether its author is a member.
    heard: bool,
}

impl Fold {
    /// The last view, where neither a new certificate nor time could have changed it, `now` being no less than the verified time.
    pub(crate) fn last(&self, membership: &Membership, now: Timestamp) -> Option<&Arc<FleetView>> {
        self.last.as_ref().filter(|last| last.roster.stands(membership, now)).map(|last| &last.view)
    }

    /// The view of the input.
    pub(crate) fn view(&mut self, input: FoldInput<'_>) -> Arc<FleetView> {
        let FoldInput { mesh, genesis, membership, held, documents, findings, verified, now } = input;
        let now = now.max(verified);
        let mut last = self.last.take().unwrap_or_else(|| Last::nothing(mesh, genesis, membership, now));
        let stood = last.roster.stands(membership, now);
        if !stood {
            last.set_roster(membership, now);
        }
        let parts = parts(documents, &last.view);
        let authorities_changed = last.exchange(&parts);
        last.parts = parts;
        if authorities_changed || !stood {
            last.judge(membership);
        }
        last.set_findings(findings);
        if last.view.verified != verified {
            Arc::make_mut(&mut last.view).verified = verified;
        }
        if last.view.held != held {
            Arc::make_mut(&mut last.view).held = held;
        }
        let view = Arc::clone(&last.view);
        self.last = Some(last);
        view
    }
}

impl Last {
    /// A view of no document.
    fn nothing(mesh: MeshId, genesis: &Genesis, membership: &Membership, now: Timestamp) -> Self {
        let view = FleetView {
            mesh,
            genesis: genesis.clone(),
            roots: membership.roots().clone(),
            proposed: Vec::new(),
            revoked: BTreeMap::new(),
            pending_revocations: Vec::new(),
            held: BTreeSet::new(),
            verified: Timestamp::default(),
            certificates: Vec::new(),
            members: BTreeMap::new(),
            frontier: membership.frontier(),
            releases: BTreeMap::new(),
            deployments: BTreeMap::new(),
            profiles: BTreeMap::new(),
            slots: BTreeMap::new(),
            holders: BTreeMap::new(),
            gates: BTreeMap::new(),
            findings: Vec::new(),
        };
        let roster = Roster::new(membership, now);
        let mut nothing = Self { roster, parts: Vec::new(), judged: Vec::new(), view: Arc::new(view) };
        nothing.set_roster(membership, now);
        nothing
    }

    fn set_roster(&mut self, membership: &Membership, now: Timestamp) {
        let mut certificates: Vec<_> = membership.selectable().collect();
        certificates.sort_by_key(|(id, certificate)| (certificate.issuer, certificate.serial, **id));
        let subjects: BTreeSet<NodeId> = certificates.iter().map(|(_, certificate)| certificate.subject).collect();
        let members = subjects.into_iter().filter(|node| membership.is_member(node, now));
        let view = Arc::make_mut(&mut self.view);
        view.members = members.filter_map(|node| Some((node, membership.certificate(&node)?.clone()))).collect();
        view.certificates = certificates.into_iter().map(|(_, certificate)| certificate.clone()).collect();
        view.frontier = membership.frontier();
        view.roots = membership.roots().clone();
        view.proposed = membership.proposed().cloned().collect();
        let name = |node: &NodeId| membership.certificate(node).map(|certificate| certificate.name.clone());
        let revoked = membership.all_revoked();
        view.revoked =
            revoked.map(|(node, kept)| (*node, RevokedNode { name: name(node), kept: kept.clone() })).collect();
        view.pending_revocations = membership.pending_revocations();
        self.roster = Roster::new(membership, now);
    }

    /// Takes out what documents said that changed or count no more, and puts in what they say now. Answers whether an authority's is among
    /// them.
    fn exchange(&mut self, parts: &[Part]) -> bool {
        let (gone, come) = differences(&self.parts, parts);
        let is_authority = |part: &&Part| part.doc.kind == DocKind::Authority;
        let authorities_changed = gone.iter().chain(&come).copied().any(|part| is_authority(&part));
        if gone.iter().chain(&come).copied().all(|part| is_authority(&part) || !part.heard) {
            return authorities_changed;
        }
        let view = Arc::make_mut(&mut self.view);
        // An author's evidence adds up over epochs, and which report counts hangs on all of them.
        let reporters: BTreeSet<NodeId> = gone
            .iter()
            .chain(&come)
            .filter(|part| part.doc.kind == DocKind::Gate)
            .map(|part| part.doc.author)
            .collect();
        for Part { doc, reading, .. } in gone.into_iter().filter(|part| part.heard) {
            if let Says::Node(content) = &reading.says {
                forget_node(view, doc.author, content);
            }
        }
        for Part { doc, reading, .. } in come.into_iter().filter(|part| part.heard) {
            if let Says::Node(content) = &reading.says {
                hear_node(view, doc.author, content);
            }
        }
        for (node, content) in evidence_of(&self.parts, &reporters) {
            forget_gate(view, node, content);
        }
        for (node, content) in evidence_of(parts, &reporters) {
            hear_gate(view, node, content);
        }
        authorities_changed
    }

    /// Judges what the authorities say, all of it anew: each statement may hang on any other.
    fn judge(&mut self, membership: &Membership) {
        let mut found = Findings::default();
        let mut authorities = Authorities::new(membership);
        for Part { doc, reading, .. } in self.parts.iter().filter(|part| part.heard) {
            if let Says::Authority(content) = &reading.says {
                authorities.hear(doc, content.clone(), &mut found);
            }
        }
        let (releases, deployments) = authorities.judge(&mut found);
        self.judged = found.list();
        let view = Arc::make_mut(&mut self.view);
        (view.releases, view.deployments) = (releases, deployments);
    }

    fn set_findings(&mut self, mut before: Vec<Finding>) {
        before.sort();
        let mut found = Findings::default();
        found.note_all(before);
        found.note_all(self.roster.findings.iter().cloned());
        for Part { doc, reading, heard } in &self.parts {
            if *heard {
                found.note_all(reading.defects.iter().cloned());
            } else {
                let detail = "its author holds no certificate that is valid yet";
                found.note(Finding::new(FindingKind::NotAMember, doc.author, Some(doc.clone()), detail));
            }
        }
        found.note_all(self.judged.iter().cloned());
        let findings = found.list();
        if self.view.findings != findings {
            Arc::make_mut(&mut self.view).findings = findings;
        }
    }
}

impl Roster {
    fn new(membership: &Membership, now: Timestamp) -> Self {
        let (mut findings, steady) = (Vec::new(), membership.steady_around(now));
        for (issuer, serial) in membership.equivocating() {
            let detail = format_args!("two different certificates with serial {serial}").to_string();
            findings.push(Finding::new(FindingKind::BadCertificate, issuer, None, detail));
        }
        for (certificate, refusal) in membership.waiting() {
            let (serial, subject) = (certificate.serial, certificate.subject.short());
            let detail = format_args!("certificate {serial} for {subject}: {refusal}").to_string();
            findings.push(Finding::new(FindingKind::BadCertificate, certificate.issuer, None, detail));
        }
        Self { revision: membership.revision(), steady, findings }
    }

    fn stands(&self, membership: &Membership, now: Timestamp) -> bool {
        self.revision == membership.revision() && self.steady.contains(&now)
    }
}

/// The documents that count, in order. Of an author's `node` documents a later epoch replaces the others; a node that moved cell continues
/// in another scope, so epochs are compared across scopes.
fn parts(mut documents: Vec<(&DocId, Arc<Reading>)>, view: &FleetView) -> Vec<Part> {
    documents.sort_by_key(|(doc, _)| *doc);
    let mut parts: Vec<Part> = Vec::with_capacity(documents.len());
    for (doc, reading) in documents {
        // What is kept of a revoked author was said while it might; of its machine nothing is true any more.
        let kept = doc.kind != DocKind::Node && view.revoked.contains_key(&doc.author);
        let heard = kept || view.members.contains_key(&doc.author);
        let part = Part { doc: doc.clone(), reading, heard };
        // Ordered by author and kind first, so rivals are neighbours.
        match parts.last_mut() {
            Some(before)
                if doc.kind == DocKind::Node && (before.doc.author, before.doc.kind) == (doc.author, doc.kind) =>
            {
                if (before.doc.epoch, &before.doc.scope) < (doc.epoch, &doc.scope) {
                    *before = part;
                }
            }
            _ => parts.push(part),
        }
    }
    parts
}

/// What is only in the first list, and what is only in the second.
fn differences<'a>(old: &'a [Part], new: &'a [Part]) -> (Vec<&'a Part>, Vec<&'a Part>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return (gone, come),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.doc.cmp(&after.doc),
        };
        match (old.next_if(|_| order.is_le()), new.next_if(|_| order.is_ge())) {
            (Some(before), Some(after)) if before.is(after) => {}
            (before, after) => {
                gone.extend(before);
                come.extend(after);
            }
        }
    }
}

impl Part {
    /// Whether it is the very same: a document that changed has another reading.
    fn is(&self, other: &Self) -> bool {
        self.doc == other.doc && self.heard == other.heard && Arc::ptr_eq(&self.reading, &other.reading)
    }
}

/// What these nodes' `gate` documents say, the earlier epochs first.
fn evidence_of<'a>(parts: &'a [Part], nodes: &'a BTreeSet<NodeId>) -> impl Iterator<Item = (NodeId, &'a GateContent)> {
    let of_them = parts.iter().filter(|part| part.heard && nodes.contains(&part.doc.author));
    of_them.filter_map(|part| match &part.reading.says {
        Says::Gate(content) => Some((part.doc.author, content)),
        _ => None,
    })
}

fn hear_node(view: &mut FleetView, node: NodeId, content: &NodeContent) {
    view.profiles.extend(content.profile.clone().map(|profile| (node, profile)));
    view.slots.extend(content.slots.iter().map(|report| ((node, report.slot.clone()), report.clone())));
    for (blake3, _) in &content.artifacts {
        view.holders.entry(*blake3).or_default().insert(node);
    }
}

fn forget_node(view: &mut FleetView, node: NodeId, content: &NodeContent) {
    view.profiles.remove(&node);
    for report in &content.slots {
        view.slots.remove(&(node, report.slot.clone()));
    }
    for (blake3, _) in &content.artifacts {
        forget(&mut view.holders, blake3, |nodes| nodes.remove(&node), BTreeSet::is_empty);
    }
}

fn hear_gate(view: &mut FleetView, node: NodeId, content: &GateContent) {
    for report in &content.reports {
        schema::note_evidence(view.gates.entry(report.rollout).or_default().entry(node), report.clone());
    }
}

fn forget_gate(view: &mut FleetView, node: NodeId, content: &GateContent) {
    for report in &content.reports {
        forget(&mut view.gates, &report.rollout, |reports| reports.remove(&node).is_some(), BTreeMap::is_empty);
    }
}

/// Removes something from the collection at `key`, and the collection once it is empty.
fn forget<K: Ord, C>(
    all: &mut BTreeMap<K, C>,
    key: &K,
    remove: impl FnOnce(&mut C) -> bool,
    is_empty: impl FnOnce(&C) -> bool,
) {
    let Some(collection) = all.get_mut(key) else { return };
    remove(collection);
    if is_empty(collection) {
        all.remove(key);
    }
}
