//! The statement that makes a mesh.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{MeshId, MeshName, NodeId, Object, ObjectBody, ObjectError, ObjectKind, SecretKey, Timestamp};

/// Names the root keys of a mesh and how many of them must agree.
///
/// Signed by the first root. The object's own `mesh` field is 32 zero bytes, since the mesh's id is the digest of that object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The mesh's name, for people.
    pub name: MeshName,
    /// The root keys.
    pub roots: BTreeSet<NodeId>,
    /// How many roots must sign what only roots may say.
    pub threshold: u8,
    /// Makes two meshes of the same name and root different.
    pub nonce: [u8; 16],
    /// When it was made, by the first root's clock.
    pub created_at: Timestamp,
}

impl ObjectBody for Genesis {
    const KIND: ObjectKind = ObjectKind::GENESIS;
    const MAX_BYTES: usize = 4 << 10;
}

/// Why an object is not the genesis of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// The object itself does not hold.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// The signer is not one of the roots that it names.
    #[error("not signed by a root that it names")]
    NotARoot,
    /// The threshold must be a majority of the roots, so that two disjoint groups can never both be right.
    #[error("its threshold is not a majority of its roots")]
    BadThreshold,
    /// The object is the genesis of another mesh.
    #[error("the genesis of mesh {}", .0.short())]
    OtherMesh(MeshId),
}

impl Genesis {
    /// What the genesis object names in the place of a mesh, whose id it only makes.
    pub const NO_MESH: MeshId = MeshId::from_bytes([0; 32]);

    /// Signs the genesis with the first root's key; the mesh's id comes with it.
    pub fn sign(&self, key: &SecretKey) -> (Object, MeshId) {
        let object = Object::sign(key, Self::NO_MESH, self);
        let mesh = MeshId::from_bytes(*object.id().as_bytes());
        (object, mesh)
    }

    /// Opens the genesis bytes of `mesh`.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn open(bytes: &[u8], mesh: MeshId) -> Result<Self, GenesisError> {
        let object = Object::open(bytes, Self::NO_MESH)?;
        let id = MeshId::from_bytes(*object.id().as_bytes());
        if id != mesh {
            return Err(GenesisError::OtherMesh(id));
        }
        let genesis: Self = object.body()?;
        if !genesis.roots.contains(&object.signer()) {
            return Err(GenesisError::NotARoot);
        }
        let majority = usize::from(genesis.threshold) * 2 > genesis.roots.len();
        let possible = usize::from(genesis.threshold) <= genesis.roots.len();
        if majority && possible { Ok(genesis) } else { Err(GenesisError::BadThreshold) }
    }
}
