//! Sets of byte ranges.

use std::ops::Range;

use iroh_blobs::protocol::ChunkRanges;

/// Bytes in one chunk of BLAKE3.
const CHUNK: u64 = 1024;

/// Byte ranges: sorted, none empty, none touching.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// The bytes below `size` that a set of chunks covers.
    pub(crate) fn of_chunks(chunks: &ChunkRanges, size: u64) -> Self {
        // Boundaries alternate between the first chunk in and the first one out; an open end means the last chunk.
        let mut bounds = chunks.boundaries().iter().map(|chunk| chunk.0.saturating_mul(CHUNK).min(size));
        let mut ranges = Vec::new();
        while let Some(start) = bounds.next() {
            let end = bounds.next().unwrap_or(size);
            if start < end {
                ranges.push(start..end);
            }
        }
        Self(ranges)
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(ranges: [(u64, u64); N]) -> Self {
        Self(ranges.into_iter().map(|(start, end)| start..end).collect())
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every byte below `size` is in.
    pub(crate) fn covers(&self, size: u64) -> bool {
        self.without(size).is_empty()
    }

    /// The bytes below `size` that are not in.
    pub(crate) fn without(&self, size: u64) -> Self {
        let mut missing = Vec::new();
        let mut at = 0;
        for range in &self.0 {
            if at < range.start.min(size) {
                missing.push(at..range.start.min(size));
            }
            at = at.max(range.end);
        }
        if at < size {
            missing.push(at..size);
        }
        Self(missing)
    }

    /// Takes a range out.
    pub(crate) fn cut(&mut self, out: &Range<u64>) {
        let split = |r: &Range<u64>| [r.start..r.end.min(out.start), r.start.max(out.end)..r.end];
        self.0 = self.0.iter().flat_map(split).filter(|r| r.start < r.end).collect();
    }

    /// What of a range is in.
    pub(crate) fn within(&self, range: &Range<u64>) -> Self {
        let part = |r: &Range<u64>| r.start.max(range.start)..r.end.min(range.end);
        Self(self.0.iter().map(part).filter(|r| r.start < r.end).collect())
    }

    /// The lowest range.
    pub(crate) fn first(&self) -> Option<&Range<u64>> {
        self.0.first()
    }
}

#[cfg(test)]
mod tests {
    use iroh_blobs::protocol::ChunkRangesExt;

    use super::*;

    #[test]
    fn chunks_become_bytes_up_to_the_signed_length_and_no_further() {
        assert_eq!(Ranges::of_chunks(&ChunkRanges::all(), 5000), Ranges::of([(0, 5000)]));
        assert_eq!(Ranges::of_chunks(&ChunkRanges::empty(), 5000), Ranges::default());
        let some = ChunkRanges::chunks(1..2) | ChunkRanges::chunks(4..9);
        assert_eq!(Ranges::of_chunks(&some, 5000), Ranges::of([(1024, 2048), (4096, 5000)]));
        assert_eq!(Ranges::of_chunks(&some, 4096), Ranges::of([(1024, 2048)]));
    }

    #[test]
    fn what_is_missing_and_what_is_there_make_the_whole() {
        let have = Ranges::of([(1, 4), (6, 9)]);
        assert_eq!(have.without(12), Ranges::of([(0, 1), (4, 6), (9, 12)]));
        assert_eq!(have.len() + have.without(12).len(), 12);
        assert_eq!(have.without(7), Ranges::of([(0, 1), (4, 6)]));
        assert!(have.without(12).without(12) == have && !have.covers(9) && Ranges::of([(0, 9)]).covers(9));
    }

    #[test]
    fn cutting_splits_shortens_and_removes() {
        let mut ranges = Ranges::of([(0, 10), (20, 30), (40, 50)]);
        ranges.cut(&(5..6));
        ranges.cut(&(18..32));
        ranges.cut(&(45..99));
        assert_eq!(ranges, Ranges::of([(0, 5), (6, 10), (40, 45)]));
        assert_eq!(ranges.within(&(3..41)), Ranges::of([(3, 5), (6, 10), (40, 41)]));
        assert!(ranges.within(&(10..40)).is_empty());
    }
}
