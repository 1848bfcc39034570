//! Where a kdump-compressed file should end, by its descriptors, and how many of its pages it has.

use core::ops::Range;

use super::page::{DESCS, PageScratch, Pages, Place};
use super::raw::DESC_LEN;
use crate::error::Error;

/// Descriptors that fail to be read, after which no further ones are asked for the end of the file.
const FAILURES: usize = 4096;

/// The last pages of a file, as numbers of the pages up to them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    /// Up to the last one with data of its own; 0 when none has any.
    own: u64,
    /// Up to the last one with data or shared zeros.
    given: u64,
}

impl Last {
    /// Those whose data should end the file: one descriptor may be damaged, and threads may have written them
    /// in another order.
    fn near(self) -> Range<u64> {
        self.own.saturating_sub(DESCS as u64)..self.own
    }
}

impl Pages<'_> {
    /// Where the data of page `index` ends, when it has some of its own.
    fn own_end(&self, file: usize, index: u64, scratch: &mut PageScratch) -> Option<u64> {
        match self.place(file, index, 0, scratch) {
            Ok(Place::Raw(offset)) => Some(offset.saturating_add(self.page_size.into())),
            Ok(Place::Packed(_, offset, size)) => Some(offset.saturating_add(size.into())),
            _ => None,
        }
    }

    /// The first `count` descriptors, as far as the file has them.
    fn listed(&self, count: u64) -> u64 {
        let listed = self.size.saturating_sub(self.table).checked_div(DESC_LEN as u64).unwrap_or(0);
        count.min(listed)
    }

    /// The last of the first `count` pages that tell where the file ends. Walks back over those that do not, as
    /// many as there are: shared zeros may be all of the upper memory.
    pub(super) fn last(&self, file: usize, count: u64, scratch: &mut PageScratch) -> Last {
        let (mut last, mut failed) = (Last { own: 0, given: 0 }, 0_usize);
        let mut end = self.listed(count);
        // Forward within a block: its descriptors are read at once.
        while end > 0 && last.own == 0 && failed < FAILURES {
            let start = end.saturating_sub(1) & !(DESCS as u64).saturating_sub(1);
            let (mut own, mut given) = (0, 0);
            for index in start..end {
                match self.place(file, index, 0, scratch) {
                    Ok(Place::Zero) => given = index.saturating_add(1),
                    Ok(Place::Raw(_) | Place::Packed(..)) => {
                        own = index.saturating_add(1);
                        given = own;
                    }
                    Ok(Place::Lost) | Err(Error::Page { .. } | Error::Truncated { .. }) => {}
                    Err(_) => failed = failed.saturating_add(1),
                }
            }
            last = Last { own, given: last.given.max(given) };
            end = start;
        }
        last
    }

    /// Where the file should end that has `count` pages, of which `last` are the last: behind them, or behind
    /// the descriptors when it is too short even for those.
    pub(super) fn end(&self, file: usize, count: u64, last: Last, scratch: &mut PageScratch) -> u64 {
        let table = self.table.saturating_add(count.saturating_mul(DESC_LEN as u64));
        let zeros = (self.zero && last.given > 0).then(|| self.data.saturating_add(self.page_size.into()));
        let ends = last.near().filter_map(|index| self.own_end(file, index, scratch));
        ends.chain(zeros).max().unwrap_or(table).max(table)
    }

    /// How many of the first `count` pages are in the file as far as it goes, when their data
    /// lies in their order as every writer puts it: those in front of the first one that is not.
    pub(super) fn readable(&self, file: usize, count: u64, last: Last, scratch: &mut PageScratch) -> u64 {
        let mut fits = |index: u64| self.own_end(file, index, scratch).map(|end| end <= self.size);
        let Some(mut lost) = last.near().find(|index| fits(*index) == Some(false)) else {
            // Of an unfinished file the descriptors behind the last page are zero.
            return if self.unfinished { last.given } else { self.listed(count) };
        };
        let (mut low, mut high) = (0, lost);
        while low < high {
            let middle = low.midpoint(high);
            // What is looked at here is not looked at again, however many pages say nothing.
            match (middle..high).find_map(|index| fits(index).map(|fits| (index, fits))) {
                Some((index, true)) => low = index.saturating_add(1),
                Some((index, false)) => (lost, high) = (index, middle),
                None => high = middle,
            }
        }
        lost
    }

    /// The first of `count` pages that is not in the file, as far as the descriptors tell.
    pub(super) fn first_lost(&self, file: usize, count: u64, scratch: &mut PageScratch) -> u64 {
        let listed = self.listed(count);
        (0..listed).find(|index| !self.kind(file, *index, 0, scratch).is_readable()).unwrap_or(listed)
    }

    /// How many of the first `count` pages are not in the file, of which all behind `readable` that have data
    /// are lost. Zeros that are shared lie in front of the end of a cut file.
    pub(super) fn lost(&self, file: usize, count: u64, readable: u64, scratch: &mut PageScratch) -> u64 {
        let all = count.saturating_sub(readable);
        if !self.zero {
            return all;
        }
        let behind = readable..self.listed(count);
        let there = behind.filter(|index| self.kind(file, *index, 0, scratch).is_readable()).count() as u64;
        all.saturating_sub(there)
    }
}
