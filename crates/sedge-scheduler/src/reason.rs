//! Why a plan is as it is, typed. [`text`] has a sentence for each.

mod text;

use crate::input::Approvals;
use sedge_statement::{
    ByteSize, ControlAction, Generation, NodeId, NodeName, ReleaseId, RolloutId, Selector, SlotState, Timestamp,
    VariantName,
};

/// A node, as people know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// Its id.
    pub node: NodeId,
    /// Its name, where a certificate gives one.
    pub name: Option<NodeName>,
}

/// Who steered a rollout, as people know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steering {
    /// The authority.
    pub who: Who,
    /// Its words; may be empty.
    pub why: String,
    /// When, by its clock.
    pub at: Timestamp,
}

/// One link of the chain that leads to a decision. `Display` is the sentence to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The plan knows no such rollout.
    UnknownRollout(RolloutId),
    /// No certificate names the node.
    NoCertificate(NodeId),
    /// The selector names the node.
    Matches {
        /// The selector.
        selector: Selector,
        /// What its certificate says to each term; empty where that is not at hand.
        facts: Vec<String>,
    },
    /// The selector does not name the node, or its certificate lacks the role `device`.
    NotNamed {
        /// The selector.
        selector: Selector,
        /// What its certificate says otherwise; empty where that is not at hand.
        facts: Vec<String>,
    },
    /// The node's place in the roster.
    Ranked {
        /// From 1.
        rank: usize,
        /// How many there are.
        of: usize,
        /// The wave it falls into.
        wave: usize,
        /// Whether the next wave waits for it.
        witness: bool,
    },
    /// The node was enrolled, or came to match, after the deployment was made.
    Late,
    /// The first wave waits for nobody.
    FirstWave,
    /// The wave before reached its quorum.
    Quorum {
        /// The wave that opened.
        wave: usize,
        /// How many witnesses of the wave before have committed and soaked.
        committed: usize,
        /// How many it took.
        needed: usize,
    },
    /// The last wave is open, and so the way for those who came later.
    LastWaveOpen,
    /// The wave before has not reached its quorum.
    NoQuorum {
        /// The wave that is closed.
        wave: usize,
        /// How many witnesses of the wave before must have committed.
        needed: usize,
        /// How many have, their soak over.
        committed: usize,
        /// Who has committed, but not yet served long enough.
        soaking: Vec<Who>,
        /// Who has yet to report.
        waiting_for: Vec<Who>,
    },
    /// An earlier wave is closed.
    EarlierWaveClosed {
        /// The wave that is closed for that.
        wave: usize,
        /// The one that has to open first.
        earlier: usize,
    },
    /// The last wave is closed, and so the way for those who came later.
    LastWaveClosed,
    /// No report that can still come makes a quorum.
    Stalled {
        /// The wave whose witnesses they are.
        wave: usize,
        /// How many must have committed.
        needed: usize,
        /// How many have.
        committed: usize,
        /// Whose update ended otherwise.
        ended: Vec<Who>,
    },
    /// The rollout's time was over before a wave had its quorum.
    NoQuorumInTime {
        /// When it was over.
        deadline: Timestamp,
        /// The wave whose witnesses they are.
        wave: usize,
        /// How many must have committed.
        needed: usize,
        /// How many have.
        committed: usize,
        /// Who committed, but had not served for long enough.
        soaking: Vec<Who>,
        /// Who has not reported.
        silent: Vec<Who>,
        /// Every node that was not reached.
        unreached: Vec<Who>,
    },
    /// Certificates are missing over which the selector is resolved.
    RosterIncomplete {
        /// Whose.
        issuer: Who,
        /// Up to which serial they are held.
        have: u64,
        /// Up to which they are needed.
        need: u64,
    },
    /// The release is not held yet.
    ReleaseUnknown(ReleaseId),
    /// Approvals are missing.
    AwaitingApproval(Approvals),
    /// An authority paused the rollout.
    Paused(Steering),
    /// An authority cancelled the rollout.
    Cancelled(Steering),
    /// An authority halted the rollout.
    HaltedByAuthority(Steering),
    /// What an authority said of the rollout, whether or not it still holds.
    Steered {
        /// What it said.
        action: ControlAction,
        /// Who, why and when.
        by: Steering,
    },
    /// The node can run it.
    Fits {
        /// The variant that it would take: the first that fits.
        variant: VariantName,
        /// By what.
        backend: String,
        /// What it takes in memory.
        need: ByteSize,
        /// What models may take there.
        have: ByteSize,
    },
    /// The node can run no variant.
    Unfit(Vec<(VariantName, String)>),
    /// The node has not said what machine it is.
    ProfileUnknown,
    /// The slot has run something newer, and refuses to go back; the sentence is the slot's.
    FloorRefuses(String),
    /// More nodes failed than are borne.
    TooManyFailed {
        /// Who failed.
        failed: Vec<Who>,
        /// How many are borne.
        allowed: u32,
    },
    /// The rollout's time is over.
    DeadlinePassed(Timestamp),
    /// The rollout's time has been over for so long that how far it came is not kept any more.
    LongOver(Timestamp),
    /// The time to start is over.
    StartByPassed(Timestamp),
    /// The selector names nobody at the frontier.
    NoTarget(Selector),
    /// Everyone is done, and nobody succeeded.
    NobodySucceeded,
    /// Nodes that were not reached.
    Unreached(Vec<Who>),
    /// A newer deployment for the slot won.
    SupersededBy {
        /// The winner.
        rollout: RolloutId,
        /// Its generation.
        generation: Generation,
    },
    /// What the node itself says.
    Said {
        /// Its state.
        state: SlotState,
        /// Its words.
        reason: Option<String>,
    },
    /// Nothing holds the node back.
    Free,
}
