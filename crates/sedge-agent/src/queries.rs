//! Answers made from what is known: no query changes anything or waits for the network.

mod models;
mod nodes;
mod rollouts;
mod status;

use sedge_fleet::FleetView;
use sedge_statement::{NodeId, NodeName};

use crate::api::ApiError;

pub(crate) use models::find_release;

/// The shortest prefix of an id that names something.
const MIN_PREFIX: usize = 6;

/// A node's name, or the front of its id where no certificate is known.
pub(crate) fn name_of(view: &FleetView, node: NodeId) -> NodeName {
    view.members.get(&node).map_or_else(
        || node.short().parse().expect("hexadecimal digits are a name"),
        |certificate| certificate.name.clone(),
    )
}

/// The one id that `text` is a prefix of.
pub(crate) fn by_prefix<T: Copy + ToString>(
    what: &str,
    text: &str,
    ids: impl Iterator<Item = T>,
    list: &str,
) -> Result<T, ApiError> {
    if text.len() < MIN_PREFIX {
        let remedy = format!("Give at least {MIN_PREFIX} digits; `{list}` lists them.");
        return Err(ApiError::usage(format!("{text:?} is too short to name a {what}"), &remedy));
    }
    let found: Vec<T> = ids.filter(|id| id.to_string().starts_with(text)).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(ApiError::failed(
            format!("no {what} {text} is known here"),
            &format!("`{list}` lists those there are."),
        )),
        _ => Err(ApiError::usage(format!("{text} names several of these: {what}"), "Give more digits.")),
    }
}

/// The member of that name, id or prefix.
pub(crate) fn member(view: &FleetView, text: &str) -> Result<NodeId, ApiError> {
    let mut named = view.members.iter().filter(|(_, c)| c.name.as_str() == text).map(|(id, _)| *id);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            Err(ApiError::usage(format!("several nodes are called {text}"), "Give the id; `sedge node list` shows it."))
        }
        (None, _) if view.revoked.values().any(|node| node.name.as_ref().is_some_and(|name| name.as_str() == text)) => {
            Err(ApiError::failed(
                format!("{text} is revoked, and no member any more"),
                "`sedge mesh show` lists who is; a machine comes back by joining anew from an empty home.",
            ))
        }
        (None, _) => by_prefix("node", text, view.members.keys().copied(), "sedge node list"),
    }
}
