//! JSON, read strictly: bounded in length and depth, no key twice, every refusal with its place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::{JsonPath, PeatDefect, PeatError};

/// The longest document, bytes: a manifest of eighty classes takes two thousand.
pub(super) const MAX_BYTES: usize = 64 << 10;
/// The most levels; far below what would exhaust a stack.
const MAX_DEPTH: usize = 32;

/// Reads one JSON value and nothing behind it.
pub(super) fn read(text: &str) -> Result<Value, PeatError> {
    let root = JsonPath::default();
    if text.len() > MAX_BYTES {
        return Err(PeatDefect::TooLarge { found: text.len(), limit: MAX_BYTES }.at(&root));
    }
    let mut fault = None;
    let mut from = serde_json::Deserializer::from_str(text);
    let read = Node { at: &root, depth: 0, fault: &mut fault }.deserialize(&mut from);
    let whole = read.and_then(|value| from.end().map(|()| value));
    whole.map_err(|error| fault.unwrap_or_else(|| PeatDefect::NotJson(error.to_string()).at(&root)))
}

/// One value of the document.
struct Node<'a> {
    at: &'a JsonPath,
    depth: usize,
    /// What is wrong, where it is known better than by the reader's own error.
    fault: &'a mut Option<PeatError>,
}

impl Node<'_> {
    fn refuse<E: serde::de::Error>(self, defect: PeatDefect, at: &JsonPath) -> E {
        *self.fault = Some(defect.at(at));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        if self.depth == MAX_DEPTH {
            let at = self.at.clone();
            return Err(self.refuse(PeatDefect::TooDeep { limit: MAX_DEPTH }, &at));
        }
        let mut list = Vec::new();
        loop {
            let at = self.at.index(list.len());
            let node = Node { at: &at, depth: self.depth + 1, fault: self.fault };
            match seq.next_element_seed(node)? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        if self.depth == MAX_DEPTH {
            let at = self.at.clone();
            return Err(self.refuse(PeatDefect::TooDeep { limit: MAX_DEPTH }, &at));
        }
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = self.at.field(&key);
            if object.contains_key(&key) {
                return Err(self.refuse(PeatDefect::TwiceNamed, &at));
            }
            let value = map.next_value_seed(Node { at: &at, depth: self.depth + 1, fault: self.fault })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
