//! The root keys: the genesis, and every version that enough roots agreed on since.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{Approvals, Genesis, Kept, MeshId, NodeId, RootVersion, RootsId, Timestamp};

/// The root keys of one version, and what they ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Counts from the genesis, which is 0. Generations count anew under each.
    pub version: u32,
    /// Names this version in the next.
    pub id: RootsId,
    /// The keys.
    pub keys: BTreeSet<NodeId>,
    /// How many of them must agree on what only roots may say.
    pub threshold: u8,
    /// How many authors must agree on a release, and on a deployment.
    pub approvals: Approvals,
    /// When this version was proposed.
    pub since: Timestamp,
}

/// A version that was proposed, and which roots signed it so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it says.
    pub version: RootVersion,
    /// Who signed it.
    pub signers: BTreeSet<NodeId>,
}

/// Every version that counts, the genesis first; never empty.
#[derive(Debug, Clone)]
pub(super) struct History {
    versions: Vec<Roots>,
    /// What counts of the roots that left.
    left: BTreeMap<NodeId, Kept>,
}

impl History {
    pub(super) fn new(genesis: &Genesis, mesh: MeshId) -> Self {
        let first = Roots {
            version: 0,
            id: mesh.into(),
            keys: genesis.roots.clone(),
            threshold: genesis.threshold,
            approvals: Approvals::default(),
            since: genesis.created_at,
        };
        Self { versions: vec![first], left: BTreeMap::new() }
    }

    /// Follows the proposals from the genesis on, as far as they are agreed; of each version the one in `adopted`, where that names one. The roots
    /// of an earlier version can agree on another successor at any time, with keys stolen long after, and must not take back what was followed.
    pub(super) fn follow(
        genesis: &Genesis,
        mesh: MeshId,
        proposals: &BTreeMap<RootsId, Proposal>,
        adopted: &BTreeMap<u32, RootsId>,
    ) -> Self {
        let mut history = Self::new(genesis, mesh);
        let is_adopted =
            |id: &RootsId, proposal: &Proposal| adopted.get(&proposal.version.version).is_none_or(|known| known == id);
        // Each step is to a higher version, so this ends.
        while let Some((id, next)) = proposals.iter().find(|(id, p)| is_adopted(id, p) && history.agrees(p)) {
            let RootVersion { version, roots, threshold, approvals, leaving, at, .. } = next.version.clone();
            history.left.extend(leaving);
            history.versions.push(Roots { version, id: *id, keys: roots, threshold, approvals, since: at });
        }
        history
    }

    /// Whether enough old and enough new roots signed a version that follows the last one. Of two such that come together the least id comes first, which only
    /// roots that sign both can bring about.
    fn agrees(&self, Proposal { version, signers }: &Proposal) -> bool {
        let now = self.current();
        let of = |keys: &BTreeSet<NodeId>| keys.intersection(signers).count();
        self.follows(version)
            && of(&now.keys) >= usize::from(now.threshold)
            && of(&version.roots) >= usize::from(version.threshold)
    }

    /// Whether a version could be the next one: it names the last, says what counts of each root that leaves, and lets none return.
    pub(super) fn follows(&self, version: &RootVersion) -> bool {
        let now = self.current();
        now.version.checked_add(1) == Some(version.version)
            && version.previous == now.id
            && version.check().is_ok()
            && version.leaving.keys().eq(now.keys.difference(&version.roots))
            && !version.roots.iter().any(|root| self.left.contains_key(root))
    }

    pub(super) fn current(&self) -> &Roots {
        self.versions.last().expect("the genesis is always there")
    }

    pub(super) fn versions(&self) -> &[Roots] {
        &self.versions
    }

    /// Whether a key is a root's of any version.
    pub(super) fn ever(&self, node: &NodeId) -> bool {
        self.versions.iter().any(|roots| roots.keys.contains(node))
    }

    pub(super) fn left(&self) -> &BTreeMap<NodeId, Kept> {
        &self.left
    }
}
