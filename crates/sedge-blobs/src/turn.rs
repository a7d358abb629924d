//! Whose turn it is at one blob: adding, fetching and dropping the same bytes never overlap.
//!
//! A fetch may wait for providers for as long as its callers like. Whoever has the bytes at hand does not wait for it: a
//! fetch gives way to an import, and then finds the bytes there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sedge_statement::Blake3;
use tokio::sync::{OwnedMutexGuard, watch};

/// The turns at every blob that somebody is at.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<Blake3, Weak<Place>>>);

/// Where those who are at one blob meet.
#[derive(Debug)]
struct Place {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How many wait with the bytes at hand.
    importers: watch::Sender<usize>,
}

/// A turn at one blob, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    place: Arc<Place>,
    _held: OwnedMutexGuard<()>,
}

/// Counts an importer for as long as it waits.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(importers: &'a watch::Sender<usize>) -> Self {
        importers.send_modify(|n| *n += 1);
        Self(importers)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

impl Turns {
    fn place(&self, blake3: Blake3) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| place.strong_count() > 0);
        let known = places.get(&blake3).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let place = Arc::new(Place { turn: Arc::default(), importers: watch::Sender::new(0) });
            places.insert(blake3, Arc::downgrade(&place));
            place
        })
    }

    /// Waits for a turn.
    pub(crate) async fn next(&self, blake3: Blake3) -> Turn {
        let place = self.place(blake3);
        let held = Arc::clone(&place.turn).lock_owned().await;
        Turn { place, _held: held }
    }

    /// Waits for a turn with the bytes at hand: a fetch of them gives way.
    pub(crate) async fn import(&self, blake3: Blake3) -> Turn {
        let place = self.place(blake3);
        let held = {
            let _waiting = Waiting::new(&place.importers);
            Arc::clone(&place.turn).lock_owned().await
        };
        Turn { place, _held: held }
    }
}

impl Turn {
    /// Waits until somebody else has the bytes at hand.
    pub(crate) async fn wanted(&self) {
        // The sender lives in the place that this turn is at.
        let _ = self.place.importers.subscribe().wait_for(|importers| *importers > 0).await;
    }

    /// Lets those who have the bytes at hand go first, and waits for the next turn.
    pub(crate) async fn give_way(self) -> Self {
        let Self { place, _held } = self;
        drop(_held);
        let _ = place.importers.subscribe().wait_for(|importers| *importers == 0).await;
        let held = Arc::clone(&place.turn).lock_owned().await;
        Self { place, _held: held }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::task::Poll;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const BLOB: Blake3 = Blake3::from_bytes([7; 32]);
    const SOON: Duration = Duration::from_secs(10);

    /// Has a future wait for what it waits for.
    async fn begin<F: Future>(mut of: Pin<&mut F>) {
        let waits = poll_fn(|cx| Poll::Ready(of.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
    }

    #[tokio::test]
    async fn whoever_has_the_bytes_at_hand_goes_before_fetches_that_wait() {
        let turns = Turns::default();
        let fetch = turns.next(BLOB).await;
        let (mut wanted, mut other, mut import) =
            (pin!(fetch.wanted()), pin!(turns.next(BLOB)), pin!(turns.import(BLOB)));
        begin(other.as_mut()).await;
        begin(wanted.as_mut()).await;
        begin(import.as_mut()).await;
        timeout(SOON, wanted).await.unwrap();
    }

    #[tokio::test]
    async fn a_fetch_that_gives_way_goes_on_after_the_import() {
        let turns = Turns::default();
        let fetch = turns.next(BLOB).await;
        let mut import = pin!(turns.import(BLOB));
        begin(import.as_mut()).await;
        let mut again = pin!(fetch.give_way());
        begin(again.as_mut()).await;
        let import = timeout(SOON, import).await.unwrap();
        begin(again.as_mut()).await;
        drop(import);
        timeout(SOON, again).await.unwrap();
    }

    #[tokio::test]
    async fn an_import_that_is_given_up_leaves_the_turn_to_the_fetch() {
        let turns = Turns::default();
        let fetch = turns.next(BLOB).await;
        {
            let mut import = pin!(turns.import(BLOB));
            begin(import.as_mut()).await;
        }
        let again = timeout(SOON, fetch.give_way()).await.unwrap();
        begin(pin!(again.wanted())).await;
    }
}
