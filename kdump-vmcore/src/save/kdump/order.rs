//! Which pages are written first, so that a disk that becomes full has what a debugger needs most.

use core::ops::Range;

use super::super::leave_out::leave_out;
use super::super::report::{Doubt, WrittenOrder};
use super::plan::KdumpOptions;
use crate::dump::Dump;
use crate::filter::{Classes, PageSet};

/// The order in which pages are written. Descriptors stand in the order of addresses in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveOrder {
    /// That of their addresses.
    #[default]
    ByAddress,
    /// Before all others those that the dead kernel's array of `struct page` says to be neither free, nor of user
    /// processes, nor of the page cache: the kernel's text and data, page tables, stacks and slab. So are those
    /// of which it says nothing. Where nothing can be told, or what is told contradicts itself, the order is that
    /// of addresses, and the report says why.
    KernelFirst,
}

/// Cache, private cache, user and free (makedumpfile(8), "-d").
const LATER: u8 = 30;

/// Of `readable`, whose pages are below `end`, those that are written last. `doubt` is what was found when pages
/// were left out.
pub(super) fn later(
    dump: &Dump<'_>,
    options: KdumpOptions,
    doubt: Option<Doubt>,
    readable: &[Range<u64>],
    end: u64,
) -> (Option<PageSet>, WrittenOrder) {
    if options.order == SaveOrder::ByAddress {
        return (None, WrittenOrder::ByAddress);
    }
    if options.exclude.level() & LATER == LATER {
        // Nothing else is left.
        return (None, doubt.map_or(WrittenOrder::KernelFirst { pages: 0 }, WrittenOrder::Doubtful));
    }
    match leave_out(dump, Classes::from_level(LATER), readable, end, options.threads) {
        Err(error) => (None, WrittenOrder::Unknown(error)),
        Ok((later, told)) => match told.doubt {
            Some(doubt) => (None, WrittenOrder::Doubtful(doubt)),
            None => (Some(later), WrittenOrder::KernelFirst { pages: 0 }),
        },
    }
}

/// Goes over the pages of sorted ranges that are written, once in each of its passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen<'p> {
    pub(super) left_out: &'p PageSet,
    /// Those of the second pass; `None` where there is one pass only.
    pub(super) later: Option<&'p PageSet>,
    /// No page below this one is of the second pass.
    pub(super) first_end: u64,
    /// Whether this is the second pass.
    pub(super) second: bool,
}

impl Chosen<'_> {
    /// The first page from `pfn` on that is of this pass; `end` when there is none below it.
    pub(super) fn next(&self, pfn: u64, end: u64) -> u64 {
        let mut pfn = if self.second { pfn.max(self.first_end) } else { pfn };
        loop {
            let kept = self.left_out.next(false, pfn, end);
            let Some(later) = self.later.filter(|_| kept >= self.first_end) else { return kept };
            pfn = later.next(self.second, kept, end);
            if pfn == kept || pfn >= end {
                return pfn;
            }
        }
    }

    /// The first page behind `pfn`, which is of this pass, that is not; `limit` when all below it are.
    pub(super) fn end(&self, pfn: u64, limit: u64) -> u64 {
        let end = self.left_out.next(true, pfn, limit);
        self.later.map_or(end, |later| later.next(!self.second, pfn.max(self.first_end), end).min(end))
    }

    /// The pass behind this one.
    pub(super) fn following(self) -> Option<Self> {
        (self.later.is_some() && !self.second).then_some(Self { second: true, ..self })
    }
}
