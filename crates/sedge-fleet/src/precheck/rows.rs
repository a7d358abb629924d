//! From columns to operations, with every run counted before it is made.

use super::columns::Columns;
use super::reader::Reader;
use super::{MAX_OPERATIONS, Refusal, encode};

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

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    MakeMap,
    MakeList,
    MakeText,
    Set(Value),
    Delete,
}

/// The type of a value that is set. The bytes themselves are none of the check's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Text,
    EmptyText,
    Other,
}

/// One operation. Ids are counters alone, since a document has one actor.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The object: zero is the root.
    pub(super) object: u64,
    pub(super) key: Key<'a>,
    pub(super) insert: bool,
    pub(super) action: Action,
    pub(super) replaces: Option<u64>,
}

/// Decodes the columns into operations.
pub(super) fn rows<'a>(columns: &Columns<'a>) -> Result<Vec<Row<'a>>, Refusal> {
    let actions = required(unsigned(columns.action, MAX_OPERATIONS)?, "actions")?;
    let n = actions.len();
    if n == 0 {
        return Err(Refusal::Empty);
    }
    canonical(encode::unsigned(&actions), columns.action, "actions")?;
    let object_actor = optional(unsigned(columns.object_actor, n)?, n, "objects")?;
    let object_counter = optional(unsigned(columns.object_counter, n)?, n, "objects")?;
    canonical(encode::nullable_unsigned(&object_actor), columns.object_actor, "objects")?;
    canonical(encode::nullable_unsigned(&object_counter), columns.object_counter, "objects")?;
    let key_actor = optional(unsigned(columns.key_actor, n)?, n, "keys")?;
    let key_counter = optional(deltas(columns.key_counter, n)?, n, "keys")?;
    let key_string = optional(strings(columns.key_string, n)?, n, "keys")?;
    canonical(encode::nullable_unsigned(&key_actor), columns.key_actor, "keys")?;
    canonical(encode::deltas(&key_counter), columns.key_counter, "keys")?;
    canonical(encode::nullable_strings(&key_string), columns.key_string, "keys")?;
    let insert = booleans(columns.insert, n)?;
    canonical(encode::booleans(&insert), columns.insert, "insertions")?;
    let metas = required(unsigned(columns.value_meta, n)?, "values")?;
    canonical(encode::unsigned(&metas), columns.value_meta, "values")?;
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
            action: action(actions[i], values[i])?,
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

fn action(number: u64, value: Option<Value>) -> Result<Action, Refusal> {
    Ok(match (number, value) {
        (0, None) => Action::MakeMap,
        (2, None) => Action::MakeList,
        (4, None) => Action::MakeText,
        (3, None) => Action::Delete,
        // The only value of type null is the null itself, which a set may hold.
        (1, value) => Action::Set(value.unwrap_or(Value::Other)),
        _ => return Err(Refusal::Unsupported),
    })
}

/// The types of the values; none for null.
fn values(metas: &[u64], raw: &[u8]) -> Result<Vec<Option<Value>>, Refusal> {
    let mut raw = Reader::new(raw);
    let mut values = Vec::with_capacity(metas.len());
    for meta in metas {
        let len = usize::try_from(meta >> 4).map_err(|_| Refusal::Truncated)?;
        let bytes = raw.take(len)?;
        let mut integer = Reader::new(bytes);
        values.push(match meta & 0xf {
            0 if len == 0 => None,
            1 | 2 if len == 0 => Some(Value::Other),
            3 => integer.unsigned().map(|_| Some(Value::Other))?,
            4 | 9 => integer.signed().map(|_| Some(Value::Other))?,
            6 if std::str::from_utf8(bytes).is_err() => return Err(Refusal::Invalid("text")),
            6 => Some(if len == 0 { Value::EmptyText } else { Value::Text }),
            7 => Some(Value::Other),
            _ => return Err(Refusal::Unsupported),
        });
        if matches!(meta & 0xf, 3 | 4 | 9) && integer.remaining() > 0 {
            return Err(Refusal::NotCanonical("values"));
        }
    }
    if raw.remaining() > 0 { Err(Refusal::Trailing) } else { Ok(values) }
}

/// Which operation each operation replaces: at most one, since one author never conflicts with itself.
fn predecessors(columns: &Columns<'_>, n: usize) -> Result<Vec<Option<u64>>, Refusal> {
    let counts = required(unsigned(columns.pred_count, n)?, "predecessors")?;
    canonical(encode::unsigned(&counts), columns.pred_count, "predecessors")?;
    if counts.iter().any(|count| *count > 1) {
        return Err(Refusal::Predecessor);
    }
    let total = counts.iter().filter(|count| **count == 1).count();
    let actors = required(unsigned(columns.pred_actor, total)?, "predecessors")?;
    let counters = deltas(columns.pred_counter, total)?;
    canonical(encode::unsigned(&actors), columns.pred_actor, "predecessors")?;
    canonical(encode::deltas(&counters), columns.pred_counter, "predecessors")?;
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

/// Decodes runs of values that may be null, at most `max` rows, each run counted before it is made.
fn runs<'a, T: Copy>(
    bytes: &'a [u8],
    max: usize,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Refusal>,
) -> Result<Vec<Option<T>>, Refusal> {
    let mut from = Reader::new(bytes);
    let mut rows = Vec::new();
    while from.remaining() > 0 {
        let head = from.signed()?;
        let count = if head == 0 { from.unsigned()? } else { head.unsigned_abs() };
        let room = max - rows.len();
        let count = usize::try_from(count).ok().filter(|n| *n <= room).ok_or(Refusal::TooManyOperations)?;
        match head {
            0 => rows.resize(rows.len() + count, None),
            1.. => {
                let value = read(&mut from)?;
                rows.resize(rows.len() + count, Some(value));
            }
            _ => {
                for _ in 0..count {
                    rows.push(Some(read(&mut from)?));
                }
            }
        }
    }
    Ok(rows)
}

fn unsigned(bytes: &[u8], max: usize) -> Result<Vec<Option<u64>>, Refusal> {
    runs(bytes, max, Reader::unsigned)
}

fn strings(bytes: &[u8], max: usize) -> Result<Vec<Option<&str>>, Refusal> {
    runs(bytes, max, |from| {
        let len = from.length()?;
        std::str::from_utf8(from.take(len)?).map_err(|_| Refusal::Invalid("text"))
    })
}

fn deltas(bytes: &[u8], max: usize) -> Result<Vec<Option<i64>>, Refusal> {
    let mut last = 0i64;
    runs(bytes, max, Reader::signed)?
        .into_iter()
        .map(|difference| {
            difference
                .map(|d| {
                    last = last.checked_add(d).ok_or(Refusal::Invalid("integer"))?;
                    Ok(last)
                })
                .transpose()
        })
        .collect()
}

fn booleans(bytes: &[u8], max: usize) -> Result<Vec<bool>, Refusal> {
    let mut from = Reader::new(bytes);
    let mut rows = Vec::new();
    let mut value = false;
    while from.remaining() > 0 {
        let room = max - rows.len();
        let count = usize::try_from(from.unsigned()?).ok().filter(|n| *n <= room).ok_or(Refusal::TooManyOperations)?;
        rows.resize(rows.len() + count, value);
        value = !value;
    }
    Ok(rows)
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

fn canonical(again: Vec<u8>, came: &[u8], what: &'static str) -> Result<(), Refusal> {
    if again == came { Ok(()) } else { Err(Refusal::NotCanonical(what)) }
}
