//! Functions: operators that the model itself defines in terms of others.

use std::collections::BTreeSet;
use std::mem;

use super::OnnxError;
use super::limits::Counted;
use super::node::{read_attribute, read_node};
use super::program::{Body, read_import};
use super::uses::Operator;
use super::walk::{Walk, at_most};
use super::wire::{Fields, Span, once, peek_text};
use crate::place::Path;

/// Reads the `FunctionProto` at `index` of the model's functions.
pub(super) fn read_function<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>, index: usize) -> Result<Body<'a>, OnnxError> {
    // The nodes of a function are as deep as those of the main graph.
    const DEPTH: usize = 1;
    let limit = walk.limits.name;
    let root = Path::ROOT;
    let item = root.item("functions", index);
    let path = &item.named(peek_text(span, 1, limit));
    // The functions and the graph come in any order: what is called here must not be added to what the graph calls.
    let outer = mem::take(&mut walk.uses);
    let (mut name, mut domain, mut overload) = (None, None, None);
    let mut imports = Vec::new();
    let mut produced = BTreeSet::new();
    let mut inputs = BTreeSet::new();
    let (mut nodes, mut attributes) = (0, 0);
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        let (slot, at) = match field.number {
            4 => {
                let at = path.item("input", inputs.len());
                walk.count_port(|| at.at(field.offset))?;
                let name = field.text(limit, &at)?;
                if !inputs.insert(name) {
                    return Err(OnnxError::DuplicatePort { at: at.at(field.offset), name: name.to_owned() });
                }
                continue;
            }
            7 => {
                let at = path.item("node", nodes);
                read_node(walk, field.block(&at)?, &at, DEPTH, &mut produced)?;
                nodes += 1;
                continue;
            }
            9 => {
                let at = path.item("opset_import", imports.len());
                imports.push(read_import(walk.limits, field.block(&at)?, &at)?);
                let count = imports.len() as u64;
                let limit = walk.limits.opset_imports;
                at_most(count, limit, Counted::OpsetImports, || at.at(field.offset))?;
                continue;
            }
            11 => {
                let at = path.item("attribute_proto", attributes);
                read_attribute(walk, field.block(&at)?, &at, DEPTH)?;
                attributes += 1;
                continue;
            }
            1 => (&mut name, path.field("name")),
            10 => (&mut domain, path.field("domain")),
            13 => (&mut overload, path.field("overload")),
            _ => continue,
        };
        once(slot, field.text(limit, &at)?, &field, &at)?;
    }
    let uses = mem::replace(&mut walk.uses, outer);
    if let Some(name) = inputs.intersection(&produced).next() {
        return Err(OnnxError::DuplicateValue { at: path.at(span.offset), name: (*name).to_owned() });
    }
    let operator = Operator::new(domain.unwrap_or(""), name.unwrap_or(""), overload.unwrap_or(""));
    if operator.name.is_empty() {
        return Err(OnnxError::Unnamed { at: path.at(span.offset) });
    }
    Ok(Body { function: Some((index, operator)), imports, uses, offset: span.offset })
}
