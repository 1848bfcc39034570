//! The pages that are stored, in the order they are written, a batch at a time.

use alloc::vec::Vec;
use core::ops::Range;

use super::order::Chosen;

/// Goes over the pages of sorted ranges that are not left out, in one pass or two.
#[derive(Debug)]
pub(super) struct Batches<'p> {
    all: &'p [Range<u64>],
    /// Those of this pass that are still to come.
    ranges: &'p [Range<u64>],
    chosen: Chosen<'p>,
    /// Pages of a batch at most.
    pages: u64,
    /// The next page may be this one; none is behind the end.
    pfn: u64,
    end: u64,
    /// Number of the next batch.
    index: u64,
}

impl<'p> Batches<'p> {
    pub(super) fn new(ranges: &'p [Range<u64>], chosen: Chosen<'p>, pfns: Range<u64>, pages: u64) -> Self {
        Self { all: ranges, ranges, chosen, pages, pfn: pfns.start, end: pfns.end, index: 0 }
    }

    /// Puts the pages of the next batch, which are of one pass, into `runs`, which has room for as many as a batch
    /// has pages, and returns its number.
    pub(super) fn next(&mut self, runs: &mut Vec<Range<u64>>) -> Option<u64> {
        self.fill(runs);
        if runs.is_empty() {
            self.chosen = self.chosen.following()?;
            (self.ranges, self.pfn) = (self.all, 0);
            self.fill(runs);
        }
        if runs.is_empty() {
            return None;
        }
        let index = self.index;
        self.index = index.saturating_add(1);
        Some(index)
    }

    fn fill(&mut self, runs: &mut Vec<Range<u64>>) {
        runs.clear();
        let mut left = self.pages;
        while let Some(range) = self.ranges.first().filter(|_| left > 0) {
            let behind = range.end.min(self.end);
            let start = self.chosen.next(self.pfn.max(range.start), behind);
            if start >= behind {
                self.ranges = self.ranges.get(1..).unwrap_or_default();
                continue;
            }
            let limit = start.saturating_add(left).min(behind);
            let end = self.chosen.end(start, limit);
            runs.push(start..end);
            left = left.saturating_sub(end.saturating_sub(start));
            self.pfn = end;
        }
    }
}
