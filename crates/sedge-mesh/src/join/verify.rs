//! What makes a newcomer believe that it is a member.

use sedge_fleet::Fleet;
use sedge_statement::{Certificate, Genesis, MeshId, NodeId, Object, Timestamp};

use super::JoinError;

/// Proves that `genesis` is that of `mesh`, and that `certificates`, the node's own first, make `me` a member of it by the rules
/// that every other member applies.
pub(super) fn membership(
    genesis: &[u8],
    mesh: MeshId,
    me: NodeId,
    certificates: &[Object],
    now: Timestamp,
) -> Result<(), JoinError> {
    Genesis::open(genesis, mesh).map_err(JoinError::Genesis)?;
    let own: Certificate = certificates.first().and_then(|o| o.body().ok()).ok_or(JoinError::NotProven)?;
    if own.subject != me {
        return Err(JoinError::NotProven);
    }
    let mut fleet = Fleet::open(genesis, mesh, me, []).map_err(|_| JoinError::NotProven)?;
    for object in certificates.iter().rev() {
        // What came over the wire decodes without its signature being looked at.
        let object = Object::open(&object.to_bytes(), mesh).map_err(|_| JoinError::NotProven)?;
        fleet.publish(object, now).map_err(|_| JoinError::NotProven)?;
    }
    if fleet.admit(me, now) { Ok(()) } else { Err(JoinError::NotProven) }
}
