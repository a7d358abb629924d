//! Who a node is, and what it may say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    Architecture, CellPath, HardwareClass, LabelKey, LabelValue, NodeId, NodeName, ObjectBody, ObjectKind, Timestamp,
};

/// What a certificate lets a node say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sign what only roots may: with others up to the threshold.
    Root,
    /// Issue certificates in its cell and below, with no more than its own roles, `device` and `observe`.
    Enroll,
    /// Publish releases.
    Release,
    /// Publish deployments and controls for its cell and below.
    Deploy,
    /// Publish its cell's summary.
    Aggregate,
    /// Run models and report of itself.
    Device,
    /// Read.
    Observe,
}

impl Role {
    /// Every role, most powerful first.
    pub const ALL: [Self; 7] =
        [Self::Root, Self::Enroll, Self::Release, Self::Deploy, Self::Aggregate, Self::Device, Self::Observe];

    /// The role's word on the command line and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Enroll => "enroll",
            Self::Release => "release",
            Self::Deploy => "deploy",
            Self::Aggregate => "aggregate",
            Self::Device => "device",
            Self::Observe => "observe",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Role {
    type Err = crate::manifest::UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or(crate::manifest::UnknownWord {
            what: "role",
            known: "root, enroll, release, deploy, aggregate, device, observe",
        })
    }
}

/// The signed facts of one node. The object that carries it is signed by `issuer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The node.
    pub subject: NodeId,
    /// Its name, which selectors match.
    pub name: NodeName,
    /// What it may say.
    pub roles: BTreeSet<Role>,
    /// Where it stands; its roles hold there and below.
    pub cell: CellPath,
    /// Labels, which selectors match.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Its architecture, which selectors match.
    pub architecture: Architecture,
    /// Its class of hardware, which selectors match.
    pub class: HardwareClass,
    /// Who issued it: a root, or a node whose own certificate lets it enrol there.
    pub issuer: NodeId,
    /// The issuer's count of certificates, from 1 without gaps: with it a [`Frontier`] names a set of certificates.
    pub serial: u64,
    /// Counts this subject's certificates (moves, new labels); the highest counts.
    pub revision: u32,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid from then on; devices have none by default.
    pub not_after: Option<Timestamp>,
}

impl ObjectBody for Certificate {
    const KIND: ObjectKind = ObjectKind::CERTIFICATE;
    const MAX_BYTES: usize = 8 << 10;
}

impl Certificate {
    /// Whether the certificate gives `role`.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it is within its dates at `now`.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.not_before <= now && self.not_after.is_none_or(|end| now < end)
    }
}

/// A set of certificates by the issuers' counts: all that each issuer issued up to that serial.
///
/// A deployment names one, so that every node resolves its selector over the same roster, and can tell whether it holds
/// the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Frontier(pub BTreeMap<NodeId, u64>);

impl Frontier {
    /// Whether the frontier includes a certificate.
    pub fn includes(&self, certificate: &Certificate) -> bool {
        self.0.get(&certificate.issuer).is_some_and(|last| certificate.serial <= *last)
    }
}
