//! The audit trail as it is asked for: in pages, as it grows, and as an archive.

mod log;
mod words;

use std::collections::BTreeMap;

use sedge_fleet::{Archive, Entry, FleetView, Order};
use sedge_statement::MeshId;
use tokio::sync::Mutex;

use crate::api::{
    ApiError, EVENTS_PER_PAGE, Event, EventPage, EventsAfter, EventsExported, EventsRequest, EventsVerified,
    WATCH_LIMIT,
};
use crate::core::{Core, now};

use log::Log;

/// What requests for the trail share.
#[derive(Debug, Default)]
pub(crate) struct Events {
    log: Mutex<Log>,
    /// One archive is in memory at a time.
    exporting: Mutex<()>,
}

/// An archive, kept while it is sent.
#[derive(Debug)]
pub(crate) struct Export<'a> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: EventsExported,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Core {
    /// A page of the trail, in its one order.
    pub(crate) async fn events(&self, request: EventsRequest) -> Result<EventPage, ApiError> {
        let mut log = self.events.log.lock().await;
        if request.at.is_none() {
            self.refresh(&mut log).await?;
        }
        let from = request.from.as_deref().map(log::order_of).transpose()?;
        Ok(log.page(from.as_ref(), request.since, request.at.unwrap_or(log.revision()), EVENTS_PER_PAGE))
    }

    /// What is new since a revision, as soon as anything is, or [`WATCH_LIMIT`] has passed.
    pub(crate) async fn events_after(&self, request: EventsAfter) -> Result<EventPage, ApiError> {
        let mut changes = self.mesh.changes();
        let limit = tokio::time::Instant::now() + WATCH_LIMIT;
        loop {
            changes.mark_unchanged();
            let mut log = self.events.log.lock().await;
            self.refresh(&mut log).await?;
            let page = log.after(request.after, request.since, EVENTS_PER_PAGE);
            drop(log);
            if !page.events.is_empty() {
                return Ok(page);
            }
            match tokio::time::timeout_at(limit, changes.changed()).await {
                Ok(Ok(())) => {}
                // The caller gets what there is, and may ask again.
                _ => return Ok(page),
            }
        }
    }

    /// The trail as a file that proves itself.
    pub(crate) async fn export_events(&self) -> Result<Export<'_>, ApiError> {
        let turn = self.events.exporting.lock().await;
        let bytes = self.mesh.archive().await.ok_or_else(stopped)?;
        let end = EventsExported { mesh: self.view().mesh, bytes: bytes.len() as u64 };
        Ok(Export { bytes, end, _turn: turn })
    }

    async fn refresh(&self, log: &mut Log) -> Result<(), ApiError> {
        let trail = self.mesh.trail().await.ok_or_else(stopped)?;
        log.hear(told(&trail, &self.view()));
        Ok(())
    }
}

/// Proves an archive on any machine, with no home and no agent; with `mesh`, that it is of that mesh. Gives what it says.
///
/// # Errors
/// [`ErrorKind::Refused`](crate::api::ErrorKind::Refused), with the first place that does not hold.
pub fn verify_events(archive: &[u8], mesh: Option<MeshId>) -> Result<EventsVerified, ApiError> {
    let mut archive = Archive::open(archive, mesh).map_err(|error| {
        ApiError::refused(
            format!("the archive does not hold: {error}"),
            "Have it exported again, from another node where this one cannot be trusted; believe nothing of this file.",
        )
    })?;
    let now = now();
    let (trail, view) = (archive.trail(now), archive.view(now));
    Ok(EventsVerified { mesh: archive.mesh(), events: told(&trail, &view).into_values().collect() })
}

/// Entries in words.
fn told(trail: &[Entry], view: &FleetView) -> BTreeMap<Order, Event> {
    trail.iter().map(|entry| (entry.order.clone(), words::event(entry, view))).collect()
}

fn stopped() -> ApiError {
    ApiError::failed("the agent is stopping", "Start it again, and ask then.")
}
