//! Nodes and their attributes, which may hold tensors and further graphs.

use std::collections::BTreeSet;

use super::OnnxError;
use super::graph::read_graph;
use super::tensor::{read_sparse_tensor, read_tensor};
use super::uses::{MACHINE_LEARNING, Operator};
use super::walk::{TensorRole, Walk};
use super::wire::{Fields, Span, once, peek_text};
use crate::place::Path;

/// Reads one `NodeProto` of a graph at `depth`, or of a function, adding the values it produces to `produced`.
pub(super) fn read_node<'a>(
    walk: &mut Walk<'a, '_>,
    span: Span<'a>,
    path: &Path<'_>,
    depth: usize,
    produced: &mut BTreeSet<&'a str>,
) -> Result<(), OnnxError> {
    let limit = walk.limits.name;
    let path = &path.named(peek_text(span, 3, limit));
    walk.count_node(|| path.at(span.offset))?;
    let (mut name, mut op_type, mut domain, mut overload) = (None, None, None, None);
    let (mut inputs, mut outputs, mut attributes) = (0, 0, 0);
    let mut list_bytes = 0_u64;
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        let (slot, at) = match field.number {
            1 => {
                field.text(limit, &path.item("input", inputs))?;
                inputs += 1;
                continue;
            }
            2 => {
                let at = path.item("output", outputs);
                let value = field.text(limit, &at)?;
                walk.count_value(|| at.at(field.offset))?;
                // An optional output that is not wanted is left empty.
                if !value.is_empty() && !produced.insert(value) {
                    return Err(OnnxError::DuplicateValue { at: at.at(field.offset), name: value.to_owned() });
                }
                outputs += 1;
                continue;
            }
            5 => {
                let at = path.item("attribute", attributes);
                let bytes = read_attribute(walk, field.block(&at)?, &at, depth)?;
                list_bytes = list_bytes.saturating_add(bytes);
                attributes += 1;
                continue;
            }
            3 => (&mut name, path.field("name")),
            4 => (&mut op_type, path.field("op_type")),
            7 => (&mut domain, path.field("domain")),
            8 => (&mut overload, path.field("overload")),
            _ => continue,
        };
        once(slot, field.text(limit, &at)?, &field, &at)?;
    }
    let operator = Operator::new(domain.unwrap_or(""), op_type.unwrap_or(""), overload.unwrap_or(""));
    if operator.name.is_empty() {
        return Err(OnnxError::Unnamed { at: path.field("op_type").at(span.offset) });
    }
    if operator.name == "EPContext" {
        return Err(OnnxError::CompiledContext { at: path.at(span.offset) });
    }
    // In these the lists are data: the constant itself, or the trees of a forest. Elsewhere they are parameters of the
    // operator (strides, axes) and no weights.
    if operator.name == "Constant" || operator.domain == MACHINE_LEARNING {
        walk.list_bytes = walk.list_bytes.saturating_add(list_bytes);
    }
    walk.uses.record(operator, walk.limits, span.offset, || path.at(span.offset))
}

/// Reads one `AttributeProto` of a node or function in a graph at `depth`.
///
/// Answers the bytes of its plain values and lists; tensors and graphs go into the sums of the walk.
pub(super) fn read_attribute<'a>(
    walk: &mut Walk<'a, '_>,
    span: Span<'a>,
    path: &Path<'_>,
    depth: usize,
) -> Result<u64, OnnxError> {
    let path = &path.named(peek_text(span, 1, walk.limits.name));
    walk.count_attribute(|| path.at(span.offset))?;
    let (mut tensor, mut graph, mut sparse) = (None, None, None);
    let (mut tensors, mut graphs, mut sparses) = (0, 0, 0);
    let mut plain_bytes = 0_u64;
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        let role = TensorRole::Attribute;
        match field.number {
            1 => {
                field.text(walk.limits.name, &path.field("name"))?;
            }
            2 => plain_bytes += 4 * field.count_fixed32(&path.field("f"))?,
            3 => plain_bytes += 8 * field.count_varints(&path.field("i"))?,
            4 => plain_bytes += field.block(&path.field("s"))?.bytes.len() as u64,
            7 => plain_bytes += 4 * field.count_fixed32(&path.field("floats"))?,
            8 => plain_bytes += 8 * field.count_varints(&path.field("ints"))?,
            9 => plain_bytes += field.block(&path.field("strings"))?.bytes.len() as u64,
            5 => {
                let at = path.field("t");
                once(&mut tensor, (), &field, &at)?;
                read_tensor(walk, field.block(&at)?, &at, role)?;
            }
            6 => {
                let at = path.field("g");
                once(&mut graph, (), &field, &at)?;
                read_graph(walk, field.block(&at)?, &at, depth + 1)?;
            }
            22 => {
                let at = path.field("sparse_tensor");
                once(&mut sparse, (), &field, &at)?;
                read_sparse_tensor(walk, field.block(&at)?, &at, role)?;
            }
            10 => {
                let at = path.item("tensors", tensors);
                read_tensor(walk, field.block(&at)?, &at, role)?;
                tensors += 1;
            }
            11 => {
                let at = path.item("graphs", graphs);
                read_graph(walk, field.block(&at)?, &at, depth + 1)?;
                graphs += 1;
            }
            23 => {
                let at = path.item("sparse_tensors", sparses);
                read_sparse_tensor(walk, field.block(&at)?, &at, role)?;
                sparses += 1;
            }
            _ => {}
        }
    }
    Ok(plain_bytes)
}
