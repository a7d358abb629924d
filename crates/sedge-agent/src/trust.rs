//! What is said of nodes and of the mesh itself: who is revoked, where a node stands, who the roots are, and who agrees to what.

mod approve;
mod label;
mod revoke;
mod roots;

use sedge_fleet::FleetView;
use sedge_statement::{Certificate, NodeId, Object, ObjectBody};

use crate::api::{ApiError, Named};
use crate::core::Core;
use crate::enroll::next_serial;
use crate::store::StoreError;
use crate::tickets;

pub(crate) use roots::hold_office;

impl Core {
    /// Issues a certificate in this node's name, under the next serial; kept before anybody sees it.
    pub(crate) fn issue(&self, view: &FleetView, certificate: Certificate) -> Result<Object, StoreError> {
        let _turn = self.issuing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let serial = next_serial(view, self.me(), &tickets::issued(&self.store)?, view.mesh);
        let object = Object::sign(&self.key, view.mesh, &Certificate { issuer: self.me(), serial, ..certificate });
        tickets::note_issued(&self.store, &object.to_bytes())?;
        Ok(object)
    }

    /// Signs something that stands alone, and publishes it.
    async fn say<B: ObjectBody>(&self, view: &FleetView, body: &B) -> Result<(), ApiError> {
        self.publish_object(Object::sign(&self.key, view.mesh, body)).await
    }

    pub(crate) async fn publish_object(&self, object: Object) -> Result<(), ApiError> {
        let refused = |error| ApiError::refused(error, "Nothing was published; `sedge mesh show` shows who may.");
        self.mesh.publish(object).await.map_err(refused)
    }
}

/// A node with the name that it has, or had.
pub(crate) fn named(view: &FleetView, id: NodeId) -> Named {
    let now = view.members.get(&id).map(|certificate| certificate.name.clone());
    let name = now.or_else(|| view.revoked.get(&id)?.name.clone());
    Named { id, name }
}
