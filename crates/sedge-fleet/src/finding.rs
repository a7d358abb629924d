//! What a node will not take into account, and why.
//!
//! Nothing is ever dropped in silence: whatever is refused, ignored or cut off leaves a finding that names who made it, or who
//! keeps sending it. Findings are counted and bounded, so that an attacker cannot fill a node's memory with the record of its attack.

use std::collections::BTreeMap;
use std::fmt;

use sedge_statement::{DocId, NodeId};

/// The kind of thing that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The author signed two histories of one document. What it says from the divergence on is ignored.
    Fork,
    /// The author signed a change that no honest writer makes: it is never applied.
    BadChange,
    /// The sender offered something whose signature does not hold, or that does not decode.
    Malformed,
    /// The author wrote more than one author may.
    OverQuota,
    /// A certificate that its issuer may not issue, or that widens what the issuer has.
    BadCertificate,
    /// A statement of an author whose certificate does not let it say this.
    NotAllowed,
    /// An entry of a document that does not read as what its place says it is.
    Unreadable,
    /// Another statement won over this one.
    Superseded,
    /// The author is no member, or its certificate is not current.
    NotAMember,
    /// The sender offers links of which it keeps back those before: a gap, or an orphan. Nothing of them is applied.
    Withheld,
    /// A deployment names a release that is not held: it waits, and the release arrives or was never published.
    UnknownRelease,
    /// A control names a rollout that is not held: it waits, and the deployment arrives or was never published.
    UnknownRollout,
    /// A generation lies too far above the author's others to have been counted up to.
    GenerationJump,
    /// A record of this node's own store is damaged: what it held is left out, and asked for again.
    Damaged,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fork => "fork",
            Self::BadChange => "bad change",
            Self::Malformed => "malformed",
            Self::OverQuota => "over quota",
            Self::BadCertificate => "bad certificate",
            Self::NotAllowed => "not allowed",
            Self::Unreadable => "unreadable",
            Self::Superseded => "superseded",
            Self::NotAMember => "not a member",
            Self::Withheld => "withheld",
            Self::UnknownRelease => "unknown release",
            Self::UnknownRollout => "unknown rollout",
            Self::GenerationJump => "generation jump",
            Self::Damaged => "damaged",
        })
    }
}

/// Something that was found, and how often.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Who made it: the author, or the sender where no author can be proven.
    pub about: NodeId,
    /// The document it is in, if it is in one.
    pub doc: Option<DocId>,
    /// The reason, for people; at most [`Finding::MAX_DETAIL`] bytes.
    pub detail: String,
    /// How often it was found since the start.
    pub count: u32,
}

impl Finding {
    /// The longest detail, bytes: a line.
    pub const MAX_DETAIL: usize = 256;

    /// A finding seen once; a longer detail is cut.
    pub fn new(kind: FindingKind, about: NodeId, doc: Option<DocId>, detail: impl fmt::Display) -> Self {
        let mut detail = detail.to_string();
        detail.truncate(detail.floor_char_boundary(Self::MAX_DETAIL));
        Self { kind, about, doc, detail, count: 1 }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.kind, self.about.short())?;
        if let Some(doc) = &self.doc {
            write!(f, " in {doc}")?;
        }
        write!(f, ": {}", self.detail)?;
        if self.count > 1 { write!(f, " ({} times)", self.count) } else { Ok(()) }
    }
}

/// Findings counted by kind, party and document, and bounded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    known: BTreeMap<(FindingKind, NodeId, Option<DocId>), (String, u32)>,
    /// How many of them are about each party.
    about: BTreeMap<NodeId, usize>,
}

impl Findings {
    /// How many different findings are kept: four for each node of a mesh of a thousand.
    const MAX: usize = 4096;
    /// How many different findings are kept about one party, so that it cannot push out those about others.
    const MAX_ABOUT_ONE: usize = 32;

    /// Counts a finding; true where it was not known before.
    pub(crate) fn note(&mut self, finding: Finding) -> bool {
        let Finding { kind, about, doc, detail, count } = finding;
        if let Some((_, known)) = self.known.get_mut(&(kind, about, doc.clone())) {
            *known = known.saturating_add(count);
            return false;
        }
        let of_this = self.about.get(&about).copied().unwrap_or_default();
        if self.known.len() >= Self::MAX || of_this >= Self::MAX_ABOUT_ONE {
            return false;
        }
        self.about.insert(about, of_this + 1);
        self.known.insert((kind, about, doc), (detail, count));
        true
    }

    /// Counts several.
    pub(crate) fn note_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.note(finding);
        }
    }

    /// Everything found, in the order of kind, party and document.
    pub(crate) fn list(&self) -> Vec<Finding> {
        self.known
            .iter()
            .map(|((kind, about, doc), (detail, count))| Finding {
                kind: *kind,
                about: *about,
                doc: doc.clone(),
                detail: detail.clone(),
                count: *count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use sedge_statement::SecretKey;

    use super::*;

    #[test]
    fn one_party_cannot_push_out_findings_about_others() {
        let [loud, other] = [1, 2].map(|n| SecretKey::from_bytes(&[n; 32]).node_id());
        let found = |about, epoch| {
            let doc = crate::documents::doc_id(about, sedge_statement::DocKind::Node, epoch);
            Finding::new(FindingKind::BadChange, about, Some(doc), "x")
        };
        let mut findings = Findings::default();
        let new = (0..100).filter(|n| findings.note(found(loud, *n))).count();
        assert_eq!(new, Findings::MAX_ABOUT_ONE);
        assert!(findings.note(found(other, 0)));
        assert!(!findings.note(found(loud, 0)), "it is counted, and not new");
        assert_eq!(findings.list().iter().map(|finding| finding.count).max(), Some(2));
    }
}
