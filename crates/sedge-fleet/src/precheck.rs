//! What a change must be before Automerge sees it.
//!
//! A chunk of 64 bytes that passes Automerge's own checks can expand to a million operations, never end, panic, or leave a
//! document that never loads again. So every link is read here first, by a decoder that counts rows before it makes them, against
//! the state that the chain is in: the [`Shape`]. What passes is exactly what an honest writer's Automerge would have
//! written: each column is in the one encoding that such a writer makes, and each operation names the one value that it replaces.
//!
//! The same decoder serves to write a whole chain as one saved document (`document.rs`), which Automerge loads faster than it applies links.
//!
//! Layout of a chunk: magic (4) ‖ checksum (4) ‖ type 1 ‖ uleb length ‖ body. Body: dependencies ‖ actor ‖ seq ‖ start of
//! operations ‖ time ‖ message ‖ other actors ‖ column list ‖ column data.

mod columns;
mod content;
mod decode;
mod document;
mod encode;
mod order;
mod reader;
mod rows;
mod sequence;
mod shape;
#[cfg(test)]
mod tests;

use sedge_statement::{ChangeHash, Timestamp};
use sha2::{Digest, Sha256};

use reader::Reader;

#[cfg(feature = "testing")]
pub use columns::spec;
pub(crate) use document::document;
#[cfg(feature = "testing")]
pub(crate) use encode::{booleans, deltas, nullable_strings, nullable_unsigned, sleb, uleb, unsigned};
pub(crate) use shape::Shape;

/// The largest link, bytes: a deployment with a long selector, twice over.
pub const MAX_LINK_BYTES: usize = 64 << 10;
/// The most operations in one link: a profile or a dozen slot reports at once.
pub const MAX_OPERATIONS: usize = 512;
/// The longest message of a link, bytes.
pub const MAX_MESSAGE: usize = 256;
/// The longest key of a map, bytes: three times the schema's longest. A run writes a key once for any number of operations, each of which
/// keeps a copy.
pub(crate) const MAX_KEY: usize = 256;
/// What a link is counted as besides its operations, bytes: its record, hash and head.
const LINK_COST: usize = 512;
/// What an operation is counted as besides its key and value, bytes: about what it takes in memory inside a map of several.
const OPERATION_COST: usize = 128;
/// The most that one link can be counted as: see [`Shape::cost`].
pub(crate) const MAX_LINK_COST: usize = LINK_COST + MAX_OPERATIONS * (OPERATION_COST + MAX_KEY) + MAX_LINK_BYTES;

pub(crate) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;
/// Past this a clock is broken; a signed 64-bit time near its ends also overflows Automerge's delta encoding.
const MAX_TIME: i64 = 1 << 53;

/// Why a link is not accepted. Only a broken or hostile writer makes one: drop it, and count it against its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Longer than [`MAX_LINK_BYTES`].
    #[error("{0} bytes, above the limit of {MAX_LINK_BYTES}")]
    TooLong(usize),
    /// Ends early, or a length in it points outside.
    #[error("truncated")]
    Truncated,
    /// Not an Automerge chunk.
    #[error("no Automerge chunk")]
    NotAChunk,
    /// A document, a compressed change or a bundle, which can expand without bound.
    #[error("chunk type {0}, where only uncompressed changes are accepted")]
    ChunkType(u8),
    /// Bytes follow the chunk or its columns.
    #[error("trailing bytes")]
    Trailing,
    /// The checksum is not that of the content.
    #[error("checksum does not match")]
    Checksum,
    /// Not the bytes that an honest writer produces for this content.
    #[error("not the canonical encoding of {0}")]
    NotCanonical(&'static str),
    /// The writer is not the document's one actor.
    #[error("another actor than the document's own")]
    Actor,
    /// Names actors besides the writer.
    #[error("names other actors")]
    OtherActors,
    /// Not the next sequence number.
    #[error("sequence number {found}, where {wanted} follows")]
    Seq {
        /// What it says.
        found: u64,
        /// What follows.
        wanted: u64,
    },
    /// Does not depend on exactly the link before.
    #[error("does not depend on exactly the link before")]
    Dependencies,
    /// Its operations do not start where those before ended.
    #[error("operations start at {found}, where {wanted} follows")]
    StartOp {
        /// What it says.
        found: u64,
        /// What follows.
        wanted: u64,
    },
    /// A time before 1970 or absurdly late.
    #[error("an impossible time")]
    Time,
    /// Longer than [`MAX_MESSAGE`].
    #[error("a message of {0} bytes")]
    Message(u64),
    /// More than [`MAX_OPERATIONS`], counted before any is made.
    #[error("more than {MAX_OPERATIONS} operations")]
    TooManyOperations,
    /// No operation at all.
    #[error("no operations")]
    Empty,
    /// A column that no honest writer produces, or a compressed one.
    #[error("unexpected column {0}")]
    Column(u64),
    /// A column holds another number of rows than there are operations.
    #[error("column of {0} has the wrong number of rows")]
    Rows(&'static str),
    /// A column's content is not what the column is for.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// An action or value that Sedge's documents never hold: counters, floats, marks, unknown types.
    #[error("an operation or value outside what documents hold")]
    Unsupported,
    /// Names an object that does not exist.
    #[error("names an object that does not exist")]
    UnknownObject,
    /// Names an element that does not exist.
    #[error("names an element that does not exist")]
    UnknownElement,
    /// Does not replace exactly the value that is there.
    #[error("does not replace exactly the value that is there")]
    Predecessor,
    /// A key longer than any of the schema's.
    #[error("a key of more than {MAX_KEY} bytes")]
    LongKey,
    /// Says again what the epoch follows, which its first link alone may say.
    #[error("says again what the epoch follows")]
    Handover,
    /// Replaces or removes evidence, or is more of it than is ever read.
    #[error("replaces, removes or drowns evidence, which is only ever added to")]
    Evidence,
    /// An object inside too many others.
    #[error("objects nested too deep")]
    TooDeep,
}

/// What the next link of a chain must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) actor: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) previous: Option<ChangeHash>,
}

/// A link's place in a chain, read without its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) hash: ChangeHash,
    pub(crate) seq: u64,
    pub(crate) previous: Option<ChangeHash>,
}

/// The two halves of a chunk that is a change: what its hash covers, and what it says.
struct Chunk<'a> {
    checksum: &'a [u8],
    hashed: &'a [u8],
    body: Reader<'a>,
}

/// The fields of a change before its columns.
struct Preamble<'a> {
    seq: u64,
    previous: Option<ChangeHash>,
    actor: &'a [u8],
    start_op: u64,
    /// Seconds since 1970.
    time: i64,
    message: &'a str,
    rest: Reader<'a>,
}

/// Reads where a link stands, and takes its hash: enough to follow a chain of hashes, not to apply it.
pub(crate) fn place(raw: &[u8], actor: &[u8]) -> Result<Place, Refusal> {
    let Chunk { checksum, hashed, body } = chunk(raw)?;
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    if hash[..4] != *checksum {
        return Err(Refusal::Checksum);
    }
    let preamble = preamble(body)?;
    if preamble.actor != actor {
        return Err(Refusal::Actor);
    }
    Ok(Place { hash: ChangeHash::from_bytes(hash), seq: preamble.seq, previous: preamble.previous })
}

/// Checks one link whole against the state of its chain, and moves the state past it. After an error the state is unusable. The link's own hash is
/// not taken again: whoever has the link has it from [`place`].
pub(crate) fn check(raw: &[u8], expected: Expected<'_>, shape: &mut Shape) -> Result<(), Refusal> {
    let Preamble { seq, previous, actor, start_op, time, mut rest, .. } = preamble(chunk(raw)?.body)?;
    if actor != expected.actor {
        return Err(Refusal::Actor);
    }
    if seq != expected.seq {
        return Err(Refusal::Seq { found: seq, wanted: expected.seq });
    }
    if previous != expected.previous {
        return Err(Refusal::Dependencies);
    }
    if start_op != shape.next_op() {
        return Err(Refusal::StartOp { found: start_op, wanted: shape.next_op() });
    }
    let columns = columns::read(&mut rest)?;
    for row in rows::rows(&columns)? {
        shape.apply(&row)?;
    }
    shape.end_link(time.unsigned_abs());
    Ok(())
}

/// What one operation of a link is about: an object, by the operation that made it, and the key in it where it is a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch<'a> {
    pub(crate) object: u64,
    pub(crate) name: Option<&'a str>,
}

/// What the operations of a link are about, in their order.
pub(crate) fn touches(raw: &[u8]) -> Result<Vec<Touch<'_>>, Refusal> {
    let mut rest = preamble(chunk(raw)?.body)?.rest;
    let columns = columns::read(&mut rest)?;
    Ok(rows::rows(&columns)?.into_iter().map(|row| Touch { object: row.object, name: row.key.name() }).collect())
}

/// When a link was made, by its author's clock; none where it cannot be read.
pub(crate) fn made_at(raw: &[u8]) -> Option<Timestamp> {
    let preamble = preamble(chunk(raw).ok()?.body).ok()?;
    Some(Timestamp::from_millis(preamble.time.unsigned_abs().saturating_mul(1000)))
}

fn chunk(raw: &[u8]) -> Result<Chunk<'_>, Refusal> {
    if raw.len() > MAX_LINK_BYTES {
        return Err(Refusal::TooLong(raw.len()));
    }
    let mut chunk = Reader::new(raw);
    if chunk.take(4).map_err(|_| Refusal::NotAChunk)? != MAGIC {
        return Err(Refusal::NotAChunk);
    }
    let checksum = chunk.take(4)?;
    let kind = chunk.take(1)?[0];
    if kind != CHANGE_CHUNK {
        return Err(Refusal::ChunkType(kind));
    }
    // Type, length and body, which is all that follows the checksum.
    let hashed = &raw[raw.len() - chunk.remaining() - 1..];
    let len = chunk.length()?;
    let body = Reader::new(chunk.take(len)?);
    if chunk.remaining() > 0 { Err(Refusal::Trailing) } else { Ok(Chunk { checksum, hashed, body }) }
}

fn preamble(mut body: Reader<'_>) -> Result<Preamble<'_>, Refusal> {
    let previous = match body.unsigned()? {
        0 => None,
        1 => {
            let bytes: [u8; 32] = body.take(32)?.try_into().expect("32 bytes were taken");
            Some(ChangeHash::from_bytes(bytes))
        }
        _ => return Err(Refusal::Dependencies),
    };
    let actor_len = body.length()?;
    let actor = body.take(actor_len)?;
    let seq = body.unsigned()?;
    let start_op = body.unsigned()?;
    let time = body.signed()?;
    if !(0..=MAX_TIME).contains(&time) {
        return Err(Refusal::Time);
    }
    let message_len = body.unsigned()?;
    if message_len > MAX_MESSAGE as u64 {
        return Err(Refusal::Message(message_len));
    }
    let message = body.take(usize::try_from(message_len).map_err(|_| Refusal::Truncated)?)?;
    let message = std::str::from_utf8(message).map_err(|_| Refusal::Invalid("message"))?;
    if body.unsigned()? != 0 {
        return Err(Refusal::OtherActors);
    }
    Ok(Preamble { seq, previous, actor, start_op, time, message, rest: body })
}
