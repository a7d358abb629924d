//! Values of metadata.

use std::fmt;

use serde::Serialize;

use super::cursor::Cursor;
use super::{Counted, GgufError, Limits};
use crate::place::Path;

/// The types that a value of metadata may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each is the type of that name")]
#[non_exhaustive]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Text,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of one such value, where all are as long.
    const fn width(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }

    pub(super) const fn is_integer(self) -> bool {
        !matches!(self, Self::F32 | Self::F64 | Self::Bool | Self::Text | Self::Array)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::U8 => "an 8-bit count",
            Self::I8 => "an 8-bit integer",
            Self::U16 => "a 16-bit count",
            Self::I16 => "a 16-bit integer",
            Self::U32 => "a 32-bit count",
            Self::I32 => "a 32-bit integer",
            Self::F32 => "a 32-bit float",
            Self::Bool => "a truth value",
            Self::Text => "text",
            Self::Array => "an array",
            Self::U64 => "a 64-bit count",
            Self::I64 => "a 64-bit integer",
            Self::F64 => "a 64-bit float",
        })
    }
}

/// One value, as far as anything here asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Integer(ValueType, i128),
    Bool,
    Text(&'a str),
    Array(Array<'a>),
    /// A float, which nothing here asks for.
    Float(ValueType),
}

impl<'a> Value<'a> {
    pub(super) fn kind(&self) -> ValueType {
        match self {
            Self::Integer(kind, _) | Self::Float(kind) => *kind,
            Self::Bool => ValueType::Bool,
            Self::Text(_) => ValueType::Text,
            Self::Array(_) => ValueType::Array,
        }
    }

    /// Reads a value and the type before it.
    pub(super) fn read(cursor: &mut Cursor<'a>, limits: &Limits, at: &Path<'_>) -> Result<Self, GgufError> {
        let kind = read_kind(cursor, at)?;
        Ok(match kind {
            ValueType::Text => Self::Text(cursor.text(limits.string, at)?),
            ValueType::Array => Self::Array(Array::read(cursor, limits, at)?),
            ValueType::F32 => {
                cursor.four(at)?;
                Self::Float(kind)
            }
            ValueType::F64 => {
                cursor.eight(at)?;
                Self::Float(kind)
            }
            ValueType::Bool => {
                let place = cursor.position();
                match cursor.byte(at)? {
                    0..=1 => Self::Bool,
                    found => return Err(GgufError::NotABool { at: at.at(place), found }),
                }
            }
            kind => Self::Integer(kind, read_integer(kind, cursor, at)?),
        })
    }
}

fn read_kind(cursor: &mut Cursor<'_>, at: &Path<'_>) -> Result<ValueType, GgufError> {
    let place = cursor.position();
    let found = cursor.u32(at)?;
    ValueType::from_number(found).ok_or_else(|| GgufError::ValueType { at: at.at(place), found })
}

fn read_integer(kind: ValueType, cursor: &mut Cursor<'_>, at: &Path<'_>) -> Result<i128, GgufError> {
    Ok(match kind {
        ValueType::U8 => cursor.byte(at)?.into(),
        ValueType::I8 => i8::from_le_bytes([cursor.byte(at)?]).into(),
        ValueType::U16 => u16::from_le_bytes(cursor.two(at)?).into(),
        ValueType::I16 => i16::from_le_bytes(cursor.two(at)?).into(),
        ValueType::U32 => cursor.u32(at)?.into(),
        ValueType::I32 => i32::from_le_bytes(cursor.four(at)?).into(),
        ValueType::U64 => cursor.u64(at)?.into(),
        _ => i64::from_le_bytes(cursor.eight(at)?).into(),
    })
}

/// An array, left where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Array<'a> {
    pub(super) kind: ValueType,
    pub(super) count: u64,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    fn read(cursor: &mut Cursor<'a>, limits: &Limits, at: &Path<'_>) -> Result<Self, GgufError> {
        let place = cursor.position();
        let kind = read_kind(cursor, at)?;
        if kind == ValueType::Array {
            return Err(GgufError::NestedArray { at: at.at(place) });
        }
        let count = cursor.u64(at)?;
        if count > limits.array {
            let (what, limit) = (Counted::Elements, limits.array);
            return Err(GgufError::TooMany { at: at.at(place), what, found: count, limit });
        }
        let begin = cursor.position();
        let Some(width) = kind.width() else {
            for index in 0..count {
                cursor.text(limits.string, &at.element(index))?;
            }
            return Ok(Self { kind, count, bytes: &[] });
        };
        let bytes = cursor.take(count.saturating_mul(width), at)?;
        if kind == ValueType::Bool
            && let Some(wrong) = bytes.iter().position(|byte| *byte > 1)
        {
            return Err(GgufError::NotABool { at: at.element(wrong as u64).at(begin + wrong), found: bytes[wrong] });
        }
        Ok(Self { kind, count, bytes })
    }

    /// The numbers in it, or truth values as 0 and 1; `None` where it holds something else.
    pub(super) fn integers(&self) -> Option<impl Iterator<Item = i128> + use<'a>> {
        let kind = self.kind;
        let width = kind.width().filter(|_| kind.is_integer() || kind == ValueType::Bool)?;
        let width = usize::try_from(width).expect("at most eight");
        Some(self.bytes.chunks_exact(width).map(move |bytes| {
            let negative = matches!(kind, ValueType::I8 | ValueType::I16 | ValueType::I32 | ValueType::I64)
                && bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut whole = [if negative { 0xff } else { 0 }; 16];
            whole[..bytes.len()].copy_from_slice(bytes);
            i128::from_le_bytes(whole)
        }))
    }
}
