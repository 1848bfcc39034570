//! The file a dump will be saved as: header, notes, and a place for each byte of memory.

use alloc::vec::Vec;

use kdump_elf::{HeaderLayout, PT_LOAD, PT_NOTE, Phdr, PhysRange, align_up};

use crate::dump::is_usable;
use crate::dump::{Dump, SpanKind, Unreadable};
use crate::error::Error;
use crate::error::elf;
use crate::room::zeroed;

/// Offsets in the file are congruent to physical addresses modulo this, as in /proc/vmcore.
const PAGE: u64 = 0x1000;

/// Memory without a break, in the dump and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: PhysRange,
    /// Of the first byte, in the saved file.
    pub(super) offset: u64,
}

/// How a dump is saved as an ELF core: known before a byte is written.
///
/// The program headers are those of the source with new offsets; of a source that has none,
/// one for each piece of RAM that is stored, with what was left out behind it. Memory that several of them
/// list, such as the kernel's text in /proc/vmcore, is stored once.
#[derive(Debug)]
pub struct SavePlan<'d> {
    pub(super) dump: &'d Dump<'d>,
    /// Header and notes, from offset 0 on.
    pub(super) head: Vec<u8>,
    pub(super) regions: Vec<Region>,
    /// Memory the source is known to have lost.
    pub(super) missing: Unreadable,
    pub(super) size: u64,
    pub(super) memory: u64,
    pub(super) shared: u64,
    pub(super) dropped_phdrs: Vec<u32>,
}

impl<'d> SavePlan<'d> {
    /// Lays out the file.
    ///
    /// # Errors
    /// When the source has no program headers to keep, or the file would need offsets that
    /// its ELF class does not have.
    pub fn elf(dump: &'d Dump<'d>) -> Result<Self, Error> {
        let mut dropped_phdrs = Vec::new();
        let mut kept = Vec::new();
        let made = if dump.phdrs().is_empty() { phdrs_of(dump) } else { Vec::new() };
        for (index, phdr) in (0_u32..).zip(dump.phdrs().iter().chain(&made)) {
            match phdr.p_type {
                PT_NOTE => kept.push(*phdr),
                PT_LOAD if is_usable(phdr) => kept.push(*phdr),
                _ => dropped_phdrs.push(index),
            }
        }
        if kept.is_empty() {
            return Err(Error::Corrupt { what: "number of segments", value: 0, expected: "at least 1" });
        }
        let phnum = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        let header = HeaderLayout::file(dump.encoding(), dump.facts().e_machine, phnum);
        let notes_at = align_up(header.size(), PAGE).unwrap_or(u64::MAX);
        let mut head = zeroed("the header of the new file", notes_at)?;
        place_notes(dump, &mut kept, &mut head);
        let (regions, size) = place_memory(dump, head.len() as u64)?;
        let memory = regions.iter().map(|region| region.range.size()).fold(0, u64::saturating_add);
        let runs = runs(&regions);
        let mut listed = 0_u64;
        let mut writer = header.writer(&mut head).map_err(elf("new ELF header"))?;
        for phdr in &mut kept {
            if phdr.p_type == PT_LOAD {
                place(&runs, phdr);
                listed = listed.saturating_add(phdr.p_filesz);
            }
            writer.push(phdr).map_err(elf("new program header"))?;
        }
        writer.finish().map_err(elf("new ELF header"))?;
        let mut missing = Unreadable::default();
        for span in dump.spans().filter(|span| span.kind.is_lost()) {
            missing.add(span.range, dump.loss(span));
        }
        let shared = listed.saturating_sub(memory);
        Ok(Self { dump, head, regions, missing, size, memory, shared, dropped_phdrs })
    }

    /// Bytes the file will have, holes included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory the file will have.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }
}

/// Program headers for a dump in a format that has none. Virtual addresses are not known.
fn phdrs_of(dump: &Dump<'_>) -> Vec<Phdr> {
    let notes = dump.notes().segments().map(|_| Phdr { p_type: PT_NOTE, p_align: 4, ..Phdr::default() });
    let mut phdrs: Vec<Phdr> = notes.collect();
    let mut end = None;
    for span in dump.spans().filter(|span| span.kind != SpanKind::Hole) {
        let (start, size) = (span.range.start(), span.range.size());
        let readable = span.kind.is_readable();
        let last = phdrs.last_mut().filter(|last| last.p_type == PT_LOAD && end == Some(start));
        // What is stored must come first in a PT_LOAD.
        match last.filter(|last| !readable || last.p_filesz == last.p_memsz) {
            Some(last) => {
                last.p_memsz = last.p_memsz.saturating_add(size);
                last.p_filesz = last.p_filesz.saturating_add(if readable { size } else { 0 });
            }
            None => phdrs.push(Phdr {
                p_type: PT_LOAD,
                p_flags: 7,
                p_paddr: start,
                p_filesz: if readable { size } else { 0 },
                p_memsz: size,
                ..Phdr::default()
            }),
        }
        end = Some(span.range.end());
    }
    phdrs
}

/// Appends the notes behind the header. Each segment keeps its alignment; what of it could
/// not be read is no longer claimed.
fn place_notes(dump: &Dump<'_>, phdrs: &mut [Phdr], head: &mut Vec<u8>) {
    let notes = phdrs.iter_mut().filter(|phdr| phdr.p_type == PT_NOTE);
    for (phdr, bytes) in notes.zip(dump.notes().segments()) {
        head.resize(head.len().next_multiple_of(8), 0);
        phdr.p_offset = head.len() as u64;
        phdr.p_filesz = bytes.len() as u64;
        phdr.p_memsz = phdr.p_filesz;
        head.extend_from_slice(bytes);
    }
}

/// Gives stored memory places in the file by ascending address, from `start` on. Returns
/// them and the size of the file.
fn place_memory(dump: &Dump<'_>, start: u64) -> Result<(Vec<Region>, u64), Error> {
    let limit = dump.encoding().word_max().min(i64::MAX.unsigned_abs());
    let mut regions: Vec<Region> = Vec::new();
    let mut cursor = start;
    for span in dump.spans().filter(|span| span.kind.is_readable()) {
        let range = span.range;
        let joined = regions.last().filter(|last| last.range.end() == range.start());
        let offset = match joined {
            Some(_) => Some(cursor),
            None => {
                let low = range.start() & PAGE.wrapping_sub(1);
                align_up(cursor, PAGE).and_then(|offset| offset.checked_add(low))
            }
        };
        let end = offset.and_then(|offset| offset.checked_add(range.size())).filter(|&end| end <= limit);
        let (Some(offset), Some(end)) = (offset, end) else {
            return Err(Error::TooLarge { what: "size of the saved file", value: cursor, limit });
        };
        regions.push(Region { range, offset });
        cursor = end;
    }
    Ok((regions, cursor))
}

/// Regions that follow each other without a break, as one.
fn runs(regions: &[Region]) -> Vec<Region> {
    let mut runs: Vec<Region> = Vec::new();
    for region in regions {
        match runs.last_mut() {
            Some(last) if last.range.end() == region.range.start() => {
                let joined = PhysRange::from_half_open(last.range.start(), region.range.end());
                last.range = joined.unwrap_or(last.range);
            }
            _ => runs.push(*region),
        }
    }
    runs
}

/// Points a PT_LOAD at its bytes in the file, as far as they are there.
fn place(runs: &[Region], phdr: &mut Phdr) {
    let index = runs.partition_point(|run| run.range.end() <= phdr.p_paddr);
    let run = runs.get(index).filter(|run| run.range.contains(phdr.p_paddr));
    let (offset, len) = run.map_or((0, 0), |run| {
        let skip = phdr.p_paddr.saturating_sub(run.range.start());
        (run.offset.saturating_add(skip), run.range.end().saturating_sub(phdr.p_paddr))
    });
    phdr.p_filesz = phdr.p_filesz.min(len);
    phdr.p_offset = if phdr.p_filesz == 0 { 0 } else { offset };
}
