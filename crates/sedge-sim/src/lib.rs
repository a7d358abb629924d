//! Whole fleets in one process, for tests only: the pure crates under virtual time, by seed.
//!
//! A [`World`] is some nodes, each a real [`sedge_fleet::Fleet`] over a store in memory, and a network between them that
//! delays frames and, as its [`Weather`] has it, loses, repeats and reorders them. Connections break and are dialled again,
//! the network falls into parts that heal, and nodes crash between any two effects and come back with what was persisted
//! and with another clock. [`storm`] makes all of it happen at random, then heals everything, waits for silence and
//! checks what must hold ([`Broken`] lists it).
//!
//! A [`Siege`] is a storm over a fleet of cells: certificates of several issuers, nodes that are moved and revoked, roots that rotate, and two
//! members who are not honest, each of its own [`Character`]. What must hold then is asked of an oracle that knows what was truly said.
//!
//! The same seed gives the same run to the last frame: nothing here reads a clock or the machine's randomness, and
//! nothing sleeps. This crate is *not* a model of the protocol: it knows no frame's content, and sees what any transport
//! and any caller of a fleet sees.

mod charter;
mod diary;
mod dice;
mod events;
mod founding;
mod invariants;
mod join;
mod network;
mod node;
mod oracle;
mod pen;
mod planning;
mod realm;
mod rule;
mod schedule;
mod settle;
mod siege;
mod storm;
mod timeline;
mod villain;
mod waves;
mod weather;
mod world;

pub use charter::{Charter, Post};
pub use diary::Diary;
pub use dice::Dice;
pub use invariants::{Broken, accused};
pub use network::WireId;
pub use node::Seat;
pub use planning::plan_of;
pub use settle::Settled;
pub use siege::{Endured, Plot, Siege};
pub use storm::{Calm, Storm, storm};
pub use villain::Character;
pub use weather::Weather;
pub use world::{Setting, World};
