//! The weights of one node: stored once, proven by SHA-256, fetched from and served to other nodes in verified ranges.
//!
//! [`BlobStore`] keeps files under `$SEDGE_HOME`, fetches those it lacks over iroh-blobs from whichever candidate
//! delivers ([`BlobStore::fetch`]), and serves what it has to whom [`Admission`] lets in.
//!
//! This crate decides neither what to fetch nor who holds it nor who is a member: the agent does.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may unwrap"))]

mod add;
mod blocking;
mod digest;
mod fetch;
mod hold;
mod index;
mod layout;
mod limit;
mod metered;
mod node;
mod recover;
mod serve;
mod space;
mod store;
mod sweep;
mod turn;

pub use add::AddError;
pub use fetch::{DialFrom, Fetch, FetchError, FetchOptions, Patience, Progress};
pub use hold::{DiscardError, ProveError};
/// The protocol that [`Server`] speaks.
pub use iroh_blobs::ALPN;
pub use limit::Limits;
pub use serve::{Admission, Server};
pub use store::{BlobStore, OpenError, Options, StoreError};
