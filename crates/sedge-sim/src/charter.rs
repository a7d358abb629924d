//! What every node of a simulated mesh is born with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{CellPath, Certificate, Genesis, MeshId, NodeId, Object, Role, SecretKey, Timestamp};

use crate::Seat;

/// When every simulation begins, milliseconds since 1970.
const START: u64 = 1_800_000_000_000;
/// How long before that certificates begin: longer than any clock here is wrong.
const CERTIFIED_BEFORE: u64 = 24 * 3600 * 1000;

/// What the node at a seat is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// What it may say.
    pub roles: BTreeSet<Role>,
    /// Where it stands.
    pub cell: CellPath,
    /// Whose certificate says so.
    pub issuer: Seat,
}

/// A mesh: its genesis, its roots, and what each seat is for.
#[derive(Debug, Clone)]
pub struct Charter {
    genesis: Vec<u8>,
    mesh: MeshId,
    posts: BTreeMap<Seat, Post>,
}

impl Charter {
    /// The mesh whose one root is [`Seat::ROOT`], and certifies everybody.
    pub fn new() -> Self {
        Self::of(&[Seat::ROOT], 1, BTreeMap::new())
    }

    /// The mesh of these roots, as many of whom must agree, and of these posts; a seat without one is as in [`Self::new`].
    pub fn of(roots: &[Seat], threshold: u8, posts: BTreeMap<Seat, Post>) -> Self {
        let genesis = Genesis {
            name: "sim".parse().expect("a valid name"),
            roots: roots.iter().map(|root| Self::key(*root).node_id()).collect(),
            threshold,
            nonce: [7; 16],
            created_at: Timestamp::from_millis(START - CERTIFIED_BEFORE),
        };
        let (object, mesh) = genesis.sign(&Self::key(Seat::ROOT));
        Self { genesis: object.to_bytes(), mesh, posts }
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

    /// What a seat is for.
    pub fn post(&self, seat: Seat) -> Post {
        self.posts.get(&seat).cloned().unwrap_or_else(|| Post {
            roles: seat.roles().iter().copied().collect(),
            cell: seat.cell(),
            issuer: Seat::ROOT,
        })
    }

    /// The first certificate of the node at `seat`, number `serial` of its issuer's.
    pub fn certificate(&self, seat: Seat, serial: u64) -> Object {
        let post = self.post(seat);
        let issuer = Self::key(post.issuer);
        Object::sign(&issuer, self.mesh, &Self::body(Self::key(seat).node_id(), seat, post, (serial, 1)))
    }

    /// What a certificate says of `subject`, who has the name of a seat and a post; serial and revision.
    pub fn body(subject: NodeId, named: Seat, post: Post, (serial, revision): (u64, u32)) -> Certificate {
        Certificate {
            subject,
            name: format!("node-{}", named.0).parse().expect("a valid name"),
            roles: post.roles,
            cell: post.cell,
            labels: BTreeMap::new(),
            architecture: "aarch64".parse().expect("a valid architecture"),
            class: "sim".parse().expect("a valid class"),
            issuer: Self::key(post.issuer).node_id(),
            serial,
            revision,
            not_before: Timestamp::from_millis(START - CERTIFIED_BEFORE),
            not_after: None,
        }
    }
}

impl Default for Charter {
    fn default() -> Self {
        Self::new()
    }
}

impl Seat {
    /// The seat of the first root.
    pub const ROOT: Self = Self(0);

    /// Whether a node here publishes releases, deployments and controls, where no post says otherwise.
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
