//! Drives `sedge-fleet` over iroh: one endpoint, who may connect to it, joining, dialling, and the actor that owns the fleet.
//!
//! [`Mesh::start`] binds the endpoint and returns the handle; [`join`] redeems a ticket before there is a mesh to start.
//! What a remote may have under way to this node unread is bounded in `allowance.rs`; whoever dials a member by its id alone is told
//! where it may be by `lookup.rs`. The endpoint uses no name service, no port mapping and no relay but the operator's own: it talks to the peers it is told of, to
//! those that neighbours tell it of, to members that answer on the local network, and to those that dial it. Wire formats are
//! described in `wire.rs`, `whereabouts.rs` and `presence.rs` (`sedge/sync/1`), `join.rs` (`sedge/join/1`) and `mdns/packet.rs`.
//!
//! This crate is *not* a protocol for documents, which is `sedge-fleet`'s, and decides nothing about membership: it asks the fleet,
//! and carries the answer out on every protocol of the endpoint.

mod actor;
mod admission;
mod allowance;
mod clock;
mod config;
mod counters;
mod dialler;
mod endpoint;
mod front;
mod herald;
mod join;
mod line;
mod lookup;
mod mdns;
mod mesh;
mod peers;
mod presence;
mod retry;
mod session;
mod storage;
mod supervise;
mod telling;
mod whereabouts;
mod wire;

pub use actor::StopReason;
pub use config::{MeshConfig, PeerAddr, PeerAddrError};
pub use counters::Counters;
pub use endpoint::{ListenError, Path};
pub use join::{Applicant, Enroller, Enrolment, JoinError, JoinRefusal, JoinRequest, Joined, Looking, join, join_by};
pub use mesh::{Mesh, MeshPublishError, MeshWriteError, Protocols, StartError, SyncStats};
pub use peers::{Agreed, PeerStatus, Presented, Sighting, Standing};
pub use storage::{Storage, StorageError};
pub use wire::{JOIN_ALPN, SYNC_ALPN};
