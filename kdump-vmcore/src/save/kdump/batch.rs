//! The pages that are stored, in their order, a batch at a time.

use alloc::vec::Vec;
use core::ops::Range;

use crate::filter::PageSet;

/// Goes over the pages of sorted ranges that are not left out.
#[derive(Debug)]
pub(super) struct Batches<'p> {
    ranges: &'p [Range<u64>],
    left_out: &'p PageSet,
    /// Pages of a batch at most.
    pages: u64,
    /// The next page may be this one; none is behind the end.
    pfn: u64,
    end: u64,
    /// Number of the next batch.
    index: u64,
}

impl<'p> Batches<'p> {
    pub(super) fn new(ranges: &'p [Range<u64>], left_out: &'p PageSet, pfns: Range<u64>, pages: u64) -> Self {
        Self { ranges, left_out, pages, pfn: pfns.start, end: pfns.end, index: 0 }
    }

    /// Puts the pages of the next batch into `runs`, which has room for as many as a batch has pages, and
    /// returns its number.
    pub(super) fn next(&mut self, runs: &mut Vec<Range<u64>>) -> Option<u64> {
        runs.clear();
        let mut left = self.pages;
        while let Some(range) = self.ranges.first().filter(|_| left > 0) {
            let behind = range.end.min(self.end);
            let start = self.left_out.next(false, self.pfn.max(range.start), behind);
            if start >= behind {
                self.ranges = self.ranges.get(1..).unwrap_or_default();
                continue;
            }
            let limit = start.saturating_add(left).min(behind);
            let end = self.left_out.next(true, start, limit);
            runs.push(start..end);
            left = left.saturating_sub(end.saturating_sub(start));
            self.pfn = end;
        }
        if runs.is_empty() {
            return None;
        }
        let index = self.index;
        self.index = index.saturating_add(1);
        Some(index)
    }
}
