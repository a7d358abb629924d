//! Which documents have Automerge's value of them in memory: those that took a link last.
//!
//! Nothing is read from it, and it is most of what a document takes. One that was dropped is made again from the links with the next one.

use std::collections::BTreeMap;

use sedge_statement::DocId;

/// How many are kept: the nodes of a fleet of a thousand that has no cells, all of which report while a rollout goes on; about 15 MB.
const MAX_WARM: usize = 1024;

/// Documents by when they last took a link.
#[derive(Debug, Default)]
pub(super) struct Warm {
    last: BTreeMap<DocId, u64>,
    in_order: BTreeMap<u64, DocId>,
    links: u64,
}

impl Warm {
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
}
