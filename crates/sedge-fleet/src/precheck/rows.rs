//! From columns to operations.

use super::columns::Columns;
use super::decode::{booleans, deltas, keys, unsigned};
use super::reader::Reader;
use super::{MAX_OPERATIONS, Refusal};

/// What an operation is about inside its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    /// A map's key.
    Name(&'a str),
    /// Before the first element; only an insertion may say so.
    Head,
    /// The element that this operation inserted.
    Element(u64),
}

impl<'a> Key<'a> {
    /// The key, where it is a map's.
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Head | Self::Element(_) => None,
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action<'a> {
    MakeMap,
    MakeList,
    MakeText,
    Set(Value<'a>),
    Delete,
}

/// A value that is set, as far as documents' readers know its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Unsigned(u64),
    Bytes(&'a [u8]),
    Null,
    Other,
}

/// One operation. Ids are counters alone, since a document has one actor.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The object: zero is the root.
    pub(super) object: u64,
    pub(super) key: Key<'a>,
    pub(super) insert: bool,
    pub(super) action: Action<'a>,
    pub(super) scalar: Scalar<'a>,
    pub(super) replaces: Option<u64>,
}

/// A value as it is written: its type and length, packed as Automerge does, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar<'a> {
    pub(super) meta: u64,
    pub(super) bytes: &'a [u8],
}

impl Action<'_> {
    /// The number that Automerge writes for it.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::MakeMap => 0,
            Self::Set(_) => 1,
            Self::MakeList => 2,
            Self::Delete => 3,
            Self::MakeText => 4,
        }
    }
}

impl Row<'_> {
    /// The bytes of its key and value, which it keeps copies of.
    pub(super) fn bytes(&self) -> usize {
        let key = match self.key {
            Key::Name(name) => name.len(),
            Key::Head | Key::Element(_) => 0,
        };
        let value = match self.action {
            Action::Set(Value::Text(text)) => text.len(),
            Action::Set(Value::Bytes(bytes)) => bytes.len(),
            _ => 0,
        };
        key + value
    }
}

/// Decodes the columns into operations.
pub(super) fn rows<'a>(columns: &Columns<'a>) -> Result<Vec<Row<'a>>, Refusal> {
    let actions = required(unsigned(columns.action, MAX_OPERATIONS, "actions")?, "actions")?;
    let n = actions.len();
    if n == 0 {
        return Err(Refusal::Empty);
    }
    let object_actor = optional(unsigned(columns.object_actor, n, "objects")?, n, "objects")?;
    let object_counter = optional(unsigned(columns.object_counter, n, "objects")?, n, "objects")?;
    let key_actor = optional(unsigned(columns.key_actor, n, "keys")?, n, "keys")?;
    let key_counter = optional(deltas(columns.key_counter, n, "keys")?, n, "keys")?;
    let key_string = optional(keys(columns.key_string, n)?, n, "keys")?;
    let insert = booleans(columns.insert, n, "insertions")?;
    let metas = required(unsigned(columns.value_meta, n, "values")?, "values")?;
    let values = values(&metas, columns.value)?;
    let replaces = predecessors(columns, n)?;
    if insert.len() != n || values.len() != n || replaces.len() != n {
        return Err(Refusal::Rows("insertions, values or predecessors"));
    }
    let mut rows = Vec::with_capacity(n);
    let keys = key_actor.into_iter().zip(key_counter).zip(key_string);
    for (i, ((key_actor, key_counter), key_string)) in keys.enumerate() {
        rows.push(Row {
            object: object(object_actor[i], object_counter[i])?,
            key: key(key_actor, key_counter, key_string)?,
            insert: insert[i],
            action: action(actions[i], values[i].1)?,
            scalar: values[i].0,
            replaces: replaces[i],
        });
    }
    Ok(rows)
}

fn object(actor: Option<u64>, counter: Option<u64>) -> Result<u64, Refusal> {
    match (actor, counter) {
        (None, None) => Ok(0),
        (Some(0), Some(counter)) if counter > 0 => Ok(counter),
        _ => Err(Refusal::Invalid("object")),
    }
}

fn key(actor: Option<u64>, counter: Option<i64>, name: Option<&str>) -> Result<Key<'_>, Refusal> {
    match (actor, counter, name) {
        (None, None, Some(name)) if !name.is_empty() => Ok(Key::Name(name)),
        (None, Some(0), None) => Ok(Key::Head),
        (Some(0), Some(counter), None) if counter > 0 => Ok(Key::Element(counter.unsigned_abs())),
        _ => Err(Refusal::Invalid("key")),
    }
}

fn action(number: u64, value: Option<Value<'_>>) -> Result<Action<'_>, Refusal> {
    Ok(match (number, value) {
        (0, None) => Action::MakeMap,
        (2, None) => Action::MakeList,
        (4, None) => Action::MakeText,
        (3, None) => Action::Delete,
        // The only value of type null is the null itself, which a set may hold.
        (1, value) => Action::Set(value.unwrap_or(Value::Null)),
        _ => return Err(Refusal::Unsupported),
    })
}

/// The values, as they are written and as they read; none for null.
fn values<'a>(metas: &[u64], raw: &'a [u8]) -> Result<Vec<(Scalar<'a>, Option<Value<'a>>)>, Refusal> {
    let mut raw = Reader::new(raw);
    let mut values = Vec::with_capacity(metas.len());
    for meta in metas {
        let len = usize::try_from(meta >> 4).map_err(|_| Refusal::Truncated)?;
        let bytes = raw.take(len)?;
        let mut integer = Reader::new(bytes);
        let value = match meta & 0xf {
            0 if len == 0 => None,
            1 | 2 if len == 0 => Some(Value::Other),
            3 => Some(Value::Unsigned(integer.unsigned()?)),
            4 | 9 => integer.signed().map(|_| Some(Value::Other))?,
            6 => Some(Value::Text(std::str::from_utf8(bytes).map_err(|_| Refusal::Invalid("text"))?)),
            7 => Some(Value::Bytes(bytes)),
            _ => return Err(Refusal::Unsupported),
        };
        values.push((Scalar { meta: *meta, bytes }, value));
        if matches!(meta & 0xf, 3 | 4 | 9) && integer.remaining() > 0 {
            return Err(Refusal::NotCanonical("values"));
        }
    }
    if raw.remaining() > 0 { Err(Refusal::Trailing) } else { Ok(values) }
}

/// Which operation each operation replaces: at most one, since one author never conflicts with itself.
fn predecessors(columns: &Columns<'_>, n: usize) -> Result<Vec<Option<u64>>, Refusal> {
    let counts = required(unsigned(columns.pred_count, n, "predecessors")?, "predecessors")?;
    if counts.iter().any(|count| *count > 1) {
        return Err(Refusal::Predecessor);
    }
    let total = counts.iter().filter(|count| **count == 1).count();
    let actors = required(unsigned(columns.pred_actor, total, "predecessors")?, "predecessors")?;
    let counters = deltas(columns.pred_counter, total, "predecessors")?;
    if actors.len() != total || counters.len() != total {
        return Err(Refusal::Rows("predecessors"));
    }
    if actors.iter().any(|actor| *actor != 0) {
        return Err(Refusal::Invalid("predecessors"));
    }
    let mut counters = counters.into_iter();
    counts
        .into_iter()
        .map(|count| match count {
            0 => Ok(None),
            _ => {
                let counter = counters.next().flatten().and_then(|c| u64::try_from(c).ok()).filter(|c| *c > 0);
                counter.map(Some).ok_or(Refusal::Invalid("predecessors"))
            }
        })
        .collect()
}

/// A column without nulls.
fn required<T>(rows: Vec<Option<T>>, what: &'static str) -> Result<Vec<T>, Refusal> {
    rows.into_iter().collect::<Option<Vec<T>>>().ok_or(Refusal::Invalid(what))
}

/// A column of nulls and values, absent where there are only nulls.
fn optional<T: Clone>(rows: Vec<Option<T>>, n: usize, what: &'static str) -> Result<Vec<Option<T>>, Refusal> {
    match rows.len() {
        0 => Ok(vec![None; n]),
        found if found == n => Ok(rows),
        _ => Err(Refusal::Rows(what)),
    }
}
