//! Enrolment without a network: a request and an approval, each carried as a file.

use std::path::Path;

use sedge_mesh::Sighting;
use sedge_statement::{Certificate, EnrolApproval, EnrolRequest, NodeId, NodeName, Object};

use super::{Joined, begin, no_mesh_yet};
use crate::api::{ApiError, Approved, EnrollApprove};
use crate::core::{Core, now};
use crate::home::Home;
use crate::peers;
use crate::tickets::MAX_ADDRESSES;

/// How many members an approval names addresses of.
const MAX_PEERS: usize = 16;

/// Asks to be enrolled, in the name of a home's key; the home belongs to no mesh yet.
///
/// # Errors
/// A home that cannot be used, or belongs to a mesh already.
pub fn enroll_request(home: &Path, name: NodeName) -> Result<EnrolRequest, ApiError> {
    let home = Home::open(home)?;
    no_mesh_yet(&home)?;
    let (architecture, class) = (sedge_hardware::architecture(), sedge_hardware::class(Path::new("/")));
    Ok(EnrolRequest::sign(&home.key, name, architecture, class))
}

/// Joins with what an enroller approved. No agent needs to be reachable.
///
/// # Errors
/// A home that cannot be used or belongs to a mesh already, and an approval that does not make this very node a member.
pub fn join_by_approval(home: &Path, approval: EnrolApproval) -> Result<Joined, ApiError> {
    const REMEDY: &str = "Ask for an approval of this home's own request: `sedge enroll request`.";
    let home = Home::open(home)?;
    no_mesh_yet(&home)?;
    let node = home.key.node_id();
    let EnrolApproval { mesh, mesh_name, genesis, objects, peers: known, relays } = approval;
    let objects: Result<Vec<Object>, _> = objects.iter().map(|bytes| Object::open(bytes, mesh)).collect();
    let objects =
        objects.map_err(|error| ApiError::refused(format!("the approval does not hold: an object {error}"), REMEDY))?;
    let own: Option<Certificate> = objects.first().and_then(|object| object.body().ok());
    let own = own.filter(|certificate| certificate.subject == node);
    let own = own.ok_or_else(|| ApiError::refused("the approval is of another node", REMEDY))?;
    let issuer = own.issuer;
    begin(&home, &genesis, mesh, issuer, objects.into_iter().rev())?;
    let sightings = known.iter().flat_map(|(node, at)| {
        at.iter().map(move |addr| Sighting { node: *node, addr: *addr, seen: now(), proven: *node == issuer })
    });
    peers::remember(&home.store, sightings)?;
    peers::keep_relays(&home.store, &relays)?;
    Ok(Joined { mesh, mesh_name, node, name: own.name, cell: own.cell, issuer: own.issuer })
}

impl Core {
    /// Enrols a node that asked by file. One that is enrolled already gets the same certificate again.
    pub(crate) async fn approve_enrolment(&self, request: EnrollApprove) -> Result<Approved, ApiError> {
        let _turn = self.authoring.lock().await;
        let asked: EnrolRequest = request.request.parse().map_err(|error| {
            ApiError::usage(format!("the request {error}"), "Give the file that `sedge enroll request` wrote there.")
        })?;
        let view = self.view();
        let roles = self.may_give(&view, &request.cell, request.roles)?;
        if view.revoked.contains_key(&asked.node) {
            return Err(ApiError::refused(
                format!("{} is revoked, for ever", asked.name),
                "Let it ask anew from an empty home, under a new key.",
            ));
        }
        if view.members.values().any(|c| c.name == asked.name && c.subject != asked.node) {
            return Err(ApiError::refused(
                format!("another node is called {}", asked.name),
                "Let it ask anew with `sedge enroll request --name`.",
            ));
        }
        if !view.members.contains_key(&asked.node) {
            let own = self.authority(&view, sedge_statement::Role::Enroll)?;
            let certificate = Certificate {
                subject: asked.node,
                name: asked.name.clone(),
                roles,
                cell: request.cell,
                labels: request.labels,
                architecture: asked.architecture.clone(),
                class: asked.class.clone(),
                issuer: self.me(),
                serial: 0,
                revision: 1,
                not_before: own.not_before,
                not_after: own.not_after,
            };
            self.issue(&view, certificate).await?;
        }
        let gone = || ApiError::failed("the agent is stopping", "Start it again.");
        let path = self.mesh.path_of(asked.node).await.ok_or_else(gone)?;
        let here = (self.me(), self.mesh.listen_addresses().into_iter().take(MAX_ADDRESSES).collect());
        let others = self.mesh.peers().into_iter().filter(|peer| peer.connected && peer.id != asked.node);
        let others = others.map(|peer| (peer.id, peer.addresses.into_iter().take(MAX_ADDRESSES).collect()));
        let peers: Vec<(NodeId, Vec<std::net::SocketAddr>)> =
            std::iter::once(here).chain(others).take(MAX_PEERS).collect();
        let approval = EnrolApproval {
            mesh: view.mesh,
            mesh_name: view.genesis.name.clone(),
            genesis: self.genesis()?,
            objects: path.iter().map(Object::to_bytes).collect(),
            peers,
            relays: self.mesh.relays().to_vec(),
        };
        Ok(Approved { approval: approval.to_string(), node: asked.node, name: asked.name })
    }

    fn genesis(&self) -> Result<Vec<u8>, ApiError> {
        let genesis = self.store.meta(super::GENESIS)?;
        genesis.ok_or_else(|| ApiError::failed("this home has no genesis", "Check the disk, or join anew."))
    }
}
