//! Protobuf's wire format: fields one after another, each borrowed from the message.

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProtobufError {
    /// The file was cut, or is none.
    #[error("ends in the middle of a field, at byte {0}")]
    Cut(usize),
    /// Not protobuf at all.
    #[error("has no valid field at byte {0}")]
    Malformed(usize),
}

/// A field's content, by wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    /// Integers, booleans and enums.
    Varint(u64),
    /// Doubles.
    Fixed64([u8; 8]),
    /// Strings, bytes, messages and packed lists.
    Bytes(&'a [u8]),
    /// Floats.
    Fixed32([u8; 4]),
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Its number.
    pub(crate) number: u64,
    /// Its content.
    pub(crate) content: Content<'a>,
    /// The whole field as it stands in the message.
    pub(crate) raw: &'a [u8],
}

/// The fields of a message, in their order. Ends after the first error.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

/// Walks over a message.
pub(crate) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { message, at: 0 }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.len() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.at = self.message.len();
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>, ProtobufError> {
        let start = self.at;
        let key = self.varint()?;
        let content = match key & 7 {
            0 => Content::Varint(self.varint()?),
            1 => Content::Fixed64(*self.take(8)?.first_chunk().expect("eight bytes were taken")),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Malformed(start))?;
                Content::Bytes(self.take(length)?)
            }
            5 => Content::Fixed32(*self.take(4)?.first_chunk().expect("four bytes were taken")),
            _ => return Err(ProtobufError::Malformed(start)),
        };
        match key >> 3 {
            0 => Err(ProtobufError::Malformed(start)),
            number => Ok(Field { number, content, raw: &self.message[start..self.at] }),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let rest = &self.message[self.at..];
        let taken = rest.get(..length).ok_or(ProtobufError::Cut(self.at))?;
        self.at += length;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let (value, length) = varint(&self.message[self.at..]).ok_or(ProtobufError::Cut(self.at))?;
        self.at += length;
        Ok(value)
    }
}

/// The integer at the front, and how many bytes it takes. At most ten; bits beyond the 64th are dropped, as protobuf
/// itself does.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Appends an integer.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f | 0x80).expect("eight bits"));
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

/// Appends a field that holds an integer.
pub(crate) fn put_integer(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

/// Appends a field that holds bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_header(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends the front of a field whose `length` bytes follow.
pub(crate) fn put_header(out: &mut Vec<u8>, number: u64, length: usize) {
    put_varint(out, number << 3 | 2);
    put_varint(out, length as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_what_is_read() {
        let mut message = Vec::new();
        put_integer(&mut message, 1, 300);
        put_bytes(&mut message, 16, b"abc");
        put_integer(&mut message, 2, u64::MAX);
        let read: Vec<_> =
            fields(&message).map(|f| f.map(|f| (f.number, f.content))).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, [(1, Content::Varint(300)), (16, Content::Bytes(b"abc")), (2, Content::Varint(u64::MAX))]);
        let raw: Vec<u8> = fields(&message).flat_map(|f| f.unwrap().raw.to_vec()).collect();
        assert_eq!(raw, message);
    }

    #[test]
    fn cut_and_malformed_messages_end_with_an_error_and_never_panic() {
        let mut message = Vec::new();
        put_bytes(&mut message, 7, b"abcdef");
        for end in 1..message.len() {
            let last = fields(&message[..end]).last();
            assert!(matches!(last, Some(Err(ProtobufError::Cut(_)))), "cut at {end}");
        }
        assert!(matches!(fields(&[0x00, 0x00]).next(), Some(Err(ProtobufError::Malformed(0)))));
        assert!(matches!(fields(&[0x0b]).next(), Some(Err(ProtobufError::Malformed(0)))));
        assert!(matches!(fields(&[0xff; 12]).next(), Some(Err(ProtobufError::Cut(0)))));
        // A length of 2⁶³ is no reason to allocate.
        let mut huge = vec![0x0a];
        put_varint(&mut huge, 1 << 63);
        assert!(matches!(fields(&huge).next(), Some(Err(_))));
    }
}
