//! What every node of a simulated mesh is born with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{CellPath, Certificate, Genesis, MeshId, NodeId, Object, Role, SecretKey, Timestamp};

use crate::Seat;

/// When every simulation begins, milliseconds since 1970.
const START: u64 = 1_800_000_000_000;
/// How long before that certificates begin: longer than any clock here is wrong.
const CERTIFIED_BEFORE: u64 = 24 * 3600 * 1000;

/// A mesh: its genesis, its one root, and the keys of its nodes.
#[derive(Debug, Clone)]
pub struct Charter {
    genesis: Vec<u8>,
    mesh: MeshId,
}

impl Charter {
    /// The mesh whose root is [`Seat::ROOT`].
    pub fn new() -> Self {
        let genesis = Genesis {
            name: "sim".parse().expect("a valid name"),
            roots: BTreeSet::from([Self::key(Seat::ROOT).node_id()]),
            threshold: 1,
            nonce: [7; 16],
            created_at: Timestamp::from_millis(START - CERTIFIED_BEFORE),
        };
        let (object, mesh) = genesis.sign(&Self::key(Seat::ROOT));
        Self { genesis: object.to_bytes(), mesh }
    }

    /// The genesis object's bytes.
    pub fn genesis(&self) -> &[u8] {
        &self.genesis
    }

    /// The mesh.
    pub fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// The key of the node that is born at `seat`.
    pub fn key(seat: Seat) -> SecretKey {
        let mut bytes = [0x5e; 32];
        bytes[..8].copy_from_slice(&(seat.0 as u64).to_le_bytes());
        SecretKey::from_bytes(&bytes)
    }

    /// True time, `since` after the start.
    pub fn time(since: Duration) -> Timestamp {
        Timestamp::from_millis(START).plus(since)
    }

    /// The root's certificate number `serial`, for the node at `seat`.
    pub fn certificate(&self, seat: Seat, serial: u64) -> Object {
        let root = Self::key(Seat::ROOT);
        let issuer: NodeId = root.node_id();
        let certificate = Certificate {
            subject: Self::key(seat).node_id(),
            name: format!("node-{}", seat.0).parse().expect("a valid name"),
            roles: seat.roles().iter().copied().collect(),
            cell: seat.cell(),
            labels: BTreeMap::new(),
            architecture: "aarch64".parse().expect("a valid architecture"),
            class: "sim".parse().expect("a valid class"),
            issuer,
            serial,
            revision: 1,
            not_before: Timestamp::from_millis(START - CERTIFIED_BEFORE),
            not_after: None,
        };
        Object::sign(&root, self.mesh, &certificate)
    }
}

impl Default for Charter {
    fn default() -> Self {
        Self::new()
    }
}

impl Seat {
    /// The seat of the root.
    pub const ROOT: Self = Self(0);

    /// Whether a node here publishes releases, deployments and controls.
    pub fn is_authority(self) -> bool {
        self.0 < 4
    }

    /// The cell of a node here: the authorities' is the root; the others are four to a plant, side by side on the ring, so that each cell's nodes reach
    /// one another.
    pub fn cell(self) -> CellPath {
        let plant = 6 + self.0 / 4;
        let path = if self.is_authority() { String::new() } else { format!("acme/plant-{plant}") };
        path.parse().expect("a valid cell")
    }

    fn roles(self) -> &'static [Role] {
        match self {
            Self::ROOT => &Role::ALL,
            seat if seat.is_authority() => &[Role::Release, Role::Deploy, Role::Device],
            _ => &[Role::Device],
        }
    }
}
