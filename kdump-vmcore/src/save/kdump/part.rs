//! The files of a set: which pages each has, and how they are written at the same time.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use super::plan::KdumpPlan;
use crate::dump::kdump::DESC_LEN;
use crate::error::Error;
#[cfg(feature = "std")]
use crate::room::append;
use crate::room::push;

/// The most files of a set. Each takes half a MiB while it is written.
const MAX_PARTS: u16 = 256;

/// A file that has pages of a plan: all, or those of one file of a set.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// Page frame numbers.
    pub(super) pfns: Range<u64>,
    /// The pages of these that have a descriptor.
    pub(super) pages: u64,
    /// Headers and notes, as they are while the file is not finished.
    pub(super) head: Cow<'a, [u8]>,
    /// Whether it tells what is known of the whole dump.
    pub(super) first: bool,
    set: bool,
}

impl Part<'_> {
    /// What the header of a file of a set tells besides.
    pub(super) fn of_set(&self) -> Option<&Range<u64>> {
        Some(&self.pfns).filter(|_| self.set)
    }

    /// Bytes of its descriptors.
    pub(super) fn table_size(&self) -> u64 {
        self.pages.saturating_mul(DESC_LEN as u64)
    }
}

impl KdumpPlan<'_> {
    /// One file with everything.
    pub(super) fn whole(&self) -> Part<'_> {
        let head = Cow::Borrowed(self.head.as_slice());
        Part { pfns: 0..u64::MAX, pages: self.pages, head, first: true, set: false }
    }

    /// Which pages each of `count` files has: page frame numbers without a gap, and as many pages in each that
    /// are stored. Where there are fewer pages than files some have none.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than 256 files, and [`Error::OutOfMemory`].
    pub fn split(&self, count: u16) -> Result<Vec<Range<u64>>, Error> {
        if count > MAX_PARTS {
            let (value, limit) = (count.into(), MAX_PARTS.into());
            return Err(Error::TooLarge { what: "number of parts of a dump", value, limit });
        }
        let mut parts = Vec::new();
        let (mut start, mut pfn, mut before) = (0_u64, 0_u64, 0_u64);
        for index in 1..=u64::from(count) {
            let target = self.pages.saturating_mul(index).checked_div(count.into()).unwrap_or(0);
            let mut end = self.max_mapnr;
            if index < u64::from(count) {
                (pfn, before) = self.behind(pfn, before, target);
                end = pfn;
            }
            push(&mut parts, "the parts of the dump", start..end)?;
            start = end;
        }
        Ok(parts)
    }

    /// The page in front of which `target` pages are stored, of which `before` are in front of `pfn`; and how
    /// many there are.
    fn behind(&self, pfn: u64, before: u64, target: u64) -> (u64, u64) {
        let (mut pfn, mut before) = (pfn, before);
        let skip = self.readable.partition_point(|range| range.end <= pfn);
        for range in self.readable.get(skip..).unwrap_or_default() {
            pfn = pfn.max(range.start);
            while pfn < range.end && before < target {
                let start = self.left_out.next(false, pfn, range.end);
                let limit = start.saturating_add(target.saturating_sub(before)).min(range.end);
                let end = self.left_out.next(true, start, limit);
                before = before.saturating_add(end.saturating_sub(start));
                pfn = end;
            }
            if before >= target {
                break;
            }
        }
        (pfn, before)
    }

    /// A file of a set.
    #[cfg(feature = "std")]
    pub(super) fn part(&self, pfns: Range<u64>, first: bool) -> Result<Part<'static>, Error> {
        let mut head = Vec::new();
        append(&mut head, "the header of the new file", &self.head)?;
        self.headers(&mut head, Some(&pfns), true, self.note_size(true));
        Ok(Part { pages: self.stored(pfns.start, pfns.end), pfns, head: Cow::Owned(head), first, set: true })
    }
}
