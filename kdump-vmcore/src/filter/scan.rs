//! Goes over the array of `struct page` and tells what need not be saved.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Arch, Endian, Vaddr};

use super::Classes;
use super::rules::{Evidence, Rules, Verdict};
use super::sections::{Sections, Usual};
use super::told::{BtfKeys, Told};
use crate::dump::{Dump, PageClass, Reader};
use crate::error::{Error, Stopped};
use crate::kernel::{Btf, KernelMemory};
use crate::room::PageAligned;

/// Pages whose `struct page`s are read at once at most, 64 KiB of them as a rule; a power of two.
const BATCH: u64 = 1024;
/// As many are read behind a block of pages that goes beyond what was read, for another such block may
/// follow, of which the first record tells all: of memory that is free few records are wanted.
const FEW: u64 = 64;
/// Where none follows so many times as many are read next; of the usual size that is more than what a
/// reader takes for small and reads ahead of.
const MORE: u64 = 8;
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
    /// What VMCOREINFO lacks and the kernel's BTF told.
    pub from_btf: BtfKeys,
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
            from_btf: self.from_btf.and(other.from_btf),
        }
    }
}

/// What VMCOREINFO does not tell of an architecture.
#[derive(Clone, Copy)]
struct Words {
    /// Bytes of a word.
    bytes: usize,
    /// Bits of a section and of an address where nothing is told.
    usual: Option<Usual>,
}

impl Words {
    /// Those of the machine of `dump`, if its pages can be told apart.
    fn of(dump: &Dump<'_>) -> Option<Self> {
        let five = dump.vmcoreinfo().and_then(|info| info.number("pgtable_l5_enabled")) == Some(1);
        match dump.arch()? {
            // What it has had since Linux 2.6.31.
            Arch::X86_64 => Some(Self { bytes: 8, usual: Some((27, if five { 52 } else { 46 })) }),
            Arch::Arm64 => Some(Self { bytes: 8, usual: None }),
            Arch::I386 => Some(Self { bytes: 4, usual: None }),
            _ => None,
        }
    }
}

/// How the pages of a dead kernel are judged, and where it keeps what they are judged by.
#[derive(Clone, Debug)]
pub(super) struct Known {
    rules: Rules,
    sections: Sections,
    from_btf: BtfKeys,
}

impl Known {
    /// As VMCOREINFO of `dump` tells, and the kernel's BTF where `classes` cannot be told without.
    pub(super) fn of(dump: &Dump<'_>, classes: Classes) -> Result<Self, Error> {
        let Some(words) = Words::of(dump).filter(|_| dump.endian() == Endian::Little) else {
            let what = "leaving out pages by their class on another machine than x86_64, arm64 and i386";
            return Err(Error::Unsupported { what });
        };
        let info = dump.vmcoreinfo().ok_or(Error::MissingKey { key: "SIZE(page), as it is not there," })?;
        let known = Self::told(dump, classes, words, &Told::new(info, None));
        if known.as_ref().is_ok_and(|known| !known.rules.lacks()) {
            return known;
        }
        match Btf::read(&mut KernelMemory::new(dump), info) {
            Ok(btf) => Self::told(dump, classes, words, &Told::new(info, Some(&btf))).or(known),
            Err(_) => known,
        }
    }

    fn told(dump: &Dump<'_>, classes: Classes, words: Words, told: &Told<'_>) -> Result<Self, Error> {
        let rules = Rules::of(told, classes, words.bytes)?;
        let page_size = dump.page_size().unwrap_or(4096);
        let sections = Sections::new(told, page_size, rules.size as u64, words.bytes as u64, words.usual)?;
        Ok(Self { rules, sections, from_btf: told.taken() })
    }
}

/// Judged pages of a section, of which neighbours are told at once: most are like the one before.
#[derive(Default)]
struct Run {
    pages: Range<u64>,
    class: Option<PageClass>,
    report: ScanReport,
}

impl Run {
    #[inline(always)]
    fn add(
        &mut self,
        pfn: u64,
        verdict: Verdict,
        found: &mut dyn FnMut(Range<u64>, PageClass) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.report.judged = self.report.judged.saturating_add(verdict.pages);
        self.report.weigh(verdict.evidence);
        if verdict.class != self.class || self.pages.end != pfn {
            self.tell(found)?;
            (self.pages.start, self.class) = (pfn, verdict.class);
        }
        self.pages.end = pfn.saturating_add(verdict.pages);
        Ok(())
    }

    fn tell(
        &mut self,
        found: &mut dyn FnMut(Range<u64>, PageClass) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.class.take().map_or(Ok(()), |class| found(self.pages.clone(), class))
    }
}

/// Looks through the pages of a dead kernel.
#[derive(Debug)]
pub struct Scan<'d> {
    memory: KernelMemory<Reader<'d>>,
    rules: Rules,
    sections: Sections,
    from_btf: BtfKeys,
    bytes: PageAligned,
    /// Which `struct page`s of `bytes` were not read; empty where all were.
    bad: Vec<bool>,
}

impl<'d> Scan<'d> {
    /// Prepares to tell `classes` in `dump`.
    ///
    /// # Errors
    /// [`Error::MissingKey`] for a key of VMCOREINFO without which they cannot be told, also not by BTF, and
    /// [`Error::Unsupported`] for a machine other than x86_64, arm64 and i386.
    pub fn new(dump: &'d Dump<'_>, classes: Classes) -> Result<Self, Error> {
        Self::by(dump, &Known::of(dump, classes)?)
    }

    /// Prepares to tell what is `known`.
    pub(super) fn by(dump: &'d Dump<'_>, known: &Known) -> Result<Self, Error> {
        let Known { rules, sections, from_btf } = known.clone();
        let what = "a batch of the page array";
        // One more, for the tail of the last.
        let bytes = PageAligned::zeroed(what, BATCH.saturating_add(1).saturating_mul(rules.size as u64))?;
        let mut bad = Vec::new();
        // One more here, too.
        let need = BATCH.saturating_add(1);
        bad.try_reserve(usize::try_from(need).unwrap_or(0)).map_err(|_| Error::OutOfMemory { what, need })?;
        Ok(Self { memory: KernelMemory::new(dump), rules, sections, from_btf, bytes, bad })
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
        let mut report = ScanReport {
            tells_free: self.rules.tells_free(),
            from_btf: self.from_btf,
            ..ScanReport::default()
        };
        // A block that was judged in front may reach into what follows.
        let mut next = 0;
        for range in ranges {
            let mut pfn = range.start.max(next);
            while pfn < range.end {
                let number = pfn.checked_div(self.sections.pages).unwrap_or(0);
                let end = number.saturating_add(1).saturating_mul(self.sections.pages).min(range.end);
                let left = end.saturating_sub(pfn);
                match self.sections.map(number, &mut self.memory) {
                    Ok(Some((map, known))) if known.contains(&pfn) => {
                        pfn = self.section(map, pfn..end.min(known.end), &mut report, found)?;
                    }
                    Ok(Some((_, known))) if pfn < known.start && known.start < end => {
                        report.without = report.without.saturating_add(known.start.saturating_sub(pfn));
                        pfn = known.start;
                    }
                    Ok(_) => {
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
        let (mut pfn, mut step) = (pfns.start, FEW);
        let mut run = Run::default();
        while pfn < pfns.end {
            // Aligned, so that a head and its first tail are read together.
            let end = (pfn | step.wrapping_sub(1)).saturating_add(1).min(pfns.end);
            let (first, count) = (pfn & !1, end.saturating_sub(pfn & !1));
            let read = self.read(self.sections.page(map, first), count);
            let Self { rules, sections, bytes, bad, .. } = self;
            let records = bytes.get().get(..read).unwrap_or_default();
            while pfn < end {
                let index = usize::try_from(pfn.saturating_sub(first)).unwrap_or(usize::MAX);
                let rest = records.get(index.saturating_mul(size)..).unwrap_or_default();
                if bad.is_empty() {
                    let most = usize::try_from(end.saturating_sub(pfn)).unwrap_or(usize::MAX);
                    for page in rest.chunks_exact(size.max(1)).take(most) {
                        let Some(verdict) = rules.plain(page) else { break };
                        run.add(pfn, verdict, found)?;
                        pfn = pfn.saturating_add(1);
                    }
                    if pfn == end {
                        break;
                    }
                }
                let index = usize::try_from(pfn.saturating_sub(first)).unwrap_or(usize::MAX);
                let is_bad = |index| bad.get(index) == Some(&true);
                if is_bad(index) {
                    report.unreadable = report.unreadable.saturating_add(1);
                    pfn = pfn.saturating_add(1);
                    continue;
                }
                let record = |index: usize| {
                    let at = index.saturating_mul(size);
                    records.get(at..at.saturating_add(size)).unwrap_or_default()
                };
                let tail = index.saturating_add(1);
                let next = if is_bad(tail) { &[] } else { record(tail) };
                let verdict = rules.judge(pfn, sections.page(map, pfn), record(index), next);
                run.add(pfn, verdict, found)?;
                pfn = pfn.saturating_add(verdict.pages);
            }
            step = if pfn > end { FEW } else { step.saturating_mul(MORE).min(BATCH) };
        }
        run.tell(found)?;
        *report = report.and(run.report);
        Ok(pfn)
    }

    /// Reads `count` of them from `vaddr` on, and returns their bytes; what cannot be read is marked.
    fn read(&mut self, vaddr: u64, count: u64) -> usize {
        let size = self.rules.size;
        let count = usize::try_from(count).unwrap_or(0);
        self.bad.clear();
        let all = count.saturating_mul(size);
        let mut done = 0_usize;
        while done < all {
            let at = vaddr.wrapping_add(done as u64);
            let place = self.bytes.get_mut().get_mut(done..all).unwrap_or_default();
            let Err(Stopped { read, .. }) = self.memory.read(Vaddr(at), place) else { break };
            let from = done.saturating_add(read);
            let bad = vaddr.wrapping_add(from as u64);
            let skip = STEP.saturating_sub(bad & STEP.wrapping_sub(1));
            let to = from.saturating_add(usize::try_from(skip).unwrap_or(usize::MAX)).min(all);
            let (low, high) = (from.checked_div(size).unwrap_or(0), to.div_ceil(size.max(1)));
            self.bad.resize(count, false);
            for bad in self.bad.get_mut(low..high.min(count)).unwrap_or_default() {
                *bad = true;
            }
            done = to;
        }
        all
    }
}
