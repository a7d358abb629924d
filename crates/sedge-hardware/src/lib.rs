//! What machine this is: its profile, and its class.
//!
//! Everything is read from the files that Linux shows, below a root that the caller names: `/` on a device, a fixture tree in a
//! test. What cannot be read is left out or taken at its safe side; nothing here fails, for a node with an odd `/proc` is
//! still a node.
//!
//! This crate is *not* a monitor: it reads slow facts once, and fast ones (`gauges.rs`) when asked. Load, temperature
//! and power are not facts for a document. Nor does anything here permit or select: certificates do.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may unwrap"))]

mod board;
mod cgroup;
mod gauges;
mod memory;
mod os;
mod processor;
mod profile;
mod root;

pub use gauges::gauges;
pub use memory::{MAX_RESERVE, MIN_RESERVE, available_memory, reserve};
pub use profile::{SYSTEM_POOL, architecture, class, detect, disk_size};
