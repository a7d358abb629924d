//! The audit trail: who said what, when, in which document or object, and whether it counts.
//!
//! Goals: everything here is read off signed bytes, so that whoever holds the same bytes prints the same trail; what does not count any
//! more stays in it, with the reason; one order, by the time stated, ties by author and place. Non-goals: proving when anything was said
//! (a time is the word of whoever signed it, by its own clock), and what nodes say of themselves, which is replaced all the time.
//!
//! A statement that a later epoch repeats is one entry, at its first place. What was refused when it came was never held, and
//! is told by findings alone.

mod spoken;

use std::fmt;

use sedge_statement::{
    Approved, Certificate, ControlAction, DocId, GateReport, MeshName, ModelId, NodeId, ObjectId, ObjectKind,
    ReleaseId, RolloutId, RootsId, Selector, SlotName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};

pub(crate) use spoken::{Mark, Spoken, Within, spoken};

/// One thing that was said. Ordered by time, then author, then place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands among the others.
    pub order: Order,
    /// What was said.
    pub said: Said,
    /// Whether it counts now.
    pub standing: Standing,
}

/// Where an entry stands in the one order: two entries never share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// When, by the clock of whoever said it.
    pub at: Timestamp,
    /// Who: it alone could sign this.
    pub by: NodeId,
    /// Where.
    pub place: Place,
}

/// Where something is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// An object that stands alone; the genesis is one.
    Object(ObjectId),
    /// A link of a document.
    Link {
        /// The document.
        doc: DocId,
        /// Which link, from one.
        seq: u64,
        /// Which of its statements, from zero.
        nth: u32,
    },
    /// Evidence of a fork, which the forked author's own signatures make.
    Fork(ObjectId),
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// The mesh was made.
    Genesis {
        /// Its name.
        name: MeshName,
        /// How many roots it has.
        roots: usize,
        /// How many of them must agree.
        threshold: u8,
    },
    /// A certificate was issued.
    Certificate(Box<Certificate>),
    /// A node's word was taken back.
    Revocation {
        /// Whose.
        subject: NodeId,
        /// Why, for people.
        reason: String,
    },
    /// A version of the roots was signed.
    Roots {
        /// Its name.
        id: RootsId,
        /// Its number.
        version: u32,
        /// How many keys it has.
        keys: usize,
        /// How many of them must agree.
        threshold: u8,
    },
    /// Certificates were named that a revocation keeps.
    Roll {
        /// How many.
        certificates: usize,
    },
    /// A node said under whom it entered the mesh.
    Entered {
        /// Who enrolled it.
        under: NodeId,
    },
    /// An object of a kind that this version does not know.
    Unknown(ObjectKind),
    /// A release was published.
    Release {
        /// Its id.
        id: ReleaseId,
        /// The model.
        model: ModelId,
        /// Its version.
        version: Version,
    },
    /// A deployment was published.
    Deployment {
        /// Its id, and the rollout's.
        id: RolloutId,
        /// The release.
        release: ReleaseId,
        /// The slot.
        slot: SlotName,
        /// On which nodes.
        selector: Selector,
    },
    /// Another's statement was agreed to.
    Approval(Approved),
    /// A rollout was steered.
    Control {
        /// The rollout.
        rollout: RolloutId,
        /// How.
        action: ControlAction,
        /// Its count among the rollout's controls.
        count: u32,
        /// Why, for people.
        reason: String,
    },
    /// A witness reported how an update ended on it.
    Evidence(GateReport),
    /// Two histories of one document were signed.
    Fork {
        /// The document.
        doc: DocId,
        /// The first link at which they differ.
        from: u64,
    },
    /// Something that does not read as what its place says it is.
    Unreadable,
}

/// Whether something counts now, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It counts.
    Counts,
    /// It does not count yet; the text says what it lacks.
    Waits(String),
    /// Something said later holds in its place; the text says what.
    Superseded(String),
    /// Its author may not say this; the text says why.
    NotAllowed(String),
    /// Its author's word is taken back, and this is not among what was kept of it; or it is about a node whose word is.
    Revoked(String),
    /// Of its revoked author's document no link counts after this one.
    PastLastGood(u64),
    /// Its author signed two histories from this link on.
    BehindFork(u64),
    /// It cannot be read, by this version at least; the text says why.
    Unreadable(String),
}

impl Standing {
    /// One word for scripts.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Waits(_) => "waits",
            Self::Superseded(_) => "superseded",
            Self::NotAllowed(_) => "not-allowed",
            Self::Revoked(_) => "revoked",
            Self::PastLastGood(_) => "past-last-good",
            Self::BehindFork(_) => "behind-fork",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Why it does not count; none where it does.
    pub fn reason(&self) -> Option<String> {
        (*self != Self::Counts).then(|| self.to_string())
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counts => f.write_str("it counts"),
            Self::Waits(why)
            | Self::Superseded(why)
            | Self::NotAllowed(why)
            | Self::Revoked(why)
            | Self::Unreadable(why) => f.write_str(why),
            Self::PastLastGood(0) => f.write_str("nothing in this document of its revoked author counts"),
            Self::PastLastGood(last) => write!(f, "beyond link {last}, the last good one of its revoked author"),
            Self::BehindFork(from) => write!(f, "its author signed two histories from link {from} on"),
        }
    }
}
