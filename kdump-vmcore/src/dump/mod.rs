//! A dump of whatever format: what every reader starts from.

mod completeness;
mod core_table;
mod cpu;
mod elf;
mod format;
mod memory_range;
mod note_table;
pub(crate) mod scan;
mod unreadable;
mod verify;

use alloc::vec::Vec;

use kdump_elf::{Arch, Class, Encoding, Endian, Paddr, Phdr, PhysRange, VmcoreInfo};

pub use completeness::Completeness;
pub use cpu::Cpu;
pub use elf::ElfDump;
pub(crate) use elf::is_usable;
pub use format::Format;
pub use memory_range::{MemoryRange, RangeKind};
pub use note_table::NoteTable;
pub use unreadable::{MAX_UNREADABLE, Unreadable, UnreadableRange};
pub use verify::{Verification, verify};

use crate::error::{Error, Stopped};
use crate::source::{OldMemory, ReadAt};

/// A dump of a crashed kernel.
///
/// Reads take `&self`, keep no state and take no lock: one dump serves many threads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Dump<S> {
    /// An ELF core.
    Elf(ElfDump<S>),
}

impl<S: ReadAt> Dump<S> {
    /// Recognises the format and opens the dump.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], [`Error::Unsupported`] naming a format that is known but
    /// cannot be read, or why its headers cannot be used.
    pub fn open(source: S) -> Result<Self, Error> {
        let what = match Format::probe(&source)? {
            Format::Elf => return ElfDump::open(source).map(Self::Elf),
            Format::KdumpCompressed => "dumps in the kdump-compressed format (KDUMP) cannot be read",
            Format::Diskdump => "dumps in the diskdump format (DISKDUMP) cannot be read",
            Format::Flattened => {
                "flattened dumps cannot be read; `makedumpfile -R DUMP < FLATTENED` puts them together"
            }
        };
        Err(Error::Unsupported { what })
    }

    /// The format of the file.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Elf(_) => Format::Elf,
        }
    }

    /// Word size and byte order of the dump.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::Elf(elf) => elf.encoding(),
        }
    }

    /// Byte order of the dumped machine.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.encoding().endian
    }

    /// The dumped machine's architecture; `None` when it is none we know.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        match self {
            Self::Elf(elf) => elf.arch(),
        }
    }

    /// Word size of the dumped kernel, which an ELF32 file for a 64-bit machine hides.
    #[must_use]
    pub fn word_class(&self) -> Class {
        self.arch().map_or(self.encoding().class, Arch::class)
    }

    /// The dumped kernel's page size as VMCOREINFO has it; `None` without it.
    #[must_use]
    pub fn page_size(&self) -> Option<u64> {
        self.vmcoreinfo()?.page_size().filter(|size| (0x1000..=0x10_0000).contains(size))
    }

    /// Program headers; empty for formats that have none.
    #[must_use]
    pub fn phdrs(&self) -> &[Phdr] {
        match self {
            Self::Elf(elf) => elf.phdrs(),
        }
    }

    /// All notes.
    #[must_use]
    pub fn notes(&self) -> &NoteTable {
        match self {
            Self::Elf(elf) => elf.notes(),
        }
    }

    /// VMCOREINFO, when the dump has it.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<VmcoreInfo<'_>> {
        self.notes().vmcoreinfo()
    }

    /// The registers of the CPUs that saved them, in the order of the notes.
    #[must_use]
    pub fn cpus(&self) -> Vec<Cpu<'_>> {
        Cpu::from_notes(self.notes(), self.arch(), self.endian())
    }

    /// The memory of the machine by address: sorted, disjoint, holes included.
    pub fn ranges(&self) -> impl Iterator<Item = MemoryRange> {
        match self {
            Self::Elf(elf) => elf.ranges(),
        }
    }

    /// How many bytes from `paddr` on were excluded without a break; 0 when it was not.
    #[must_use]
    pub fn excluded_len(&self, paddr: Paddr) -> u64 {
        match self {
            Self::Elf(elf) => elf.excluded_len(paddr),
        }
    }

    /// Bytes of RAM the dump describes, stored or not.
    #[must_use]
    pub fn memory_size(&self) -> u64 {
        let ram = self.ranges().filter(|range| range.kind != RangeKind::Hole);
        ram.map(|range| range.range.size()).fold(0, u64::saturating_add)
    }

    /// Why a [`RangeKind::Missing`] range cannot be read.
    pub(crate) fn missing_error(&self, range: PhysRange) -> Error {
        let have = self.completeness().file_size;
        Error::Truncated { what: "memory", offset: have, need: range.size(), have: 0 }
    }

    /// What is missing or damaged, as far as it shows without reading the memory.
    #[must_use]
    pub fn completeness(&self) -> &Completeness {
        match self {
            Self::Elf(elf) => elf.completeness(),
        }
    }
}

impl<S: ReadAt> OldMemory for Dump<S> {
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        match self {
            Self::Elf(elf) => elf.read_phys(paddr, buf),
        }
    }
}
