//! One file a noun: asks, and says how the answer looks to a person.

pub(crate) mod agent;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod deploy;
mod detach;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod infer;
pub(crate) mod mesh;
pub(crate) mod model;
pub(crate) mod node;
mod plan;
pub(crate) mod rollout;
pub(crate) mod status;
pub(crate) mod trust;
mod wait;

use std::path::Path;

use sedge_agent::Client;
use sedge_agent::api::Request;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Asks the agent of a home one thing.
async fn ask<T: DeserializeOwned>(home: &Path, request: &Request) -> Result<T, Failure> {
    let mut client = Client::connect(home).await?;
    Ok(client.ask(request).await?)
}

/// Shows an absent value as nothing, which a table shows as `-`.
fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}
