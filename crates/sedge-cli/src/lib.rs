//! The command line of Sedge: parses, asks an agent, prints what it answered.
//!
//! Nothing is decided here. What is done, and what may be done, is the agent's; this crate turns words into requests and
//! answers into tables or JSON, and hosts the agent in `sedge agent run`. `demo` drives a mesh of such
//! processes the way an operator would.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may unwrap"))]

mod commands;
mod demo;
mod failure;
mod gguf;
mod grammar;
mod onnx;
mod paint;
mod screen;
mod start;
mod table;
mod tame;
mod tensors;
mod words;

pub use start::main;
