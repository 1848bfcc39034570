//! kdump-compressed dumps (`KDUMP   `) and diskdump files (`DISKDUMP`): makedumpfile's format,
//! also written by QEMU.
//!
//! A header, a sub header with the notes, one or two bitmaps, a descriptor for each page that
//! the last bitmap has, and the pages. The descriptor of a page is found by the number of bits
//! before its own.

mod bitmap;
mod damage;
mod describe;
mod end;
mod file;
mod header;
mod notes;
mod page;
mod parts;
mod raw;
mod set;
mod zero_form;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Paddr, PhysRange};

use super::format::{Format, Scratch};
use super::part::Part;
use super::remembered::{Remembered, error_of};
use super::{Facts, Span, SpanKind};
use crate::error::{Error, Stopped};
use bitmap::Bitmap;
use file::File;
pub(crate) use file::{INCOMPLETE, LEVEL_ZERO};
pub(crate) use header::{MAX_MAPNR, SATURATED, machine_name};
pub(super) use page::PageScratch;
pub(crate) use raw::{DESC_LEN, Main, Sub, encode_desc};

/// Pages whose descriptors one look reads at most.
const LOOK: u64 = 4096;

/// A dump in this format, of one file or several.
struct Kdump<'s> {
    /// By page frame number.
    files: Vec<File<'s>>,
    /// First bitmap: the pages that are RAM. `None` when the file has one bitmap only.
    ram: Option<Bitmap>,
    /// Last bitmap: the pages that have a descriptor.
    stored: Bitmap,
    /// First page frame number behind all memory.
    max_mapnr: u64,
    /// Bytes of a page.
    page_size: u64,
    /// Physical address of page frame 0.
    base: u64,
    /// What a note of ours says.
    remembered: Remembered,
    facts: Facts,
}

/// What the bitmaps say of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Stored,
    Excluded,
    Hole,
    /// The file ends before its bit.
    Unknown,
}

/// Reads headers, notes and bitmaps. A dump that is truncated or marked as incomplete opens;
/// its completeness tells.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Box<dyn Format + '_>, Error> {
    parts::open(parts).map(|kdump| Box::new(kdump) as Box<dyn Format>)
}

impl Kdump<'_> {
    fn listed(&self, pfn: u64) -> Listed {
        let ram = self.ram.as_ref();
        if pfn >= self.max_mapnr {
            Listed::Hole
        } else if self.stored.get(pfn) {
            Listed::Stored
        } else if ram.is_some_and(|ram| pfn < ram.len() && !ram.get(pfn)) {
            Listed::Hole
        } else if pfn >= self.stored.len() {
            Listed::Unknown
        } else if ram.is_some() {
            Listed::Excluded
        } else {
            // The only bitmap of a full dump lists all RAM.
            Listed::Hole
        }
    }

    /// The page frames around `pfn` of which the bitmaps say the same.
    fn run(&self, pfn: u64) -> Range<u64> {
        let mut run = 0..self.max_mapnr;
        let (mut near_start, mut near_end) = (false, false);
        let bitmaps = [Some(&self.stored), self.ram.as_ref()];
        // A run of one bitmap that ends near saves the way to the end of the other's.
        for bitmap in bitmaps.into_iter().flatten() {
            if pfn >= bitmap.len() {
                run.start = run.start.max(bitmap.len());
                continue;
            }
            let (start, end) = bitmap.near(pfn);
            run = run.start.max(start.unwrap_or(0))..run.end.min(end.unwrap_or(u64::MAX));
            near_start |= start.is_some();
            near_end |= end.is_some();
        }
        for bitmap in bitmaps.into_iter().flatten().filter(|bitmap| pfn < bitmap.len()) {
            let start = if near_start { run.start } else { bitmap.run_start(pfn, run.start) };
            let end = if near_end { run.end } else { bitmap.run_end(pfn, run.end) };
            run = start..end;
        }
        run
    }

    /// Makes `scratch` ready for this dump; without a cache it forgets what the last call has left.
    #[inline]
    fn begin(&self, scratch: &mut Scratch) {
        let page_size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        scratch.pages.begin(scratch.options.cache_size, page_size, self.stored.ones());
    }

    /// The file that has `pfn`, and the descriptor of it there; or the page frames that are in
    /// no file.
    fn find(&self, pfn: u64) -> Result<(usize, &File<'_>, u64), Range<u64>> {
        let next = self.files.partition_point(|file| file.pfns.end <= pfn);
        match self.files.get(next) {
            Some(file) if file.pfns.start <= pfn => {
                Ok((next, file, self.stored.rank(pfn).saturating_sub(file.rank)))
            }
            file => {
                let before = next.checked_sub(1).and_then(|last| self.files.get(last));
                let start = before.map_or(0, |file| file.pfns.end);
                Err(start..file.map_or(self.max_mapnr, |file| file.pfns.start))
            }
        }
    }

    /// As [`Kdump::find`], of a page that has a descriptor as far as is known: where the bits are lost, the count of
    /// those in front would lead to the descriptor of another page.
    fn described(&self, pfn: u64) -> Option<(usize, &File<'_>, u64)> {
        self.find(pfn).ok().filter(|_| self.listed(pfn) == Listed::Stored)
    }

    /// What is known of the stored page `pfn` without reading its descriptor, and of which
    /// pages around it in `run` this is true.
    fn stored(&self, pfn: u64, run: Range<u64>) -> (SpanKind, Range<u64>) {
        let clip = |range: Range<u64>| range.start.max(run.start)..range.end.min(run.end);
        let (file, index) = match self.find(pfn) {
            Ok((_, file, index)) => (file, index),
            Err(gap) => return (SpanKind::Missing, clip(gap)),
        };
        let run = clip(file.pfns.clone());
        match file.readable.checked_sub(index) {
            // Within a run the descriptors follow each other.
            Some(left) if left > 0 => (SpanKind::Stored, run.start..run.end.min(pfn.saturating_add(left))),
            _ => {
                let over = index.saturating_sub(file.readable);
                (SpanKind::Missing, run.start.max(pfn.saturating_sub(over))..run.end)
            }
        }
    }

    /// What the bitmaps and the length of the file say of the memory at `at`.
    fn told(&self, at: Paddr) -> Option<Span> {
        let Some(offset) = at.0.checked_sub(self.base) else {
            let first = self.told(Paddr(self.base))?;
            let end = if first.kind == SpanKind::Hole { first.range.end() } else { self.base };
            return Some(Span { range: PhysRange::from_half_open(0, end).ok()?, kind: SpanKind::Hole });
        };
        let pfn = offset.checked_div(self.page_size).filter(|pfn| *pfn < self.max_mapnr)?;
        let run = self.run(pfn);
        match self.listed(pfn) {
            Listed::Stored => {
                let (kind, pfns) = self.stored(pfn, run);
                self.span_of(kind, pfns)
            }
            Listed::Excluded => self.span_of(SpanKind::Excluded(None), run),
            Listed::Unknown => self.span_of(SpanKind::Missing, run),
            Listed::Hole if run.end < self.max_mapnr => self.span_of(SpanKind::Hole, run),
            Listed::Hole => None,
        }
    }

    fn pfn(&self, at: u64) -> Option<u64> {
        at.saturating_sub(self.base).checked_div(self.page_size)
    }

    fn address(&self, pfn: u64) -> u64 {
        pfn.saturating_mul(self.page_size).saturating_add(self.base)
    }

    fn span_of(&self, kind: SpanKind, pfns: Range<u64>) -> Option<Span> {
        let (start, end) = (self.address(pfns.start), self.address(pfns.end));
        // Whatever lies in front of the first page frame is no RAM either.
        let start = if kind == SpanKind::Hole && pfns.start == 0 { 0 } else { start };
        Some(Span { range: PhysRange::from_half_open(start, end).ok()?, kind })
    }

    /// Fills `buf` from byte `inside` of page `pfn` on.
    fn read_page(
        &self,
        pfn: u64,
        inside: usize,
        buf: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), (usize, Error)> {
        if scratch.pages.copy_kept(pfn, inside, buf) {
            return Ok(());
        }
        let paddr = self.address(pfn).saturating_add(inside as u64);
        match self.listed(pfn) {
            Listed::Stored => {}
            Listed::Excluded => return Err((0, Error::Excluded { paddr })),
            Listed::Hole => return Err((0, Error::Hole { paddr, next: self.next_ram(pfn) })),
            Listed::Unknown => {
                let (offset, have) = (self.facts.completeness.file_size, 0);
                return Err((0, Error::Truncated { what: "bitmap", offset, need: 1, have }));
            }
        }
        let (file, place, index) =
            self.find(pfn).map_err(|gap| (0, Error::PartNotGiven { start: gap.start, end: gap.end }))?;
        place.pages.read((file, index, pfn), inside, buf, &mut scratch.pages)
    }

    /// Where RAM begins behind the hole that `pfn` is in.
    fn next_ram(&self, pfn: u64) -> Option<u64> {
        let end = self.run(pfn).end;
        (end < self.max_mapnr).then(|| self.address(end))
    }
}

impl Format for Kdump<'_> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let span = self.told(at)?;
        let ram = span.kind != SpanKind::Hole && !self.remembered.is_empty();
        Some(if ram { self.remembered.narrow(span, at.0) } else { span })
    }

    fn kind(&self, at: Paddr, scratch: &mut Scratch) -> Option<SpanKind> {
        let span = self.span(at)?;
        if self.remembered.around(at.0).is_ok() {
            return Some(span.kind);
        }
        let pfn = self.pfn(at.0)?;
        let Some((file, place, index)) = self.described(pfn) else { return Some(span.kind) };
        self.begin(scratch);
        Some(place.pages.kind(file, index, pfn, &mut scratch.pages))
    }

    fn look(&self, at: Paddr, scratch: &mut Scratch) -> Option<Span> {
        let span = self.span(at)?;
        let end = span.range.end().saturating_sub(self.base).div_ceil(self.page_size);
        let first = self.pfn(at.0)?;
        let Some((file, place, mut index)) = self.described(first) else { return Some(span) };
        self.begin(scratch);
        let mut kind = None;
        let mut pfn = first;
        while pfn < end.min(first.saturating_add(LOOK)) {
            let found = place.pages.kind(file, index, pfn, &mut scratch.pages);
            if *kind.get_or_insert(found) != found {
                break;
            }
            (pfn, index) = (pfn.saturating_add(1), index.saturating_add(1));
        }
        let looked = self.span_of(kind?, first..pfn)?;
        Some(if self.remembered.is_empty() { looked } else { self.remembered.narrow(looked, at.0) })
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn read(&self, at: Paddr, buf: &mut [u8], scratch: &mut Scratch) -> Result<(), Stopped> {
        self.begin(scratch);
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let paddr = at.0.saturating_add(read as u64);
            let Some(offset) = paddr.checked_sub(self.base) else {
                let next = self.span(Paddr(0)).map(|span| span.range.end());
                return Err(Stopped::new(at.0, read, Error::Hole { paddr, next }));
            };
            let pfn = offset.checked_div(self.page_size).unwrap_or(u64::MAX);
            let inside = offset.checked_rem(self.page_size).unwrap_or(0);
            let left = usize::try_from(self.page_size.saturating_sub(inside)).unwrap_or(usize::MAX);
            let mut count = left.min(rest.len());
            if !self.remembered.is_empty() && !matches!(self.listed(pfn), Listed::Hole) {
                match self.remembered.around(paddr) {
                    Ok(span) => return Err(Stopped::new(at.0, read, error_of(span.kind, paddr))),
                    Err((_, end)) => {
                        count = usize::try_from(end.saturating_sub(paddr)).unwrap_or(count).min(count);
                    }
                }
            }
            let piece = rest.get_mut(..count).unwrap_or_default();
            let inside = usize::try_from(inside).unwrap_or(usize::MAX);
            match self.read_page(pfn, inside, piece, scratch) {
                Ok(()) => read = read.saturating_add(count),
                Err((good, error)) => return Err(Stopped::new(at.0, read.saturating_add(good), error)),
            }
        }
        Ok(())
    }
}
