//! The model as a whole: the outermost message, and the checks that need all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::external::read_pair;
use super::function::read_function;
use super::graph::{Graph, read_graph};
use super::header::{OnnxHeader, Port};
use super::limits::Counted;
use super::port::Declared;
use super::program::{Body, Import, check, read_import};
use super::walk::{Walk, at_most};
use super::wire::{Field, Fields, Span, once};
use super::{Limits, OnnxError};
use crate::place::Path;

/// The outermost message while it is read.
#[derive(Debug, Default)]
struct Parts<'a> {
    ir_version: Option<(u64, usize)>,
    producer: Option<&'a str>,
    producer_version: Option<&'a str>,
    domain: Option<&'a str>,
    model_version: Option<i64>,
    graph: Option<(Graph<'a>, usize)>,
    imports: Vec<Import<'a>>,
    metadata: BTreeMap<String, String>,
    metadata_bytes: usize,
    functions: Vec<Body<'a>>,
}

/// Reads one `ModelProto`, which is the whole of `bytes`.
pub(super) fn read_model(bytes: &[u8], limits: &Limits) -> Result<OnnxHeader, OnnxError> {
    let mut walk = Walk::new(limits);
    let mut parts = Parts::default();
    let mut fields = Fields::of(Span::file(bytes));
    while let Some(field) = fields.next(&Path::ROOT)? {
        parts.read_field(&mut walk, &field)?;
    }
    parts.finish(walk)
}

impl<'a> Parts<'a> {
    fn read_field(&mut self, walk: &mut Walk<'a, '_>, field: &Field<'a>) -> Result<(), OnnxError> {
        let root = Path::ROOT;
        let (slot, at) = match field.number {
            1 => {
                let at = root.field("ir_version");
                let version = field.integer(&at)?;
                return once(&mut self.ir_version, (version, field.offset), field, &at);
            }
            2 => (&mut self.producer, root.field("producer_name")),
            3 => (&mut self.producer_version, root.field("producer_version")),
            4 => (&mut self.domain, root.field("domain")),
            5 => {
                let at = root.field("model_version");
                return once(&mut self.model_version, field.signed(&at)?, field, &at);
            }
            7 => {
                let at = root.field("graph");
                let span = field.block(&at)?;
                let graph = read_graph(walk, span, &at, 1)?;
                return once(&mut self.graph, (graph, span.offset), field, &at);
            }
            8 => {
                let at = root.item("opset_import", self.imports.len());
                let import = read_import(walk.limits, field.block(&at)?, &at)?;
                self.imports.push(import);
                let count = self.imports.len() as u64;
                let limit = walk.limits.opset_imports;
                return at_most(count, limit, Counted::OpsetImports, || at.at(field.offset));
            }
            14 => return self.read_metadata(walk.limits, field),
            20 => {
                return Err(OnnxError::Training { at: root.field("training_info").at(field.offset) });
            }
            25 => {
                let index = self.functions.len();
                let at = root.item("functions", index);
                let limit = walk.limits.functions;
                at_most(index as u64 + 1, limit, Counted::Functions, || at.at(field.offset))?;
                let function = read_function(walk, field.block(&at)?, index)?;
                self.functions.push(function);
                return Ok(());
            }
            _ => return Ok(()),
        };
        once(slot, field.text(walk.limits.name, &at)?, field, &at)
    }

    fn read_metadata(&mut self, limits: &Limits, field: &Field<'_>) -> Result<(), OnnxError> {
        let root = Path::ROOT;
        let path = root.item("metadata_props", self.metadata.len());
        let at = || path.at(field.offset);
        let (key, value) = read_pair(field.block(&path)?, limits.metadata_bytes, &path)?;
        self.metadata_bytes += key.len() + value.len();
        let (bytes, limit) = (self.metadata_bytes as u64, limits.metadata_bytes as u64);
        at_most(bytes, limit, Counted::MetadataBytes, at)?;
        let before = self.metadata.insert(key.to_owned(), value.to_owned());
        if before.is_some() {
            return Err(OnnxError::RepeatedField { at: path.named(Some(key)).at(field.offset) });
        }
        let (count, limit) = (self.metadata.len() as u64, limits.metadata_entries);
        at_most(count, limit, Counted::MetadataEntries, at)
    }

    fn finish(self, mut walk: Walk<'a, '_>) -> Result<OnnxHeader, OnnxError> {
        let limits = walk.limits;
        let (ir_version, offset) = self.ir_version.ok_or(OnnxError::NoIrVersion)?;
        if !limits.ir_versions.contains(&ir_version) {
            return Err(OnnxError::IrVersion {
                at: Path::ROOT.field("ir_version").at(offset),
                found: ir_version,
                oldest: *limits.ir_versions.start(),
                newest: *limits.ir_versions.end(),
            });
        }
        let (graph, offset) = self.graph.ok_or(OnnxError::NoGraph)?;
        let main = Body { function: None, imports: self.imports, uses: mem::take(&mut walk.uses), offset };
        check(&main, &self.functions, limits)?;
        let root = Path::ROOT;
        let path = root.field("graph");
        let overflow = || OnnxError::SizeOverflow { at: path.at(offset) };
        let weight_bytes = walk.weight_bytes().ok_or_else(overflow)?;
        let name = graph.name.to_owned();
        let (inputs, outputs) = interface(graph, &path, offset)?;
        Ok(OnnxHeader {
            ir_version,
            opsets: main
                .imports
                .iter()
                .map(|import| (import.domain.to_owned(), import.version.unsigned_abs()))
                .collect(),
            producer: self.producer.unwrap_or("").to_owned(),
            producer_version: self.producer_version.unwrap_or("").to_owned(),
            domain: self.domain.unwrap_or("").to_owned(),
            model_version: self.model_version.unwrap_or(0),
            graph: name,
            metadata: self.metadata,
            inputs,
            outputs,
            parameters: walk.parameters,
            weight_bytes,
            nodes: walk.nodes,
            operators: histogram(&main, &self.functions),
            functions: self.functions.len() as u64,
            external_files: walk.external_files().collect::<BTreeSet<_>>(),
            weights: walk.weights,
        })
    }
}

/// The inputs and outputs of the main graph, each with its type.
fn interface(graph: Graph<'_>, path: &Path<'_>, offset: usize) -> Result<(Vec<Port>, Vec<Port>), OnnxError> {
    if graph.outputs.is_empty() {
        return Err(OnnxError::NoOutputs { at: path.at(offset) });
    }
    let known = &graph.values;
    if let Some(output) = graph.outputs.iter().find(|one| !known.contains(one.name)) {
        return Err(OnnxError::UnproducedOutput {
            at: path.field("output").at(output.offset),
            name: output.name.to_owned(),
        });
    }
    Ok((typed(graph.inputs, &path.field("input"))?, typed(graph.outputs, &path.field("output"))?))
}

fn typed(declared: Vec<Declared<'_>>, path: &Path<'_>) -> Result<Vec<Port>, OnnxError> {
    let with_type = |one: Declared<'_>| match one.value {
        Some(value) => Ok(Port { name: one.name.to_owned(), value }),
        None => Err(OnnxError::Untyped { at: path.named(Some(one.name)).at(one.offset) }),
    };
    declared.into_iter().map(with_type).collect()
}

fn histogram(main: &Body<'_>, functions: &[Body<'_>]) -> BTreeMap<String, u64> {
    let mut operators = BTreeMap::new();
    for body in std::iter::once(main).chain(functions) {
        for (operator, calls) in &body.uses.calls {
            *operators.entry(operator.to_string()).or_default() += calls.count;
        }
    }
    operators
}
