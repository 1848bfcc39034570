//! The class of every page of a dump.

use alloc::vec::Vec;
use core::array;
use core::ops::Range;

use super::judge::{Gather, judge};
use super::page_set::PageSet;
use super::pages::touched;
use super::{Classes, ScanReport, contradicts_itself};
use crate::dump::{Dump, PageClass, SpanKind};
use crate::error::Error;
use crate::room::push;

/// Classes there are.
const COUNT: usize = PageClass::ALL.len();
/// Bytes of a page where the dump does not say.
const USUAL_PAGE: u64 = 4096;
/// Pages that are looked at first for the end of a range.
const STEP: u64 = 256;
/// The most pieces of RAM.
const MAX_RAM: usize = 1 << 21;

/// What the dead kernel says of each page of its RAM, also of pages the dump does not have: free, of user
/// processes, of the page cache, or none of these.
///
/// Takes a bit for each page and class, where there are pages of that class nearby.
#[derive(Debug)]
pub struct ClassMap {
    sets: [PageSet; COUNT],
    ram: Vec<Range<u64>>,
    page_size: u64,
    report: ScanReport,
    is_doubtful: bool,
}

/// What one thread found.
struct Found([PageSet; COUNT]);

impl Gather for Found {
    fn add(&mut self, pfns: Range<u64>, class: PageClass) -> Result<(), Error> {
        for (set, other) in self.0.iter_mut().zip(PageClass::ALL) {
            if other == class {
                set.add(pfns.clone())?;
            }
        }
        Ok(())
    }

    #[cfg(feature = "std")]
    fn join(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.take(theirs);
        }
    }
}

impl ClassMap {
    /// Looks at the kernel's record of every page, with as many threads, the caller's among them. The map is
    /// the same for any number of them.
    ///
    /// # Errors
    /// Those of [`Scan::new`](crate::Scan::new), and [`Error::OutOfMemory`].
    pub fn new(dump: &Dump<'_>, threads: u16) -> Result<Self, Error> {
        let page_size = dump.page_size().unwrap_or(USUAL_PAGE);
        let ram = ram(dump, page_size)?;
        let end = ram.last().map_or(0, |last| last.end);
        let none = || -> Result<Found, Error> {
            let mut sets = array::from_fn(|_| PageSet::default());
            for set in &mut sets {
                *set = PageSet::new(end)?;
            }
            Ok(Found(sets))
        };
        let (Found(mut sets), report) = judge(dump, Classes::from_level(31), &ram, threads, none)?;
        let is_doubtful = contradicts_itself(dump, &report);
        if is_doubtful {
            sets = array::from_fn(|_| PageSet::default());
        }
        Ok(Self { sets, ram, page_size, report, is_doubtful })
    }

    /// The class of page `pfn`; `None` of what is no RAM, is used by the kernel, or could not be judged.
    #[must_use]
    pub fn class(&self, pfn: u64) -> Option<PageClass> {
        let index = self.ram.partition_point(|range| range.end <= pfn);
        let inside = self.ram.get(index).is_some_and(|range| range.start <= pfn);
        let mut sets = self.sets.iter().zip(PageClass::ALL);
        let bit = 1_u64.checked_shl(u32::try_from(pfn % 64).unwrap_or(0)).unwrap_or(0);
        sets.find(|(set, _)| inside && set.word(pfn & !63) & bit != 0).map(|(_, class)| class)
    }

    /// Page frame numbers by class, ascending; neighbours differ in it. What is no RAM is left out.
    pub fn ranges(&self) -> impl Iterator<Item = (Range<u64>, Option<PageClass>)> {
        let mut pfn = 0;
        core::iter::from_fn(move || {
            let found = self.range_from(pfn)?;
            pfn = found.0.end;
            Some(found)
        })
    }

    /// The pages of one class that begin with page `pfn`, or with the next one that is RAM; `None` when there is none.
    #[must_use]
    pub fn range_from(&self, pfn: u64) -> Option<(Range<u64>, Option<PageClass>)> {
        let index = self.ram.partition_point(|range| range.end <= pfn);
        let ram = self.ram.get(index)?;
        let start = pfn.max(ram.start);
        let all = || self.sets.iter().zip(PageClass::ALL);
        if let Some((set, class)) =
            all().find(|(set, _)| set.next(true, start, start.saturating_add(1)) == start)
        {
            return Some((start..set.next(false, start, ram.end), Some(class)));
        }
        // A look at all of what lies behind would be taken again for each range: it goes twice as far each time.
        let mut step = STEP;
        loop {
            let limit = start.saturating_add(step).min(ram.end);
            let end = all().fold(limit, |end, (set, _)| set.next(true, start, end));
            if end < limit || limit == ram.end {
                return Some((start..end, None));
            }
            step = step.saturating_mul(2);
        }
    }

    /// Pages of a class.
    #[must_use]
    pub fn pages(&self, class: PageClass) -> u64 {
        let of = self.sets.iter().zip(PageClass::ALL).filter(|(_, other)| *other == class);
        let count = |set: &PageSet| {
            self.ram.iter().map(|range| set.count(range.clone())).fold(0, u64::saturating_add)
        };
        of.map(|(set, _)| count(set)).fold(0, u64::saturating_add)
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    /// What was looked at, and what could not be.
    #[must_use]
    pub fn report(&self) -> ScanReport {
        self.report
    }

    /// Whether the records contradict what VMCOREINFO says of them: no page has a class then.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }
}

/// The pages of the machine's RAM.
fn ram(dump: &Dump<'_>, page_size: u64) -> Result<Vec<Range<u64>>, Error> {
    let mut ram: Vec<Range<u64>> = Vec::new();
    for span in dump.spans_to_the_end().filter(|span| span.kind != SpanKind::Hole) {
        let pfns = touched(span.range, page_size);
        if let Some(last) = ram.last_mut().filter(|last| last.end >= pfns.start) {
            last.end = last.end.max(pfns.end);
            continue;
        }
        if ram.len() >= MAX_RAM {
            let (value, limit) = (ram.len() as u64, MAX_RAM as u64);
            return Err(Error::TooLarge { what: "number of pieces of RAM", value, limit });
        }
        push(&mut ram, "the RAM of the machine", pfns)?;
    }
    Ok(ram)
}
