//! The elements of a list, or of a text.

use std::collections::BTreeMap;
use std::iter;

use super::Refusal;
use super::rows::{Action, Key, Row};
use super::shape::Held;

/// Elements, linked in their order, so that what an operation costs does not depend on where it goes.
///
/// Where one author inserts, nothing is concurrent: a new element stands right behind the one that it names.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    first: Option<u64>,
    elements: BTreeMap<u64, Element>,
    length: usize,
}

/// An element; a deleted one holds nothing, and stays as a place to insert behind.
#[derive(Debug, Clone)]
struct Element {
    held: Option<Held>,
    next: Option<u64>,
}

impl Sequence {
    /// How many elements are not deleted.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// What the elements hold, in order.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        let element = |id: Option<u64>| self.elements.get(&id?);
        iter::successors(element(self.first), move |before| element(before.next)).filter_map(|e| e.held.as_ref())
    }

    pub(super) fn set(&mut self, row: &Row<'_>, element: u64, id: u64) -> Result<(), Refusal> {
        let current = &mut self.elements.get_mut(&element).ok_or(Refusal::UnknownElement)?.held;
        // A deleted element has no index any more, so nobody honest can address it.
        if current.is_none() || current.as_ref().map(|held| held.by) != row.replaces {
            return Err(Refusal::Predecessor);
        }
        *current = Held::of(row.action, id);
        if current.is_none() {
            self.length -= 1;
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, row: &Row<'_>, id: u64) -> Result<(), Refusal> {
        let before = match row.key {
            Key::Element(after) => &mut self.elements.get_mut(&after).ok_or(Refusal::UnknownElement)?.next,
            Key::Head | Key::Name(_) => &mut self.first,
        };
        if row.action == Action::Delete {
            return Err(Refusal::Unsupported);
        }
        if row.replaces.is_some() {
            return Err(Refusal::Predecessor);
        }
        let next = before.replace(id);
        self.elements.insert(id, Element { held: Held::of(row.action, id), next });
        self.length += 1;
        Ok(())
    }
}
