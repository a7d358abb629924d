//! What came of judging the authorities: findings, and which of their statements are left out.

use std::collections::BTreeMap;

use sedge_statement::{Approved, DocId, ReleaseId, RolloutId};

use crate::finding::Findings;
use crate::schema::AuthorityContent;
use crate::trail::Said;
use crate::{Finding, FindingKind};

/// A statement of an authority, inside its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stated {
    Release(ReleaseId),
    Deployment(RolloutId),
    Control(RolloutId, u32),
    Approval(Approved),
}

impl Stated {
    /// The statement of an entry of the trail; none where no authority makes one of its kind.
    pub(crate) fn of(said: &Said) -> Option<Self> {
        match said {
            Said::Release { id, .. } => Some(Self::Release(*id)),
            Said::Deployment { id, .. } => Some(Self::Deployment(*id)),
            Said::Control { rollout, count, .. } => Some(Self::Control(*rollout, *count)),
            Said::Approval(of) => Some(Self::Approval(*of)),
            _ => None,
        }
    }

    /// Every statement of a document.
    pub(super) fn all(content: &AuthorityContent) -> impl Iterator<Item = Self> {
        let releases = content.releases.iter().map(|(id, _)| Self::Release(*id));
        let deployments = content.deployments.iter().map(|(id, _)| Self::Deployment(*id));
        let controls = content.controls.iter().map(|control| Self::Control(control.rollout, control.count));
        let approvals = content.approvals.iter().map(|approval| Self::Approval(approval.of));
        releases.chain(deployments).chain(controls).chain(approvals)
    }
}

/// Statements that are left out, each with the reason.
pub(crate) type Refused = BTreeMap<(DocId, Stated), String>;

/// Findings, and what is left out.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) findings: Findings,
    pub(super) refused: Refused,
}

impl Judged {
    /// Leaves a statement out, with a finding that names its author.
    pub(super) fn refuse(&mut self, kind: FindingKind, doc: &DocId, what: Stated, detail: impl std::fmt::Display) {
        let finding = Finding::new(kind, doc.author, Some(doc.clone()), detail);
        self.refused.insert((doc.clone(), what), finding.detail.clone());
        self.findings.note(finding);
    }

    /// Leaves out all that a document says.
    pub(super) fn refuse_all(&mut self, doc: &DocId, content: &AuthorityContent, detail: &str) {
        self.refused.extend(Stated::all(content).map(|what| ((doc.clone(), what), detail.to_owned())));
        self.findings.note(Finding::new(FindingKind::NotAllowed, doc.author, Some(doc.clone()), detail));
    }

    /// Counts a finding about a statement that stays.
    pub(super) fn note(&mut self, finding: Finding) {
        self.findings.note(finding);
    }
}
