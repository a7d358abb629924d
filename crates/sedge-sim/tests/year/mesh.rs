//! Who there is: a root, two authorities, and cells of a hundred nodes with an observer and a traveller each.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::{CellPath, Certificate, Genesis, MeshId, NodeId, Object, Role, SecretKey, Sha256, Timestamp};

/// When the year begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// How many cells there are, whether or not all are lived through.
pub(crate) const CELLS: u32 = 10;
/// How many nodes a cell has that write.
pub(crate) const NODES_OF_CELL: u32 = 100;

/// Somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Root,
    /// An authority: zero or one.
    Authority(u32),
    /// A node, counted through all cells.
    Node(u32),
    /// The node of a cell that is looked at.
    Observer(u32),
    /// The node of a cell that is away at the end.
    Traveller(u32),
}

impl Who {
    fn number(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Authority(n) => 1 + n,
            Self::Node(n) => 10 + n,
            Self::Observer(cell) => 1_000_000 + cell,
            Self::Traveller(cell) => 2_000_000 + cell,
        }
    }

    pub(crate) fn key(self) -> SecretKey {
        SecretKey::from_bytes(Sha256::of(format!("year {}", self.number()).as_bytes()).as_bytes())
    }

    pub(crate) fn id(self) -> NodeId {
        self.key().node_id()
    }

    /// Where it stands.
    pub(crate) fn cell(self) -> CellPath {
        match self {
            Self::Root | Self::Authority(_) => CellPath::root(),
            Self::Node(n) => cell_path(n / NODES_OF_CELL),
            Self::Observer(cell) | Self::Traveller(cell) => cell_path(cell),
        }
    }

    fn roles(self) -> BTreeSet<Role> {
        match self {
            Self::Root => Role::ALL.into(),
            Self::Authority(_) => [Role::Release, Role::Deploy, Role::Device].into(),
            _ => [Role::Device].into(),
        }
    }
}

/// Where a cell stands.
pub(crate) fn cell_path(cell: u32) -> CellPath {
    format!("acme/plant-{cell}").parse().expect("a cell")
}

/// A cell's nodes that write.
pub(crate) fn nodes_of(cell: u32) -> std::ops::Range<u32> {
    cell * NODES_OF_CELL..(cell + 1) * NODES_OF_CELL
}

/// The genesis object's bytes, and the mesh.
pub(crate) fn genesis() -> (Vec<u8>, MeshId) {
    let genesis = Genesis {
        name: "year".parse().expect("a name"),
        roots: [Who::Root.id()].into(),
        threshold: 1,
        nonce: [7; 16],
        created_at: START,
    };
    let (object, mesh) = genesis.sign(&Who::Root.key());
    (object.to_bytes(), mesh)
}

/// Everybody's certificate, the root's first.
pub(crate) fn certificates(mesh: MeshId) -> Vec<Object> {
    let nodes = (0..CELLS * NODES_OF_CELL).map(Who::Node);
    let of_cells = (0..CELLS).flat_map(|cell| [Who::Observer(cell), Who::Traveller(cell)]);
    let all = [Who::Root, Who::Authority(0), Who::Authority(1)].into_iter().chain(nodes).chain(of_cells);
    all.zip(1..).map(|(who, serial)| Object::sign(&Who::Root.key(), mesh, &certificate(who, serial))).collect()
}

/// The certificate of a node among all.
pub(crate) fn certificate_of(certificates: &[Object], node: NodeId) -> Option<&Object> {
    certificates.iter().find(|object| object.body::<Certificate>().is_ok_and(|certificate| certificate.subject == node))
}

fn certificate(who: Who, serial: u64) -> Certificate {
    Certificate {
        subject: who.id(),
        name: format!("camera-{}", who.number()).parse().expect("a name"),
        roles: who.roles(),
        cell: who.cell(),
        labels: BTreeMap::from([("site".parse().expect("a label"), "north".parse().expect("a value"))]),
        architecture: "aarch64".parse().expect("an architecture"),
        class: "orin-nano".parse().expect("a class"),
        issuer: Who::Root.id(),
        serial,
        revision: 1,
        not_before: START,
        not_after: None,
    }
}
