//! An ELF core as a dump: memory by physical address, notes, and what is missing.

use alloc::vec::Vec;

use kdump_elf::{Arch, Ehdr, Encoding, PT_LOAD, Paddr, Phdr, PhysRange};

use crate::dump::core_table::CoreTable;
use crate::dump::{Completeness, MemoryRange, NoteTable, RangeKind};
use crate::error::{Error, Stopped};
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::source::{OldMemory, ReadAt};

/// An ELF core file: /proc/vmcore, a copy of it, or what makedumpfile and QEMU write.
///
/// ELF32 and ELF64 of either byte order, any number of program headers (`PN_XNUM`). PT_LOADs
/// are found by `p_paddr` in O(log n). Where they overlap, bytes that are in the file win over
/// those that are not, then the PT_LOAD that comes first. What lies between `p_filesz` and
/// `p_memsz` was excluded by the tool that wrote the dump.
#[derive(Clone, Debug)]
pub struct ElfDump<S> {
    source: S,
    size: u64,
    table: CoreTable,
    map: ExtentMap,
    notes: NoteTable,
    completeness: Completeness,
}

impl<S: ReadAt> ElfDump<S> {
    /// Reads the header, the program headers and the notes.
    ///
    /// A dump that is truncated or has damaged notes opens; [`ElfDump::completeness`] tells
    /// what is wrong with it.
    ///
    /// # Errors
    /// When the header or the table of program headers cannot be used.
    pub fn open(source: S) -> Result<Self, Error> {
        let size = source.size()?;
        let table = CoreTable::read(&source, size)?;
        let mut defects = Vec::new();
        let notes = NoteTable::read(&source, table.ehdr.encoding.endian, &table.phdrs, &mut defects);
        let map = ExtentMap::build(&candidates(&table.phdrs, size, &mut defects));
        let completeness = Completeness::of_file(size, &table.phdrs, &map, defects);
        Ok(Self { source, size, table, map, notes, completeness })
    }

    /// The file header.
    #[must_use]
    pub fn ehdr(&self) -> &Ehdr {
        &self.table.ehdr
    }

    /// How the file stores its numbers.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.table.ehdr.encoding
    }

    /// The architecture; `None` when `e_machine` is none we know.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        Arch::from_elf(self.table.ehdr.e_machine, self.table.ehdr.encoding.class)
    }

    /// All program headers, in file order.
    #[must_use]
    pub fn phdrs(&self) -> &[Phdr] {
        &self.table.phdrs
    }

    /// All notes.
    #[must_use]
    pub fn notes(&self) -> &NoteTable {
        &self.notes
    }

    /// What is missing or damaged, as far as it shows without reading the memory.
    #[must_use]
    pub fn completeness(&self) -> &Completeness {
        &self.completeness
    }

    /// The memory of the machine by address: sorted, disjoint, holes included.
    pub fn ranges(&self) -> impl Iterator<Item = MemoryRange> {
        let mut end = None;
        self.map.extents().iter().flat_map(move |extent| {
            let gap = end.and_then(|end| PhysRange::from_half_open(end, extent.range.start()).ok());
            end = Some(extent.range.end());
            let (stored, missing) = match extent.stored_at {
                Some(at) => split(extent.range, self.size.saturating_sub(at)),
                None => (None, None),
            };
            let excluded = extent.stored_at.is_none().then_some(extent.range);
            [
                (gap, RangeKind::Hole),
                (stored, RangeKind::Stored),
                (missing, RangeKind::Missing),
                (excluded, RangeKind::Excluded),
            ]
            .into_iter()
            .filter_map(|(range, kind)| Some(MemoryRange { range: range?, kind }))
        })
    }

    /// How many bytes from `paddr` on were excluded without a break; 0 when it was not.
    #[must_use]
    pub fn excluded_len(&self, paddr: Paddr) -> u64 {
        match self.map.find(paddr.0) {
            Lookup::Excluded { len } => len,
            _ => 0,
        }
    }

    /// Reads the longest piece at `paddr` that is stored without a break.
    fn read_piece(&self, paddr: u64, buf: &mut [u8]) -> Result<usize, Stopped> {
        let stop = |error| Err(Stopped::new(paddr, 0, error));
        let (at, len) = match self.map.find(paddr) {
            Lookup::Stored { at, len } => (at, len),
            Lookup::Excluded { .. } => return stop(Error::Excluded { paddr }),
            Lookup::Hole { next } => return stop(Error::Hole { paddr, next }),
        };
        let want = len.min(buf.len() as u64);
        let have = self.size.saturating_sub(at);
        let count = usize::try_from(want.min(have)).unwrap_or(usize::MAX).min(buf.len());
        let piece = buf.get_mut(..count).unwrap_or_default();
        if piece.is_empty() {
            return stop(Error::Truncated { what: "memory", offset: at, need: want, have });
        }
        match self.source.read_full_at(at, piece) {
            Ok(()) => Ok(count),
            Err(stopped) => Err(Stopped::new(paddr, stopped.read, stopped.error)),
        }
    }
}

impl<S: ReadAt> OldMemory for ElfDump<S> {
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let Some(at) = paddr.0.checked_add(read as u64) else {
                return Err(Stopped::new(paddr.0, read, Error::Hole { paddr: u64::MAX, next: None }));
            };
            match self.read_piece(at, rest) {
                Ok(count) => read = read.saturating_add(count),
                Err(stopped) => {
                    return Err(Stopped::new(paddr.0, read.saturating_add(stopped.read), stopped.error));
                }
            }
        }
        Ok(())
    }
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

/// What each PT_LOAD says about physical memory in a file of `size` bytes. One that is damaged
/// is told in `defects`; one that passes the last address is left out.
fn candidates(phdrs: &[Phdr], size: u64, defects: &mut Vec<Error>) -> Vec<Extent> {
    let mut extents = Vec::new();
    // Where PT_LOADs overlap, bytes behind the end of the file come after those that are there.
    let mut missing = Vec::new();
    if !phdrs.iter().any(|phdr| phdr.p_type == PT_LOAD) {
        defects.push(Error::Corrupt { what: "number of PT_LOADs", value: 0, expected: "at least 1" });
    }
    for (index, phdr) in (0_u32..).zip(phdrs).filter(|(_, phdr)| phdr.p_type == PT_LOAD) {
        let mut damaged = |field, value, expected| {
            let error = kdump_elf::Error::Phdr { index, field, value, expected };
            defects.push(Error::Elf { what: "program headers", error });
        };
        if !is_usable(phdr) {
            damaged("p_filesz", phdr.p_filesz, "a segment that ends below 2^64");
            continue;
        }
        if phdr.p_filesz > phdr.p_memsz {
            damaged("p_filesz", phdr.p_filesz, "at most p_memsz");
        }
        let end = phdr.p_paddr.saturating_add(phdr.p_memsz.max(phdr.p_filesz));
        let Ok(all) = PhysRange::from_half_open(phdr.p_paddr, end) else { continue };
        let (listed, excluded) = split(all, phdr.p_filesz);
        let stored = listed.map(|range| split(range, size.saturating_sub(phdr.p_offset)));
        let (here, behind) = stored.unwrap_or_default();
        let at = |range: PhysRange| {
            let skip = range.start().saturating_sub(phdr.p_paddr);
            Extent { range, stored_at: Some(phdr.p_offset.saturating_add(skip)) }
        };
        extents.extend(here.map(at));
        missing.extend(behind.map(at));
        extents.extend(excluded.map(|range| Extent { range, stored_at: None }));
    }
    extents.extend(missing);
    extents
}
