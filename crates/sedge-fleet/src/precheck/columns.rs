//! The columns of a change: which there may be, and in which order.

use super::Refusal;
use super::reader::Reader;

/// The numbers of the columns that documents use: `id << 4 | type`.
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "with the feature, the attack tests of other crates build columns from these")
)]
pub mod spec {
    /// The actor of the object.
    pub const OBJECT_ACTOR: u64 = 0x01;
    /// The counter of the object.
    pub const OBJECT_COUNTER: u64 = 0x02;
    /// The actor of the element.
    pub const KEY_ACTOR: u64 = 0x11;
    /// The counter of the element, as differences.
    pub const KEY_COUNTER: u64 = 0x13;
    /// The map's key.
    pub const KEY_STRING: u64 = 0x15;
    /// Whether it inserts.
    pub const INSERT: u64 = 0x34;
    /// What it does.
    pub const ACTION: u64 = 0x42;
    /// The value's type and length.
    pub const VALUE_META: u64 = 0x56;
    /// The values' bytes.
    pub const VALUE: u64 = 0x57;
    /// How many operations it replaces.
    pub const PRED_COUNT: u64 = 0x70;
    /// Their actors.
    pub const PRED_ACTOR: u64 = 0x71;
    /// Their counters, as differences.
    pub const PRED_COUNTER: u64 = 0x73;
}

/// The bytes of each column; an absent one is empty.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) object_actor: &'a [u8],
    pub(super) object_counter: &'a [u8],
    pub(super) key_actor: &'a [u8],
    pub(super) key_counter: &'a [u8],
    pub(super) key_string: &'a [u8],
    pub(super) insert: &'a [u8],
    pub(super) action: &'a [u8],
    pub(super) value_meta: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) pred_count: &'a [u8],
    pub(super) pred_actor: &'a [u8],
    pub(super) pred_counter: &'a [u8],
}

impl<'a> Columns<'a> {
    fn slot(&mut self, number: u64) -> Option<&mut &'a [u8]> {
        Some(match number {
            spec::OBJECT_ACTOR => &mut self.object_actor,
            spec::OBJECT_COUNTER => &mut self.object_counter,
            spec::KEY_ACTOR => &mut self.key_actor,
            spec::KEY_COUNTER => &mut self.key_counter,
            spec::KEY_STRING => &mut self.key_string,
            spec::INSERT => &mut self.insert,
            spec::ACTION => &mut self.action,
            spec::VALUE_META => &mut self.value_meta,
            spec::VALUE => &mut self.value,
            spec::PRED_COUNT => &mut self.pred_count,
            spec::PRED_ACTOR => &mut self.pred_actor,
            spec::PRED_COUNTER => &mut self.pred_counter,
            // Marks, expansion and whatever comes later; and bit 3 of any, which says that the column is compressed.
            _ => return None,
        })
    }
}

/// Reads the list of columns and their data, which must end the change.
pub(super) fn read<'a>(from: &mut Reader<'a>) -> Result<Columns<'a>, Refusal> {
    /// As many as there are names above.
    const MAX: u64 = 12;
    let count = from.unsigned()?;
    if count > MAX {
        return Err(Refusal::Column(count));
    }
    let mut list = Vec::with_capacity(12);
    for _ in 0..count {
        let number = from.unsigned()?;
        let len = from.length()?;
        let in_order = list.last().is_none_or(|(before, _)| *before < number);
        if !in_order || len == 0 {
            return Err(Refusal::NotCanonical("column list"));
        }
        list.push((number, len));
    }
    let mut columns = Columns::default();
    for (number, len) in list {
        let data = from.take(len)?;
        *columns.slot(number).ok_or(Refusal::Column(number))? = data;
    }
    if from.remaining() > 0 { Err(Refusal::Trailing) } else { Ok(columns) }
}
