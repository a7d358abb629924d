//! Under whom a node entered the mesh, in its own words.

use serde::{Deserialize, Serialize};

use crate::{NodeId, ObjectBody, ObjectKind};

/// A node says who enrolled it. Whoever else certifies it later does not come to stand above it by that.
///
/// The node signs it as it joins, and its issuer takes it before the certificate is given out; so nobody but the node itself, with its own key,
/// can ever add to those above it, and nobody can take any of them away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who enrolled it.
    pub issuer: NodeId,
}

impl ObjectBody for Entry {
    const KIND: ObjectKind = ObjectKind::ENTRY;
    const MAX_BYTES: usize = 32;
}
