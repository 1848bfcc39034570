//! Memory that an ELF core leaves out: runs of pages, which end a PT_LOAD each.

use alloc::vec::Vec;

use kdump_elf::{PT_LOAD, Phdr, PhysRange};

use super::leave_out::leave_out;
use super::plan::ElfOptions;
use super::report::LeftOut;
use crate::dump::{Dump, MAX_PHDRS, Span, SpanKind};
use crate::error::Error;
use crate::filter::pages_of;
use crate::room::push;

/// Pages of the shortest run that is left out. Each run costs a program header, which every reader searches:
/// what makedumpfile -E does (its manual does not say; measured).
const RUN: u64 = 256;
/// Pages without `struct page`s of another size than these are not filtered at all.
const USUAL_PAGE: u64 = 4096;

/// What is left out.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// Sorted and disjoint.
    ranges: Vec<PhysRange>,
    pub(super) told: LeftOut,
}

impl Cuts {
    /// What of `spans` is left out of a file with the program headers `phdrs`.
    pub(super) fn new(
        dump: &Dump<'_>,
        options: ElfOptions,
        spans: &[Span],
        phdrs: &[Phdr],
    ) -> Result<Self, Error> {
        let page = dump.page_size().unwrap_or(USUAL_PAGE);
        let readable = pages_of(spans, page, SpanKind::is_readable)?;
        let end = readable.last().map_or(0, |last| last.end);
        let (set, mut told) = leave_out(dump, options.exclude, &readable, end, options.threads)?;
        let all = told.pages();
        let mut run = RUN;
        loop {
            let (mut ranges, mut pages) = (Vec::new(), 0_u64);
            for pfns in &readable {
                let mut start = set.next(true, pfns.start, pfns.end);
                while start < pfns.end {
                    let behind = set.next(false, start, pfns.end);
                    let count = behind.saturating_sub(start);
                    let range =
                        PhysRange::from_half_open(start.saturating_mul(page), behind.saturating_mul(page));
                    if let (true, Ok(range)) = (count >= run, range) {
                        push(&mut ranges, "the memory that is left out", range)?;
                        pages = pages.saturating_add(count);
                    }
                    start = set.next(true, behind, pfns.end);
                }
            }
            told.short = all.saturating_sub(pages);
            let cuts = Self { ranges, told };
            // No reader opens what has more; one entry is left for our note. What has more of itself no longer
            // runs make less.
            if cuts.ranges.is_empty() || cuts.pieces(phdrs).saturating_add(2) <= MAX_PHDRS {
                return Ok(cuts);
            }
            run = run.saturating_mul(2);
        }
    }

    /// Program headers that `phdrs` become at most.
    fn pieces(&self, phdrs: &[Phdr]) -> usize {
        let of = |phdr: &Phdr| self.inside(phdr.p_paddr, phdr.p_paddr.saturating_add(phdr.p_filesz)).len();
        let loads = phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD).map(of);
        // Memory without program headers gets one behind each cut.
        loads.fold(phdrs.len(), usize::saturating_add).max(self.ranges.len())
    }

    /// Those that touch `start..end`.
    fn inside(&self, start: u64, end: u64) -> &[PhysRange] {
        let first = self.ranges.partition_point(|cut| cut.end() <= start);
        let behind = self.ranges.partition_point(|cut| cut.start() < end);
        self.ranges.get(first..behind).unwrap_or_default()
    }

    /// `spans` with what is left out.
    pub(super) fn cut_spans(&self, spans: Vec<Span>) -> Result<Vec<Span>, Error> {
        let what = "the pieces of memory that are left";
        let mut left = Vec::new();
        for span in spans {
            let mut start = span.range.start();
            let mut add = |start: u64, end: u64, kind| match PhysRange::from_half_open(start, end) {
                Ok(range) if start < end => push(&mut left, what, Span { range, kind }),
                _ => Ok(()),
            };
            if span.kind.is_readable() {
                for cut in self.inside(span.range.start(), span.range.end()) {
                    let (from, to) = (cut.start().max(start), cut.end().min(span.range.end()));
                    add(start, from, span.kind)?;
                    add(from, to, SpanKind::Excluded(None))?;
                    start = to;
                }
            }
            add(start, span.range.end(), span.kind)?;
        }
        Ok(left)
    }

    /// `phdrs`, each PT_LOAD in as many pieces as it has memory between what is left out. What follows a piece
    /// and is left out is RAM of it without bytes.
    pub(super) fn cut_phdrs(&self, phdrs: Vec<Phdr>) -> Result<Vec<Phdr>, Error> {
        let what = "the program headers of the new file";
        let mut pieces = Vec::new();
        for phdr in phdrs {
            if phdr.p_type != PT_LOAD {
                push(&mut pieces, what, phdr)?;
                continue;
            }
            let stored = phdr.p_paddr.saturating_add(phdr.p_filesz);
            let end = phdr.p_paddr.saturating_add(phdr.p_memsz.max(phdr.p_filesz));
            let piece = |start: u64, stored: u64, end: u64| Phdr {
                p_paddr: start,
                p_vaddr: phdr.p_vaddr.wrapping_add(start.saturating_sub(phdr.p_paddr)),
                p_filesz: stored.saturating_sub(start),
                p_memsz: end.saturating_sub(start),
                ..phdr
            };
            let mut start = phdr.p_paddr;
            for cut in self.inside(phdr.p_paddr, stored) {
                let behind = cut.end().min(stored);
                push(&mut pieces, what, piece(start, cut.start().max(start), behind))?;
                start = behind;
            }
            if start < end || phdr.p_memsz == 0 {
                push(&mut pieces, what, piece(start, stored, end))?;
            }
        }
        Ok(pieces)
    }
}
