//! A fleet as its nodes know it: documents that each have one author, objects that stand alone, the fold of them into one
//! view, and the sync protocol that spreads them.
//!
//! Everything here is a pure function of its arguments. [`Fleet`] takes events with the time at which they happen and answers with
//! [`Effect`]s; it reads no clock, no file and no random source, and knows no transport. What a peer sends is believed only as far as
//! signatures go: who carried it never matters.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may unwrap"))]

mod chain;
mod documents;
mod finding;
mod fleet;
mod fork;
mod frame;
mod membership;
mod objects;
mod peer;
mod precheck;
mod record;
mod schema;
mod segment;
#[cfg(feature = "testing")]
pub mod testing;
mod trail;
mod view;

pub use chain::{AdoptError, MAX_CHAIN_BYTES, MAX_GATE_LINKS, MAX_LINKS};
pub use finding::{Finding, FindingKind};
pub use fleet::{
    Archive, ArchiveError, CloseReason, Effect, Event, Fleet, FleetStats, KeepError, MAX_ARCHIVE_BYTES, OpenError,
    PublishError, RecordError, Remnant, WriteError,
};
pub use fork::EvidenceError;
pub use frame::{MAX_FRAME_BYTES, MAX_WANTED, PROTOCOL};
pub use membership::{
    CertificateRefusal, EntryRefusal, Membership, Proposal, RevocationRefusal, RollRefusal, Roots, RootsRefusal,
};
pub use precheck::{MAX_LINK_BYTES, MAX_MESSAGE, MAX_OPERATIONS, Refusal};
pub use record::Write;
pub use schema::Edit;
pub use segment::{MAX_SEGMENT_BYTES, SegmentError};
pub use trail::{Entry, Order, Place, Said, Standing};
pub use view::{
    Agreement, ControlState, FleetView, GivenControl, PublishedDeployment, PublishedRelease, RevokedNode, SetBy,
};
