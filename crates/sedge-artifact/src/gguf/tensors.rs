//! The table of tensors: each measured, each within the file, none over another.

use std::collections::BTreeSet;

use super::cursor::Cursor;
use super::header::Tensor;
use super::tensor_type::TensorType;
use super::{GgufError, Limits};
use crate::place::Path;

/// The table, and where in the header each entry is.
#[derive(Debug)]
pub(super) struct Table<'a> {
    entries: Vec<Entry<'a>>,
    offsets: Vec<usize>,
}

/// An entry as it stands in the file, with its bytes counted.
#[derive(Debug)]
struct Entry<'a> {
    name: &'a str,
    shape: Vec<u64>,
    kind: TensorType,
    elements: u64,
    bytes: u64,
    /// From the beginning of the weights.
    begins: u64,
}

impl<'a> Table<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>, count: u64, limits: &Limits) -> Result<Self, GgufError> {
        let mut table = Self { entries: Vec::new(), offsets: Vec::new() };
        let mut names = BTreeSet::new();
        for index in 0..usize::try_from(count).expect("the limit is far below") {
            let at = Path::ROOT.item("tensor", index);
            let offset = cursor.position();
            let name = cursor.text(limits.name, &at)?;
            let at = at.named(Some(name));
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(GgufError::BadName { at: at.at(offset), what: "name of visible characters" });
            }
            if !names.insert(name) {
                return Err(GgufError::DuplicateTensor { at: at.at(offset) });
            }
            table.entries.push(Entry::read(cursor, name, limits, &at)?);
            table.offsets.push(offset);
        }
        Ok(table)
    }

    /// Places the weights in the file: `data` is where they begin.
    pub(super) fn place(self, data: u64, alignment: u64, file: u64) -> Result<Vec<Tensor>, GgufError> {
        let mut tensors = Vec::with_capacity(self.entries.len());
        let path = |index: usize, name| Path::ROOT.item("tensor", index).named(Some(name)).at(self.offsets[index]);
        for (index, entry) in self.entries.iter().enumerate() {
            if !entry.begins.is_multiple_of(alignment) {
                let at = path(index, entry.name);
                return Err(GgufError::Misaligned { at, offset: entry.begins, alignment });
            }
            let from = u128::from(data) + u128::from(entry.begins);
            if from + u128::from(entry.bytes) > u128::from(file) {
                let at = path(index, entry.name);
                return Err(GgufError::BeyondTheEnd { at, from, need: entry.bytes, file });
            }
            // Within the file, and so within its length's 64 bits; so is the padding, but for the file's last one.
            let stored = entry.bytes.div_ceil(alignment).saturating_mul(alignment);
            tensors.push(Tensor {
                name: entry.name.to_owned(),
                shape: entry.shape.clone(),
                kind: entry.kind,
                elements: entry.elements,
                offset: data + entry.begins,
                bytes: entry.bytes,
                padded_bytes: stored,
                entry: self.offsets[index],
            });
        }
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_by_key(|index| (tensors[*index].offset, *index));
        for pair in order.windows(2) {
            let (before, after) = (&tensors[pair[0]], &tensors[pair[1]]);
            let end = before.offset + before.bytes;
            if after.offset < end {
                let (at, from) = (path(pair[1], &after.name), after.offset);
                return Err(GgufError::Overlap { at, from, other: before.name.clone(), end });
            }
        }
        Ok(tensors)
    }
}

impl<'a> Entry<'a> {
    fn read(cursor: &mut Cursor<'a>, name: &'a str, limits: &Limits, at: &Path<'_>) -> Result<Self, GgufError> {
        let place = cursor.position();
        let dims = cursor.u32(at)?;
        if !(1..=limits.dims).contains(&dims) {
            return Err(GgufError::Dims { at: at.at(place), found: dims, limit: limits.dims });
        }
        let mut shape = Vec::new();
        // ggml counts elements in signed 64 bits, and so do others after it.
        let mut elements: i64 = 1;
        for index in 0..dims {
            let place = cursor.position();
            let dim = cursor.u64(&at.field("shape"))?;
            let at = || at.field("shape").element(index.into()).at(place);
            if dim == 0 {
                return Err(GgufError::ZeroDim { at: at() });
            }
            let product = i64::try_from(dim).ok().and_then(|dim| elements.checked_mul(dim));
            elements = product.ok_or_else(|| GgufError::Overflow { at: at() })?;
            shape.push(dim);
        }
        let elements = elements.cast_unsigned();
        let place = cursor.position();
        let found = cursor.u32(&at.field("type"))?;
        let kind = TensorType::from_number(found)
            .ok_or_else(|| GgufError::TensorType { at: at.field("type").at(place), found })?;
        let (row, block) = (shape[0], kind.block());
        if !row.is_multiple_of(block) {
            return Err(GgufError::PartialBlock { at: at.at(place), row, block, kind });
        }
        let bytes = (elements / block).checked_mul(kind.block_bytes()).filter(|bytes| *bytes <= i64::MAX as u64);
        let bytes = bytes.ok_or_else(|| GgufError::Overflow { at: at.at(place) })?;
        let begins = cursor.u64(&at.field("offset"))?;
        Ok(Self { name, shape, kind, elements, bytes, begins })
    }
}
