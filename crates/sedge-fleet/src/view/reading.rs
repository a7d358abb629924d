//! What one document says, read once for each of its heads.

use sedge_statement::{DocId, DocKind, RolloutId};

use crate::schema::{self, AuthorityContent, Content, Defects, GateContent, NodeContent};
use crate::{Finding, FindingKind};

/// A document's content, and what of it does not read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(super) says: Says,
    pub(super) defects: Vec<Finding>,
}

/// Content by the kind of its document.
#[derive(Debug)]
pub(super) enum Says {
    Authority(AuthorityContent),
    Node(NodeContent),
    Gate(GateContent),
}

impl Reading {
    /// Reads a document.
    pub(crate) fn of(id: &DocId, doc: &impl Content) -> Self {
        let mut defects = Defects::default();
        let says = match id.kind {
            DocKind::Authority => Says::Authority(schema::read_authority(doc, &mut defects)),
            DocKind::Node => Says::Node(schema::read_node(doc, &mut defects)),
            DocKind::Gate => Says::Gate(schema::read_gate(doc, &mut defects)),
        };
        let unreadable = |((place, defect), count)| {
            let detail = format_args!("{place} {defect}").to_string();
            Finding { count, ..Finding::new(FindingKind::Unreadable, id.author, Some(id.clone()), detail) }
        };
        Self { says, defects: defects.0.into_iter().map(unreadable).collect() }
    }

    /// The rollouts that it gives evidence on.
    pub(crate) fn rollouts(&self) -> impl Iterator<Item = &RolloutId> {
        let reports = match &self.says {
            Says::Gate(content) => content.reports.as_slice(),
            _ => &[],
        };
        reports.iter().map(|report| &report.rollout)
    }
}
