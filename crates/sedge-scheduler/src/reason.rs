//! Why a plan is as it is, typed, with a sentence for each.

use std::fmt;

use sedge_statement::{Generation, NodeId, NodeName, ReleaseId, RolloutId, Selector, SlotState, Timestamp};

/// A node, as people know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// Its id.
    pub node: NodeId,
    /// Its name, where a certificate gives one.
    pub name: Option<NodeName>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}"),
            None => f.write_str(&self.node.short()),
        }
    }
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
    Matches(Selector),
    /// The selector does not name the node, or its certificate lacks the role `device`.
    NotNamed(Selector),
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
    /// Every witness has reported, and the quorum was not reached.
    Stalled {
        /// The wave whose witnesses they are.
        wave: usize,
        /// How many must have committed.
        needed: usize,
        /// How many have.
        committed: usize,
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
    AwaitingApproval,
    /// An authority paused the rollout.
    Paused,
    /// An authority cancelled the rollout.
    Cancelled,
    /// An authority halted the rollout.
    HaltedByAuthority,
    /// More nodes failed than are borne.
    TooManyFailed {
        /// Who failed.
        failed: Vec<Who>,
        /// How many are borne.
        allowed: u32,
    },
    /// The rollout's time is over.
    DeadlinePassed(Timestamp),
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

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRollout(rollout) => write!(f, "no rollout {} is known here", rollout.short()),
            Self::NoCertificate(node) => write!(f, "no certificate names {}", node.short()),
            Self::Matches(selector) => write!(f, "matches {selector}"),
            Self::NotNamed(selector) => write!(f, "is not a device that {selector} names"),
            Self::Ranked { rank, of, wave, witness } => {
                write!(f, "rank {rank} of {of}, wave {wave}{}", if *witness { ", a witness" } else { "" })
            }
            Self::Late => f.write_str("came after the deployment was made, so it follows the last wave"),
            Self::FirstWave => f.write_str("wave 0 is open: it waits for no other"),
            Self::Quorum { wave, committed, needed } => {
                write!(f, "wave {wave} is open: wave {} needed {}, has {committed}", before(*wave), Witnesses(*needed))
            }
            Self::LastWaveOpen => f.write_str("the last wave is open"),
            Self::LastWaveClosed => f.write_str("the last wave is not open yet"),
            Self::NoQuorum { wave, needed, committed, soaking, waiting_for } => {
                let (before, needed) = (before(*wave), Witnesses(*needed));
                write!(f, "wave {wave} is closed: wave {before} needs {needed}, has {committed}")?;
                if !soaking.is_empty() {
                    write!(f, "; committed but not yet for long enough: {}", List(soaking))?;
                }
                if waiting_for.is_empty() { Ok(()) } else { write!(f, "; waiting for {}", List(waiting_for)) }
            }
            Self::EarlierWaveClosed { wave, earlier } => {
                write!(f, "wave {wave} is closed: wave {earlier} has to open first")
            }
            Self::Stalled { wave, needed, committed } => write!(
                f,
                "every witness of wave {wave} has reported, and {committed} committed where {needed} are needed"
            ),
            Self::RosterIncomplete { issuer, have, need } => write!(
                f,
                "certificates of {issuer} are held up to {have}, the deployment was made over {need}; waiting for the rest"
            ),
            Self::ReleaseUnknown(release) => write!(f, "release {} has not arrived yet", release.short()),
            Self::AwaitingApproval => f.write_str("the rollout lacks approvals"),
            Self::Paused => f.write_str("an authority paused the rollout"),
            Self::Cancelled => f.write_str("an authority cancelled the rollout"),
            Self::HaltedByAuthority => f.write_str("an authority halted the rollout"),
            Self::TooManyFailed { failed, allowed } => {
                write!(f, "the rollout is halted: {} failed where {allowed} are borne: {}", failed.len(), List(failed))
            }
            Self::DeadlinePassed(at) => write!(f, "the rollout ended at {at}"),
            Self::StartByPassed(at) => write!(f, "nothing new of it starts after {at}"),
            Self::NoTarget(selector) => write!(f, "no device matched {selector} when the deployment was made"),
            Self::NobodySucceeded => f.write_str("every node is done, and none succeeded"),
            Self::Unreached(nodes) => write!(f, "not reached: {}", List(nodes)),
            Self::SupersededBy { rollout, generation } => {
                write!(f, "superseded by rollout {} of generation {generation}", rollout.short())
            }
            Self::Said { state, reason: None } => write!(f, "the node says: {state}"),
            Self::Said { state, reason: Some(reason) } => write!(f, "the node says: {state}: {reason}"),
            Self::Free => f.write_str("nothing holds it back"),
        }
    }
}

const fn before(wave: usize) -> usize {
    wave.saturating_sub(1)
}

/// So many committed witnesses.
struct Witnesses(usize);

impl fmt::Display for Witnesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} committed {}", self.0, if self.0 == 1 { "witness" } else { "witnesses" })
    }
}

/// A few names, and how many more.
struct List<'a>(&'a [Who]);

/// More names than this in one sentence are not read.
const NAMED: usize = 5;

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, who) in self.0.iter().take(NAMED).enumerate() {
            write!(f, "{}{who}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
