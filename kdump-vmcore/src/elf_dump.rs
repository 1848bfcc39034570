//! An ELF core as a dump: memory by physical address, notes, and what is missing.

use alloc::vec::Vec;

use kdump_elf::{Arch, Ehdr, Encoding, PT_LOAD, Paddr, Phdr, PhysRange};

use crate::core_table::CoreTable;
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::{Completeness, Error, MemoryRange, NoteTable, OldMemory, RangeKind, ReadAt, Stopped};

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
        let map = ExtentMap::build(&candidates(&table.phdrs, &mut defects));
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
            let kind = match extent.stored_at {
                Some(_) => RangeKind::Stored,
                None => RangeKind::Excluded,
            };
            gap.map(|range| MemoryRange { range, kind: RangeKind::Hole })
                .into_iter()
                .chain(core::iter::once(MemoryRange { range: extent.range, kind }))
        })
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

/// What each PT_LOAD says about physical memory. One that passes the last address is told in
/// `defects` and left out.
fn candidates(phdrs: &[Phdr], defects: &mut Vec<Error>) -> Vec<Extent> {
    let mut extents = Vec::new();
    for (index, phdr) in (0_u32..).zip(phdrs).filter(|(_, phdr)| phdr.p_type == PT_LOAD) {
        let stored = piece(phdr.p_paddr, phdr.p_filesz);
        let excluded = phdr.p_memsz.saturating_sub(phdr.p_filesz);
        let tail = phdr.p_paddr.checked_add(phdr.p_filesz).and_then(|start| piece(start, excluded));
        let file_end = phdr.p_offset.checked_add(phdr.p_filesz);
        let (Some(stored), Some(tail), Some(_)) = (stored, tail, file_end) else {
            let error = kdump_elf::Error::Phdr {
                index,
                field: "p_filesz",
                value: phdr.p_filesz,
                expected: "a segment that ends below 2^64",
            };
            defects.push(Error::Elf { what: "program headers", error });
            continue;
        };
        extents.extend(stored.map(|range| Extent { range, stored_at: Some(phdr.p_offset) }));
        extents.extend(tail.map(|range| Extent { range, stored_at: None }));
    }
    extents
}

/// A possibly empty range; `None` when it passes the last address.
#[expect(clippy::option_option, reason = "outside: is it an address range; inside: is it empty")]
fn piece(start: u64, len: u64) -> Option<Option<PhysRange>> {
    match len {
        0 => Some(None),
        _ => PhysRange::from_len(start, len).ok().map(Some),
    }
}
