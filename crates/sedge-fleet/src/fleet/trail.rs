//! The audit trail of everything held here: what was said, and whether it counts now.

mod documents;
mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sedge_statement::{ChangeHash, DocId, DocKind, NodeId, Timestamp};

use super::Fleet;
use crate::chain::Chain;
use crate::fork::Evidence;
use crate::trail::{Entry, Mark, Order, Place, Said, Spoken, Standing, spoken};

/// What each document says, read once for each of its heads.
#[derive(Debug, Default)]
pub(super) struct Trails(BTreeMap<DocId, Read>);

/// What a document said when it held so many links up to this one, of which so many counted.
#[derive(Debug)]
struct Read {
    held: (u64, Option<ChangeHash>, u64),
    spoken: Arc<[Spoken]>,
}

impl Trails {
    fn of(&mut self, chain: &Chain) -> Arc<[Spoken]> {
        let held = (chain.held(), chain.hash_at(chain.held()), chain.len());
        match self.0.get(chain.id()) {
            Some(read) if read.held == held => Arc::clone(&read.spoken),
            _ => {
                let spoken: Arc<[Spoken]> = spoken(chain).into();
                self.0.insert(chain.id().clone(), Read { held, spoken: Arc::clone(&spoken) });
                spoken
            }
        }
    }
}

impl Fleet {
    /// All that was said, as far as it is held here, in its one order. The cost is that of documents which changed since it was last asked.
    pub fn trail(&mut self, now: Timestamp) -> Vec<Entry> {
        let view = self.view(now);
        let mut trails = std::mem::take(&mut self.trails);
        let held: BTreeSet<&DocId> = self.documents.all_chains().map(Chain::id).collect();
        trails.0.retain(|doc, _| held.contains(doc));
        let mut trail = self.objects_said(self.time(now));
        trail.extend(self.forks_said());
        let mut repeated: BTreeSet<(NodeId, DocKind, Mark)> = BTreeSet::new();
        for chain in self.documents.all_chains() {
            let doc = chain.id();
            for spoken in trails.of(chain).iter() {
                // A later epoch begins with what the one before said; the documents of an author come in the order of their epochs.
                if let Some(mark) = spoken.mark
                    && !repeated.insert((doc.author, doc.kind, mark))
                {
                    continue;
                }
                let place = Place::Link { doc: doc.clone(), seq: spoken.seq, nth: spoken.nth };
                let standing = self.standing(chain, spoken, &view);
                trail.push(Entry {
                    order: Order { at: spoken.at, by: doc.author, place },
                    said: spoken.said.clone(),
                    standing,
                });
            }
        }
        self.trails = trails;
        trail.sort_by(|a, b| a.order.cmp(&b.order));
        trail
    }

    /// Forks are dated by the later of the two signatures that prove them.
    fn forks_said(&self) -> impl Iterator<Item = Entry> {
        self.documents.forks().filter_map(|(id, bytes)| {
            // Evidence is proven when it comes, and never changes.
            let evidence = Evidence::open(bytes, self.mesh).ok()?;
            let doc = evidence.doc().clone();
            let order = Order { at: evidence.signed_at(), by: doc.author, place: Place::Fork(id) };
            // What counts of a revoked author is fixed by what revoked it.
            let standing = match self.membership.revoked(&doc.author) {
                Some(_) => Standing::Revoked("its author is revoked, which says by itself what counts".to_owned()),
                None => Standing::Counts,
            };
            Some(Entry { order, said: Said::Fork { doc, from: evidence.from }, standing })
        })
    }
}
