//! The audit trail, entry by entry.

use sedge_statement::{MeshId, NodeId, NodeName, ObjectId, Timestamp};
use serde::{Deserialize, Serialize};

/// The most entries in one answer.
pub const EVENTS_PER_PAGE: usize = 256;

/// Asks for the audit trail, a page at a time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EventsRequest {
    /// Only what was said then or later, by the clock of whoever said it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Goes on where the page before ended: its `next`.
    #[serde(default)]
    pub from: Option<String>,
    /// As things were at this revision, which the first page gave: so that pages leave out nothing and give nothing twice.
    #[serde(default)]
    pub at: Option<u64>,
}

/// Asks for what was heard, or judged otherwise, since a revision.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EventsAfter {
    /// The revision. The answer waits for another one, or until [`WATCH_LIMIT`](super::WATCH_LIMIT) has passed.
    pub after: u64,
    /// As in [`EventsRequest`].
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// Some of the audit trail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventPage {
    /// At most [`EVENTS_PER_PAGE`]: in their one order, or, of those after a revision, as they were heard.
    pub events: Vec<Event>,
    /// Where the next page begins; absent on the last one.
    pub next: Option<String>,
    /// Up to which revision this is complete.
    pub revision: u64,
}

/// One thing that was said, and whether it counts now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the clock of whoever said it.
    pub at: Timestamp,
    /// Who said it: its signature alone makes this.
    pub by: NodeId,
    /// Its name, where it has a certificate.
    pub name: Option<NodeName>,
    /// `genesis`, `certificate`, `revocation`, `roots`, `release`, `deployment`, `approval`, `pause`, `resume`, `cancel`, `halt`, `evidence`, `fork`, `roll`, `entry`,
    /// `unknown` or `unreadable`.
    pub kind: String,
    /// What was said, in words.
    pub what: String,
    /// The id of the node, version of the roots, release or rollout that it is about.
    pub about: Option<String>,
    /// The object that says it, where one that stands alone does.
    pub object: Option<ObjectId>,
    /// The document that says it, else.
    pub document: Option<String>,
    /// In which of the document's links.
    pub link: Option<u64>,
    /// `counts`, `waits`, `superseded`, `not-allowed`, `revoked`, `past-last-good`, `behind-fork` or `unreadable`.
    pub standing: String,
    /// Why it does not count, where it does not.
    pub why: Option<String>,
}

/// The end of an archive that came in pieces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventsExported {
    /// The mesh.
    pub mesh: MeshId,
    /// How long the archive is.
    pub bytes: u64,
}

/// An archive of which everything holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventsVerified {
    /// The mesh that it is of.
    pub mesh: MeshId,
    /// All that it says, in its one order.
    pub events: Vec<Event>,
}
