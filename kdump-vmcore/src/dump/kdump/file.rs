//! One file of a dump, and how much of it is there.

use core::ops::Range;

use kdump_elf::PhysRange;

use super::bitmap::Bitmap;
use super::end::Last;
use super::header::Header;
use super::page::{PageScratch, Pages};
use crate::dump::Completeness;
use crate::dump::part::Part;
use crate::dump::remembered::Remembered;
use crate::error::Error;
use crate::room::zeroed;
use crate::source::ReadAt;

/// Bit of `status`: the writer could not finish.
pub(crate) const INCOMPLETE: u32 = 8;
/// Bit of the dump level: pages of zeros were left out, and share one page here.
pub(crate) const LEVEL_ZERO: u32 = 1;

/// A file of the dump.
pub(super) struct File<'s> {
    pub(super) pages: Pages<'s>,
    /// The page frames it has.
    pub(super) pfns: Range<u64>,
    /// Pages stored before `pfns`.
    pub(super) rank: u64,
    /// How many of its pages the file is long enough for.
    pub(super) readable: u64,
    /// Those that tell where it ends.
    pub(super) last: Last,
    /// Bytes it should have where its pages stand in no order; 0 where that is not known.
    whole_size: u64,
}

/// A file of which the headers were read.
pub(super) struct Opened<'s> {
    pub(super) source: Part<'s>,
    pub(super) header: Header,
    /// Its place on the command line, from 1.
    pub(super) number: u32,
    /// Bits set in its bitmap of stored pages: so many descriptors there is room for.
    pub(super) ones: u64,
}

impl Opened<'_> {
    /// The page frames it has.
    pub(super) fn pfns(&self) -> Range<u64> {
        let pfns = self.header.split.clone().unwrap_or(0..self.header.max_mapnr);
        pfns.start..pfns.end.min(self.header.max_mapnr)
    }
}

impl<'s> File<'s> {
    pub(super) fn new(
        index: usize,
        part: Opened<'s>,
        pfns: Range<u64>,
        (set, good, scattered): (&Header, Option<u64>, Option<u64>),
        stored: &Bitmap,
        scratch: &mut PageScratch,
    ) -> Result<Self, Error> {
        let mut pages = Pages::new(part.source, &part.header, part.ones, good)?;
        if set.dump_level & LEVEL_ZERO != 0 {
            let mut page = zeroed("page", set.block_size())?;
            let read = pages.source.read_full_at(pages.data, &mut page);
            let place = pages.data..pages.data.saturating_add(set.block_size());
            // Zeros that a stream does not have may be in the place of anything.
            let inside = place.end <= pages.size && pages.source.hole(place).is_none();
            pages.zero = inside && read.is_ok() && page.iter().all(|byte| *byte == 0);
        }
        let rank = stored.rank(pfns.start);
        let count = stored.rank(pfns.end).saturating_sub(rank);
        let last = pages.last(index, count, scratch);
        let readable = match scattered {
            // Any page may be behind the end.
            Some(size) if pages.unfinished || pages.size < size => pages.first_lost(index, count, scratch),
            _ => pages.readable(index, count, last, scratch),
        };
        Ok(Self { pages, pfns, rank, readable, last, whole_size: scattered.unwrap_or(0) })
    }

    /// Pages that have a descriptor in this file.
    pub(super) fn count(&self, stored: &Bitmap) -> u64 {
        stored.rank(self.pfns.end).saturating_sub(self.rank)
    }

    /// Pages that are not among the first readable ones and lost for a reason that is remembered.
    pub(super) fn noted(&self, stored: &Bitmap, remembered: &Remembered, page: u64) -> u64 {
        let behind = self.rank.saturating_add(self.readable);
        let rank = |paddr: u64| stored.rank(paddr.checked_div(page).unwrap_or(0)).max(behind);
        let spans = remembered.ranges().iter().filter(|span| span.kind.is_lost());
        let count = |range: PhysRange| rank(range.end()).saturating_sub(rank(range.start()));
        spans.map(|span| count(span.range)).fold(0, u64::saturating_add)
    }

    /// Adds the file's size to what is there and what should be; returns how many of its pages
    /// are not there.
    pub(super) fn expect(
        &self,
        stored: &Bitmap,
        sum: &mut Completeness,
        scratch: &mut PageScratch,
        index: usize,
    ) -> u64 {
        let count = self.count(stored);
        let end = self.pages.end(index, count, self.last, scratch).max(self.whole_size);
        sum.file_size = sum.file_size.saturating_add(self.pages.size);
        sum.expected_size = sum.expected_size.saturating_add(end);
        self.pages.lost(index, count, self.readable, scratch)
    }
}
