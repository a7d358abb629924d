//! What this node tells its neighbours of itself, and what is known of how stale things are.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sedge_statement::{Gauges, NodeId, Scope, Timestamp, millis};

use crate::api::{StatusAuthority, StatusPresence, StatusScope};
use crate::core::{Core, now};
use crate::queries::name_of;

/// How often the machine is looked at: no less often than neighbours are told.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reads the gauges for as long as the agent runs.
pub(crate) async fn keep_presence(core: Arc<Core>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = every.tick() => {}
        }
        // A sensor may keep its reader waiting.
        let read = tokio::task::spawn_blocking(|| sedge_hardware::gauges(Path::new("/"))).await;
        let queue = u32::try_from(core.host.requests()).ok();
        core.mesh.set_gauges(Gauges { queue, ..read.unwrap_or_default() });
    }
}

impl Core {
    /// What a node last said of itself, where it is or was a neighbour.
    pub(crate) fn presence_of(&self, node: NodeId) -> Option<StatusPresence> {
        let said = self.mesh.presence_of(node)?;
        Some(StatusPresence {
            age_ms: millis(now().since(said.at)),
            uptime_ms: millis(said.uptime),
            gauges: said.gauges,
            authorities_at: (said.verified > Timestamp::default()).then_some(said.verified),
        })
    }

    /// How long ago a node gave a sign of life, to this one or to anybody that its neighbours hear of; none where nobody heard of it, and for itself.
    pub(crate) fn silent_ms(&self, node: NodeId) -> Option<u64> {
        self.mesh.silent_for(node).filter(|_| node != self.me()).map(millis)
    }

    /// Each authority, with how old its newest word is.
    pub(crate) fn authorities(&self) -> Vec<StatusAuthority> {
        let view = self.view();
        let authority = |(id, at): (NodeId, Timestamp)| StatusAuthority {
            id,
            name: name_of(&view, id),
            newest_at: at,
            newest_ms: millis(now().since(at)),
        };
        self.mesh.standing().authorities.into_iter().map(authority).collect()
    }

    /// Each scope of documents that is held, with when a neighbour was last found to hold the same.
    pub(crate) fn scopes(&self) -> Vec<StatusScope> {
        let agreed = self.mesh.agreed();
        let hex = |digest: &[u8; 32]| data_encoding::HEXLOWER.encode(digest);
        let scope = |(scope, digest): (Scope, [u8; 32])| {
            let last = agreed.get(&scope);
            StatusScope {
                scope: match &scope {
                    Scope::Mesh => "mesh".to_owned(),
                    Scope::Cell(cell) => format!("cell {cell}"),
                },
                digest: hex(&digest),
                agreed: last.map(|last| hex(&last.digest)),
                agreed_ms: last.map(|last| millis(now().since(last.at))),
                with: last.map(|last| last.with),
            }
        };
        self.mesh.standing().digests.into_iter().map(scope).collect()
    }

    /// How long ago a neighbour was last found to hold the same of what the whole mesh holds; none where none was since the start.
    pub(crate) fn stale_ms(&self) -> Option<u64> {
        self.mesh.agreed().get(&Scope::Mesh).map(|last| millis(now().since(last.at)))
    }
}
