//! What a dump says about itself and its machine, whatever its format.

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, Class, Encoding, Phdr, VmcoreInfo};

use super::{Completeness, NoteTable};

/// What is known of a dump once it is open. A format fills in what it has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// Name of the format, as in messages and JSON: `elf`.
    pub format: &'static str,
    /// Word size of the file and byte order of the dump.
    pub encoding: Encoding,
    /// `e_machine` (`elf(5)`) of the dumped machine; 0 when the dump does not say.
    pub e_machine: u16,
    /// The dumped machine's architecture; `None` when it is none we know.
    pub arch: Option<Arch>,
    /// Bytes of a page of the dumped kernel; `None` when the dump does not say.
    pub page_size: Option<u64>,
    /// Kinds of pages that were left out when the dump was written, as the number makedumpfile uses; 0 when
    /// the dump does not say.
    pub dump_level: u32,
    /// Program headers, in file order, unused ones (PT_NULL) left out where there are more than
    /// 65536; empty for formats that have none.
    pub phdrs: Vec<Phdr>,
    /// All notes.
    pub notes: NoteTable,
    /// What is missing or damaged, as far as it shows without reading the memory.
    pub completeness: Completeness,
    /// What only this format has, for people: names and values, in the order to show.
    pub details: Vec<(&'static str, String)>,
}

impl Facts {
    /// Facts of a dump of which only these two are known; the rest is to be filled in.
    #[must_use]
    pub fn new(format: &'static str, encoding: Encoding) -> Self {
        Self {
            format,
            encoding,
            e_machine: 0,
            arch: None,
            page_size: None,
            dump_level: 0,
            phdrs: Vec::new(),
            notes: NoteTable::new(encoding.endian),
            completeness: Completeness::default(),
            details: Vec::new(),
        }
    }

    /// VMCOREINFO, when the dump has it.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<VmcoreInfo<'_>> {
        self.notes.vmcoreinfo()
    }

    /// Word size of the dumped kernel, which an ELF32 file for a 64-bit machine hides.
    #[must_use]
    pub fn word_class(&self) -> Class {
        self.arch.map_or(self.encoding.class, Arch::class)
    }
}
