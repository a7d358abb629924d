//! The state of a document as far as the next change can refer to it.

use std::collections::{BTreeMap, HashMap};

use super::Refusal;
use super::rows::{Action, Key, Row, Value};

/// Objects inside one another. The schema uses four; readers may recurse this far.
const MAX_DEPTH: u8 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Map,
    List,
    Text,
}

/// Which objects, keys and elements a document has, and which operation set each.
///
/// One author never conflicts with itself, so each place has one value at most, and the next operation on that place must name it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    max_op: u64,
    objects: BTreeMap<u64, (Kind, u8)>,
    names: HashMap<u64, HashMap<String, u64>>,
    elements: HashMap<u64, HashMap<u64, Option<u64>>>,
}

impl Shape {
    /// The id that the next operation must have.
    pub(crate) fn next_op(&self) -> u64 {
        self.max_op + 1
    }

    /// Checks an operation and takes it into account.
    pub(super) fn apply(&mut self, row: &Row<'_>) -> Result<(), Refusal> {
        let id = self.next_op();
        let (kind, depth) = match row.object {
            0 => (Kind::Map, 0),
            object => *self.objects.get(&object).ok_or(Refusal::UnknownObject)?,
        };
        match (kind, row.action) {
            (Kind::Text, Action::Set(Value::Text) | Action::Delete) | (Kind::Map | Kind::List, _) => {}
            (Kind::Text, _) => return Err(Refusal::Unsupported),
        }
        match (row.key, row.insert) {
            (Key::Name(name), false) if kind == Kind::Map => self.set_name(row, name, id)?,
            (Key::Element(element), false) if kind != Kind::Map => self.set_element(row, element, id)?,
            (Key::Head | Key::Element(_), true) if kind != Kind::Map => self.insert(row, id)?,
            _ => return Err(Refusal::Invalid("key")),
        }
        let made = match row.action {
            Action::MakeMap => Some(Kind::Map),
            Action::MakeList => Some(Kind::List),
            Action::MakeText => Some(Kind::Text),
            Action::Set(_) | Action::Delete => None,
        };
        if let Some(made) = made {
            if depth >= MAX_DEPTH {
                return Err(Refusal::TooDeep);
            }
            self.objects.insert(id, (made, depth + 1));
        }
        self.max_op = id;
        Ok(())
    }

    fn set_name(&mut self, row: &Row<'_>, name: &str, id: u64) -> Result<(), Refusal> {
        let names = self.names.entry(row.object).or_default();
        if names.get(name).copied() != row.replaces {
            return Err(Refusal::Predecessor);
        }
        match (row.action, row.replaces) {
            (Action::Delete, None) => return Err(Refusal::Predecessor),
            (Action::Delete, Some(_)) => names.remove(name),
            _ => names.insert(name.to_owned(), id),
        };
        Ok(())
    }

    fn set_element(&mut self, row: &Row<'_>, element: u64, id: u64) -> Result<(), Refusal> {
        let elements = self.elements.entry(row.object).or_default();
        let current = elements.get_mut(&element).ok_or(Refusal::UnknownElement)?;
        // A deleted element has no index any more, so nobody honest can address it.
        if current.is_none() || *current != row.replaces {
            return Err(Refusal::Predecessor);
        }
        *current = (row.action != Action::Delete).then_some(id);
        Ok(())
    }

    fn insert(&mut self, row: &Row<'_>, id: u64) -> Result<(), Refusal> {
        let elements = self.elements.entry(row.object).or_default();
        if let Key::Element(after) = row.key
            && !elements.contains_key(&after)
        {
            return Err(Refusal::UnknownElement);
        }
        if row.action == Action::Delete {
            return Err(Refusal::Unsupported);
        }
        if row.replaces.is_some() {
            return Err(Refusal::Predecessor);
        }
        elements.insert(id, Some(id));
        Ok(())
    }
}
