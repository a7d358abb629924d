//! Declared inputs and outputs, and their types.

use super::header::{Dim, TensorType, ValueType};
use super::limits::Counted;
use super::walk::{Walk, at_most};
use super::wire::{Field, Fields, Span, once, peek_text};
use super::{DataType, Limits, OnnxError};
use crate::place::Path;

/// A declared value. Graphs inside graphs may leave the type out.
#[derive(Debug)]
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<ValueType>,
    pub(super) offset: usize,
}

/// Reads one `ValueInfoProto`.
pub(super) fn read_port<'a>(
    walk: &mut Walk<'a, '_>,
    span: Span<'a>,
    path: &Path<'_>,
) -> Result<Declared<'a>, OnnxError> {
    walk.count_port(|| path.at(span.offset))?;
    let path = &path.named(peek_text(span, 1, walk.limits.name));
    let mut name = None;
    let mut value = None;
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        match field.number {
            1 => {
                let at = path.field("name");
                let text = field.text(walk.limits.name, &at)?;
                once(&mut name, text, &field, &at)?;
            }
            2 => {
                let at = path.field("type");
                let read = read_type(walk.limits, field.block(&at)?, &at)?;
                once(&mut value, read, &field, &at)?;
            }
            _ => {}
        }
    }
    match name {
        None | Some("") => Err(OnnxError::Unnamed { at: path.at(span.offset) }),
        Some(name) => Ok(Declared { name, value: value.flatten(), offset: span.offset }),
    }
}

/// Reads one `TypeProto`. What is inside sequences, maps and optionals is not descended into: no protocol serves them.
fn read_type(limits: &Limits, span: Span<'_>, path: &Path<'_>) -> Result<Option<ValueType>, OnnxError> {
    let mut value = None;
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        let (read, at) = match field.number {
            1 => {
                let at = path.field("tensor_type");
                let tensor = read_tensor_type(limits, &field, &at)?;
                (tensor.map(ValueType::Tensor), at)
            }
            8 => {
                let at = path.field("sparse_tensor_type");
                let tensor = read_tensor_type(limits, &field, &at)?;
                (tensor.map(ValueType::SparseTensor), at)
            }
            4 => (Some(ValueType::Sequence), path.field("sequence_type")),
            5 => (Some(ValueType::Map), path.field("map_type")),
            7 => (Some(ValueType::Opaque), path.field("opaque_type")),
            9 => (Some(ValueType::Optional), path.field("optional_type")),
            _ => continue,
        };
        field.block(&at)?;
        // One of a choice: a second member is as ambiguous as the same one twice.
        once(&mut value, read, &field, &at)?;
    }
    Ok(value.flatten())
}

/// Reads one `TypeProto.Tensor`; `None` when it leaves the type of its elements open.
fn read_tensor_type(limits: &Limits, field: &Field<'_>, path: &Path<'_>) -> Result<Option<TensorType>, OnnxError> {
    let mut code = None;
    let mut shape = None;
    let mut fields = Fields::of(field.block(path)?);
    while let Some(field) = fields.next(path)? {
        match field.number {
            1 => {
                let at = path.field("elem_type");
                once(&mut code, field.integer(&at)?, &field, &at)?;
            }
            2 => {
                let at = path.field("shape");
                let read = read_shape(limits, field.block(&at)?, &at)?;
                once(&mut shape, read, &field, &at)?;
            }
            _ => {}
        }
    }
    match code {
        None | Some(0) => Ok(None),
        Some(code) => {
            let datatype = DataType::from_code(code).ok_or_else(|| OnnxError::UnknownDataType {
                at: path.field("elem_type").at(field.offset),
                found: code,
            })?;
            Ok(Some(TensorType { datatype, shape }))
        }
    }
}

/// Reads one `TensorShapeProto`.
fn read_shape(limits: &Limits, span: Span<'_>, path: &Path<'_>) -> Result<Vec<Dim>, OnnxError> {
    let mut dims = Vec::new();
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        if field.number != 1 {
            continue;
        }
        let at = path.item("dim", dims.len());
        dims.push(read_dim(limits, field.block(&at)?, &at)?);
        at_most(dims.len() as u64, limits.dims as u64, Counted::Dims, || at.at(field.offset))?;
    }
    Ok(dims)
}

/// Reads one `TensorShapeProto.Dimension`.
fn read_dim(limits: &Limits, span: Span<'_>, path: &Path<'_>) -> Result<Dim, OnnxError> {
    let mut dim = None;
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        let read = match field.number {
            1 => {
                let found = field.signed(path)?;
                let Ok(length) = u64::try_from(found) else {
                    let at = path.at(field.offset);
                    return Err(OnnxError::NegativeDim { at, found });
                };
                Dim::Fixed(length)
            }
            2 => match field.text(limits.name, path)? {
                "" => Dim::Unknown,
                name => Dim::Symbolic(name.to_owned()),
            },
            _ => continue,
        };
        once(&mut dim, read, &field, path)?;
    }
    Ok(dim.unwrap_or(Dim::Unknown))
}
