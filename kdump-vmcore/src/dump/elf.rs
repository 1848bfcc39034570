//! An ELF core as a dump: memory by physical address, notes, and what is missing.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Arch, PT_LOAD, PT_NOTE, Paddr, Phdr, PhysRange};

use super::block_cache::BlockCache;
use super::core_table::CoreTable;
use super::format::{Format, Scratch};
use super::overlaps::tell_overlaps;
use super::part::{Part, only};
use super::read_ahead::AHEAD;
use super::remembered::{Remembered, error_of};
use super::scan::offset_in;
use super::stream_holes::StreamHoles;
use super::{Completeness, Facts, NoteTable, Span, SpanKind, xen};
use crate::error::{Error, Stopped};
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::room::{push, tell};
use crate::source::ReadAt;

/// How many times over PT_LOADs may list the bytes of the file as memory at different addresses.
/// No dump stores one byte for two addresses; a crafted one can for thousands.
const MAX_TIMES: u64 = 16;
/// Bytes that may be listed in any case.
const FEW: u64 = 256 << 20;

/// Bytes of the blocks of a file that are kept; reads as long as that are not made from them.
const BLOCK: usize = 4096;
/// The longest reads that are made from what was read ahead.
const SMALL: usize = 16 << 10;

/// An ELF core file: /proc/vmcore, a copy of it, or what makedumpfile and QEMU write.
///
/// ELF32 and ELF64 of either byte order, any number of program headers (`PN_XNUM`). PT_LOADs
/// are found by `p_paddr` in O(log n). Where they overlap, bytes that are in the file win over
/// those that are not, then the PT_LOAD that comes first. What lies between `p_filesz` and
/// `p_memsz` was excluded by the tool that wrote the dump.
struct ElfDump<'s> {
    source: Part<'s>,
    /// Whether blocks of the file may be kept.
    is_cacheable: bool,
    /// Bytes of the file that are of the dump.
    size: u64,
    /// Bytes of the file that nothing gives.
    holes: StreamHoles,
    remembered: Remembered,
    map: ExtentMap,
    facts: Facts,
}

/// Reads the header, the program headers and the notes.
///
/// A dump that is truncated or has damaged notes opens; its completeness tells what is wrong
/// with it. When the header or the table of program headers cannot be used it does not open.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Box<dyn Format + '_>, Error> {
    let source = only(parts, "an ELF core split over several files: it is always one file, give one")?;
    let size = source.size()?;
    let CoreTable { ehdr, phdrs, place } = CoreTable::read(&*source, size)?;
    if phdrs.is_empty() {
        xen::refuse_domain(&*source, &ehdr)?;
    }
    let mut defects = Vec::new();
    let notes = NoteTable::read(&*source, ehdr.encoding.endian, &phdrs, &mut defects)?;
    let remembered = Remembered::read(&notes, ehdr.encoding.endian, ehdr.e_flags, &mut defects)?;
    let holes = StreamHoles::of(&*source, size)?;
    let head = 0..u64::from(ehdr.encoding.ehdr_size());
    if !holes.is_empty() {
        let besides = phdrs.iter().filter(|phdr| phdr.p_type != PT_LOAD).map(file_range);
        let mut damaged =
            [head.clone(), place.clone()].into_iter().chain(besides).filter_map(|range| holes.defect(range));
        damaged.try_for_each(|error| tell(&mut defects, error))?;
    }
    // What an unfinished file holds behind that is not known.
    let written = remembered.good.map_or(size, |good| good.min(size));
    let arch = Arch::from_elf(ehdr.e_machine, ehdr.encoding.class);
    let last = arch.map_or(u64::MAX, Arch::last_paddr);
    let mut listed = candidates(&phdrs, last, written, &mut defects)?;
    let map = ExtentMap::build(&listed)?;
    let (value, limit) = (stored(&map, written), size.saturating_mul(MAX_TIMES).max(FEW));
    if value > limit {
        let what = "memory that the PT_LOADs list, many times over the same bytes of the file,";
        return Err(Error::TooLarge { what, value, limit });
    }
    listed.retain(|extent| extent.stored_at.is_some_and(|at| at < written));
    let note_places = phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE).map(file_range);
    let besides = [head, place].into_iter().chain(note_places);
    tell_overlaps((&*source, &holes), &listed, besides, &mut defects)?;
    holes.check_times(map.extents().iter().filter_map(|extent| {
        let at = extent.stored_at?;
        Some(at..at.saturating_add(extent.range.size()).min(written))
    }))?;
    let page_size = notes.vmcoreinfo().and_then(|info| info.page_size());
    let mut facts = Facts {
        e_machine: ehdr.e_machine,
        arch,
        page_size: page_size.filter(|size| (0x1000..=0x10_0000).contains(size)),
        phdrs,
        notes,
        ..Facts::new("elf", ehdr.encoding)
    };
    facts.details.extend(xen::detail(&facts.notes));
    if remembered.given_up != 0 {
        let text = format!("{} readable bytes for which the list of losses had no room", remembered.given_up);
        facts.details.push(("given up", text));
    }
    let is_cacheable = source.is_cacheable();
    let mut dump = ElfDump { source, is_cacheable, size: written, holes, remembered, map, facts };
    dump.facts.completeness = dump.completeness(size, defects);
    Ok(Box::new(dump))
}

impl ElfDump<'_> {
    /// Reads the longest piece at `paddr` that is stored without a break.
    fn read_piece(&self, paddr: u64, buf: &mut [u8], scratch: &mut Scratch) -> Result<usize, Stopped> {
        let stop = |error| Err(Stopped::new(paddr, 0, error));
        let found = self.map.find_near(paddr, &mut scratch.hint);
        let mut room = u64::MAX;
        if !self.remembered.is_empty() && !matches!(found, Lookup::Hole { .. }) {
            match self.remembered.around(paddr) {
                Ok(span) => return stop(error_of(span.kind, paddr)),
                Err((_, end)) => room = end.saturating_sub(paddr),
            }
        }
        let (at, len) = match found {
            Lookup::Stored { at, len } => (at, len.min(room)),
            Lookup::Excluded { .. } => return stop(Error::Excluded { paddr }),
            Lookup::Hole { next } => return stop(Error::Hole { paddr, next }),
        };
        let len = if self.holes.is_empty() {
            len
        } else {
            match self.holes.around(at) {
                Ok(_) => return stop(Error::Missing { paddr }),
                Err(given) => len.min(given.end.saturating_sub(at)),
            }
        };
        let want = len.min(buf.len() as u64);
        let have = self.size.saturating_sub(at);
        let count = usize::try_from(want.min(have)).unwrap_or(usize::MAX).min(buf.len());
        let piece = buf.get_mut(..count).unwrap_or_default();
        if piece.is_empty() {
            if self.remembered.good.is_some() {
                return stop(Error::Missing { paddr });
            }
            return stop(Error::Truncated { what: "memory", offset: at, need: want, have });
        }
        if self.is_cacheable && piece.len() <= SMALL && self.read_kept(at, piece, scratch) {
            return Ok(count);
        }
        match self.source.read_full_at(at, piece) {
            Ok(()) => Ok(count),
            Err(stopped) => Err(Stopped::new(paddr, stopped.read, stopped.error)),
        }
    }

    /// Fills `piece` from what is kept of the file: a block, or what was read ahead. A block is read when
    /// it is wanted a second time: a system call for all of it costs more than one for a few bytes.
    /// What cannot be read is not kept, and read again to say why.
    fn read_kept(&self, at: u64, piece: &mut [u8], scratch: &mut Scratch) -> bool {
        let inside = offset_in(at, BLOCK as u64);
        let start = at.saturating_sub(inside as u64);
        let number = start >> BLOCK.trailing_zeros();
        let end = inside.checked_add(piece.len()).filter(|end| *end <= BLOCK && piece.len() < BLOCK);
        if !scratch.blocks.is_for(BLOCK) {
            let (size, most) = (scratch.options.cache_size, self.size >> BLOCK.trailing_zeros());
            scratch.blocks = BlockCache::new(BLOCK, size, most);
        }
        if let Some(end) = end {
            if let Some(bytes) = scratch.blocks.get(number).and_then(|block| block.get(inside..end)) {
                piece.copy_from_slice(bytes);
                return true;
            }
        }
        if self.read_in_order(at, piece, scratch) {
            return true;
        }
        let is_whole = start.saturating_add(BLOCK as u64) <= self.size;
        let blocks = &mut scratch.blocks;
        let Some(end) = end.filter(|_| is_whole && blocks.is_wanted_again(number)) else { return false };
        let read = blocks.put(number, |block| self.source.read_full_at(start, block));
        let block = read.and_then(Result::ok);
        block.and_then(|block| block.get(inside..end)).is_some_and(|bytes| {
            piece.copy_from_slice(bytes);
            true
        })
    }

    /// Fills `piece` from what was read ahead, which begins where small reads follow each other.
    fn read_in_order(&self, at: u64, piece: &mut [u8], scratch: &mut Scratch) -> bool {
        let Scratch { ahead, sequence, options, .. } = scratch;
        let goes_on = sequence.goes_on(at, piece.len());
        if ahead.get(0, at, piece.len()).is_none() && (!goes_on || options.cache_size == 0) {
            return false;
        }
        let more = self.size.saturating_sub(at).min(AHEAD);
        ahead.load((0, &*self.source), at, (piece.len(), more), "memory").is_ok_and(|bytes| {
            piece.copy_from_slice(bytes);
            true
        })
    }

    /// What the program headers and the length of the file say of the memory at `at`; the map has
    /// it at `index`.
    fn listed(&self, at: u64, index: usize) -> Option<Span> {
        let extent = self.map.extents().get(index)?;
        if !extent.range.contains(at) {
            let before = index.checked_sub(1).and_then(|index| self.map.extents().get(index));
            let start = before.map_or(0, |extent| extent.range.end());
            let range = PhysRange::from_half_open(start, extent.range.start()).ok()?;
            return Some(Span { range, kind: SpanKind::Hole });
        }
        let Some(stored_at) = extent.stored_at else {
            return Some(Span { range: extent.range, kind: SpanKind::Excluded(None) });
        };
        match split(extent.range, self.size.saturating_sub(stored_at)) {
            (Some(range), _) if range.contains(at) => Some(self.given(range, stored_at, at)),
            (_, missing) => missing.map(|range| Span { range, kind: SpanKind::Missing }),
        }
    }

    /// As much of `range`, whose first byte is at `start` of the file, as is like the memory at `at`: given
    /// by the stream that the file is in, or not.
    fn given(&self, range: PhysRange, start: u64, at: u64) -> Span {
        let found = self.holes.around(start.saturating_add(at.saturating_sub(range.start())));
        let kind = if found.is_ok() { SpanKind::Missing } else { SpanKind::Stored };
        let (Ok(alike) | Err(alike)) = found;
        let address = |position: u64| range.start().saturating_add(position.saturating_sub(start));
        let end = address(alike.end).min(range.end());
        Span { range: PhysRange::from_half_open(address(alike.start), end).unwrap_or(range), kind }
    }

    /// The same, as far as the losses that are remembered leave it.
    fn span_at(&self, at: u64, index: usize) -> Option<Span> {
        let span = self.listed(at, index)?;
        let ram = span.kind != SpanKind::Hole && !self.remembered.is_empty();
        Some(if ram { self.remembered.narrow(span, at) } else { span })
    }

    /// What the file, which has `file_size` bytes, lacks of what its program headers list.
    fn completeness(&self, file_size: u64, mut defects: Vec<Error>) -> Completeness {
        let elsewhere = |phdr: &&Phdr| phdr.p_type == PT_LOAD && phdr.p_paddr == NO_PADDR;
        let listed = self.facts.phdrs.iter().filter(|phdr| phdr.p_filesz != 0 && !elsewhere(phdr));
        let expected_size = listed.map(|phdr| phdr.p_offset.saturating_add(phdr.p_filesz)).max().unwrap_or(0);
        let (mut missing, mut unreadable) = (0_u64, 0_u64);
        let (mut at, mut hint) = (0, 0);
        while let Some(span) = self.span_at(at, self.map.index_near(at, &mut hint)) {
            match span.kind {
                SpanKind::Missing => missing = missing.saturating_add(span.range.size()),
                kind if kind.is_lost() => unreadable = unreadable.saturating_add(span.range.size()),
                _ => {}
            }
            at = span.range.end();
        }
        if missing == 0 && defects.is_empty() && expected_size > file_size {
            let (offset, need) = (file_size, expected_size.saturating_sub(file_size));
            let what = "what program headers list besides memory";
            defects.push(Error::Truncated { what, offset, need, have: 0 });
        }
        let stored = self.map.extents().iter().any(|extent| extent.stored_at.is_some());
        if self.map.extents().is_empty() && defects.is_empty() {
            let (value, expected) = (0, "at least 1");
            let what = "number of PT_LOADs with memory at a physical address";
            defects.push(Error::Corrupt { what, value, expected });
        } else if !stored && !self.map.extents().is_empty() && missing == 0 && unreadable == 0 {
            let expected = "some of the memory that they describe: no memory is stored";
            defects.push(Error::Corrupt { what: "p_filesz of all PT_LOADs", value: 0, expected });
        }
        Completeness { file_size, expected_size, missing, unreadable, defects }
    }
}

impl Format for ElfDump<'_> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        self.span_at(at.0, self.map.index(at.0))
    }

    fn span_near(&self, at: Paddr, scratch: &mut Scratch) -> Option<Span> {
        self.span_at(at.0, self.map.index_near(at.0, &mut scratch.hint))
    }

    fn read(&self, at: Paddr, buf: &mut [u8], scratch: &mut Scratch) -> Result<(), Stopped> {
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let Some(paddr) = at.0.checked_add(read as u64) else {
                return Err(Stopped::new(at.0, read, Error::Hole { paddr: u64::MAX, next: None }));
            };
            match self.read_piece(paddr, rest, scratch) {
                Ok(count) => read = read.saturating_add(count),
                Err(stopped) => {
                    return Err(Stopped::new(at.0, read.saturating_add(stopped.read), stopped.error));
                }
            }
        }
        Ok(())
    }
}

/// The bytes of the file that a program header lists.
fn file_range(phdr: &Phdr) -> Range<u64> {
    phdr.p_offset..phdr.p_offset.saturating_add(phdr.p_filesz)
}

/// Bytes of memory that a file of `size` bytes has.
fn stored(map: &ExtentMap, size: u64) -> u64 {
    let lengths = map.extents().iter().filter_map(|extent| {
        let have = size.saturating_sub(extent.stored_at?);
        Some(have.min(extent.range.size()))
    });
    lengths.fold(0, u64::saturating_add)
}

/// The part of a range that is in its first `len` bytes, and the rest.
fn split(range: PhysRange, len: u64) -> (Option<PhysRange>, Option<PhysRange>) {
    let middle = range.start().saturating_add(len).min(range.end());
    let part = |start, end| PhysRange::from_half_open(start, end).ok();
    (part(range.start(), middle), part(middle, range.end()))
}

/// Whether memory and file bytes of a PT_LOAD end below 2^64. One that does not is no part of
/// the dump.
pub(crate) fn is_usable(phdr: &Phdr) -> bool {
    let memory = phdr.p_paddr.checked_add(phdr.p_memsz.max(phdr.p_filesz));
    memory.and(phdr.p_offset.checked_add(phdr.p_filesz)).is_some()
}

/// `p_paddr` of what has no physical address of its own: vmalloc memory in /proc/kcore.
const NO_PADDR: u64 = u64::MAX;

/// What each PT_LOAD says about physical memory in a file of `size` bytes. One that is damaged
/// is told in `defects`; one that passes the last address, or the `last` of the machine, is left out.
fn candidates(phdrs: &[Phdr], last: u64, size: u64, defects: &mut Vec<Error>) -> Result<Vec<Extent>, Error> {
    const WHAT: &str = "the ranges of memory in the dump";
    let mut extents = Vec::new();
    // Where PT_LOADs overlap, bytes behind the end of the file come after those that are there.
    let mut missing = Vec::new();
    if !phdrs.iter().any(|phdr| phdr.p_type == PT_LOAD) {
        let expected = "at least 1";
        tell(defects, Error::Corrupt { what: "number of PT_LOADs", value: 0, expected })?;
    }
    for (index, phdr) in (0_u32..).zip(phdrs).filter(|(_, phdr)| phdr.p_type == PT_LOAD) {
        if phdr.p_paddr == NO_PADDR {
            continue;
        }
        let mut damaged = |field, value, expected| {
            let error = kdump_elf::Error::Phdr { index, field, value, expected };
            tell(defects, Error::Elf { what: "program headers", error })
        };
        if !is_usable(phdr) {
            damaged("p_filesz", phdr.p_filesz, "a segment that ends below 2^64")?;
            continue;
        }
        let end = phdr.p_paddr.saturating_add(phdr.p_memsz.max(phdr.p_filesz));
        if end.saturating_sub(1) > last {
            damaged("p_memsz", phdr.p_memsz, "an end among the machine's physical addresses")?;
            continue;
        }
        if phdr.p_filesz > phdr.p_memsz {
            damaged("p_filesz", phdr.p_filesz, "at most p_memsz")?;
        }
        let Ok(all) = PhysRange::from_half_open(phdr.p_paddr, end) else { continue };
        let (listed, excluded) = split(all, phdr.p_filesz);
        let stored = listed.map(|range| split(range, size.saturating_sub(phdr.p_offset)));
        let (here, behind) = stored.unwrap_or_default();
        let at = |range: PhysRange| {
            let skip = range.start().saturating_sub(phdr.p_paddr);
            Extent { range, stored_at: Some(phdr.p_offset.saturating_add(skip)) }
        };
        let excluded = excluded.map(|range| Extent { range, stored_at: None });
        here.map(at).into_iter().chain(excluded).try_for_each(|extent| push(&mut extents, WHAT, extent))?;
        behind.map(at).map_or(Ok(()), |extent| push(&mut missing, WHAT, extent))?;
    }
    missing.into_iter().try_for_each(|extent| push(&mut extents, WHAT, extent))?;
    Ok(extents)
}
