//! Writes a chain's links as the document that Automerge saves of them, without Automerge.
//!
//! Goals: the very bytes of Automerge's own `save`, uncompressed, since loading them does at once what taking the links one by one does slowly. It also
//! proves more: Automerge makes every change again from the operations and hashes it, so a document that comes out with the signed head holds
//! the links' whole history. In which order elements and keys stand no hash says; that is as Automerge saves it by construction, and a property test holds
//! it to that. Non-goals: to judge links, which have passed the check before; documents of several authors, marks and counters.
//!
//! Layout of the chunk: magic (4) ‖ checksum (4) ‖ type 0 ‖ uleb length ‖ body. Body: actors ‖ heads ‖ list of the changes' columns ‖ list of the
//! operations' columns ‖ data of the changes ‖ data of the operations ‖ for each head, which change it is. Changes stand as they follow one
//! another, operations as `order.rs` says. An operation names those that replace it, where a link's operations name those that they
//! replace.

use sedge_statement::ChangeHash;
use sha2::{Digest, Sha256};

use super::columns::{self, spec};
use super::encode::{booleans, deltas, nullable_strings, nullable_unsigned, uleb, unsigned};
use super::order::order;
use super::rows::{Key, Row, rows};
use super::{MAGIC, Preamble, Refusal, chunk, preamble};

const DOCUMENT_CHUNK: u8 = 0;

/// The columns of a document's changes: `id << 4 | type`.
mod change {
    pub(super) const ACTOR: u64 = 0x01;
    pub(super) const SEQ: u64 = 0x03;
    pub(super) const LAST_OPERATION: u64 = 0x13;
    pub(super) const TIME: u64 = 0x23;
    pub(super) const MESSAGE: u64 = 0x35;
    pub(super) const DEPENDENCY_COUNT: u64 = 0x40;
    pub(super) const DEPENDENCY: u64 = 0x43;
    pub(super) const EXTRA_META: u64 = 0x56;
}

/// The columns of a document's operations that links do not have.
mod operation {
    pub(super) const ID_ACTOR: u64 = 0x21;
    pub(super) const ID_COUNTER: u64 = 0x23;
    pub(super) const SUCCESSOR_COUNT: u64 = 0x80;
    pub(super) const SUCCESSOR_ACTOR: u64 = 0x81;
    pub(super) const SUCCESSOR_COUNTER: u64 = 0x83;
}

/// No bytes past a change's columns, as Automerge packs type and length of a value.
const NO_EXTRA: u64 = 7;

type Column = (u64, Vec<u8>);

/// What a document keeps of a change beside its operations.
struct Change<'a> {
    last_operation: i64,
    time: i64,
    message: &'a str,
}

/// Writes the document that a chain's links from the first on make; `head` is the hash of the last. They must have passed [`super::check`]: of
/// others come an error, or bytes that do not load with that head.
pub(crate) fn document<'a>(
    links: impl IntoIterator<Item = &'a [u8]>,
    actor: &[u8],
    head: ChangeHash,
) -> Result<Vec<u8>, Refusal> {
    let (mut changes, mut all) = (Vec::new(), Vec::new());
    for raw in links {
        let Preamble { time, message, mut rest, .. } = preamble(chunk(raw)?.body)?;
        all.extend(rows(&columns::read(&mut rest)?)?);
        changes.push(Change { last_operation: signed(all.len()), time, message });
    }
    let last = changes.len().checked_sub(1).ok_or(Refusal::Empty)?;
    let change_columns = of_changes(&changes);
    let operation_columns = of_operations(&all)?;
    let mut body = Vec::new();
    uleb(&mut body, 1);
    uleb(&mut body, actor.len() as u64);
    body.extend(actor);
    uleb(&mut body, 1);
    body.extend(head.as_bytes());
    list(&mut body, &change_columns);
    list(&mut body, &operation_columns);
    change_columns.iter().chain(&operation_columns).for_each(|(_, data)| body.extend(data));
    uleb(&mut body, last as u64);
    Ok(chunk_of(&body))
}

fn of_changes(changes: &[Change<'_>]) -> Vec<Column> {
    let n = changes.len();
    let before_last = 0..n.saturating_sub(1);
    vec![
        (change::ACTOR, unsigned(changes.iter().map(|_| 0))),
        (change::SEQ, deltas((1..=n).map(|seq| Some(signed(seq))))),
        (change::LAST_OPERATION, deltas(changes.iter().map(|change| Some(change.last_operation)))),
        (change::TIME, deltas(changes.iter().map(|change| Some(change.time)))),
        (change::MESSAGE, nullable_strings(changes.iter().map(|c| (!c.message.is_empty()).then_some(c.message)))),
        (change::DEPENDENCY_COUNT, unsigned((0..n).map(|i| u64::from(i > 0)))),
        (change::DEPENDENCY, deltas(before_last.map(|i| Some(signed(i))))),
        (change::EXTRA_META, unsigned(changes.iter().map(|_| NO_EXTRA))),
    ]
}

fn of_operations(all: &[Row<'_>]) -> Result<Vec<Column>, Refusal> {
    let successors = successors(all)?;
    let order = order(all)?;
    let rows = || order.iter().map(|i| &all[*i]);
    let replaced = || order.iter().map(|i| successors[*i]);
    Ok(vec![
        (spec::OBJECT_ACTOR, nullable_unsigned(rows().map(|row| (row.object > 0).then_some(0)))),
        (spec::OBJECT_COUNTER, nullable_unsigned(rows().map(|row| (row.object > 0).then_some(row.object)))),
        (spec::KEY_ACTOR, nullable_unsigned(rows().map(|row| matches!(row.key, Key::Element(_)).then_some(0)))),
        (spec::KEY_COUNTER, deltas(rows().map(|row| element(row.key)))),
        (spec::KEY_STRING, nullable_strings(rows().map(|row| name(row.key)))),
        (operation::ID_ACTOR, unsigned(rows().map(|_| 0))),
        (operation::ID_COUNTER, deltas(order.iter().map(|i| Some(signed(i + 1))))),
        (spec::INSERT, booleans(rows().map(|row| row.insert))),
        (spec::ACTION, unsigned(rows().map(|row| row.action.number()))),
        (spec::VALUE_META, unsigned(rows().map(|row| row.scalar.meta))),
        (spec::VALUE, rows().flat_map(|row| row.scalar.bytes).copied().collect()),
        (operation::SUCCESSOR_COUNT, unsigned(replaced().map(|by| u64::from(by.is_some())))),
        (operation::SUCCESSOR_ACTOR, unsigned(replaced().flatten().map(|_| 0))),
        (operation::SUCCESSOR_COUNTER, deltas(replaced().flatten().map(Some))),
    ])
}

/// The operation that replaces each, if one does: at most one, since what is replaced is there no more.
fn successors(all: &[Row<'_>]) -> Result<Vec<Option<i64>>, Refusal> {
    let mut successors = vec![None; all.len()];
    for (id, row) in (1..).zip(all) {
        let Some(replaces) = row.replaces else { continue };
        let index = replaces.checked_sub(1).and_then(|i| usize::try_from(i).ok());
        let successor = index.and_then(|i| successors.get_mut(i)).ok_or(Refusal::Predecessor)?;
        if successor.replace(id).is_some() {
            return Err(Refusal::Predecessor);
        }
    }
    Ok(successors)
}

fn element(key: Key<'_>) -> Option<i64> {
    match key {
        Key::Name(_) => None,
        Key::Head => Some(0),
        Key::Element(number) => i64::try_from(number).ok(),
    }
}

fn name(key: Key<'_>) -> Option<&str> {
    match key {
        Key::Name(name) => Some(name),
        Key::Head | Key::Element(_) => None,
    }
}

/// Numbers and lengths of the columns that are there.
fn list(out: &mut Vec<u8>, columns: &[Column]) {
    let filled = || columns.iter().filter(|(_, data)| !data.is_empty());
    uleb(out, filled().count() as u64);
    for (number, data) in filled() {
        uleb(out, *number);
        uleb(out, data.len() as u64);
    }
}

fn chunk_of(body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![DOCUMENT_CHUNK];
    uleb(&mut hashed, body.len() as u64);
    hashed.extend(body);
    let hash = Sha256::digest(&hashed);
    [&MAGIC, &hash[..4], &hashed].concat()
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).expect("fewer than memory holds")
}
