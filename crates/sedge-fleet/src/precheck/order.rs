//! Where each operation stands in a saved document, which keeps operations by what they are about and not as they came.
//!
//! The order is object by object, the root first and then as they were made; in a map key by key, in the order of their bytes; in a list or text
//! element by element; and about one key or element as they came. Deletions are left out: what they delete names them.

use super::Refusal;
use super::rows::{Action, Key, Row};

/// What an operation is about inside its object, so that it sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject<'a> {
    Name(&'a str),
    /// An element, by how many stand before it.
    Element(usize),
}

/// The operations in a saved document's order, each by its number less one. `rows` are all operations of a document's one author, the first being
/// number one.
pub(super) fn order(rows: &[Row<'_>]) -> Result<Vec<usize>, Refusal> {
    let places = places(rows)?;
    let kept = rows.iter().enumerate().filter(|(_, row)| row.action != Action::Delete);
    let mut sorted: Vec<_> =
        kept.map(|(i, row)| Ok((row.object, subject(i + 1, row, &places)?, i))).collect::<Result<_, Refusal>>()?;
    sorted.sort_unstable();
    Ok(sorted.into_iter().map(|(_, _, i)| i).collect())
}

fn subject<'a>(id: usize, row: &Row<'a>, places: &[usize]) -> Result<Subject<'a>, Refusal> {
    let number = match row.key {
        Key::Name(name) if !row.insert => return Ok(Subject::Name(name)),
        Key::Element(number) if !row.insert => usize::try_from(number).map_err(|_| Refusal::UnknownElement)?,
        _ => id,
    };
    places.get(number).copied().map(Subject::Element).ok_or(Refusal::UnknownElement)
}

/// How many elements of its list stand before each element, deleted ones too, by the number of the operation that inserted it.
///
/// Where one author inserts, nothing is concurrent: a new element stands right behind the one that it names.
fn places(rows: &[Row<'_>]) -> Result<Vec<usize>, Refusal> {
    // By number; zero, which is the root, stands for none.
    let mut first = vec![0; rows.len() + 1];
    let mut next = vec![0; rows.len() + 1];
    for (id, row) in (1..).zip(rows).filter(|(_, row)| row.insert) {
        let earlier = |number: u64| usize::try_from(number).ok().filter(|n| *n < id);
        let before = match row.key {
            Key::Element(after) => &mut next[earlier(after).ok_or(Refusal::UnknownElement)?],
            Key::Head | Key::Name(_) => &mut first[earlier(row.object).ok_or(Refusal::UnknownObject)?],
        };
        next[id] = std::mem::replace(before, id);
    }
    let mut places = vec![0; rows.len() + 1];
    for mut element in first {
        let mut place = 0;
        while element > 0 {
            places[element] = place;
            place += 1;
            element = next[element];
        }
    }
    Ok(places)
}
