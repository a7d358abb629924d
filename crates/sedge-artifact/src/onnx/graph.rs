//! Graphs: the main one, and those inside the attributes of nodes such as `If` and `Loop`.

use std::collections::BTreeSet;

use super::OnnxError;
use super::node::read_node;
use super::port::{Declared, read_port};
use super::tensor::{read_sparse_tensor, read_tensor};
use super::walk::{TensorRole, Walk};
use super::wire::{Fields, Span, once};
use crate::place::Path;

/// What is kept of a graph once it is read.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub(super) name: &'a str,
    /// Without those that are initializers.
    pub(super) inputs: Vec<Declared<'a>>,
    pub(super) outputs: Vec<Declared<'a>>,
    /// Names with a value: inputs, initializers and what nodes produce.
    pub(super) values: BTreeSet<&'a str>,
}

/// Reads one `GraphProto`, at `depth` graphs from the outside.
pub(super) fn read_graph<'a>(
    walk: &mut Walk<'a, '_>,
    span: Span<'a>,
    path: &Path<'_>,
    depth: usize,
) -> Result<Graph<'a>, OnnxError> {
    let limit = walk.limits.depth;
    if depth > limit {
        let at = path.at(span.offset);
        return Err(OnnxError::TooDeep { at, limit });
    }
    let mut name = None;
    let mut inputs: Vec<Declared<'a>> = Vec::new();
    let mut outputs: Vec<Declared<'a>> = Vec::new();
    let mut produced = BTreeSet::new();
    let mut initializers = BTreeSet::new();
    let (mut nodes, mut dense, mut sparse) = (0, 0, 0);
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        match field.number {
            1 => {
                let at = path.item("node", nodes);
                read_node(walk, field.block(&at)?, &at, depth, &mut produced)?;
                nodes += 1;
            }
            2 => {
                let at = path.field("name");
                let text = field.text(walk.limits.name, &at)?;
                once(&mut name, text, &field, &at)?;
            }
            5 => {
                let at = path.item("initializer", dense);
                let span = field.block(&at)?;
                let tensor = read_tensor(walk, span, &at, TensorRole::Initializer)?;
                add_initializer(&mut initializers, tensor.name, &at, span.offset)?;
                dense += 1;
            }
            15 => {
                let at = path.item("sparse_initializer", sparse);
                let span = field.block(&at)?;
                let tensor = read_sparse_tensor(walk, span, &at, TensorRole::Initializer)?;
                add_initializer(&mut initializers, tensor.name, &at, span.offset)?;
                sparse += 1;
            }
            11 => {
                let at = path.item("input", inputs.len());
                inputs.push(read_port(walk, field.block(&at)?, &at)?);
            }
            12 => {
                let at = path.item("output", outputs.len());
                outputs.push(read_port(walk, field.block(&at)?, &at)?);
            }
            _ => {}
        }
    }
    let mut values = produced;
    add_declared(&mut values, &initializers, &inputs, span, path)?;
    check_distinct(&inputs, &path.field("input"))?;
    check_distinct(&outputs, &path.field("output"))?;
    inputs.retain(|input| !initializers.contains(input.name));
    Ok(Graph { name: name.unwrap_or(""), inputs, outputs, values })
}

fn add_initializer<'a>(
    initializers: &mut BTreeSet<&'a str>,
    name: &'a str,
    path: &Path<'_>,
    offset: usize,
) -> Result<(), OnnxError> {
    if name.is_empty() {
        return Err(OnnxError::Unnamed { at: path.at(offset) });
    }
    if !initializers.insert(name) {
        return Err(OnnxError::DuplicateInitializer { at: path.named(Some(name)).at(offset), name: name.to_owned() });
    }
    Ok(())
}

/// Adds inputs and initializers to the values that nodes produce, of which none may be either.
///
/// An initializer that is also an input is the default of that input, and no conflict.
fn add_declared<'a>(
    values: &mut BTreeSet<&'a str>,
    initializers: &BTreeSet<&'a str>,
    inputs: &[Declared<'a>],
    span: Span<'_>,
    path: &Path<'_>,
) -> Result<(), OnnxError> {
    let duplicate = |name: &str, offset| OnnxError::DuplicateValue { at: path.at(offset), name: name.to_owned() };
    if let Some(input) = inputs.iter().find(|input| values.contains(input.name)) {
        return Err(duplicate(input.name, input.offset));
    }
    if let Some(name) = initializers.iter().find(|name| values.contains(*name)) {
        return Err(duplicate(name, span.offset));
    }
    values.extend(initializers);
    values.extend(inputs.iter().map(|input| input.name));
    Ok(())
}

fn check_distinct(declared: &[Declared<'_>], path: &Path<'_>) -> Result<(), OnnxError> {
    let mut names = BTreeSet::new();
    match declared.iter().find(|one| !names.insert(one.name)) {
        Some(second) => Err(OnnxError::DuplicatePort { at: path.at(second.offset), name: second.name.to_owned() }),
        None => Ok(()),
    }
}
