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
    /// Issues a certificate in this node's name, under the next serial, and publishes it. It is kept before anybody sees it, and forgotten where nobody
    /// takes it: what was refused must leave no gap among the serials.
    pub(crate) async fn issue(&self, view: &FleetView, certificate: Certificate) -> Result<Object, ApiError> {
        let object = self.next_certificate(view, certificate)?;
        let published = self.publish_object(object.clone()).await;
        if published.is_err() {
            tickets::forget_issued(&self.store, &object.to_bytes())?;
        }
        published.map(|()| object)
    }

    fn next_certificate(&self, view: &FleetView, certificate: Certificate) -> Result<Object, StoreError> {
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

    /// Signs several such, and publishes them.
    async fn say_all<B: ObjectBody>(&self, view: &FleetView, bodies: &[B]) -> Result<(), ApiError> {
        for body in bodies {
            self.say(view, body).await?;
        }
        Ok(())
    }

    pub(crate) async fn publish_object(&self, object: Object) -> Result<(), ApiError> {
        let refused = |error| ApiError::refused(error, "Nothing was published; `sedge mesh show` shows who may.");
        self.mesh.publish(object).await.map_err(refused)
    }
}

/// A node with the name that it has, or had.
fn named(view: &FleetView, id: NodeId) -> Named {
    let now = view.members.get(&id).map(|certificate| certificate.name.clone());
    let name = now.or_else(|| view.revoked.get(&id)?.name.clone());
    Named { id, name }
}
