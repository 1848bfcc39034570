//! Where memory stands in the saved file.

use alloc::vec::Vec;

use kdump_elf::{Encoding, PT_LOAD, Phdr, PhysRange, align_up};

use crate::dump::{Dump, Span};
use crate::error::Error;
use crate::room::push;

/// Offsets in the file are congruent to physical addresses modulo this, as in /proc/vmcore.
pub(super) const PAGE: u64 = 0x1000;

/// The most pieces of memory of one kind that are saved.
const MAX_SPANS: usize = 1 << 22;

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

/// What can be read, by address; neighbours are one.
pub(super) fn readable(spans: &[Span]) -> Vec<PhysRange> {
    let mut ranges = Vec::new();
    for span in spans.iter().filter(|span| span.kind.is_readable()) {
        join(&mut ranges, span.range);
    }
    ranges
}

/// Cuts the PT_LOADs behind the last of their bytes that can be read. Returns which memory has a
/// place in the file: what they list then, lost memory in front of readable memory included.
pub(super) fn cut(phdrs: &mut [Phdr], readable: &[PhysRange]) -> Vec<PhysRange> {
    let mut listed = Vec::new();
    for phdr in phdrs.iter_mut().filter(|phdr| phdr.p_type == PT_LOAD) {
        let end = phdr.p_paddr.saturating_add(phdr.p_filesz);
        let last = readable.partition_point(|range| range.start() < end).checked_sub(1);
        let end = last.and_then(|last| readable.get(last)).map_or(0, |range| range.end().min(end));
        // A PT_LOAD that stores more than it lists is RAM as far as it stores.
        phdr.p_memsz = phdr.p_memsz.max(phdr.p_filesz);
        phdr.p_filesz = end.saturating_sub(phdr.p_paddr);
        listed.extend(PhysRange::from_half_open(phdr.p_paddr, end));
    }
    listed.sort_by_key(|range: &PhysRange| range.start());
    let mut runs = Vec::new();
    for range in listed {
        join(&mut runs, range);
    }
    runs
}

/// Adds a range that does not begin in front of the last one, joined where they touch.
fn join(ranges: &mut Vec<PhysRange>, range: PhysRange) {
    if let Some(last) = ranges.last_mut().filter(|last| last.end() >= range.start()) {
        let end = last.end().max(range.end());
        *last = PhysRange::from_half_open(last.start(), end).unwrap_or(*last);
    } else {
        ranges.push(range);
    }
}

/// Gives memory places in the file by ascending address, from `start` on. Returns them and the
/// size of the file.
pub(super) fn place(runs: &[PhysRange], encoding: Encoding, start: u64) -> Result<(Vec<Region>, u64), Error> {
    let limit = encoding.word_max().min(i64::MAX.unsigned_abs());
    let mut placed = Vec::new();
    let mut cursor = start;
    for &range in runs {
        let low = range.start() & PAGE.wrapping_sub(1);
        let offset = align_up(cursor, PAGE).and_then(|offset| offset.checked_add(low));
        let end = offset.and_then(|offset| offset.checked_add(range.size())).filter(|&end| end <= limit);
        let (Some(offset), Some(end)) = (offset, end) else {
            return Err(Error::TooLarge { what: "size of the saved file", value: cursor, limit });
        };
        placed.push(Region { range, offset });
        cursor = end;
    }
    Ok((placed, cursor))
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
