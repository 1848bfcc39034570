//! The ELF core header the capture kernel finds through `elfcorehdr=`.

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Class, Encoding, HeaderLayout, PF_RWX, PN_XNUM, PT_LOAD, PT_NOTE, Phdr, PhysRange};

use crate::room;
use crate::{Error, Machine, MemoryKind, RangeSet, TextMapping};

/// What messages call the parts of the header.
const PHDRS: &str = "program headers";
/// Memory below this is reserved by kernels that need no backup region.
pub(crate) const LOW_MEMORY_END: u64 = 1 << 20;

/// What becomes of the memory below 1 MiB, which the capture kernel boots through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LowMemory {
    /// The dead kernel keeps nothing there (Linux since 5.5 reserves it whole): it is not
    /// dumped and the capture kernel may use it.
    NotDumped,
    /// The purgatory saves `source` to `destination`, and a reader of the dump finds it there.
    BackedUp {
        /// The RAM that is saved.
        source: PhysRange,
        /// Physical address of the copy.
        destination: u64,
    },
    /// It is dumped where it lies and the capture kernel does not use it.
    AsIs,
}

/// The program headers of an elfcorehdr, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfCoreHeader {
    layout: HeaderLayout,
    encoding: Encoding,
    phdrs: Vec<Phdr>,
}

impl ElfCoreHeader {
    /// Describes the memory of `machine`: a PT_NOTE per CPU in order, the VMCOREINFO note, a
    /// PT_LOAD for the kernel image where its mapping is known and not that of the direct map, and a PT_LOAD per range of RAM,
    /// ascending, without crash regions, graphics apertures and CMA memory. A range that the direct map
    /// ends in is two, and what lies behind that end has a `p_vaddr` of all ones.
    ///
    /// What could not be described is said in `notes`.
    ///
    /// # Errors
    /// [`Error::TooMany`] when there are 65535 program headers or more (the capture kernel
    /// reads no extended count), [`Error::Conflict`] when `class` cannot hold an address,
    /// [`Error::OutOfMemory`].
    pub fn new(
        machine: &Machine,
        low: LowMemory,
        class: Class,
        notes: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let encoding = Encoding { class, endian: machine.endian };
        let of_cpus = machine.cpu_notes.iter().map(|note| note_phdr(note.paddr, note.size));
        let mut phdrs = room::collect(PHDRS, of_cpus)?;
        if phdrs.is_empty() {
            notes.push(String::from("no CPU has a crash note: the dump will have no registers"));
        }
        let of_kernel = machine.vmcoreinfo.as_ref().map(|note| note_phdr(note.paddr, note.size));
        room::extend(&mut phdrs, PHDRS, of_kernel)?;
        room::extend(&mut phdrs, PHDRS, text_phdr(machine, notes))?;
        let base = machine.kernel.direct_map_base.as_ref().map(|base| base.value);
        if base.is_none() {
            notes.push(String::from(
                "the direct map is unknown: p_vaddr of the RAM PT_LOADs is all ones, readers must use p_paddr",
            ));
        }
        let end = machine.kernel.direct_map_end.as_ref().map(|end| end.value);
        let vaddr = |paddr: u64| {
            let base = base.filter(|_| end.is_none_or(|end| paddr < end));
            base.map_or(encoding.word_max(), |base| base.wrapping_add(paddr))
        };
        let ranges = ram_ranges(machine, low)?.flat_map(|range| split(range, end));
        let ram = ranges.map(|range| ram_phdr(range, vaddr(range.start()), low));
        room::extend(&mut phdrs, PHDRS, ram)?;
        let layout = phdr_count(&phdrs).and_then(|count| {
            HeaderLayout::elfcorehdr(encoding, machine.arch.e_machine(), count).map_err(Error::from)
        })?;
        let header = Self { layout, encoding, phdrs };
        header.check_class()?;
        Ok(header)
    }

    /// The narrowest class of the architecture of `machine` that holds every address of its RAM.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn class_for(machine: &Machine) -> Result<Class, Error> {
        let last = machine.ram()?.iter().map(|range| range.end()).max().unwrap_or(0);
        let narrow = machine.arch.class() == Class::Elf32 && last <= u64::from(u32::MAX);
        Ok(if narrow { Class::Elf32 } else { Class::Elf64 })
    }

    /// How numbers are stored.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The program headers in table order; `p_offset` is a physical address.
    #[must_use]
    pub fn phdrs(&self) -> &[Phdr] {
        &self.phdrs
    }

    /// Bytes of the encoded header.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layout.size()
    }

    /// The encoded header.
    ///
    /// # Errors
    /// [`Error::Elf`] when a value does not fit the class, [`Error::OutOfMemory`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = room::zeroed("elfcorehdr", usize::try_from(self.size()).unwrap_or(usize::MAX))?;
        let mut writer = self.layout.writer(&mut bytes)?;
        for phdr in &self.phdrs {
            writer.push(phdr)?;
        }
        writer.finish()?;
        Ok(bytes)
    }

    fn check_class(&self) -> Result<(), Error> {
        let max = self.encoding.word_max();
        let widest = |phdr: &Phdr| {
            let end = phdr.p_paddr.saturating_add(phdr.p_memsz);
            end.max(phdr.p_vaddr).max(phdr.p_offset.saturating_add(phdr.p_filesz))
        };
        match self.phdrs.iter().find(|phdr| widest(phdr) > max) {
            None => Ok(()),
            Some(phdr) => Err(Error::Conflict {
                what: "ELF32 core header",
                reason: alloc::format!(
                    "the program header with p_paddr {:#x}, p_vaddr {:#x} does not fit 32 bits",
                    phdr.p_paddr,
                    phdr.p_vaddr
                ),
            }),
        }
    }
}

/// The RAM a dump holds, ascending and disjoint, with the borders firmware drew.
pub(crate) fn ram_ranges(
    machine: &Machine,
    low: LowMemory,
) -> Result<impl Iterator<Item = PhysRange> + use<>, Error> {
    let cut = match low {
        LowMemory::NotDumped => LOW_MEMORY_END,
        LowMemory::BackedUp { .. } | LowMemory::AsIs => 0,
    };
    Ok(machine.dump_ranges()?.into_iter().flat_map(move |range| {
        let range = PhysRange::from_half_open(range.start().max(cut), range.end()).ok();
        let pieces = match (range, low) {
            (Some(range), LowMemory::BackedUp { source, .. }) if range.overlaps(source) => {
                let before = PhysRange::from_half_open(range.start(), source.start()).ok();
                let after = PhysRange::from_half_open(source.end(), range.end()).ok();
                [before, range.intersection(source), after]
            }
            _ => [range, None, None],
        };
        pieces.into_iter().flatten()
    }))
}

/// What lies before `at`, and what from there on.
fn split(range: PhysRange, at: Option<u64>) -> impl Iterator<Item = PhysRange> {
    let at = at.unwrap_or(u64::MAX);
    let before = PhysRange::from_half_open(range.start(), range.end().min(at)).ok();
    let behind = PhysRange::from_half_open(range.start().max(at), range.end()).ok();
    before.into_iter().chain(behind)
}

/// The RAM below 1 MiB.
pub(crate) fn low_ram(machine: &Machine) -> Result<RangeSet, Error> {
    let ranges = machine.memory.of_kind(MemoryKind::Ram).take_while(|range| range.start() < LOW_MEMORY_END);
    let clipped = ranges
        .filter_map(|range| PhysRange::from_half_open(range.start(), range.end().min(LOW_MEMORY_END)).ok());
    RangeSet::from_ranges(clipped)
}

fn phdr_count(phdrs: &[Phdr]) -> Result<u32, Error> {
    let (value, limit) = (phdrs.len() as u64, u64::from(PN_XNUM).saturating_sub(1));
    let count = u32::try_from(value).ok().filter(|_| value <= limit);
    count.ok_or(Error::TooMany { what: "program headers", value, limit })
}

fn note_phdr(paddr: u64, size: u64) -> Phdr {
    Phdr {
        p_type: PT_NOTE,
        p_offset: paddr,
        p_paddr: paddr,
        p_filesz: size,
        p_memsz: size,
        ..Phdr::default()
    }
}

/// The mapping of the kernel image, where it is not that of the direct map: on i386 a PT_LOAD for it
/// would say, and dump, what one of RAM does.
pub(crate) fn image_of_its_own(machine: &Machine) -> Option<TextMapping> {
    let image = machine.kernel.text.as_ref()?.value;
    let base = machine.kernel.direct_map_base.as_ref().map(|base| base.value);
    let end = machine.kernel.direct_map_end.as_ref().map_or(u64::MAX, |end| end.value);
    let mapped = image.paddr.saturating_add(image.size) <= end;
    let same = base.is_some_and(|base| mapped && base.wrapping_add(image.paddr) == image.vaddr);
    (!same).then_some(image)
}

fn text_phdr(machine: &Machine, notes: &mut Vec<String>) -> Option<Phdr> {
    if machine.kernel.text.is_none() {
        notes.push(String::from("the mapping of the kernel image is unknown: its PT_LOAD is left out"));
        return None;
    }
    let Some(mapping) = image_of_its_own(machine) else {
        notes.push(String::from(
            "the kernel image has its addresses in the direct map: it has no PT_LOAD of its own",
        ));
        return None;
    };
    Some(Phdr {
        p_type: PT_LOAD,
        p_flags: PF_RWX,
        p_offset: mapping.paddr,
        p_vaddr: mapping.vaddr,
        p_paddr: mapping.paddr,
        p_filesz: mapping.size,
        p_memsz: mapping.size,
        p_align: 0,
    })
}

fn ram_phdr(range: PhysRange, p_vaddr: u64, low: LowMemory) -> Phdr {
    let p_offset = match low {
        LowMemory::BackedUp { source, destination } if source == range => destination,
        _ => range.start(),
    };
    Phdr {
        p_type: PT_LOAD,
        p_flags: PF_RWX,
        p_offset,
        p_vaddr,
        p_paddr: range.start(),
        p_filesz: range.size(),
        p_memsz: range.size(),
        p_align: 0,
    }
}
