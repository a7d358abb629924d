//! Which provider brings which piece.

use std::ops::Range;

use sedge_statement::NodeId;

use super::Ranges;

/// What the transport verifies at once: ranges begin and end at multiples of it, or at the end of the file.
pub(crate) const BLOCK: u64 = 16 << 10;
/// A piece without a download limit: some hundred round trips' worth on a fast link, a minute on a slow radio, and
/// little enough that a provider lost in the middle costs nothing that counts.
const PIECE: u64 = 4 << 20;
/// With a limit, a piece is this part of a second's worth, so that waiting between pieces keeps to the limit on the
/// wire and not only on the disk.
const PIECES_PER_SECOND: u64 = 4;

/// A provider, and how many more pieces it may be asked for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) peer: NodeId,
    pub(crate) free: u32,
}

/// One piece to ask one provider for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) peer: NodeId,
    pub(crate) range: Range<u64>,
}

/// How large pieces are under a download limit.
pub(crate) fn piece_size(limit: Option<u64>) -> u64 {
    let piece = limit.map_or(PIECE, |rate| (rate / PIECES_PER_SECOND).min(PIECE));
    (piece / BLOCK * BLOCK).max(BLOCK)
}

/// Gives out what is missing, lowest first, one piece to each provider in turn, best provider first.
pub(crate) fn assign(missing: &Ranges, piece: u64, slots: &[Slot]) -> Vec<Order> {
    let mut missing = missing.clone();
    let mut slots = slots.to_vec();
    let mut orders = Vec::new();
    while slots.iter().any(|s| s.free > 0) {
        for slot in slots.iter_mut().filter(|s| s.free > 0) {
            let Some(range) = missing.first().map(|r| cut_out(r, piece)) else { return orders };
            missing.cut(&range);
            slot.free -= 1;
            orders.push(Order { peer: slot.peer, range });
        }
    }
    orders
}

/// The first piece of a range, ending at a multiple of the block unless the range ends before.
fn cut_out(range: &Range<u64>, piece: u64) -> Range<u64> {
    let start = range.start / BLOCK * BLOCK;
    start..range.end.min(start.saturating_add(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn pieces_go_round_the_providers_and_cover_what_is_missing_once() {
        let missing = Ranges::of([(0, 100_000), (131_072, 200_000)]);
        let slots = [Slot { peer: node(1), free: 2 }, Slot { peer: node(2), free: 9 }];
        let orders = assign(&missing, 2 * BLOCK, &slots);
        let mut left = missing;
        for order in &orders {
            assert_eq!(order.range.start % BLOCK, 0);
            let before = left.len();
            left.cut(&order.range);
            assert_eq!(before - left.len(), order.range.end - order.range.start, "asked for once");
        }
        assert!(left.is_empty());
        let peers: Vec<u8> = orders.iter().map(|o| o.peer.as_bytes()[0]).collect();
        assert_eq!(peers, [1, 2, 1, 2, 2, 2, 2]);
    }

    #[test]
    fn nobody_free_or_nothing_missing_makes_no_order() {
        assert!(assign(&Ranges::of([(0, 9)]), BLOCK, &[Slot { peer: node(1), free: 0 }]).is_empty());
        assert!(assign(&Ranges::default(), BLOCK, &[Slot { peer: node(1), free: 1 }]).is_empty());
    }

    #[test]
    fn a_piece_under_a_limit_is_a_fraction_of_a_second_and_at_least_a_block() {
        assert_eq!(piece_size(None), 4 << 20);
        assert_eq!(piece_size(Some(1 << 20)), 256 << 10);
        assert_eq!(piece_size(Some(1)), BLOCK);
        assert_eq!(piece_size(Some(u64::MAX)), 4 << 20);
    }
}
