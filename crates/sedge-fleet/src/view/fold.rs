//! The fold itself: documents in, a view out.

use std::collections::{BTreeMap, BTreeSet};

use automerge::Automerge;
use sedge_statement::{DocId, DocKind, Genesis, MeshId, NodeId, Timestamp};

use super::FleetView;
use super::authority::Authorities;
use crate::finding::Findings;
use crate::membership::Membership;
use crate::schema::{self, Defects};
use crate::{Finding, FindingKind};

/// Everything a view depends on.
pub(crate) struct FoldInput<'a> {
    /// The mesh.
    pub(crate) mesh: MeshId,
    /// Its genesis.
    pub(crate) genesis: &'a Genesis,
    /// Its certificates.
    pub(crate) membership: &'a Membership,
    /// Verified documents, in any order. Of several epochs of a `node` document the last counts; those of the other kinds
    /// add up.
    pub(crate) documents: Vec<(&'a DocId, &'a Automerge)>,
    /// What was found before the fold.
    pub(crate) findings: Vec<Finding>,
    /// The time at which it is asked.
    pub(crate) now: Timestamp,
}

/// Folds documents into a view. Pure; the order of `documents` and `findings` does not matter.
pub(crate) fn fold(input: FoldInput<'_>) -> FleetView {
    let FoldInput { mesh, genesis, membership, mut documents, mut findings, now } = input;
    documents.sort_by_key(|(id, _)| *id);
    findings.sort();
    let mut found = Findings::default();
    for finding in findings {
        found.note(finding);
    }
    note_certificates(membership, &mut found);
    let mut view = empty_view(mesh, genesis, membership, now);
    let mut authorities = Authorities::new(membership);
    let replaced = replaced(&documents);
    for (id, doc) in documents {
        if replaced.contains(id) {
            continue;
        }
        if !view.members.contains_key(&id.author) {
            let detail = "its author holds no certificate that is valid yet";
            found.note(Finding::new(FindingKind::NotAMember, id.author, Some(id.clone()), detail));
            continue;
        }
        let mut defects = Defects::default();
        match id.kind {
            DocKind::Authority => authorities.hear(id, schema::read_authority(doc, &mut defects), &mut found),
            DocKind::Node => hear_node(&mut view, id.author, schema::read_node(doc, &mut defects)),
            DocKind::Gate => hear_gate(&mut view, id.author, schema::read_gate(doc, &mut defects)),
        }
        for ((place, defect), count) in defects.0 {
            let finding =
                Finding::new(FindingKind::Unreadable, id.author, Some(id.clone()), format_args!("{place} {defect}"));
            found.note(Finding { count, ..finding });
        }
    }
    (view.releases, view.deployments) = authorities.judge(&mut found);
    view.findings = found.list();
    view
}

fn empty_view(mesh: MeshId, genesis: &Genesis, membership: &Membership, now: Timestamp) -> FleetView {
    let mut certificates: Vec<_> = membership.valid().collect();
    certificates.sort_by_key(|(id, certificate)| (certificate.issuer, certificate.serial, **id));
    let subjects: BTreeSet<NodeId> = certificates.iter().map(|(_, certificate)| certificate.subject).collect();
    let members = subjects.into_iter().filter(|node| membership.is_member(node, now));
    FleetView {
        mesh,
        genesis: genesis.clone(),
        members: members.filter_map(|node| Some((node, membership.certificate(&node)?.clone()))).collect(),
        certificates: certificates.into_iter().map(|(_, certificate)| certificate.clone()).collect(),
        frontier: membership.frontier(),
        releases: BTreeMap::new(),
        deployments: BTreeMap::new(),
        profiles: BTreeMap::new(),
        slots: BTreeMap::new(),
        holders: BTreeMap::new(),
        gates: BTreeMap::new(),
        findings: Vec::new(),
    }
}

/// `node` documents that a later epoch of the same author's replaces. A node that moved cell continues in another
/// scope, so epochs are compared across scopes.
fn replaced<'a>(documents: &[(&'a DocId, &Automerge)]) -> BTreeSet<&'a DocId> {
    let mut last: BTreeMap<(NodeId, DocKind), &DocId> = BTreeMap::new();
    let mut replaced = BTreeSet::new();
    for (id, _) in documents.iter().filter(|(id, _)| id.kind == DocKind::Node) {
        let newest = last.entry((id.author, id.kind)).or_insert(id);
        if (newest.epoch, &newest.scope) < (id.epoch, &id.scope) {
            replaced.insert(std::mem::replace(newest, id));
        } else if newest != id {
            replaced.insert(*id);
        }
    }
    replaced
}

fn note_certificates(membership: &Membership, found: &mut Findings) {
    for (issuer, serial) in membership.equivocating() {
        let detail = format_args!("two different certificates with serial {serial}");
        found.note(Finding::new(FindingKind::BadCertificate, issuer, None, detail));
    }
    for (certificate, refusal) in membership.waiting() {
        let detail = format_args!("certificate {} for {}: {refusal}", certificate.serial, certificate.subject.short());
        found.note(Finding::new(FindingKind::BadCertificate, certificate.issuer, None, detail));
    }
}

fn hear_node(view: &mut FleetView, node: NodeId, content: schema::NodeContent) {
    view.profiles.extend(content.profile.map(|profile| (node, profile)));
    view.slots.extend(content.slots.into_iter().map(|report| ((node, report.slot.clone()), report)));
    for (blake3, _) in content.artifacts {
        view.holders.entry(blake3).or_default().insert(node);
    }
}

fn hear_gate(view: &mut FleetView, node: NodeId, content: schema::GateContent) {
    for report in content.reports {
        schema::note_evidence(view.gates.entry(report.rollout).or_default().entry(node), report);
    }
}
