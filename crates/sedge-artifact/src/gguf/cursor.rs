//! A walk over the beginning of a file: nothing is copied, every length is checked before it is followed.

use super::GgufError;
use crate::place::Path;

/// Where the reading is, in the bytes there are, of a file that may be longer.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    prefix: &'a [u8],
    position: usize,
    file: u64,
    limit: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(prefix: &'a [u8], file: u64, limit: u64) -> Self {
        let known = usize::try_from(file).unwrap_or(usize::MAX).min(prefix.len());
        Self { prefix: &prefix[..known], position: 0, file, limit }
    }

    /// Bytes from the beginning of the file.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next bytes.
    pub(super) fn take(&mut self, need: u64, at: &Path<'_>) -> Result<&'a [u8], GgufError> {
        let have = self.file - self.position as u64;
        if need > have {
            return Err(GgufError::Truncated { at: at.at(self.position), need, have });
        }
        // Cannot overflow: it is no more than the file's length.
        let end = self.position as u64 + need;
        if end > self.limit {
            return Err(GgufError::HeaderTooLarge { at: at.at(self.position), limit: self.limit });
        }
        let bytes = usize::try_from(end).ok().and_then(|end| self.prefix.get(self.position..end));
        let bytes = bytes.ok_or(GgufError::NeedMore { bytes: end })?;
        self.position += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, at: &Path<'_>) -> Result<[u8; N], GgufError> {
        let bytes = self.take(N as u64, at)?;
        Ok(bytes.try_into().expect("as many bytes as were asked for"))
    }

    pub(super) fn byte(&mut self, at: &Path<'_>) -> Result<u8, GgufError> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    pub(super) fn two(&mut self, at: &Path<'_>) -> Result<[u8; 2], GgufError> {
        self.array(at)
    }

    pub(super) fn four(&mut self, at: &Path<'_>) -> Result<[u8; 4], GgufError> {
        self.array(at)
    }

    pub(super) fn eight(&mut self, at: &Path<'_>) -> Result<[u8; 8], GgufError> {
        self.array(at)
    }

    pub(super) fn u32(&mut self, at: &Path<'_>) -> Result<u32, GgufError> {
        self.four(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, at: &Path<'_>) -> Result<u64, GgufError> {
        self.eight(at).map(u64::from_le_bytes)
    }

    /// A string: its length in eight bytes, then itself, without an end mark.
    pub(super) fn text(&mut self, limit: u64, at: &Path<'_>) -> Result<&'a str, GgufError> {
        let place = self.position;
        let length = self.u64(at)?;
        if length > limit {
            return Err(GgufError::TooLong { at: at.at(place), length, limit });
        }
        let bytes = self.take(length, at)?;
        std::str::from_utf8(bytes).map_err(|_| GgufError::NotUtf8 { at: at.at(place) })
    }
}
