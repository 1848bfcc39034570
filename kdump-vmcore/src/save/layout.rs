//! Where memory stands in the saved file.

use alloc::vec::Vec;

use kdump_elf::{Encoding, PT_LOAD, Phdr, PhysRange, align_up};

use crate::dump::{Dump, Span};
use crate::error::Error;
use crate::room::push;

/// Offsets in the file are congruent to physical addresses modulo this, as in /proc/vmcore.
pub(super) const PAGE: u64 = 0x1000;

/// The most pieces of memory of one kind that are saved.
const MAX_SPANS: usize = 1 << 21;

/// What the dump has of its memory. It is asked once: a source that tells another time another thing
/// gets no zeros for memory.
pub(super) fn spans(dump: &Dump<'_>) -> Result<Vec<Span>, Error> {
    let mut spans: Vec<Span> = Vec::new();
    for span in dump.spans_to_the_end() {
        let last = spans.last_mut().filter(|last| last.kind == span.kind);
        let joined = last.and_then(|last| {
            let touches = last.range.end() == span.range.start();
            let joined = PhysRange::from_half_open(last.range.start(), span.range.end()).ok();
            joined.filter(|_| touches).map(|range| last.range = range)
        });
        if joined.is_some() {
            continue;
        }
        if spans.len() >= MAX_SPANS {
            let (value, limit) = (spans.len() as u64, MAX_SPANS as u64);
            return Err(Error::TooLarge {
                what: "pieces of memory, which an ELF core cannot list,",
                value,
                limit,
            });
        }
        push(&mut spans, "the pieces of memory of the source", span)?;
    }
    Ok(spans)
}

/// Memory without a break, in the dump or in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: PhysRange,
    /// Of the first byte, in the saved file.
    pub(super) offset: u64,
}

/// What can be read, by address; neighbours are one. Without places as yet.
pub(super) fn readable(spans: &[Span]) -> Result<Vec<Region>, Error> {
    let mut regions: Vec<Region> = Vec::new();
    for span in spans.iter().filter(|span| span.kind.is_readable()) {
        match regions.last_mut().filter(|last| last.range.end() >= span.range.start()) {
            Some(last) => last.range = joined(last.range, span.range),
            None => push(&mut regions, REGIONS, Region { range: span.range, offset: 0 })?,
        }
    }
    Ok(regions)
}

/// What takes room for each piece of memory.
const REGIONS: &str = "the places of the memory in the new file";

/// Cuts the PT_LOADs behind the last of their bytes that can be read. Returns which memory has a
/// place in the file: what they list then, lost memory in front of readable memory included.
/// Without places as yet.
pub(super) fn cut(phdrs: &mut [Phdr], readable: &[Region]) -> Result<Vec<Region>, Error> {
    let mut runs: Vec<Region> = Vec::new();
    for phdr in phdrs.iter_mut().filter(|phdr| phdr.p_type == PT_LOAD) {
        let end = phdr.p_paddr.saturating_add(phdr.p_filesz);
        let last = readable.partition_point(|region| region.range.start() < end).checked_sub(1);
        let end = last.and_then(|last| readable.get(last)).map_or(0, |region| region.range.end().min(end));
        // A PT_LOAD that stores more than it lists is RAM as far as it stores.
        phdr.p_memsz = phdr.p_memsz.max(phdr.p_filesz);
        phdr.p_filesz = end.saturating_sub(phdr.p_paddr);
        if let Ok(range) = PhysRange::from_half_open(phdr.p_paddr, end) {
            push(&mut runs, REGIONS, Region { range, offset: 0 })?;
        }
    }
    runs.sort_unstable_by_key(|run| (run.range.start(), run.range.end()));
    runs.dedup_by(|next, last| {
        let touches = last.range.end() >= next.range.start();
        if touches {
            last.range = joined(last.range, next.range);
        }
        touches
    });
    Ok(runs)
}

/// Two ranges that touch or overlap as one; the first one begins no later.
fn joined(first: PhysRange, second: PhysRange) -> PhysRange {
    PhysRange::from_half_open(first.start(), first.end().max(second.end())).unwrap_or(first)
}

/// Gives memory places in the file by ascending address, from `start` on. Returns the size of the
/// file.
pub(super) fn place(runs: &mut [Region], encoding: Encoding, start: u64) -> Result<u64, Error> {
    let limit = encoding.word_max().min(i64::MAX.unsigned_abs());
    let mut cursor = start;
    for run in runs {
        let low = run.range.start() & PAGE.wrapping_sub(1);
        let offset = align_up(cursor, PAGE).and_then(|offset| offset.checked_add(low));
        let end = offset.and_then(|offset| offset.checked_add(run.range.size())).filter(|&end| end <= limit);
        let (Some(offset), Some(end)) = (offset, end) else {
            return Err(Error::TooLarge { what: "size of the saved file", value: cursor, limit });
        };
        run.offset = offset;
        cursor = end;
    }
    Ok(cursor)
}

/// The run that `paddr` lies in.
pub(super) fn run_at(runs: &[Region], paddr: u64) -> Option<&Region> {
    let index = runs.partition_point(|run| run.range.end() <= paddr);
    runs.get(index).filter(|run| run.range.contains(paddr))
}

impl Region {
    /// Where the byte at `paddr`, which lies in the range, stands in the file.
    pub(super) fn offset_of(&self, paddr: u64) -> u64 {
        self.offset.saturating_add(paddr.saturating_sub(self.range.start()))
    }
}
