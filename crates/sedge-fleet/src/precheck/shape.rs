//! The state of a document as far as the next change can refer to it and readers read it.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::Timestamp;

use super::rows::{Action, Key, Row, Value};
use super::sequence::Sequence;
use super::{LINK_COST, OPERATION_COST, Refusal};
use crate::schema::{COMPLETE_AFTER, EVIDENCE, MAX_ENTRIES, PREVIOUS};

/// Objects inside one another. The schema uses four; readers may recurse this far.
const MAX_DEPTH: u8 = 16;

/// Which objects, keys and elements a document has, which operation set each, and to what.
///
/// One author never conflicts with itself, so each place has one value at most, and the next operation on that place must name it. So this is
/// all that the document says, without any history.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    max_op: u64,
    /// When its last change was made, seconds since 1970.
    made: u64,
    /// By the operation that made each; zero is the root.
    objects: BTreeMap<u64, Object>,
    /// The objects of the place of evidence: nothing in them is replaced or removed.
    evidence: BTreeSet<u64>,
    /// The map that says which epoch came before: nothing in it is written after the first link.
    handover: Option<u64>,
    past_first_link: bool,
    /// See [`Shape::cost`].
    cost: usize,
}

/// An object, by what it holds.
#[derive(Debug, Clone)]
struct Object {
    depth: u8,
    inside: Inside,
}

#[derive(Debug, Clone)]
pub(super) enum Inside {
    Map(BTreeMap<Box<str>, Held>),
    List(Sequence),
    Text(Sequence),
}

/// What stands at a place, and which operation put it there: of an object, the one that made it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) by: u64,
    pub(super) what: What,
}

/// A value, as far as readers know its type.
#[derive(Debug, Clone)]
pub(super) enum What {
    Object,
    Unsigned(u64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Null,
    Other,
}

impl Default for Shape {
    fn default() -> Self {
        let root = Object { depth: 0, inside: Inside::Map(BTreeMap::new()) };
        Self {
            max_op: 0,
            made: 0,
            objects: BTreeMap::from([(0, root)]),
            evidence: BTreeSet::new(),
            handover: None,
            past_first_link: false,
            cost: 0,
        }
    }
}

impl Shape {
    /// The id that the next operation must have.
    pub(crate) fn next_op(&self) -> u64 {
        self.max_op + 1
    }

    /// When the last change was made, by its author's clock.
    pub(crate) fn made_at(&self) -> Timestamp {
        Timestamp::from_millis(self.made.saturating_mul(1000))
    }

    /// What the links so far are counted as, bytes: each link, each operation, and each key and value as often as an operation names it,
    /// however few bytes said so. It only grows, so that it depends on the links alone.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// Keeps nothing but what the links came to, and when the last was made: nothing may be applied any more.
    pub(crate) fn seal(&mut self) {
        *self =
            Self { max_op: self.max_op, made: self.made, cost: self.cost, past_first_link: true, ..Self::default() };
    }

    /// Takes the end of a link into account, and when it was made, seconds since 1970.
    pub(super) fn end_link(&mut self, made: u64) {
        self.made = made;
        self.past_first_link = true;
        self.cost += LINK_COST;
    }

    pub(super) fn inside(&self, object: u64) -> Option<&Inside> {
        self.objects.get(&object).map(|object| &object.inside)
    }

    /// Checks an operation and takes it into account.
    pub(super) fn apply(&mut self, row: &Row<'_>) -> Result<(), Refusal> {
        let id = self.next_op();
        let object = self.objects.get_mut(&row.object).ok_or(Refusal::UnknownObject)?;
        let depth = object.depth;
        match (&object.inside, row.action) {
            (Inside::Text(_), Action::Set(Value::Text(text))) if !text.is_empty() => {}
            (Inside::Text(_), Action::Delete) | (Inside::Map(_) | Inside::List(_), _) => {}
            (Inside::Text(_), _) => return Err(Refusal::Unsupported),
        }
        let is_handover = self.handover == Some(row.object)
            || (row.object == 0 && matches!(row.key, Key::Name(PREVIOUS | COMPLETE_AFTER)));
        if is_handover && self.past_first_link {
            return Err(Refusal::Handover);
        }
        let is_evidence = self.evidence.contains(&row.object)
            || (row.object == 0 && matches!(row.key, Key::Name(name) if name == EVIDENCE));
        if is_evidence && (row.replaces.is_some() || row.action == Action::Delete) {
            return Err(Refusal::Evidence);
        }
        // Readers take the first so many keys, in their order: more would push out what was said before.
        if is_evidence && matches!(&object.inside, Inside::Map(names) if names.len() >= MAX_ENTRIES) {
            return Err(Refusal::Evidence);
        }
        match (row.key, row.insert, &mut object.inside) {
            (Key::Name(name), false, Inside::Map(names)) => set_name(names, row, name, id)?,
            (Key::Element(element), false, Inside::List(list) | Inside::Text(list)) => list.set(row, element, id)?,
            (Key::Head | Key::Element(_), true, Inside::List(list) | Inside::Text(list)) => list.insert(row, id)?,
            _ => return Err(Refusal::Invalid("key")),
        }
        let made = match row.action {
            Action::MakeMap => Some(Inside::Map(BTreeMap::new())),
            Action::MakeList => Some(Inside::List(Sequence::default())),
            Action::MakeText => Some(Inside::Text(Sequence::default())),
            Action::Set(_) | Action::Delete => None,
        };
        if let Some(inside) = made {
            if depth >= MAX_DEPTH {
                return Err(Refusal::TooDeep);
            }
            self.objects.insert(id, Object { depth: depth + 1, inside });
            if is_evidence {
                self.evidence.insert(id);
            }
            if is_handover && row.object == 0 {
                self.handover = Some(id);
            }
        }
        self.cost += OPERATION_COST + row.bytes();
        self.max_op = id;
        Ok(())
    }
}

impl Held {
    /// What an operation puts at its place; none where it deletes.
    pub(super) fn of(action: Action<'_>, by: u64) -> Option<Self> {
        let what = match action {
            Action::MakeMap | Action::MakeList | Action::MakeText => What::Object,
            Action::Set(Value::Unsigned(n)) => What::Unsigned(n),
            Action::Set(Value::Text(text)) => What::Text(text.into()),
            Action::Set(Value::Bytes(bytes)) => What::Bytes(bytes.into()),
            Action::Set(Value::Null) => What::Null,
            Action::Set(Value::Other) => What::Other,
            Action::Delete => return None,
        };
        Some(Self { by, what })
    }
}

fn set_name(names: &mut BTreeMap<Box<str>, Held>, row: &Row<'_>, name: &str, id: u64) -> Result<(), Refusal> {
    let current = names.get_mut(name);
    if current.as_ref().map(|held| held.by) != row.replaces {
        return Err(Refusal::Predecessor);
    }
    match (current, Held::of(row.action, id)) {
        (Some(current), Some(held)) => *current = held,
        (None, Some(held)) => drop(names.insert(name.into(), held)),
        (Some(_), None) => drop(names.remove(name)),
        (None, None) => return Err(Refusal::Predecessor),
    }
    Ok(())
}
