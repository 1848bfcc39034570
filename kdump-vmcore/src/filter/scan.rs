//! Goes over the array of `struct page` and tells what need not be saved.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Arch, Endian, Vaddr};

use super::Classes;
use super::rules::{Evidence, Rules};
use super::sections::Sections;
use crate::dump::{Dump, PageClass, Reader};
use crate::error::{Error, Stopped};
use crate::kernel::KernelMemory;
use crate::room::PageAligned;

/// Pages whose `struct page`s are read at once, 64 KiB of them as a rule; a power of two.
const BATCH: u64 = 1024;
/// What is left out of a batch that cannot be read at once: a page of the array.
const STEP: u64 = 4096;

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanReport {
    /// Pages whose `struct page` was judged, or lies in a block of one that was.
    pub judged: u64,
    /// Pages that are kept because their `struct page` cannot be read.
    pub unreadable: u64,
    /// Pages that are kept because their section has no `struct page`s.
    pub without: u64,
    /// Records that say a free block begins there. Every kernel has some.
    pub blocks: u64,
    /// Records of pages on a list of used pages that say what these belong to.
    pub mappings: u64,
    /// Of `blocks` and `mappings`, records that contradict themselves: no block of that size can begin at
    /// that page, or nothing of the kernel is at that address. No kernel has any.
    pub impossible: u64,
    /// Whether the kernel tells how free blocks are known.
    pub tells_free: bool,
}

impl ScanReport {
    /// Records of which it says more than chance when none of them begins a free block: those of 16 MiB.
    const MANY: u64 = 1 << 12;

    /// Whether the records cannot be those of a kernel, so that nothing they say is to be believed:
    /// VMCOREINFO tells another size, other places or other values than this memory has. `whole` is whether
    /// all pages of the machine were looked at: what was filtered before need not have free ones.
    #[must_use]
    pub fn is_doubtful(&self, whole: bool) -> bool {
        let none = whole && self.tells_free && self.blocks == 0 && self.judged >= Self::MANY;
        none || self.impossible > 4 && self.impossible > self.blocks.saturating_add(self.mappings) / 16
    }

    /// Takes down what a record shows.
    fn weigh(&mut self, evidence: Evidence) {
        let (count, fits) = match evidence {
            Evidence::Silent => return,
            Evidence::Block(fits) => (&mut self.blocks, fits),
            Evidence::Mapping(fits) => (&mut self.mappings, fits),
        };
        *count = count.saturating_add(1);
        self.impossible = self.impossible.saturating_add(u64::from(!fits));
    }

    /// What both found.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            judged: self.judged.saturating_add(other.judged),
            unreadable: self.unreadable.saturating_add(other.unreadable),
            without: self.without.saturating_add(other.without),
            blocks: self.blocks.saturating_add(other.blocks),
            mappings: self.mappings.saturating_add(other.mappings),
            impossible: self.impossible.saturating_add(other.impossible),
            tells_free: self.tells_free || other.tells_free,
        }
    }
}

/// Looks through the pages of a dead kernel.
#[derive(Debug)]
pub struct Scan<'d> {
    memory: KernelMemory<Reader<'d>>,
    rules: Rules,
    sections: Sections,
    bytes: PageAligned,
    /// Which `struct page`s of `bytes` were read.
    good: Vec<bool>,
}

impl<'d> Scan<'d> {
    /// Prepares to tell `classes` in `dump`.
    ///
    /// # Errors
    /// [`Error::MissingKey`] for a key of VMCOREINFO without which they cannot be told, and
    /// [`Error::Unsupported`] for a machine other than x86_64, arm64 and i386.
    pub fn new(dump: &'d Dump<'_>, classes: Classes) -> Result<Self, Error> {
        let (word, usual) = match dump.arch().filter(|_| dump.endian() == Endian::Little) {
            Some(Arch::X86_64) => {
                let five = dump.vmcoreinfo().and_then(|info| info.number("pgtable_l5_enabled")) == Some(1);
                // What it has had since Linux 2.6.31 where nothing is told.
                (8, Some((27, if five { 52 } else { 46 })))
            }
            Some(Arch::Arm64) => (8, None),
            Some(Arch::I386) => (4, None),
            _ => {
                let what = "leaving out pages by their class on another machine than x86_64, arm64 and i386";
                return Err(Error::Unsupported { what });
            }
        };
        let info = dump.vmcoreinfo().ok_or(Error::MissingKey { key: "SIZE(page), as it is not there," })?;
        let rules = Rules::of(info, classes, word)?;
        let page_size = dump.page_size().unwrap_or(4096);
        let sections = Sections::new(info, page_size, rules.size as u64, word as u64, usual)?;
        let what = "a batch of the page array";
        // One more, for the tail of the last.
        let bytes = PageAligned::zeroed(what, BATCH.saturating_add(1).saturating_mul(rules.size as u64))?;
        let mut good = Vec::new();
        good.try_reserve(usize::try_from(BATCH).unwrap_or(0))
            .map_err(|_| Error::OutOfMemory { what, need: BATCH })?;
        Ok(Self { memory: KernelMemory::new(dump), rules, sections, bytes, good })
    }

    /// Tells `found` the pages of `ranges`, which are sorted and disjoint, that need not be saved. What it is
    /// told may go beyond a range, where a block of pages does.
    ///
    /// # Errors
    /// Those of `found`. What cannot be read is counted, and its pages are not among those told.
    pub fn run(
        &mut self,
        ranges: &[Range<u64>],
        found: &mut dyn FnMut(Range<u64>, PageClass) -> Result<(), Error>,
    ) -> Result<ScanReport, Error> {
        let mut report = ScanReport { tells_free: self.rules.tells_free(), ..ScanReport::default() };
        // A block that was judged in front may reach into what follows.
        let mut next = 0;
        for range in ranges {
            let mut pfn = range.start.max(next);
            while pfn < range.end {
                let number = pfn.checked_div(self.sections.pages).unwrap_or(0);
                let end = number.saturating_add(1).saturating_mul(self.sections.pages).min(range.end);
                let left = end.saturating_sub(pfn);
                match self.sections.map(number, &mut self.memory) {
                    Ok(Some(map)) => pfn = self.section(map, pfn..end, &mut report, found)?,
                    Ok(None) => {
                        report.without = report.without.saturating_add(left);
                        pfn = end;
                    }
                    Err(_) => {
                        report.unreadable = report.unreadable.saturating_add(left);
                        pfn = end;
                    }
                }
            }
            next = next.max(pfn);
        }
        Ok(report)
    }

    /// Judges pages of one section; returns the page behind those that are judged.
    fn section(
        &mut self,
        map: u64,
        pfns: Range<u64>,
        report: &mut ScanReport,
        found: &mut dyn FnMut(Range<u64>, PageClass) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let size = self.rules.size;
        let mut pfn = pfns.start;
        // Neighbours are told at once: most pages are like the one before.
        let mut alike: Option<(Range<u64>, PageClass)> = None;
        while pfn < pfns.end {
            // Aligned, so that a head and its first tail are read together.
            let end = (pfn | BATCH.wrapping_sub(1)).saturating_add(1).min(pfns.end);
            let (first, count) = (pfn & !1, end.saturating_sub(pfn & !1));
            self.read(self.sections.page(map, first), count);
            while pfn < end {
                let index = usize::try_from(pfn.saturating_sub(first)).unwrap_or(usize::MAX);
                if self.good.get(index) != Some(&true) {
                    report.unreadable = report.unreadable.saturating_add(1);
                    pfn = pfn.saturating_add(1);
                    continue;
                }
                let at = index.saturating_mul(size);
                let (page, rest) =
                    self.bytes.get().get(at..).unwrap_or_default().split_at_checked(size).unwrap_or_default();
                let tail = index.saturating_add(1);
                let next = if self.good.get(tail) == Some(&true) { rest.get(..size) } else { None };
                let vaddr = self.sections.page(map, pfn);
                let verdict = self.rules.judge(pfn, vaddr, page, next.unwrap_or_default());
                let behind = pfn.saturating_add(verdict.pages);
                if let Some(class) = verdict.class {
                    match &mut alike {
                        Some((pages, same)) if *same == class && pages.end == pfn => pages.end = behind,
                        _ => {
                            if let Some((pages, class)) = alike.replace((pfn..behind, class)) {
                                found(pages, class)?;
                            }
                        }
                    }
                }
                report.judged = report.judged.saturating_add(verdict.pages);
                report.weigh(verdict.evidence);
                pfn = behind;
            }
        }
        if let Some((pages, class)) = alike {
            found(pages, class)?;
        }
        Ok(pfn)
    }

    /// Reads `count` of them from `vaddr` on; what cannot be read is marked.
    fn read(&mut self, vaddr: u64, count: u64) {
        let size = self.rules.size;
        let count = usize::try_from(count).unwrap_or(0);
        self.good.clear();
        self.good.resize(count, true);
        let all = count.saturating_mul(size);
        let mut done = 0_usize;
        while done < all {
            let at = vaddr.wrapping_add(done as u64);
            let place = self.bytes.get_mut().get_mut(done..all).unwrap_or_default();
            let Err(Stopped { read, .. }) = self.memory.read(Vaddr(at), place) else { return };
            let from = done.saturating_add(read);
            let bad = vaddr.wrapping_add(from as u64);
            let skip = STEP.saturating_sub(bad & STEP.wrapping_sub(1));
            let to = from.saturating_add(usize::try_from(skip).unwrap_or(usize::MAX)).min(all);
            let (low, high) = (from.checked_div(size).unwrap_or(0), to.div_ceil(size.max(1)));
            for good in self.good.get_mut(low..high.min(count)).unwrap_or_default() {
                *good = false;
            }
            done = to;
        }
    }
}
