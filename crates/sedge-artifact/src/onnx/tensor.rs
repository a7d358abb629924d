//! Tensors: their shape and size are read, their data is only measured.

use super::datatype::TypedField;
use super::external::External;
use super::limits::Counted;
use super::walk::{TensorRole, Walk, at_most};
use super::wire::{Fields, Span, once, peek_text};
use super::{DataType, OnnxError};
use crate::place::Path;

/// What is known of a tensor once it is read.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) datatype: DataType,
    pub(super) dims: Vec<u64>,
}

/// The data of a tensor as found, before it is held against the shape.
#[derive(Debug, Default)]
struct Data<'a> {
    raw: Option<Span<'a>>,
    /// Entries by typed field, in the order of [`TypedField`].
    typed: [u64; 6],
    string_bytes: u64,
}

/// Reads one `TensorProto` and adds it to the sums.
pub(super) fn read_tensor<'a>(
    walk: &mut Walk<'a, '_>,
    span: Span<'a>,
    path: &Path<'_>,
    role: TensorRole,
) -> Result<Tensor<'a>, OnnxError> {
    let name = peek_text(span, 8, walk.limits.name);
    let path = &path.named(name);
    walk.count_tensor(|| path.at(span.offset))?;

    let mut dims = Vec::new();
    let mut code = None;
    let mut name = None;
    let mut location = None;
    let mut external = External::default();
    let mut data = Data::default();
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        match field.number {
            1 => {
                let at = path.field("dims");
                field.for_each_varint(&at, |dim, offset| push_dim(&mut dims, dim, walk.limits.dims, &at, offset))?;
            }
            2 => {
                let at = path.field("data_type");
                once(&mut code, field.integer(&at)?, &field, &at)?;
            }
            3 => {
                return Err(OnnxError::Segmented { at: path.field("segment").at(field.offset) });
            }
            4 => data.add(TypedField::Floats, field.count_fixed32(&path.field("float_data"))?),
            5 => data.add(TypedField::Int32s, field.count_varints(&path.field("int32_data"))?),
            6 => {
                let length = field.block(&path.field("string_data"))?.bytes.len() as u64;
                data.string_bytes += length;
                data.add(TypedField::Strings, 1);
            }
            7 => data.add(TypedField::Int64s, field.count_varints(&path.field("int64_data"))?),
            8 => {
                let at = path.field("name");
                let text = field.text(walk.limits.name, &at)?;
                once(&mut name, text, &field, &at)?;
            }
            9 => {
                let at = path.field("raw_data");
                once(&mut data.raw, field.block(&at)?, &field, &at)?;
            }
            10 => data.add(TypedField::Doubles, field.count_fixed64(&path.field("double_data"))?),
            11 => data.add(TypedField::Uint64s, field.count_varints(&path.field("uint64_data"))?),
            13 => external.read_entry(walk.limits, field.block(path)?, path)?,
            14 => {
                let at = path.field("data_location");
                once(&mut location, field.integer(&at)?, &field, &at)?;
            }
            _ => {}
        }
    }

    let code = code.unwrap_or(0);
    let Some(datatype) = DataType::from_code(code) else {
        let at = path.field("data_type").at(span.offset);
        return Err(OnnxError::UnknownDataType { at, found: code });
    };
    let overflow = || OnnxError::SizeOverflow { at: path.field("dims").at(span.offset) };
    let elements = product(&dims).ok_or_else(overflow)?;
    let bytes = if location.unwrap_or(0) != 0 || external.is_given() {
        if data.raw.is_some() || data.typed != [0; 6] || datatype == DataType::String {
            let at = path.at(span.offset);
            return Err(OnnxError::WrongDataField { at, datatype });
        }
        let expected = datatype.raw_bytes(elements).ok_or_else(overflow)?;
        external.accept(walk, name.unwrap_or(""), expected, path, span.offset)?;
        expected
    } else {
        data.measure(datatype, elements, path, span.offset)?
    };
    walk.add_tensor(role, datatype, elements, bytes).ok_or_else(overflow)?;
    Ok(Tensor { name: name.unwrap_or(""), datatype, dims })
}

/// Reads one `SparseTensorProto`: its values and its indices count as two tensors.
///
/// That each index lies inside the shape is left to the runtime, which has to follow them anyway.
pub(super) fn read_sparse_tensor<'a>(
    walk: &mut Walk<'a, '_>,
    span: Span<'a>,
    path: &Path<'_>,
    role: TensorRole,
) -> Result<Tensor<'a>, OnnxError> {
    let mut values = None;
    let mut indices = None;
    let mut dims = Vec::new();
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        match field.number {
            1 => {
                let at = path.field("values");
                let tensor = read_tensor(walk, field.block(&at)?, &at, role)?;
                once(&mut values, tensor, &field, &at)?;
            }
            2 => {
                let at = path.field("indices");
                // Indices are bookkeeping, not parameters.
                let tensor = read_tensor(walk, field.block(&at)?, &at, TensorRole::Attribute)?;
                once(&mut indices, tensor, &field, &at)?;
            }
            3 => {
                let at = path.field("dims");
                field.for_each_varint(&at, |dim, offset| push_dim(&mut dims, dim, walk.limits.dims, &at, offset))?;
            }
            _ => {}
        }
    }
    let at = || path.at(span.offset);
    if product(&dims).is_none() {
        return Err(OnnxError::SizeOverflow { at: at() });
    }
    let (Some(values), Some(indices)) = (values, indices) else {
        return Err(OnnxError::SparseShape { at: at() });
    };
    let stored = values.dims.as_slice();
    let rank = dims.len() as u64;
    let fits = match indices.dims.as_slice() {
        [count] => stored == [*count],
        [count, width] => stored == [*count] && *width == rank,
        _ => false,
    };
    if !fits || dims.is_empty() || indices.datatype != DataType::Int64 {
        return Err(OnnxError::SparseShape { at: at() });
    }
    Ok(values)
}

/// Takes one dimension, of a number so far.
fn push_dim(dims: &mut Vec<u64>, dim: u64, limit: usize, at: &Path<'_>, offset: usize) -> Result<(), OnnxError> {
    let found = dim.cast_signed();
    if found < 0 {
        let at = at.at(offset);
        return Err(OnnxError::NegativeDim { at, found });
    }
    dims.push(dim);
    at_most(dims.len() as u64, limit as u64, Counted::Dims, || at.at(offset))
}

/// The number of elements of a shape.
///
/// A zero among the dimensions does not excuse an overflow of the others: some runtimes multiply in another order.
fn product(dims: &[u64]) -> Option<u64> {
    let others = dims.iter().filter(|dim| **dim != 0).try_fold(1_u64, |product, dim| product.checked_mul(*dim))?;
    Some(if dims.contains(&0) { 0 } else { others })
}

impl Data<'_> {
    fn add(&mut self, field: TypedField, entries: u64) {
        self.typed[field as usize] += entries;
    }

    /// Holds the data against type and shape; answers the bytes it takes as raw data.
    fn measure(&self, datatype: DataType, elements: u64, path: &Path<'_>, offset: usize) -> Result<u64, OnnxError> {
        let at = || path.at(offset);
        let overflow = || OnnxError::SizeOverflow { at: at() };
        let used = self.typed.iter().filter(|entries| **entries > 0).count();
        let found = self.typed[datatype.typed_field() as usize];
        let raw_and_typed = self.raw.is_some() && used > 0;
        if used > 1 || raw_and_typed || (used == 1 && found == 0) {
            return Err(OnnxError::WrongDataField { at: at(), datatype });
        }
        if let Some(raw) = self.raw {
            if datatype == DataType::String {
                return Err(OnnxError::WrongDataField { at: at(), datatype });
            }
            let expected = datatype.raw_bytes(elements).ok_or_else(overflow)?;
            let found = raw.bytes.len() as u64;
            if found != expected {
                return Err(OnnxError::RawLength { at: path.field("raw_data").at(raw.offset), expected, found });
            }
            return Ok(expected);
        }
        if used == 0 && elements > 0 {
            return Err(OnnxError::NoData { at: at(), elements });
        }
        let expected = datatype.typed_entries(elements).ok_or_else(overflow)?;
        if found != expected {
            return Err(OnnxError::TypedLength {
                at: path.field(field_name(datatype.typed_field())).at(offset),
                expected,
                found,
            });
        }
        match datatype {
            DataType::String => Ok(self.string_bytes),
            _ => datatype.raw_bytes(elements).ok_or_else(overflow),
        }
    }
}

fn field_name(field: TypedField) -> &'static str {
    match field {
        TypedField::Floats => "float_data",
        TypedField::Int32s => "int32_data",
        TypedField::Strings => "string_data",
        TypedField::Int64s => "int64_data",
        TypedField::Doubles => "double_data",
        TypedField::Uint64s => "uint64_data",
    }
}
