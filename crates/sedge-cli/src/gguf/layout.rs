//! Where the parts of a GGUF file lie: as much as it takes to put something between them.
//!
//! A header is magic, version, the number of tensors, the number of metadata entries, the entries, and the tensors' names,
//! shapes, types and offsets; then, from the next multiple of the alignment on, the tensors' bytes.

/// The four bytes at a file's beginning.
const MAGIC: &[u8; 4] = b"GGUF";
/// Where the number of tensors stands, behind magic and version.
pub(super) const TENSOR_COUNT_AT: usize = 8;
/// Where the number of metadata entries stands.
pub(super) const ENTRY_COUNT_AT: usize = 16;
const ENTRIES_AT: usize = 24;
/// Where a file does not say.
const DEFAULT_ALIGNMENT: usize = 32;
/// The metadata types of variable length.
pub(super) const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// Why a file cannot be rewritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LayoutError {
    /// Give a GGUF file of version 2 or 3.
    #[error("the file is not GGUF of version 2 or 3")]
    NotGguf,
    /// Check that the file arrived whole.
    #[error("the file's header ends in the middle, at byte {0}")]
    Ends(usize),
    /// Convert the model again with a current converter.
    #[error("the metadata entry at byte {at} is of the unknown type {found}")]
    EntryType {
        /// Where.
        at: usize,
        /// Which.
        found: u32,
    },
    /// Give a model whose weights have a type that the demo knows.
    #[error("no tensor is of a type that could be imitated")]
    NoKnownTensor,
}

/// Whether a file begins as GGUF does.
pub(crate) fn is_gguf(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Where the parts lie.
pub(super) struct Layout {
    pub(super) tensors: u64,
    pub(super) entries: u64,
    /// Where the metadata ends and the tensors' descriptions begin.
    pub(super) entries_end: usize,
    /// Where the tensors' descriptions end.
    pub(super) header_end: usize,
    /// Where the tensors' bytes begin.
    pub(super) data_at: usize,
    pub(super) alignment: usize,
    /// Bytes by the tensors' type.
    pub(super) bytes_by_type: std::collections::BTreeMap<u32, u64>,
}

impl Layout {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, LayoutError> {
        let mut at = Cursor { bytes, at: MAGIC.len() };
        if !is_gguf(bytes) || !matches!(at.u32()?, 2 | 3) {
            return Err(LayoutError::NotGguf);
        }
        let (tensors, entries) = (at.u64()?, at.u64()?);
        debug_assert_eq!(at.at, ENTRIES_AT, "magic, version and two counts");
        let mut alignment = DEFAULT_ALIGNMENT;
        for _ in 0..entries {
            let key = at.text()?;
            let (kind, began) = (at.u32()?, at.at);
            at.skip_value(kind)?;
            if key == b"general.alignment" {
                let mut value = Cursor { bytes, at: began };
                alignment = usize::try_from(value.u32()?).ok().filter(|n| *n > 0).unwrap_or(DEFAULT_ALIGNMENT);
            }
        }
        let entries_end = at.at;
        let mut bytes_by_type = std::collections::BTreeMap::new();
        for _ in 0..tensors {
            at.text()?;
            let dimensions = at.u32()?;
            let mut elements = 1u64;
            for _ in 0..dimensions {
                elements = elements.saturating_mul(at.u64()?);
            }
            let kind = at.u32()?;
            at.u64()?;
            if let Some((block, size)) = block(kind) {
                let held: &mut u64 = bytes_by_type.entry(kind).or_default();
                *held = held.saturating_add((elements / block).saturating_mul(size));
            }
        }
        let header_end = at.at;
        let data_at = header_end.next_multiple_of(alignment);
        if data_at > bytes.len() {
            return Err(LayoutError::Ends(bytes.len()));
        }
        Ok(Self { tensors, entries, entries_end, header_end, data_at, alignment, bytes_by_type })
    }
}

/// Elements and bytes of a block of a tensor type, by its number in the format.
pub(super) const fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),
        1 | 30 => (1, 2),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        _ => return None,
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], LayoutError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(LayoutError::Ends(self.bytes.len()))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, LayoutError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    fn u64(&mut self) -> Result<u64, LayoutError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken")))
    }

    fn length(&mut self) -> Result<usize, LayoutError> {
        usize::try_from(self.u64()?).map_err(|_| LayoutError::Ends(self.bytes.len()))
    }

    fn text(&mut self) -> Result<&'a [u8], LayoutError> {
        let length = self.length()?;
        self.take(length)
    }

    fn skip_value(&mut self, kind: u32) -> Result<(), LayoutError> {
        let began = self.at;
        match kind {
            STRING => self.text().map(drop),
            ARRAY => {
                let (of, n) = (self.u32()?, self.length()?);
                match width(of) {
                    Some(width) => self.take(n.saturating_mul(width)).map(drop),
                    None if of == STRING => (0..n).try_for_each(|_| self.text().map(drop)),
                    None => Err(LayoutError::EntryType { at: began, found: of }),
                }
            }
            _ => match width(kind) {
                Some(width) => self.take(width).map(drop),
                None => Err(LayoutError::EntryType { at: began, found: kind }),
            },
        }
    }
}

/// Bytes of a metadata value of fixed length.
const fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
