//! From columns to values, with every run counted before it is made.

use super::reader::Reader;
use super::{MAX_KEY, Refusal};

/// What stood before in a column: it says which run an honest writer's encoder could have begun next.
#[derive(Clone, Copy, PartialEq)]
enum Before<T> {
    Nothing,
    Nulls,
    Run(T),
    Literal(T),
}

/// Decodes runs of values that may be null, at most `max` rows, each run counted before it is made.
///
/// Accepted is the one encoding that an honest writer makes: runs of two or more equal values, stretches of values that each differ from the
/// next, runs of nulls, each as long as it can be; and no column at all where there are only nulls.
fn runs<'a, T: Copy + PartialEq>(
    bytes: &'a [u8],
    max: usize,
    what: &'static str,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Refusal>,
) -> Result<Vec<Option<T>>, Refusal> {
    let mut from = Reader::new(bytes);
    let mut rows = Vec::with_capacity(if bytes.is_empty() { 0 } else { max.min(USUAL_ROWS) });
    let (mut before, mut only_nulls) = (Before::Nothing, true);
    let otherwise = Err(Refusal::NotCanonical(what));
    while from.remaining() > 0 {
        let head = from.signed()?;
        let count = if head == 0 { from.unsigned()? } else { head.unsigned_abs() };
        let room = max - rows.len();
        let count = usize::try_from(count).ok().filter(|n| *n <= room).ok_or(Refusal::TooManyOperations)?;
        only_nulls &= head == 0;
        match head {
            0 => {
                if count == 0 || before == Before::Nulls {
                    return otherwise;
                }
                rows.resize(rows.len() + count, None);
                before = Before::Nulls;
            }
            1.. => {
                let value = read(&mut from)?;
                if count == 1 || before == Before::Run(value) || before == Before::Literal(value) {
                    return otherwise;
                }
                rows.resize(rows.len() + count, Some(value));
                before = Before::Run(value);
            }
            _ => {
                if matches!(before, Before::Literal(_)) {
                    return otherwise;
                }
                for _ in 0..count {
                    let value = read(&mut from)?;
                    if before == Before::Run(value) || before == Before::Literal(value) {
                        return otherwise;
                    }
                    rows.push(Some(value));
                    before = Before::Literal(value);
                }
            }
        }
    }
    if only_nulls && !bytes.is_empty() { otherwise } else { Ok(rows) }
}

/// Room made before the first row; most links have fewer.
const USUAL_ROWS: usize = 32;

pub(super) fn unsigned(bytes: &[u8], max: usize, what: &'static str) -> Result<Vec<Option<u64>>, Refusal> {
    runs(bytes, max, what, Reader::unsigned)
}

/// Decodes the keys of maps, none longer than [`MAX_KEY`].
pub(super) fn keys(bytes: &[u8], max: usize) -> Result<Vec<Option<&str>>, Refusal> {
    runs(bytes, max, "keys", |from| match from.length()? {
        len if len > MAX_KEY => Err(Refusal::LongKey),
        len => std::str::from_utf8(from.take(len)?).map_err(|_| Refusal::Invalid("text")),
    })
}

pub(super) fn deltas(bytes: &[u8], max: usize, what: &'static str) -> Result<Vec<Option<i64>>, Refusal> {
    let mut last = 0i64;
    let mut rows = runs(bytes, max, what, Reader::signed)?;
    for row in rows.iter_mut().flatten() {
        last = last.checked_add(*row).ok_or(Refusal::Invalid("integer"))?;
        *row = last;
    }
    Ok(rows)
}

/// Decodes the lengths of alternating runs, the first of `false`; only that one may be empty, and only before another.
pub(super) fn booleans(bytes: &[u8], max: usize, what: &'static str) -> Result<Vec<bool>, Refusal> {
    let mut from = Reader::new(bytes);
    let mut rows = Vec::with_capacity(if bytes.is_empty() { 0 } else { max.min(USUAL_ROWS) });
    let mut value = false;
    while from.remaining() > 0 {
        let is_first = from.remaining() == bytes.len();
        let room = max - rows.len();
        let count = usize::try_from(from.unsigned()?).ok().filter(|n| *n <= room).ok_or(Refusal::TooManyOperations)?;
        if count == 0 && !(is_first && from.remaining() > 0) {
            return Err(Refusal::NotCanonical(what));
        }
        rows.resize(rows.len() + count, value);
        value = !value;
    }
    Ok(rows)
}
