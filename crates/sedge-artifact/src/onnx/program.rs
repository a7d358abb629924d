//! Whether everything a model calls exists, in a version that is known, and ends.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::Counted;
use super::uses::{DEFAULT, MACHINE_LEARNING, MICROSOFT, Operator, Uses, long_name};
use super::walk::at_most;
use super::wire::{Fields, Span, once};
use super::{Limits, OnnxError};
use crate::place::{Path, Place};

/// One body of code: the main graph, or a function.
#[derive(Debug)]
pub(super) struct Body<'a> {
    /// The function it is, or nothing for the main graph.
    pub(super) function: Option<(usize, Operator<'a>)>,
    pub(super) imports: Vec<Import<'a>>,
    pub(super) uses: Uses<'a>,
    /// Where it begins.
    pub(super) offset: usize,
}

/// An operator set that a body imports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Import<'a> {
    /// In its long name.
    pub(super) domain: &'a str,
    pub(super) version: i64,
    pub(super) offset: usize,
}

impl Body<'_> {
    /// A place in this body.
    fn at(&self, offset: usize) -> Place {
        match self.function {
            Some((index, function)) => Path::ROOT.item("functions", index).named(Some(function.name)).at(offset),
            None => Path::ROOT.field("graph").at(offset),
        }
    }

    fn import_at(&self, index: usize, offset: usize) -> Place {
        match self.function {
            Some((function, operator)) => {
                Path::ROOT.item("functions", function).named(Some(operator.name)).item("opset_import", index).at(offset)
            }
            None => Path::ROOT.item("opset_import", index).at(offset),
        }
    }
}

/// Reads one `OperatorSetIdProto`.
pub(super) fn read_import<'a>(limits: &Limits, span: Span<'a>, path: &Path<'_>) -> Result<Import<'a>, OnnxError> {
    let (mut domain, mut version) = (None, None);
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        match field.number {
            1 => {
                let at = path.field("domain");
                once(&mut domain, field.text(limits.name, &at)?, &field, &at)?;
            }
            2 => {
                let at = path.field("version");
                once(&mut version, field.signed(&at)?, &field, &at)?;
            }
            _ => {}
        }
    }
    Ok(Import { domain: long_name(domain.unwrap_or("")), version: version.unwrap_or(0), offset: span.offset })
}

/// Checks the main graph and the functions against one another.
pub(super) fn check(main: &Body<'_>, functions: &[Body<'_>], limits: &Limits) -> Result<(), OnnxError> {
    let mut by_name = BTreeMap::new();
    for (index, body) in functions.iter().enumerate() {
        let (_, operator) = body.function.expect("every body but the main graph is a function");
        if by_name.insert(operator, index).is_some() {
            return Err(OnnxError::DuplicateFunction { at: body.at(body.offset), function: operator.to_string() });
        }
    }
    let own: BTreeSet<&str> = by_name.keys().map(|operator| operator.domain).collect();
    for body in std::iter::once(main).chain(functions) {
        check_imports(body, &own, limits)?;
        check_calls(body, &own, &by_name)?;
    }
    let sizes = expand(functions, &by_name)?;
    at_most(expanded(main, &by_name, &sizes), limits.expanded_nodes, Counted::ExpandedNodes, || main.at(main.offset))
}

fn is_known(domain: &str) -> bool {
    matches!(domain, DEFAULT | MACHINE_LEARNING | MICROSOFT)
}

fn check_imports(body: &Body<'_>, own: &BTreeSet<&str>, limits: &Limits) -> Result<(), OnnxError> {
    if body.imports.is_empty() {
        return Err(OnnxError::NoOpsets { at: body.at(body.offset) });
    }
    let mut seen = BTreeSet::new();
    for (index, import) in body.imports.iter().enumerate() {
        let at = || body.import_at(index, import.offset);
        let domain = import.domain;
        let versions = match domain {
            DEFAULT => limits.onnx_opsets.clone(),
            MACHINE_LEARNING => limits.ml_opsets.clone(),
            MICROSOFT => limits.microsoft_opsets.clone(),
            // The author numbers the versions of a domain of the model's own.
            _ if own.contains(domain) => 1..=i64::MAX.unsigned_abs(),
            _ => {
                let domain = domain.to_owned();
                return Err(OnnxError::UnknownDomain { at: at(), domain });
            }
        };
        if !u64::try_from(import.version).is_ok_and(|version| versions.contains(&version)) {
            return Err(OnnxError::Opset {
                at: at(),
                domain: domain.to_owned(),
                found: import.version,
                oldest: *versions.start(),
                newest: *versions.end(),
            });
        }
        if !seen.insert(domain) {
            let domain = domain.to_owned();
            return Err(OnnxError::DuplicateOpset { at: at(), domain });
        }
    }
    Ok(())
}

fn check_calls(
    body: &Body<'_>,
    own: &BTreeSet<&str>,
    functions: &BTreeMap<Operator<'_>, usize>,
) -> Result<(), OnnxError> {
    let imported: BTreeSet<&str> = body.imports.iter().map(|import| import.domain).collect();
    for (operator, calls) in &body.uses.calls {
        let at = || body.at(calls.offset);
        let domain = operator.domain;
        if !is_known(domain) && !own.contains(domain) {
            let domain = domain.to_owned();
            return Err(OnnxError::UnknownDomain { at: at(), domain });
        }
        if !imported.contains(domain) {
            let domain = domain.to_owned();
            return Err(OnnxError::DomainNotImported { at: at(), domain });
        }
        if !is_known(domain) && !functions.contains_key(operator) {
            let function = operator.to_string();
            return Err(OnnxError::UnknownFunction { at: at(), function });
        }
    }
    Ok(())
}

/// The nodes of every function once the functions it calls are expanded, from the innermost outwards.
///
/// Without recursion: a chain of calls may be as long as there are functions.
fn expand(functions: &[Body<'_>], by_name: &BTreeMap<Operator<'_>, usize>) -> Result<Vec<Option<u64>>, OnnxError> {
    let mut callers = vec![Vec::new(); functions.len()];
    let mut waiting_for = vec![0_usize; functions.len()];
    for (caller, body) in functions.iter().enumerate() {
        for callee in callees(body, by_name) {
            callers[callee].push(caller);
            waiting_for[caller] += 1;
        }
    }
    let mut sizes = vec![None; functions.len()];
    let mut ready: Vec<usize> = (0..functions.len()).filter(|index| waiting_for[*index] == 0).collect();
    while let Some(index) = ready.pop() {
        sizes[index] = Some(expanded(&functions[index], by_name, &sizes));
        for &caller in &callers[index] {
            waiting_for[caller] -= 1;
            if waiting_for[caller] == 0 {
                ready.push(caller);
            }
        }
    }
    match sizes.iter().position(Option::is_none) {
        None => Ok(sizes),
        Some(unsized_one) => {
            let body = &functions[on_a_circle(unsized_one, functions, by_name, &sizes)];
            Err(OnnxError::RecursiveFunction { at: body.at(body.offset) })
        }
    }
}

/// Follows calls among functions without a size until one comes round again: that one calls itself.
fn on_a_circle(
    start: usize,
    functions: &[Body<'_>],
    by_name: &BTreeMap<Operator<'_>, usize>,
    sizes: &[Option<u64>],
) -> usize {
    let mut seen = vec![false; functions.len()];
    let mut index = start;
    while !seen[index] {
        seen[index] = true;
        index = callees(&functions[index], by_name)
            .find(|callee| sizes[*callee].is_none())
            .expect("a function without a size calls another one");
    }
    index
}

fn callees<'b>(body: &'b Body<'_>, by_name: &'b BTreeMap<Operator<'_>, usize>) -> impl Iterator<Item = usize> + 'b {
    body.uses.calls.keys().filter_map(|operator| by_name.get(operator).copied())
}

/// The nodes of a body once every function it calls, all of which have a size, is expanded.
fn expanded(body: &Body<'_>, by_name: &BTreeMap<Operator<'_>, usize>, sizes: &[Option<u64>]) -> u64 {
    let calls = body.uses.calls.iter();
    calls.fold(body.uses.nodes, |sum, (operator, calls)| {
        let size = by_name.get(operator).and_then(|index| sizes[*index]).unwrap_or(0);
        sum.saturating_add(calls.count.saturating_mul(size))
    })
}
