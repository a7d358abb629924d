//! What the documents hold, and the only code that reads and writes it.
//!
//! Goals: content stays native Automerge, so that other tools can read it; whatever is named by digest is one byte scalar; an
//! edit costs few operations; nothing that a hostile author writes can make a reader panic or work without bound.
//! Non-goals: merging (a document has one author), and judging who may say what (that is the fold's).
//!
//! | kind | place | value |
//! |---|---|---|
//! | authority | `releases` / release id, hex | bytes: the release, canonical |
//! | authority | `deployments` / rollout id, hex | bytes: the deployment, canonical |
//! | authority | `controls` / rollout id, hex, `/` count | bytes: the control, canonical |
//! | authority | `approvals` / release or rollout id, hex | bytes: the approval, canonical |
//! | node | `profile` | map: `architecture`, `os`, `cpu` text; `cores`, `disk` unsigned; `memory`, `accelerators`, `runtimes` lists |
//! | node | `profile` / `memory` / index | map: `name` text; `total`, `allocatable` unsigned, bytes |
//! | node | `profile` / `accelerators` / index | map: `name`, `pool` text |
//! | node | `profile` / `runtimes` / index | map: `backend`, `version` text; `providers` list of text |
//! | node | `slots` / slot name | map: `state`, `reason` text; `since` unsigned, ms; `rollout`, `serving`, `sha256` 32 bytes |
//! | node | `artifacts` / BLAKE3, hex | unsigned: length, bytes |
//! | gate | `evidence` / rollout id, hex, `/` n | map: `state`, `reason` text; `soaked`, `at` unsigned, ms; `sha256` 32 bytes |
//!
//! Text is a string scalar, never an Automerge text object, which costs an operation for every character. An absent
//! optional field is an absent key. Evidence is only ever added to, `n` from zero: the check before Automerge
//! (`precheck/shape.rs`) refuses a change that replaces or removes anything below it, so that nobody takes back a failure. Root keys `previous` and `complete_after` belong to the chain of epochs,
//! and only an epoch's first link may write them; keys that are
//! not in this table are of a later version: left where they are and not read.

mod content;
mod read;
mod statement;
#[cfg(test)]
mod tests;
mod write;

use sedge_statement::{
    Approval, Blake3, Control, Deployment, DocKind, GateReport, Profile, Release, SlotName, SlotReport,
};

pub(crate) use content::{Content, Node, NotAMap};
pub(crate) use read::{
    AuthorityContent, Defects, GateContent, MAX_ENTRIES, NodeContent, note_evidence, read_authority, read_gate,
    read_node,
};
pub(crate) use statement::{Statement, places, statement};
pub(crate) use write::apply;

mod key {
    pub(super) const RELEASES: &str = "releases";
    pub(super) const DEPLOYMENTS: &str = "deployments";
    pub(super) const CONTROLS: &str = "controls";
    pub(super) const APPROVALS: &str = "approvals";
    pub(super) const PROFILE: &str = "profile";
    pub(super) const SLOTS: &str = "slots";
    pub(super) const ARTIFACTS: &str = "artifacts";
}

/// The place of evidence, in which nothing is ever replaced or removed.
pub(crate) const EVIDENCE: &str = "evidence";

/// What an epoch's first link says of the one before it.
pub(crate) const PREVIOUS: &str = "previous";
/// After how many links an epoch holds the whole state of the one before.
pub(crate) const COMPLETE_AFTER: &str = "complete_after";

/// One edit of one's own document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// Publishes a release (`authority`).
    PutRelease(Release),
    /// Publishes a deployment (`authority`).
    PutDeployment(Deployment),
    /// Publishes a control (`authority`); another of the same rollout and count is replaced.
    PutControl(Control),
    /// Agrees to another authority's release or deployment (`authority`).
    PutApproval(Approval),
    /// States the node's slow facts (`node`).
    PutProfile(Profile),
    /// States how a slot is (`node`); only the fields that changed are written.
    PutSlot(SlotReport),
    /// Says no more of a slot (`node`).
    RemoveSlot(SlotName),
    /// Adds evidence on a rollout (`gate`), unless it says no more than the last did, or a failure was said before: that stays.
    PutGate(GateReport),
    /// States that the node holds a file whole (`node`).
    PutArtifact {
        /// The file.
        blake3: Blake3,
        /// Its length, bytes.
        size: u64,
    },
    /// States that the node holds a file no more (`node`).
    RemoveArtifact(Blake3),
}

impl Edit {
    /// The kind of document that the edit belongs in.
    pub const fn kind(&self) -> DocKind {
        match self {
            Self::PutRelease(_) | Self::PutDeployment(_) | Self::PutControl(_) | Self::PutApproval(_) => {
                DocKind::Authority
            }
            Self::PutProfile(_)
            | Self::PutSlot(_)
            | Self::RemoveSlot(_)
            | Self::PutArtifact { .. }
            | Self::RemoveArtifact(_) => DocKind::Node,
            Self::PutGate(_) => DocKind::Gate,
        }
    }
}

/// The edits that build a `node` document's present state anew: what its next epoch begins with. What does not read is left out.
pub(crate) fn snapshot(doc: &impl Content) -> Vec<Edit> {
    let content = read_node(doc, &mut Defects::default());
    let profile = content.profile.into_iter().map(Edit::PutProfile);
    let artifacts = content.artifacts.into_iter().map(|(blake3, size)| Edit::PutArtifact { blake3, size });
    profile.chain(content.slots.into_iter().map(Edit::PutSlot)).chain(artifacts).collect()
}
