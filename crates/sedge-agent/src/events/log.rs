//! Which entries were heard when: what pages are cut from, and what a follower has yet to see.

use std::collections::BTreeMap;
use std::ops::Bound;

use data_encoding::HEXLOWER;
use sedge_fleet::Order;
use sedge_statement::{Timestamp, codec};

use crate::api::{ApiError, Event, EventPage};

/// The longest place in the order that is read, bytes: a document's cell is a path of bounded length.
const MAX_ORDER: usize = 4 << 10;

/// The trail, and at which revision each entry was heard or last judged otherwise. Begins anew with each start of the agent.
#[derive(Debug, Default)]
pub(super) struct Log {
    revision: u64,
    events: BTreeMap<Order, Heard>,
    by_revision: BTreeMap<u64, Order>,
}

#[derive(Debug)]
struct Heard {
    at: u64,
    event: Event,
}

impl Log {
    /// The last revision: each entry that was heard or judged otherwise is one more.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes in the trail as it is now. Entries that are not held any more go.
    pub(super) fn hear(&mut self, mut trail: BTreeMap<Order, Event>) {
        let by_revision = &mut self.by_revision;
        self.events.retain(|order, heard| {
            let same = trail.get(order).is_some_and(|event| *event == heard.event);
            match same {
                true => drop(trail.remove(order)),
                false => drop(by_revision.remove(&heard.at)),
            }
            same
        });
        for (order, event) in trail {
            self.revision += 1;
            self.by_revision.insert(self.revision, order.clone());
            self.events.insert(order, Heard { at: self.revision, event });
        }
    }

    /// At most `most` entries behind `from`, less those heard after revision `at`.
    pub(super) fn page(&self, from: Option<&Order>, since: Option<Timestamp>, at: u64, most: usize) -> EventPage {
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = self
            .events
            .range::<Order, _>((from, Bound::Unbounded))
            .filter(|(order, heard)| heard.at <= at && since.is_none_or(|since| order.at >= since));
        let page: Vec<(&Order, &Heard)> = found.by_ref().take(most).collect();
        let next = found.next().and(page.last()).map(|(order, _)| HEXLOWER.encode(&codec::encode(*order)));
        EventPage { events: page.into_iter().map(|(_, heard)| heard.event.clone()).collect(), next, revision: at }
    }

    /// At most `most` entries heard after a revision, as they were heard; the page's revision is that of the last of them.
    pub(super) fn after(&self, after: u64, since: Option<Timestamp>, most: usize) -> EventPage {
        let (mut events, mut revision) = (Vec::new(), after);
        for (at, order) in self.by_revision.range((Bound::Excluded(after), Bound::Unbounded)) {
            if events.len() == most {
                break;
            }
            revision = *at;
            if since.is_none_or(|since| order.at >= since) {
                events.extend(self.events.get(order).map(|heard| heard.event.clone()));
            }
        }
        EventPage { events, next: None, revision }
    }
}

/// Reads the place at which a page goes on.
pub(super) fn order_of(text: &str) -> Result<Order, ApiError> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| codec::decode(&bytes, MAX_ORDER).ok()).ok_or_else(|| {
        ApiError::usage(format!("no page of the trail begins at {text:.20}"), "Give the `next` of the page before.")
    })
}

#[cfg(test)]
mod tests {
    use sedge_fleet::Place;
    use sedge_statement::{NodeId, ObjectId};

    use super::*;

    fn event(n: u8, standing: &str) -> (Order, Event) {
        let (at, by, id) = (Timestamp::from_millis(u64::from(n)), NodeId::from_bytes([1; 32]), [n; 32]);
        let object = ObjectId::from_bytes(id);
        let event = Event {
            at,
            by,
            name: None,
            kind: "release".to_owned(),
            what: format!("{n}"),
            about: None,
            object: Some(object),
            document: None,
            link: None,
            standing: standing.to_owned(),
            why: None,
        };
        (Order { at, by, place: Place::Object(object) }, event)
    }

    fn whats(page: &EventPage) -> Vec<&str> {
        page.events.iter().map(|event| event.what.as_str()).collect()
    }

    #[test]
    fn pages_leave_out_nothing_and_give_nothing_twice_while_the_trail_grows() {
        let mut log = Log::default();
        log.hear([1, 3, 5, 7].map(|n| event(n, "counts")).into());
        let first = log.page(None, None, log.revision(), 2);
        assert_eq!((whats(&first), first.revision), (vec!["1", "3"], 4));
        // One comes before what was told, one after, and one of those to come is judged otherwise.
        log.hear([2, 6, 1, 3, 5].map(|n| event(n, "counts")).into_iter().chain([event(7, "revoked")]).collect());
        let from = order_of(&first.next.clone().unwrap()).unwrap();
        let second = log.page(Some(&from), None, first.revision, 2);
        assert_eq!((whats(&second), second.next.clone()), (vec!["5"], None));
        let news = log.after(first.revision, None, 2);
        assert_eq!((whats(&news), news.revision), (vec!["2", "6"], 6));
        let last = log.after(news.revision, None, 2);
        assert_eq!((whats(&last), last.events[0].standing.as_str()), (vec!["7"], "revoked"));
        assert_eq!(whats(&log.after(last.revision, None, 2)), Vec::<&str>::new());
    }

    #[test]
    fn what_is_older_than_asked_for_is_passed_over_and_not_waited_for() {
        let mut log = Log::default();
        log.hear([1, 3, 5].map(|n| event(n, "counts")).into());
        let since = Some(Timestamp::from_millis(3));
        assert_eq!(whats(&log.page(None, since, log.revision(), 9)), ["3", "5"]);
        let after = log.after(0, Some(Timestamp::from_millis(9)), 9);
        assert_eq!((whats(&after), after.revision), (vec![], 3));
        assert!(order_of("ff").is_err() && order_of("zz").is_err());
    }
}
