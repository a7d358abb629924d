//! The protobuf wire format, walked in place: nothing is copied, nothing recurses, every length is checked.
//!
//! Known fields must come with the wire type they are declared with, and fields that occur once may not be repeated.
//! Protobuf itself is more lenient (it skips the former and merges the latter), but each library is so in a way of
//! its own, and a file that two parsers read differently has no place on a device.

use super::OnnxError;
use crate::place::Path;

/// The longest encoding of a 64-bit varint.
const VARINT_MAX: usize = 10;

/// A piece of the file, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
    /// Whether the end of this piece is the end of the file, so that running past it means truncation.
    pub(super) is_file: bool,
}

impl<'a> Span<'a> {
    /// The whole file.
    pub(super) fn file(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, is_file: true }
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    /// Where its tag is.
    pub(super) offset: usize,
    value: Value<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Fixed32,
    Fixed64,
    Block(Span<'a>),
}

impl<'a> Field<'a> {
    /// The value of an integer field.
    pub(super) fn integer(&self, at: &Path<'_>) -> Result<u64, OnnxError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong("an integer", at)),
        }
    }

    /// The value of a signed integer field. ONNX uses plain varints, in which a negative number is ten bytes long.
    pub(super) fn signed(&self, at: &Path<'_>) -> Result<i64, OnnxError> {
        Ok(self.integer(at)?.cast_signed())
    }

    /// The contents of a message, string or byte field.
    pub(super) fn block(&self, at: &Path<'_>) -> Result<Span<'a>, OnnxError> {
        match self.value {
            Value::Block(span) => Ok(span),
            _ => Err(self.wrong("a block of bytes", at)),
        }
    }

    /// The contents of a string field of at most `limit` bytes.
    pub(super) fn text(&self, limit: usize, at: &Path<'_>) -> Result<&'a str, OnnxError> {
        let span = self.block(at)?;
        if span.bytes.len() > limit {
            return Err(OnnxError::TooLong { at: at.at(span.offset), length: span.bytes.len(), limit });
        }
        std::str::from_utf8(span.bytes).map_err(|_| OnnxError::NotUtf8 { at: at.at(span.offset) })
    }

    /// How many varints a repeated integer field holds here, packed or not.
    pub(super) fn count_varints(&self, at: &Path<'_>) -> Result<u64, OnnxError> {
        match self.value {
            Value::Varint(_) => Ok(1),
            Value::Block(span) => {
                let mut varints = Varints::of(span);
                let mut count = 0;
                while varints.next(at)?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
            _ => Err(self.wrong("integers", at)),
        }
    }

    /// The integers a repeated field holds here, packed or not.
    pub(super) fn for_each_varint(
        &self,
        at: &Path<'_>,
        mut each: impl FnMut(u64, usize) -> Result<(), OnnxError>,
    ) -> Result<(), OnnxError> {
        match self.value {
            Value::Varint(value) => each(value, self.offset),
            Value::Block(span) => {
                let mut varints = Varints::of(span);
                loop {
                    let offset = varints.offset();
                    match varints.next(at)? {
                        Some(value) => each(value, offset)?,
                        None => return Ok(()),
                    }
                }
            }
            _ => Err(self.wrong("integers", at)),
        }
    }

    /// How many 32-bit numbers a repeated field holds here, packed or not.
    pub(super) fn count_fixed32(&self, at: &Path<'_>) -> Result<u64, OnnxError> {
        match self.value {
            Value::Fixed32 => Ok(1),
            Value::Block(span) => whole(span, 4).ok_or_else(|| self.wrong("32-bit numbers", at)),
            _ => Err(self.wrong("32-bit numbers", at)),
        }
    }

    /// How many 64-bit numbers a repeated field holds here, packed or not.
    pub(super) fn count_fixed64(&self, at: &Path<'_>) -> Result<u64, OnnxError> {
        match self.value {
            Value::Fixed64 => Ok(1),
            Value::Block(span) => whole(span, 8).ok_or_else(|| self.wrong("64-bit numbers", at)),
            _ => Err(self.wrong("64-bit numbers", at)),
        }
    }

    fn wrong(&self, expected: &'static str, at: &Path<'_>) -> OnnxError {
        OnnxError::WireType { at: at.at(self.offset), expected }
    }
}

/// How many items of `size` bytes fill a span exactly.
fn whole(span: Span<'_>, size: usize) -> Option<u64> {
    span.bytes.len().is_multiple_of(size).then(|| (span.bytes.len() / size) as u64)
}

/// Keeps the value of a field that may occur once.
pub(super) fn once<T>(slot: &mut Option<T>, value: T, field: &Field<'_>, at: &Path<'_>) -> Result<(), OnnxError> {
    if slot.is_some() {
        return Err(OnnxError::RepeatedField { at: at.at(field.offset) });
    }
    *slot = Some(value);
    Ok(())
}

/// Looks ahead for a string field, so that what comes before it in the message can be named in a refusal.
///
/// Answers `None` rather than failing: the message is read in full afterwards, and that reading reports.
pub(super) fn peek_text<'a>(span: Span<'a>, number: u64, limit: usize) -> Option<&'a str> {
    let mut fields = Fields::of(span);
    while let Ok(Some(field)) = fields.next(&Path::ROOT) {
        if field.number == number {
            return field.text(limit, &Path::ROOT).ok();
        }
    }
    None
}

/// The fields of one message, in file order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    span: Span<'a>,
    position: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(span: Span<'a>) -> Self {
        Self { span, position: 0 }
    }

    /// The next field, or `None` at the end of the message.
    pub(super) fn next(&mut self, at: &Path<'_>) -> Result<Option<Field<'a>>, OnnxError> {
        if self.position == self.span.bytes.len() {
            return Ok(None);
        }
        let offset = self.offset();
        let tag = self.varint(at)?;
        let number = tag >> 3;
        // Field numbers are 29 bits wide, and 0 is none.
        if number == 0 || number > 0x1fff_ffff {
            return Err(OnnxError::BadTag { at: at.at(offset) });
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint(at)?),
            1 => {
                self.take(8, at)?;
                Value::Fixed64
            }
            2 => {
                let length = self.varint(at)?;
                Value::Block(self.take(length, at)?)
            }
            5 => {
                self.take(4, at)?;
                Value::Fixed32
            }
            // 3 and 4 open and close groups, which no version of ONNX has and which would need recursion to skip.
            _ => return Err(OnnxError::BadTag { at: at.at(offset) }),
        };
        Ok(Some(Field { number, offset, value }))
    }

    fn offset(&self) -> usize {
        self.span.offset + self.position
    }

    fn take(&mut self, length: u64, at: &Path<'_>) -> Result<Span<'a>, OnnxError> {
        let rest = &self.span.bytes[self.position..];
        let Some(bytes) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) else {
            let at = at.at(self.offset());
            let have = rest.len() as u64;
            return Err(if self.span.is_file {
                OnnxError::Truncated { at, need: length, have }
            } else {
                OnnxError::Overrun { at, need: length, have }
            });
        };
        let offset = self.offset();
        self.position += bytes.len();
        Ok(Span { bytes, offset, is_file: false })
    }

    fn varint(&mut self, at: &Path<'_>) -> Result<u64, OnnxError> {
        read_varint(&self.span, &mut self.position, at)
    }
}

/// The varints of a packed field.
#[derive(Debug)]
struct Varints<'a> {
    span: Span<'a>,
    position: usize,
}

impl<'a> Varints<'a> {
    fn of(span: Span<'a>) -> Self {
        Self { span, position: 0 }
    }

    fn offset(&self) -> usize {
        self.span.offset + self.position
    }

    fn next(&mut self, at: &Path<'_>) -> Result<Option<u64>, OnnxError> {
        if self.position == self.span.bytes.len() {
            return Ok(None);
        }
        read_varint(&self.span, &mut self.position, at).map(Some)
    }
}

fn read_varint(span: &Span<'_>, position: &mut usize, at: &Path<'_>) -> Result<u64, OnnxError> {
    let start = *position;
    let rest = &span.bytes[start..];
    let mut value = 0_u64;
    for (index, byte) in rest.iter().take(VARINT_MAX).enumerate() {
        // The tenth byte has room for one bit.
        if index == VARINT_MAX - 1 && *byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *position = start + index + 1;
            return Ok(value);
        }
    }
    let at = at.at(span.offset + start);
    if rest.len() >= VARINT_MAX {
        return Err(OnnxError::BadVarint { at });
    }
    let (need, have) = (rest.len() as u64 + 1, rest.len() as u64);
    Err(if span.is_file { OnnxError::Truncated { at, need, have } } else { OnnxError::Overrun { at, need, have } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<u64>, OnnxError> {
        let mut fields = Fields::of(Span::file(bytes));
        let mut numbers = Vec::new();
        while let Some(field) = fields.next(&Path::ROOT)? {
            numbers.push(field.number);
        }
        Ok(numbers)
    }

    #[test]
    fn every_wire_type_but_groups_is_walked() {
        let bytes = b"\x08\x96\x01\x11\0\0\0\0\0\0\0\0\x1a\x02hi\x25\0\0\0\0";
        assert_eq!(fields(bytes).unwrap(), [1, 2, 3, 4]);
        for group in [b"\x0b".as_slice(), b"\x0c", b"\x0e", b"\x0f"] {
            assert!(matches!(fields(group), Err(OnnxError::BadTag { .. })));
        }
    }

    #[test]
    fn field_zero_and_fields_beyond_29_bits_are_no_fields() {
        assert!(matches!(fields(b"\x00\x01"), Err(OnnxError::BadTag { .. })));
        let wide = b"\x80\x80\x80\x80\x10\x01";
        assert!(matches!(fields(wide), Err(OnnxError::BadTag { .. })));
    }

    #[test]
    fn a_varint_of_eleven_bytes_or_of_65_bits_is_refused() {
        let mut eleven = vec![0x08];
        eleven.extend([0xff; 10]);
        eleven.push(1);
        assert!(matches!(fields(&eleven), Err(OnnxError::BadVarint { .. })));
        let mut wide = vec![0x08];
        wide.extend([0xff; 9]);
        wide.push(2);
        assert!(matches!(fields(&wide), Err(OnnxError::BadVarint { .. })));
        let mut all = vec![0x08];
        all.extend([0xff; 9]);
        all.push(1);
        assert_eq!(fields(&all).unwrap(), [1]);
    }

    #[test]
    fn a_length_beyond_the_file_says_how_much_is_missing() {
        let error = fields(b"\x0a\xff\xff\xff\xff\x0fabc").unwrap_err();
        let OnnxError::Truncated { need, have, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((need, have), (0xffff_ffff, 3));
    }

    #[test]
    fn a_length_beyond_its_own_message_is_not_called_truncation() {
        let mut outer = Fields::of(Span::file(b"\x0a\x03\x0a\x09a"));
        let inner = outer.next(&Path::ROOT).unwrap().unwrap();
        let span = inner.block(&Path::ROOT).unwrap();
        let error = Fields::of(span).next(&Path::ROOT).unwrap_err();
        assert!(matches!(error, OnnxError::Overrun { need: 9, have: 1, .. }));
    }
}
