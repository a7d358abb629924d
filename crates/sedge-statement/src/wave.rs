//! How a rollout's nodes are cut into waves.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{NodeId, Percent};

/// How many nodes a wave takes. Whoever is left after the last wave forms one more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaveSize {
    /// This many nodes of those that are left, at least one.
    Count(u32),
    /// As many as are missing until at least this share of all the rollout's nodes has been reached, rounded up. A share
    /// that was reached before adds nobody, and makes no wave.
    Share(Percent),
    /// Exactly these.
    Named(Canaries),
}

/// Why text is not a wave's size. Give a number of nodes or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a number of nodes from 1, nor a share from 1% to 100%")]
pub struct WaveSizeError;

impl FromStr for WaveSize {
    type Err = WaveSizeError;
    fn from_str(text: &str) -> Result<Self, WaveSizeError> {
        if let Some(share) = text.strip_suffix('%') {
            let share: u8 = share.parse().map_err(|_| WaveSizeError)?;
            return Percent::try_from(share).map(Self::Share).map_err(|_| WaveSizeError);
        }
        match text.parse() {
            Ok(n) if n > 0 => Ok(Self::Count(n)),
            _ => Err(WaveSizeError),
        }
    }
}

/// Why sizes do not go together. State shares that grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the share {after} stands behind {before}; shares count from the first node, so each must be above the one before"
)]
pub struct WaveOrderError {
    /// The share that stands first.
    pub before: Percent,
    /// The one behind it that is not greater.
    pub after: Percent,
}

impl WaveSize {
    /// The most waves of a rollout; readers take those behind for one. A doubling from one node reaches more nodes than there are.
    pub const MAX: usize = 64;

    /// Checks that each share is above the one before: shares count from the first node, so `50%,25%` is a slip.
    ///
    /// Readers of deployments bear it, and make no wave of it; whoever publishes asks here first.
    ///
    /// # Errors
    /// The first two shares that do not grow.
    pub fn check(sizes: &[Self]) -> Result<(), WaveOrderError> {
        let mut last: Option<Percent> = None;
        for size in sizes {
            if let Self::Share(after) = size {
                match last.replace(*after) {
                    Some(before) if *after <= before => return Err(WaveOrderError { before, after: *after }),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Nodes that an operator named for a wave: at least one, at most [`Canaries::MAX`], each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<NodeId>", into = "BTreeSet<NodeId>")]
pub struct Canaries(BTreeSet<NodeId>);

/// Why nodes cannot be named for a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanariesError {
    /// Name at least one node.
    #[error("no node is named")]
    Nobody,
    /// Name fewer, or give the wave a size.
    #[error("{0} nodes are named, above the limit of {limit}", limit = Canaries::MAX)]
    TooMany(usize),
}

impl Canaries {
    /// The most that may be named: as many as a wave has witnesses, so that each of them counts.
    pub const MAX: usize = 64;

    /// The nodes, in the order of their ids.
    pub const fn nodes(&self) -> &BTreeSet<NodeId> {
        &self.0
    }
}

impl TryFrom<BTreeSet<NodeId>> for Canaries {
    type Error = CanariesError;
    fn try_from(nodes: BTreeSet<NodeId>) -> Result<Self, CanariesError> {
        match nodes.len() {
            0 => Err(CanariesError::Nobody),
            n if n > Self::MAX => Err(CanariesError::TooMany(n)),
            _ => Ok(Self(nodes)),
        }
    }
}

impl From<Canaries> for BTreeSet<NodeId> {
    fn from(canaries: Canaries) -> Self {
        canaries.0
    }
}
