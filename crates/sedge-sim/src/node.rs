//! One node: a fleet, its store, its clock, and how it dies.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_fleet::{Fleet, OpenError, Write};
use sedge_statement::{MeshId, NodeId, SecretKey, Timestamp};

use crate::{Charter, Diary};

/// A place in the world that one machine takes. A clone has another seat than its original, but the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub usize);

/// A crash to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fuse {
    /// How many effects are still carried out.
    pub(crate) effects: u32,
    /// How long the node is down after it.
    pub(crate) down: Duration,
}

/// A machine and the process on it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: SecretKey,
    pub(crate) id: NodeId,
    /// The process; none while it is down, or before the node has joined.
    pub(crate) fleet: Option<Fleet>,
    /// What was persisted: all that a crash leaves.
    pub(crate) store: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How far its clock is ahead of the slowest that there is.
    pub(crate) skew: Duration,
    pub(crate) fuse: Option<Fuse>,
    /// What it wrote and persisted.
    pub(crate) diary: Diary,
}

/// The most that a clock is behind true time.
pub(crate) const SLOWEST: Duration = Duration::from_secs(300);

impl Node {
    /// A machine that was never started.
    pub(crate) fn new(key: SecretKey) -> Self {
        let id = key.node_id();
        let (store, diary) = (BTreeMap::new(), Diary::default());
        Self { key, id, fleet: None, store, skew: SLOWEST, fuse: None, diary }
    }

    /// Starts the process from what was persisted.
    pub(crate) fn start(&mut self, genesis: &[u8], mesh: MeshId) -> Result<(), OpenError> {
        let records = self.store.iter().map(|(key, value)| (key.clone(), value.clone()));
        self.fleet = Some(Fleet::open(genesis, mesh, self.id, records)?);
        Ok(())
    }

    /// Applies a batch to the store.
    pub(crate) fn persist(&mut self, writes: Vec<Write>) {
        for Write { key, value } in writes {
            match value {
                Some(value) => self.store.insert(key, value),
                None => self.store.remove(&key),
            };
        }
    }

    /// What its clock shows, `since` after the start of the simulation.
    pub(crate) fn clock(&self, since: Duration) -> Timestamp {
        let shown = Charter::time(since + self.skew).as_millis();
        let behind = u64::try_from(SLOWEST.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(shown.saturating_sub(behind))
    }

    /// Counts one effect; answers how long the node is down if it dies before carrying it out.
    pub(crate) fn burns_out(&mut self) -> Option<Duration> {
        let fuse = self.fuse.as_mut()?;
        if fuse.effects > 0 {
            fuse.effects -= 1;
            return None;
        }
        self.fuse.take().map(|fuse| fuse.down)
    }
}
