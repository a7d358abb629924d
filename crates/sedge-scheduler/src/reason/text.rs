//! Reasons as sentences.

use std::fmt;

use sedge_statement::Deployment;

use super::{Reason, Steering, Who};
use crate::input::Approvals;

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}"),
            None => f.write_str(&self.node.short()),
        }
    }
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.at)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRollout(rollout) => write!(f, "no rollout {} is known here", rollout.short()),
            Self::NoCertificate(node) => write!(f, "no certificate names {}", node.short()),
            Self::Matches { selector, facts } => write!(f, "matches {selector}{}", Facts(facts)),
            Self::NotNamed { selector, facts } => write!(f, "is not a device that {selector} names{}", Facts(facts)),
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
            Self::Stalled { wave, needed, committed, ended } => {
                write!(f, "wave {wave} can give no quorum any more: {} needed, {committed} there", Witnesses(*needed))?;
                if ended.is_empty() { Ok(()) } else { write!(f, "; it ended otherwise on {}", List(ended)) }
            }
            Self::NoQuorumInTime { deadline, wave, needed, committed, soaking, silent, unreached } => {
                write!(f, "the rollout's time was over at {deadline} before wave {wave} had its quorum: ")?;
                write!(f, "{} needed, {committed} there", Witnesses(*needed))?;
                for (what, nodes) in [("; not yet for long enough: ", soaking), ("; silent: ", silent)] {
                    if !nodes.is_empty() {
                        write!(f, "{what}{}", List(nodes))?;
                    }
                }
                write!(f, "; not reached: {}", List(unreached))
            }
            Self::RosterIncomplete { issuer, have, need } => write!(
                f,
                "certificates of {issuer} are held up to {have}, the deployment was made over {need}; waiting for the rest"
            ),
            Self::ReleaseUnknown(release) => write!(f, "release {} has not arrived yet", release.short()),
            Self::AwaitingApproval(Approvals {
                deployment: (given, needed),
                release: (of_release, needed_of_release),
            }) => {
                write!(f, "{given} of {needed} authorities agree to the deployment")?;
                write!(f, ", and {of_release} of {needed_of_release} to its release")
            }
            Self::Paused(by) => write!(f, "{} paused the rollout {by}", by.who),
            Self::Cancelled(by) => write!(f, "{} cancelled the rollout {by}", by.who),
            Self::HaltedByAuthority(by) => write!(f, "{} halted the rollout {by}", by.who),
            Self::Steered { action, by } => write!(f, "{} said {action} {by}", by.who),
            Self::Fits { variant, backend, need, have } => {
                write!(f, "variant {variant} fits: {backend} runs it in {need} of the {have} that models may take")
            }
            Self::Unfit(variants) => {
                f.write_str("no variant fits")?;
                variants.iter().try_for_each(|(name, why)| write!(f, "; {name}: {why}"))
            }
            Self::ProfileUnknown => {
                f.write_str("has not said what machine it is, so it finds out itself whether it fits")
            }
            Self::FloorRefuses(why) => f.write_str(why),
            Self::TooManyFailed { failed, allowed } => {
                write!(f, "the rollout is halted: {} failed where {allowed} are borne: {}", failed.len(), List(failed))
            }
            Self::DeadlinePassed(at) => write!(f, "the rollout ended at {at}"),
            Self::LongOver(at) => {
                let days = Deployment::EVIDENCE_KEPT.as_secs() / 86_400;
                write!(f, "the rollout ended at {at}; how far it came is kept for {days} days")
            }
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

/// What a certificate says, behind a colon.
struct Facts<'a>(&'a [String]);

impl fmt::Display for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, fact)| write!(f, "{}{fact}", if i == 0 { ": " } else { ", " }))
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
