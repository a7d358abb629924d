//! The metadata: values by key, and the questions that are asked of them.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::value::{Array, Value, ValueType};
use super::{Counted, GgufError, Limits};
use crate::place::{Path, Place};

/// Every key with its value, left where it is.
#[derive(Debug)]
pub(super) struct Metadata<'a> {
    entries: BTreeMap<&'a str, Entry<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    index: usize,
    offset: usize,
    value: Value<'a>,
}

impl<'a> Metadata<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>, count: u64, limits: &Limits) -> Result<Self, GgufError> {
        let mut entries = BTreeMap::new();
        let mut elements = 0_u64;
        for index in 0..usize::try_from(count).expect("the limit is far below") {
            let at = Path::ROOT.item("metadata", index);
            let offset = cursor.position();
            let key = cursor.text(limits.key, &at)?;
            let at = at.named(Some(key));
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(GgufError::BadName { at: at.at(offset), what: "key of visible ASCII characters" });
            }
            let place = cursor.position();
            let value = Value::read(cursor, limits, &at)?;
            if let Value::Array(array) = value {
                elements = elements.saturating_add(array.count);
                if elements > limits.elements {
                    let (what, limit) = (Counted::AllElements, limits.elements);
                    return Err(GgufError::TooMany { at: at.at(place), what, found: elements, limit });
                }
            }
            if entries.insert(key, Entry { index, offset: place, value }).is_some() {
                return Err(GgufError::DuplicateKey { at: at.at(offset) });
            }
        }
        Ok(Self { entries })
    }

    /// Where the value of a key is.
    pub(super) fn place(&self, key: &str) -> Place {
        match self.entries.get_key_value(key) {
            Some((key, entry)) => Path::ROOT.item("metadata", entry.index).named(Some(key)).at(entry.offset),
            None => Path::ROOT.field("metadata").named(Some(key)).at(0),
        }
    }

    fn wrong(&self, key: &str, expected: &'static str, found: ValueType) -> GgufError {
        GgufError::WrongType { at: self.place(key), expected, found }
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entries.get(key).map(|entry| entry.value)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.entries.keys().copied()
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "text", other.kind())),
        }
    }

    pub(super) fn array(&self, key: &str, expected: &'static str) -> Result<Option<Array<'a>>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array)),
            Some(other) => Err(self.wrong(key, expected, other.kind())),
        }
    }

    /// A number that is not negative and fits 32 bits.
    pub(super) fn count(&self, key: &str) -> Result<Option<u32>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integer(_, found)) => self.fits(key, found).map(Some),
            Some(other) => Err(self.wrong(key, "an integer", other.kind())),
        }
    }

    /// A number above zero that the model cannot do without.
    pub(super) fn positive(&self, key: &str) -> Result<u32, GgufError> {
        match self.count(key)? {
            None => Err(GgufError::MissingKey { key: key.to_owned() }),
            Some(0) => Err(GgufError::OutOfRange { at: self.place(key), found: 0, expected: "above zero" }),
            Some(count) => Ok(count),
        }
    }

    /// One number for all layers, or one for each.
    pub(super) fn per_layer(&self, key: &str, layers: u32) -> Result<Option<PerLayer>, GgufError> {
        let array = match self.get(key) {
            Some(Value::Array(array)) => array,
            _ => return Ok(self.count(key)?.map(PerLayer::All)),
        };
        let Some(numbers) = array.integers() else {
            return Err(self.wrong(key, "an integer, or an array of integers", array.kind));
        };
        if array.count != u64::from(layers) {
            return Err(GgufError::PerLayer { at: self.place(key), found: array.count, layers });
        }
        numbers.map(|found| self.fits(key, found)).collect::<Result<Vec<_>, _>>().map(|each| Some(PerLayer::Each(each)))
    }

    fn fits(&self, key: &str, found: i128) -> Result<u32, GgufError> {
        let expected = "a count of 32 bits";
        u32::try_from(found).map_err(|_| GgufError::OutOfRange { at: self.place(key), found, expected })
    }
}

/// A number of each layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PerLayer {
    /// The same for all.
    All(u32),
    /// One for each, in order.
    Each(Vec<u32>),
}

impl PerLayer {
    /// That of a layer.
    pub(super) fn of(&self, layer: u32) -> u32 {
        match self {
            Self::All(count) => *count,
            Self::Each(each) => each.get(layer as usize).copied().unwrap_or_default(),
        }
    }

    /// The largest.
    pub(super) fn max(&self) -> u32 {
        match self {
            Self::All(count) => *count,
            Self::Each(each) => each.iter().copied().max().unwrap_or_default(),
        }
    }
}
