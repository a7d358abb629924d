//! Fields of a document, by type and with their place.

use std::str::FromStr;

use chrono::DateTime;
use serde_json::{Map, Value};

use super::error::{JsonPath, PeatDefect, PeatError, shown};
use crate::{NameError, Sha256, UnknownWord};

/// The longest text, bytes.
const MAX_TEXT: usize = 1024;
/// The most members of a list of texts: data sets of a thousand classes exist.
const MAX_LIST: usize = 4096;

/// An object and its place.
pub(super) struct Object<'a> {
    map: &'a Map<String, Value>,
    at: JsonPath,
}

/// A value and its place.
pub(super) struct Field<'a> {
    value: &'a Value,
    pub(super) at: JsonPath,
}

impl<'a> Object<'a> {
    /// The object at a place.
    pub(super) fn new(map: &'a Map<String, Value>, at: &JsonPath) -> Self {
        Self { map, at: at.clone() }
    }

    /// A field that must be there.
    pub(super) fn required(&self, key: &str, wanted: &'static str) -> Result<Field<'a>, PeatError> {
        let at = self.at.field(key);
        match self.map.get(key) {
            Some(value) => Ok(Field { value, at }),
            None => Err(PeatDefect::Missing { wanted }.at(&at)),
        }
    }

    /// A field that may be absent, or `null`.
    pub(super) fn optional(&self, key: &str) -> Option<Field<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Field { value, at: self.at.field(key) })
    }

    /// Refuses keys that could not be kept.
    pub(super) fn check_keys(&self) -> Result<(), PeatError> {
        for key in self.map.keys() {
            plain(key, &self.at.field(key))?;
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    /// An object.
    pub(super) fn object(&self) -> Result<Object<'a>, PeatError> {
        match self.value {
            Value::Object(map) => Ok(Object::new(map, &self.at)),
            _ => Err(self.not("an object")),
        }
    }

    /// Plain text, perhaps empty.
    pub(super) fn text(&self) -> Result<&'a str, PeatError> {
        let Value::String(text) = self.value else { return Err(self.not("text")) };
        plain(text, &self.at)?;
        Ok(text)
    }

    /// A list.
    pub(super) fn list(&self, limit: usize) -> Result<Vec<Field<'a>>, PeatError> {
        let Value::Array(list) = self.value else { return Err(self.not("a list")) };
        if list.len() > limit {
            return Err(PeatDefect::TooMany { found: list.len(), limit }.at(&self.at));
        }
        Ok(list.iter().enumerate().map(|(i, value)| Field { value, at: self.at.index(i) }).collect())
    }

    /// A list of texts.
    pub(super) fn texts(&self) -> Result<Vec<Field<'a>>, PeatError> {
        let list = self.list(MAX_LIST)?;
        for field in &list {
            field.text()?;
        }
        Ok(list)
    }

    /// A name, parsed.
    pub(super) fn name<T: FromStr<Err = NameError>>(&self) -> Result<T, PeatError> {
        let Value::String(text) = self.value else { return Err(self.not("text")) };
        text.parse().map_err(|source| PeatDefect::Name { found: shown(text), source }.at(&self.at))
    }

    /// One of a list of words, which may be shorter than the vocabulary's own.
    pub(super) fn word<T: FromStr<Err = UnknownWord>>(&self, known: &'static str) -> Result<T, PeatError> {
        let Value::String(text) = self.value else { return Err(self.not("text")) };
        let unknown = || PeatDefect::Word { found: shown(text), known }.at(&self.at);
        if known.split(", ").all(|word| word != text) {
            return Err(unknown());
        }
        text.parse().map_err(|_| unknown())
    }

    /// A whole number of a range.
    pub(super) fn whole(&self, from: u64, to: u64) -> Result<u64, PeatError> {
        let Value::Number(number) = self.value else { return Err(self.not("a whole number")) };
        let fits = number.as_u64().filter(|n| (from..=to).contains(n));
        fits.ok_or_else(|| PeatDefect::Number { found: number.to_string(), from, to }.at(&self.at))
    }

    /// A number that is not negative.
    pub(super) fn amount(&self) -> Result<(), PeatError> {
        let Value::Number(number) = self.value else { return Err(self.not("a number")) };
        match number.as_f64() {
            Some(n) if n >= 0.0 => Ok(()),
            _ => Err(PeatDefect::Negative { found: number.to_string() }.at(&self.at)),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&self) -> Result<bool, PeatError> {
        self.value.as_bool().ok_or_else(|| self.not("true or false"))
    }

    /// A digest, or none yet.
    pub(super) fn sha256(&self) -> Result<Option<Sha256>, PeatError> {
        let Value::String(text) = self.value else { return Err(self.not("text")) };
        match text.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| PeatDefect::Digest { found: shown(text) }.at(&self.at)),
        }
    }

    /// A time, which is kept as it is written.
    pub(super) fn time(&self) -> Result<(), PeatError> {
        let text = self.text()?;
        match DateTime::parse_from_rfc3339(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(PeatDefect::Time { found: shown(text) }.at(&self.at)),
        }
    }

    /// Says that this is of another type.
    fn not(&self, wanted: &'static str) -> PeatError {
        let found = match self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => format!("the number {number}"),
            Value::String(text) => format!("the text {}", shown(text)),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        PeatDefect::WrongType { found, wanted }.at(&self.at)
    }
}

fn plain(text: &str, at: &JsonPath) -> Result<(), PeatError> {
    if text.len() > MAX_TEXT {
        return Err(PeatDefect::TooLong { found: text.len(), limit: MAX_TEXT }.at(at));
    }
    if text.chars().any(char::is_control) {
        return Err(PeatDefect::Control { found: shown(text) }.at(at));
    }
    Ok(())
}
