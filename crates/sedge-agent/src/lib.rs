//! The agent as a library: what a robot links to be a node of a mesh, and what `sedge agent run` hosts.
//!
//! [`init`] or [`join`] make a home; [`Agent::start`] runs on it: it replicates the fleet's documents, plans, fetches what the
//! plan assigns, tries it, serves it, and reports. [`Agent::infer`] asks a slot's model, [`Agent::chat`] a language model; [`SlotWatch`] follows a swap. An agent in
//! another process is asked with a [`Client`], in the words of [`api`]. `examples/robot.rs` shows it in thirty lines.
//!
//! This crate is *not* a command line, and decides little: documents are `sedge-fleet`'s, who gets what is
//! `sedge-scheduler`'s, what an update does next is `sedge-slot`'s. It translates between crates that do not know each other, and owns
//! the order in which things are made to last.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod api;

mod agent;
mod chat;
mod client;
mod control;
mod core;
mod doctor;
mod drafts;
mod elsewhere;
mod enroll;
mod home;
mod infer;
mod inspect;
mod peers;
mod planning;
mod publish;
mod queries;
mod reconcile;
mod slot_watch;
mod store;
mod supervise;
mod tickets;
mod trust;

pub use agent::{Agent, AgentConfig, Stopped};
pub use chat::Chat;
pub use client::{ChatClient, Client, Heard};
pub use enroll::{InitOptions, Initialised, JoinOptions, Joined, enroll_request, init, join, join_by_approval};
pub use home::default_home;
pub use infer::Answer;
pub use inspect::{Inspection, inspect};
pub use sedge_mesh::{PeerAddr as PeerAddress, PeerAddrError as PeerAddressError};
pub use sedge_statement as statement;
pub use slot_watch::SlotWatch;
