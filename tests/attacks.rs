//! A hostile member against real agents: whatever it says is refused and named, and costs the others nothing.
//!
//! Cases are named after the rows of the list of attacks; [`table`] keeps that list, finds the cases of every row in all crates, prints
//! them, and fails where a row has none. The attacker holds a valid certificate, got with a real ticket, and signs what it says with its own key.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

#[path = "attacks/authorities.rs"]
mod authorities;
#[path = "attacks/chains.rs"]
mod chains;
#[path = "attacks/devices.rs"]
mod devices;
#[path = "attacks/files.rs"]
mod files;
#[path = "attacks/floods.rs"]
mod floods;
#[path = "attacks/forgery.rs"]
mod forgery;
#[path = "attacks/frames.rs"]
mod frames;
#[path = "attacks/freeze.rs"]
mod freeze;
#[path = "support/hostile.rs"]
mod hostile;
#[path = "attacks/members.rs"]
mod members;
#[path = "attacks/siege.rs"]
mod siege;
mod support;
#[path = "attacks/table.rs"]
mod table;
