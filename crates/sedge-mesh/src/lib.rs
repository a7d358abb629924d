//! Drives `sedge-fleet` over iroh: one endpoint, who may connect to it, joining, dialling, and the actor that owns the fleet.
//!
//! [`Mesh::start`] binds the endpoint and returns the handle; [`join`] redeems a ticket before there is a mesh to start.
//! The endpoint uses no relay, no name service, no port mapping and no probe: it talks to the peers it is told of and to those
//! that dial it. Wire formats are described in `wire.rs` (`sedge/sync/1`) and `join.rs` (`sedge/join/1`).
//!
//! This crate is *not* a protocol for documents, which is `sedge-fleet`'s, and decides nothing about membership: it asks the fleet,
//! and carries the answer out on every protocol of the endpoint.

mod actor;
mod admission;
mod clock;
mod config;
mod counters;
mod dialler;
mod endpoint;
mod join;
mod mesh;
mod peers;
mod retry;
mod session;
mod storage;
mod supervise;
mod wire;

pub use actor::StopReason;
pub use config::{MeshConfig, PeerAddr, PeerAddrError};
pub use counters::Counters;
pub use endpoint::ListenError;
pub use join::{Applicant, Enroller, Enrolment, JoinError, JoinRefusal, JoinRequest, Joined, join};
pub use mesh::{Mesh, MeshPublishError, MeshWriteError, Protocols, StartError, SyncStats};
pub use peers::PeerStatus;
pub use storage::{Storage, StorageError};
pub use wire::{JOIN_ALPN, SYNC_ALPN};
