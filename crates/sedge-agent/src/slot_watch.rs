//! Following one slot from inside a program.

use sedge_statement::{SlotName, SlotReport};
use tokio::sync::watch;

use crate::core::ShownSlot;

/// Follows one slot of this node. Slow readers see the newest state, not every one.
#[derive(Debug, Clone)]
pub struct SlotWatch {
    slot: SlotName,
    shown: watch::Receiver<Vec<ShownSlot>>,
}

impl SlotWatch {
    pub(crate) fn new(slot: SlotName, shown: watch::Receiver<Vec<ShownSlot>>) -> Self {
        Self { slot, shown }
    }

    /// The slot's name.
    pub fn slot(&self) -> &SlotName {
        &self.slot
    }

    /// The slot as it is; none before anything was ever deployed to it.
    pub fn now(&self) -> Option<SlotReport> {
        find(&self.slot, &self.shown.borrow())
    }

    /// Waits until the slot's report fulfils a condition, and returns it; none once the agent stopped.
    pub async fn until(&mut self, mut fulfils: impl FnMut(&SlotReport) -> bool) -> Option<SlotReport> {
        let slot = &self.slot;
        let shown = self.shown.wait_for(|shown| find(slot, shown).is_some_and(|report| fulfils(&report))).await.ok()?;
        find(slot, &shown)
    }

    /// Waits until a model answers requests in the slot, and returns the report that names its digest; none once the agent
    /// stopped.
    pub async fn until_serving(&mut self) -> Option<SlotReport> {
        self.until(|report| report.sha256.is_some()).await
    }
}

fn find(slot: &SlotName, shown: &[ShownSlot]) -> Option<SlotReport> {
    shown.iter().find(|s| s.report.slot == *slot).map(|s| s.report.clone())
}
