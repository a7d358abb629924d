//! What authorities and witnesses say, one statement at a time: what the audit trail is made of.

use sedge_statement::{
    Approval, Control, Deployment, DocKind, GateReport, Release, ReleaseId, RolloutId, Timestamp, codec,
};

use super::content::{Content, Node};
use super::read::{self, Defect};
use super::{EVIDENCE, key};

/// One entry of a document that says something of the fleet, and not of its author's machine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    Release(ReleaseId, Release),
    Deployment(RolloutId, Deployment),
    Control(Control),
    Approval(Approval),
    Evidence(GateReport),
}

impl Statement {
    /// When it was said, by its author's clock.
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Release(_, release) => release.published_at,
            Self::Deployment(_, deployment) => deployment.created_at,
            Self::Control(control) => control.at,
            Self::Approval(approval) => approval.at,
            Self::Evidence(report) => report.at,
        }
    }

    /// Canonical bytes: the same for the same statement, wherever it is repeated.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Release(id, _) => codec::encode(&(0u8, id)),
            Self::Deployment(id, _) => codec::encode(&(1u8, id)),
            Self::Control(control) => codec::encode(&(2u8, control)),
            Self::Approval(approval) => codec::encode(&(3u8, approval)),
            Self::Evidence(r) => codec::encode(&(4u8, r.rollout, r.state, &r.reason, r.sha256, r.soaked, r.at)),
        }
    }
}

/// The places of a document of a kind whose entries are statements.
pub(crate) const fn places(kind: DocKind) -> &'static [&'static str] {
    match kind {
        DocKind::Authority => &[key::RELEASES, key::DEPLOYMENTS, key::CONTROLS, key::APPROVALS],
        DocKind::Gate => &[EVIDENCE],
        // What a node says of itself is replaced all the time, and binds nobody else.
        DocKind::Node => &[],
    }
}

/// Reads the entry `name` of a place.
pub(crate) fn statement<D: Content>(
    doc: &D,
    place: &str,
    name: &str,
    value: &Node<'_, D::Id>,
) -> Result<Statement, Defect> {
    match place {
        key::RELEASES => read::release(name, value).map(|(id, release)| Statement::Release(id, release)),
        key::DEPLOYMENTS => read::deployment(name, value).map(|(id, said)| Statement::Deployment(id, said)),
        key::CONTROLS => read::control(name, value).map(Statement::Control),
        key::APPROVALS => read::approval(name, value).map(Statement::Approval),
        EVIDENCE => read::evidence(doc, name, value).map(|(_, report)| Statement::Evidence(report)),
        _ => Err(Defect::BadKey),
    }
}
