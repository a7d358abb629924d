//! What the end-to-end tests share: homes and agents as processes of the real `sedge`, and waiting with a deadline.
//!
//! Everything is driven as an operator would: through the command line, read as JSON. Nothing here knows the agent's inside.

pub(crate) mod models;
pub(crate) mod netns;
pub(crate) mod node;
pub(crate) mod outcome;
pub(crate) mod skip;
pub(crate) mod trio;
pub(crate) mod until;
