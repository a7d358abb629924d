//! A bounded reader of the canonical integers of Automerge's format.

use super::Refusal;

/// Reads from a slice; every length is checked against what is left.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Refusal::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned LEB128 in its shortest form.
    pub(super) fn unsigned(&mut self) -> Result<u64, Refusal> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Refusal::Invalid("integer"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let shortest = shift == 0 || bits != 0;
                return if shortest { Ok(value) } else { Err(Refusal::NotCanonical("integer")) };
            }
        }
        Err(Refusal::Invalid("integer"))
    }

    /// A signed LEB128 in its shortest form.
    pub(super) fn signed(&mut self) -> Result<i64, Refusal> {
        let mut value = 0i64;
        let mut before = 0u8;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = byte & 0x7f;
            if shift == 63 && bits != 0 && bits != 0x7f {
                return Err(Refusal::Invalid("integer"));
            }
            value |= i64::from(bits) << shift;
            if byte & 0x80 == 0 {
                let negative = bits & 0x40 != 0;
                if negative && shift + 7 < 64 {
                    value |= -1i64 << (shift + 7);
                }
                // A last byte of bare sign bits is needed only where the byte before says the other sign.
                let idle = (bits == 0 && before & 0x40 == 0) || (bits == 0x7f && before & 0x40 != 0);
                return if shift > 0 && idle { Err(Refusal::NotCanonical("integer")) } else { Ok(value) };
            }
            before = bits;
        }
        Err(Refusal::Invalid("integer"))
    }

    /// A length, which can never exceed what is left.
    pub(super) fn length(&mut self) -> Result<usize, Refusal> {
        let len = self.unsigned()?;
        usize::try_from(len).ok().filter(|len| *len <= self.rest.len()).ok_or(Refusal::Truncated)
    }
}
