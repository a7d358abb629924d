//! Which documents have Automerge's value of them in memory: those that took a link last, and not long ago.
//!
//! Nothing is read from it, and it is most of what a document takes. One that was dropped is made again from the links with the next one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sedge_statement::{DocId, Timestamp};

/// How many are kept: the nodes of a fleet of a thousand that has no cells, all of which report while a rollout goes on; about 15 MB.
const MAX_WARM: usize = 1024;

/// For how long one that takes no links stays: a rollout's reports come within minutes of each other.
const WARM_FOR: Duration = Duration::from_secs(600);

/// How often it is noted how many links there were.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Documents by when they last took a link.
#[derive(Debug, Default)]
pub(super) struct Warm {
    last: BTreeMap<DocId, u64>,
    in_order: BTreeMap<u64, DocId>,
    links: u64,
    /// How many links there were, from time to time.
    noted: VecDeque<(Timestamp, u64)>,
}

impl Warm {
    /// Notes that time passes; answers the documents that took no link for long. A clock that was set back begins anew.
    pub(super) fn pass(&mut self, now: Timestamp) -> Vec<DocId> {
        if self.noted.back().is_some_and(|(last, _)| *last > now) {
            self.noted.clear();
        }
        if self.noted.back().is_none_or(|(last, _)| now.since(*last) >= NOTED_EVERY) {
            self.noted.push_back((now, self.links));
        }
        let mut before = None;
        while let Some((_, links)) = self.noted.front().filter(|(at, _)| now.since(*at) >= WARM_FOR) {
            before = Some(*links);
            self.noted.pop_front();
        }
        let Some(before) = before else { return Vec::new() };
        let warm = self.in_order.split_off(&(before + 1));
        let rest: Vec<DocId> = std::mem::replace(&mut self.in_order, warm).into_values().collect();
        self.last.retain(|_, links| *links > before);
        rest
    }

    /// Notes that a document just took a link; answers which one has rested for longest where they are too many.
    pub(super) fn touch(&mut self, doc: &DocId) -> Option<DocId> {
        self.links += 1;
        if let Some(before) = self.last.insert(doc.clone(), self.links) {
            self.in_order.remove(&before);
        }
        self.in_order.insert(self.links, doc.clone());
        if self.last.len() <= MAX_WARM {
            return None;
        }
        let (_, rests) = self.in_order.pop_first()?;
        self.last.remove(&rests);
        Some(rests)
    }
}

#[cfg(test)]
mod tests {
    use sedge_statement::{DocKind, NodeId};

    use super::*;

    #[test]
    fn the_one_that_rested_for_longest_goes_and_no_more_are_kept() {
        let doc = |epoch| crate::documents::doc_id(NodeId::from_bytes([1; 32]), DocKind::Gate, epoch);
        let mut warm = Warm::default();
        let most = u32::try_from(MAX_WARM).unwrap();
        for epoch in 0..most {
            assert_eq!(warm.touch(&doc(epoch)), None);
        }
        assert_eq!(warm.touch(&doc(0)), None);
        assert_eq!(warm.touch(&doc(most)), Some(doc(1)));
        assert_eq!((warm.last.len(), warm.in_order.len()), (MAX_WARM, MAX_WARM));
    }

    #[test]
    fn what_takes_no_link_for_ten_minutes_rests() {
        let doc = |epoch| crate::documents::doc_id(NodeId::from_bytes([1; 32]), DocKind::Gate, epoch);
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        let mut warm = Warm::default();
        warm.touch(&doc(0));
        warm.touch(&doc(1));
        assert!(warm.pass(at(1000)).is_empty());
        warm.touch(&doc(1));
        assert!(warm.pass(at(1590)).is_empty());
        assert_eq!(warm.pass(at(1600)), [doc(0)]);
        assert_eq!((warm.last.len(), warm.in_order.len()), (1, 1));
        warm.touch(&doc(1));
        assert!(warm.pass(at(2100)).is_empty());
        assert_eq!(warm.pass(at(2800)), [doc(1)]);
        // The clock is set back: nothing is forgotten early, and nothing stays for ever.
        warm.touch(&doc(2));
        assert!(warm.pass(at(5)).is_empty());
        assert_eq!(warm.pass(at(605)), [doc(2)]);
    }
}
