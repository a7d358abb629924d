//! How a node becomes a member: it makes the mesh, or joins it with a ticket; and how members let others in.

mod by_file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sedge_fleet::{Effect, Fleet, FleetView};
use sedge_mesh::{Applicant, Enroller, Enrolment, JoinError, JoinRefusal, JoinRequest, Looking, Sighting, Storage};
use sedge_statement::{
    CellPath, Certificate, Entry, Genesis, MeshId, MeshName, NodeId, NodeName, Object, Role, SecretKey, Ticket,
    TicketSecret,
};
use tokio::sync::watch;

use crate::api::{ApiError, Invitation, InviteRequest};
use crate::core::{Core, now};
use crate::home::{Home, HomeError};
use crate::peers;
use crate::store::{Store, StoreError};
use crate::tickets::{self, Grant, MAX_ADDRESSES, MAX_RELAYS, MAX_USES, NoGrant};

pub use by_file::{enroll_request, join_by_approval};

/// What the maker of a mesh chooses.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The mesh's name.
    pub name: MeshName,
    /// This node's name.
    pub node: NodeName,
}

/// A new mesh.
#[derive(Debug, Clone)]
pub struct Initialised {
    /// Its id.
    pub mesh: MeshId,
    /// Its name.
    pub name: MeshName,
    /// This node, its root.
    pub node: NodeId,
    /// This node's name.
    pub node_name: NodeName,
}

/// What a newcomer brings.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// The ticket.
    pub ticket: Ticket,
    /// The name that this node would like.
    pub name: NodeName,
    /// Whether the issuer is looked for on the local network too, where it is not where the ticket says.
    pub nearby: bool,
}

/// A membership.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The mesh.
    pub mesh: MeshId,
    /// Its name.
    pub mesh_name: MeshName,
    /// This node.
    pub node: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its cell.
    pub cell: CellPath,
    /// Who enrolled it.
    pub issuer: NodeId,
}

/// Makes a mesh. This node becomes its one root, may say everything, and runs models too.
///
/// # Errors
/// A home that cannot be used, or belongs to a mesh already.
pub async fn init(home: &Path, options: InitOptions) -> Result<Initialised, ApiError> {
    let home = Home::open(home)?;
    no_mesh_yet(&home)?;
    let node = home.key.node_id();
    let created_at = now();
    let genesis = Genesis {
        name: options.name.clone(),
        roots: BTreeSet::from([node]),
        threshold: 1,
        nonce: rand::random(),
        created_at,
    };
    let (genesis, mesh) = genesis.sign(&home.key);
    let certificate = Certificate {
        subject: node,
        name: options.node.clone(),
        roles: BTreeSet::from([Role::Root, Role::Enroll, Role::Release, Role::Deploy, Role::Device, Role::Observe]),
        cell: CellPath::root(),
        labels: BTreeMap::new(),
        architecture: sedge_hardware::architecture(),
        class: sedge_hardware::class(Path::new("/")),
        issuer: node,
        serial: 1,
        revision: 1,
        not_before: created_at,
        not_after: None,
    };
    let certificate = Object::sign(&home.key, mesh, &certificate);
    begin(&home, &genesis.to_bytes(), mesh, node, [certificate])?;
    Ok(Initialised { mesh, name: options.name, node, node_name: options.node })
}

/// Redeems a ticket at its issuer, and keeps what came of it. The issuer's agent must run; this node's must not.
///
/// # Errors
/// A home that cannot be used or belongs to a mesh already, and whatever the issuer refuses.
pub async fn join(home: &Path, options: JoinOptions) -> Result<Joined, ApiError> {
    let home = Home::open(home)?;
    no_mesh_yet(&home)?;
    let applicant = Applicant {
        name: options.name,
        architecture: sedge_hardware::architecture(),
        class: sedge_hardware::class(Path::new("/")),
    };
    let ticket = options.ticket;
    let looking = if options.nearby { Looking::Nearby } else { Looking::AtTicket };
    let joined = sedge_mesh::join_by(&home.key, &ticket, applicant, looking).await.map_err(join_error)?;
    let own: Option<Certificate> = joined.certificates.first().and_then(|object| object.body().ok());
    let own = own.ok_or_else(|| ApiError::refused("the issuer sent no certificate", "Do not trust this issuer."))?;
    let sightings = joined.peers.iter().flat_map(|(node, at)| {
        let proven = *node == ticket.issuer;
        at.iter().map(move |addr| Sighting { node: *node, addr: *addr, seen: now(), proven })
    });
    peers::remember(&home.store, sightings)?;
    peers::keep_relays(&home.store, &ticket.relays)?;
    let node = home.key.node_id();
    begin(&home, &joined.genesis, ticket.mesh, own.issuer, joined.certificates.into_iter().rev())?;
    let (name, cell) = (own.name, own.cell);
    Ok(Joined { mesh: ticket.mesh, mesh_name: ticket.mesh_name, node, name, cell, issuer: ticket.issuer })
}

fn no_mesh_yet(home: &Home) -> Result<(), ApiError> {
    match home.store.meta(GENESIS)? {
        None => Ok(()),
        Some(_) => Err(HomeError::HasMesh(home.path.clone()).into()),
    }
}

/// The name under which `meta` keeps the genesis; it is written last, and a home without it belongs to no mesh.
pub(crate) const GENESIS: &str = "genesis";
/// The name under which `meta` keeps the mesh's id.
pub(crate) const MESH: &str = "mesh";

/// Keeps what makes this node a member, and its word of who enrolled it.
fn begin(
    home: &Home,
    genesis: &[u8],
    mesh: MeshId,
    issuer: NodeId,
    certificates: impl IntoIterator<Item = Object>,
) -> Result<(), ApiError> {
    let (store, node) = (&home.store, home.key.node_id());
    let broken = |error: &dyn std::fmt::Display| {
        ApiError::refused(format!("the mesh's beginning does not hold: {error}"), "Ask for a ticket of another issuer.")
    };
    let mut fleet = Fleet::open(genesis, mesh, node, store.fleet()?).map_err(|e| broken(&e))?;
    // A root stands under nobody.
    let entry = (issuer != node).then(|| Object::sign(&home.key, mesh, &Entry { issuer }));
    for object in certificates.into_iter().chain(entry) {
        for effect in fleet.publish(object, now()).map_err(|e| broken(&e))? {
            if let Effect::Persist(writes) = effect {
                store.commit(&writes).map_err(|e| ApiError::failed(e, "Check the disk, and try again."))?;
            }
        }
    }
    if !fleet.admit(node, now()) {
        return Err(broken(&"its certificates do not make this node a member"));
    }
    store.set_meta(&[(MESH, mesh.as_bytes()), (GENESIS, genesis)])?;
    Ok(())
}

fn join_error(error: JoinError) -> ApiError {
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        message = format!("{message}: {source}");
    }
    match &error {
        JoinError::Refused(refusal) => {
            let remedy = match refusal {
                JoinRefusal::NameTaken => "Choose another name with --name; the ticket still holds.",
                JoinRefusal::NotForThisMesh | JoinRefusal::OtherVersion | JoinRefusal::Malformed => {
                    "Check that the ticket is the right one and both programs are of the same version."
                }
                JoinRefusal::IssuerFailed => "Look at the issuer's log, then try again with the same ticket.",
                _ => "Ask for a new ticket: `sedge invite` on a node that may enrol.",
            };
            ApiError::refused(message, remedy)
        }
        JoinError::Expired => {
            ApiError::refused(message, "Check this machine's clock, or ask for a new ticket with `sedge invite`.")
        }
        JoinError::Genesis(_) | JoinError::NotProven => ApiError::refused(message, "Do not trust this issuer."),
        JoinError::TimedOut | JoinError::Unreachable(_) => ApiError::failed(
            message,
            "See that the issuer's agent runs and that its address and port can be reached from here.",
        ),
        _ => ApiError::failed(message, "Try again; the issuer's log may say more."),
    }
}

impl Core {
    /// The roles that a newcomer is given in a cell, where this node may give them.
    pub(crate) fn may_give(
        &self,
        view: &FleetView,
        cell: &CellPath,
        roles: BTreeSet<Role>,
    ) -> Result<BTreeSet<Role>, ApiError> {
        let certificate = self.authority(view, Role::Enroll)?;
        if !certificate.cell.covers(cell) {
            return Err(ApiError::refused(
                format!("this node may enrol in cell {} and below, not in {cell}", certificate.cell),
                "Give a cell below this node's, or enrol from another node.",
            ));
        }
        let given: BTreeSet<Role> = if roles.is_empty() { BTreeSet::from([Role::Device]) } else { roles };
        let free = [Role::Device, Role::Observe];
        if let Some(role) = given.iter().find(|role| !free.contains(role) && !certificate.may(**role)) {
            return Err(ApiError::refused(
                format!("this node does not have the role `{role}`, so it cannot give it"),
                "Enrol from a node that has it.",
            ));
        }
        if given.contains(&Role::Root) {
            return Err(ApiError::refused(
                "nobody is given the role `root`",
                "Roots are changed with `sedge mesh rotate`; give `enroll` to let a node enrol others.",
            ));
        }
        Ok(given)
    }

    /// Makes a ticket that this node redeems.
    pub(crate) fn invite(&self, request: InviteRequest) -> Result<Invitation, ApiError> {
        let view = self.view();
        let given = self.may_give(&view, &request.cell, request.roles)?;
        if !(1..=MAX_USES).contains(&request.uses) {
            return Err(ApiError::usage(format!("{} uses", request.uses), &format!("Give 1 to {MAX_USES} uses.")));
        }
        let secret = TicketSecret::from_bytes(rand::random());
        let expires = now().plus(request.expires_in);
        let grant = Grant {
            cell: request.cell,
            roles: given,
            labels: request.labels,
            uses: request.uses,
            expires,
            issued: BTreeMap::new(),
        };
        let ticket = Ticket {
            mesh: view.mesh,
            mesh_name: view.genesis.name.clone(),
            issuer: self.me(),
            addresses: self.mesh.listen_addresses().into_iter().take(MAX_ADDRESSES).collect(),
            secret: secret.clone(),
            expires,
            relays: self.mesh.relays().iter().take(MAX_RELAYS).cloned().collect(),
        };
        let ticket = ticket.to_string();
        // Names of relays may be long; a ticket that nobody can read is not given out.
        if ticket.parse::<Ticket>().is_err() {
            return Err(ApiError::refused(
                "the ticket would be too long to be read",
                "Start the agent with fewer --relay, or with relays of shorter names.",
            ));
        }
        tickets::keep(&self.store, &secret, &grant)?;
        Ok(Invitation { ticket, expires })
    }
}

/// Redeems this node's tickets.
pub(crate) struct Desk {
    pub(crate) key: SecretKey,
    pub(crate) store: Arc<Store>,
    pub(crate) view: watch::Receiver<Arc<FleetView>>,
    pub(crate) issuing: Arc<Mutex<()>>,
}

impl Enroller for Desk {
    fn redeem(&self, peer: NodeId, request: &JoinRequest) -> Result<Enrolment, JoinRefusal> {
        let _turn = self.issuing.lock().unwrap_or_else(PoisonError::into_inner);
        let view = Arc::clone(&self.view.borrow());
        if request.mesh != view.mesh {
            return Err(JoinRefusal::NotForThisMesh);
        }
        let issuer = self.key.node_id();
        let own = view.members.get(&issuer).filter(|c| c.may(Role::Enroll)).ok_or(JoinRefusal::NotAllowed)?;
        if view.members.values().any(|c| c.name == request.name && c.subject != peer) {
            return Err(JoinRefusal::NameTaken);
        }
        let failed = |error: StoreError| {
            tracing::error!(%error, "a ticket could not be redeemed");
            JoinRefusal::IssuerFailed
        };
        let serial = next_serial(&view, issuer, &tickets::issued(&self.store).map_err(failed)?, view.mesh);
        let revision = view.members.get(&peer).map_or(1, |c| c.revision.saturating_add(1));
        let issue = |grant: &Grant| {
            let certificate = Certificate {
                subject: peer,
                name: request.name.clone(),
                roles: grant.roles.clone(),
                cell: grant.cell.clone(),
                labels: grant.labels.clone(),
                architecture: request.architecture.clone(),
                class: request.class.clone(),
                issuer,
                serial,
                revision,
                // The issuer's own: a newcomer whose clock is behind is a member all the same.
                not_before: own.not_before,
                not_after: own.not_after,
            };
            Object::sign(&self.key, view.mesh, &certificate).to_bytes()
        };
        let kept = tickets::redeem(&self.store, &request.secret, peer, now(), issue).map_err(failed)?;
        let bytes = kept.map_err(|why| match why {
            NoGrant::Unknown => JoinRefusal::UnknownTicket,
            NoGrant::Expired => JoinRefusal::Expired,
            NoGrant::Used => JoinRefusal::AlreadyUsed,
        })?;
        let certificate = Object::open(&bytes, view.mesh).map_err(|_| JoinRefusal::IssuerFailed)?;
        Ok(Enrolment { certificate })
    }
}

/// Serials count without gaps over everything this node ever issued, published or not: the least that is free, since a certificate that nobody took
/// leaves its serial to the next.
pub(crate) fn next_serial(view: &FleetView, issuer: NodeId, issued: &[Vec<u8>], mesh: MeshId) -> u64 {
    let published = view.certificates.iter().filter(|c| c.issuer == issuer).map(|c| c.serial);
    let kept = issued.iter().filter_map(|bytes| {
        Object::open(bytes, mesh).ok()?.body::<Certificate>().ok().map(|certificate| certificate.serial)
    });
    let taken: BTreeSet<u64> = published.chain(kept).collect();
    // Of nodes revoked since, only the count is left.
    let counted = view.frontier.0.get(&issuer).copied().unwrap_or(0);
    (counted.saturating_add(1)..=u64::MAX).find(|serial| !taken.contains(serial)).unwrap_or(u64::MAX)
}

/// Certificates that were issued and kept, but never shown: a power cut came between.
pub(crate) fn unpublished(store: &Store, view: &FleetView) -> Result<Vec<Object>, StoreError> {
    let known: BTreeSet<(NodeId, u64)> = view.certificates.iter().map(|c| (c.issuer, c.serial)).collect();
    let objects = tickets::issued(store)?.into_iter().filter_map(|bytes| Object::open(&bytes, view.mesh).ok());
    let is_new = |object: &Object| {
        object.body::<Certificate>().is_ok_and(|certificate| !known.contains(&(certificate.issuer, certificate.serial)))
    };
    Ok(objects.filter(is_new).collect())
}
