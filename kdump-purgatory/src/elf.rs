//! Reads the tables of a relocatable ELF object (ELF gABI, "Object Files").
//!
//! goblin decodes the entries; which of them are believed is decided here, because the input
//! may be anything.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFMAG, ET_REL, Header, header32, header64,
};
use goblin::elf::section_header::{
    SHN_XINDEX, SHT_NOBITS, SHT_SYMTAB, SectionHeader, section_header32, section_header64,
};
use goblin::elf::sym::{Sym, Symtab, sym32, sym64};

use kdump_elf::{Arch, Class};

use crate::Error;

/// How the tables of an object are encoded.
fn encoding(arch: Arch) -> Ctx {
    let container = match arch.class() {
        Class::Elf32 => Container::Little,
        Class::Elf64 => Container::Big,
    };
    Ctx { container, le: Endian::Little }
}

/// The longest name that is looked at; longer ones cannot be asked for.
const NAME_MAX: usize = 128;

/// The tables of an object.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) arch: Arch,
    pub(crate) encoding: Ctx,
    pub(crate) sections: Vec<SectionHeader>,
    pub(crate) symbols: Vec<Sym>,
    /// Index of the section that holds the names of sections, and of symbols.
    section_names: usize,
    symbol_names: usize,
}

impl Tables {
    /// Reads the tables of an object.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (header, arch) = header(bytes)?;
        let encoding = encoding(arch);
        let sections = sections(bytes, &header, encoding)?;
        let section_names = match u32::from(header.e_shstrndx) {
            SHN_XINDEX => sections.first().map_or(0, |first| first.sh_link),
            index => index,
        };
        let mut tables = Self {
            arch,
            encoding,
            sections,
            symbols: Vec::new(),
            section_names: index(section_names),
            symbol_names: 0,
        };
        tables.refuse_overlap(bytes)?;
        tables.read_symbols(bytes)?;
        Ok(tables)
    }

    /// Reads the one symbol table.
    fn read_symbols(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let is_table = |section: &&SectionHeader| section.sh_type == SHT_SYMTAB;
        let count = self.sections.iter().filter(is_table).count();
        let table = match self.sections.iter().find(is_table) {
            Some(table) if count == 1 => table,
            _ => return Err(Error::SymbolTables { count }),
        };
        self.symbol_names = index(table.sh_link);
        let content = self.content(bytes, table)?;
        let size = match self.arch.class() {
            Class::Elf32 => sym32::SIZEOF_SYM,
            Class::Elf64 => sym64::SIZEOF_SYM,
        };
        let count = content.len().checked_div(size).unwrap_or(0);
        if count != 0 {
            self.symbols = Symtab::parse(content, 0, count, self.encoding)
                .map_err(|_| self.outside(bytes, table))?
                .iter()
                .collect();
        }
        Ok(())
    }

    /// Refuses a file whose sections share bytes: it could ask for memory and time far beyond
    /// its own size.
    fn refuse_overlap(&self, bytes: &[u8]) -> Result<(), Error> {
        let size = self
            .sections
            .iter()
            .skip(1)
            .filter(|section| section.sh_type != SHT_NOBITS)
            .fold(0_u64, |sum, section| sum.saturating_add(section.sh_size));
        let len = length(bytes);
        if size > len {
            return Err(Error::SectionsOverlap { size, len });
        }
        Ok(())
    }

    /// The bytes in the file of a section that has content: not of one of type `SHT_NOBITS`.
    pub(crate) fn content<'a>(&self, bytes: &'a [u8], section: &SectionHeader) -> Result<&'a [u8], Error> {
        slice(bytes, section.sh_offset, section.sh_size).ok_or_else(|| self.outside(bytes, section))
    }

    /// The name of a section, for people.
    pub(crate) fn section_name(&self, bytes: &[u8], section: &SectionHeader) -> String {
        let names = self.sections.get(self.section_names);
        self.name(bytes, names, section.sh_name)
            .map_or_else(|| format!("(name {:#x})", section.sh_name), lossy)
    }

    /// The name of a symbol; empty if it has none.
    pub(crate) fn symbol_name<'a>(&self, bytes: &'a [u8], symbol: &Sym) -> &'a [u8] {
        let names = self.sections.get(self.symbol_names);
        self.name(bytes, names, symbol.st_name).unwrap_or(&[])
    }

    /// A name in a string table, up to its NUL or [`NAME_MAX`].
    fn name<'a>(&self, bytes: &'a [u8], names: Option<&SectionHeader>, offset: usize) -> Option<&'a [u8]> {
        // Not by `content`, whose error would ask for a name again.
        let names = names.filter(|names| names.sh_type != SHT_NOBITS)?;
        let table = slice(bytes, names.sh_offset, names.sh_size)?;
        let tail = table.get(offset..)?;
        tail.get(..NAME_MAX.min(tail.len()))?.split(|byte| *byte == 0).next()
    }

    fn outside(&self, bytes: &[u8], section: &SectionHeader) -> Error {
        Error::OutsideFile {
            what: format!("section {}", self.section_name(bytes, section)),
            offset: section.sh_offset,
            size: section.sh_size,
            len: length(bytes),
        }
    }
}

/// Reads the ELF header of a relocatable object, for an architecture that is linked for.
fn header(bytes: &[u8]) -> Result<(Header, Arch), Error> {
    let ident = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let not_elf = || Error::NotElf { len: bytes.len() };
    let (class, size, entry) = match ident(EI_CLASS) {
        ELFCLASS32 => (Class::Elf32, header32::SIZEOF_EHDR, section_header32::SIZEOF_SHDR),
        _ => (Class::Elf64, header64::SIZEOF_EHDR, section_header64::SIZEOF_SHDR),
    };
    if !bytes.starts_with(ELFMAG) || bytes.len() < size {
        return Err(not_elf());
    }
    if class == Class::Elf64 {
        expect("EI_CLASS", ident(EI_CLASS), ELFCLASS64)?;
    }
    expect("EI_DATA", ident(EI_DATA), ELFDATA2LSB)?;
    let header = Elf::parse_header(bytes).map_err(|_| not_elf())?;
    expect("e_type", header.e_type, ET_REL)?;
    let linked =
        |arch: &Arch| matches!(arch, Arch::X86_64 | Arch::I386 | Arch::Arm64 | Arch::Ppc64 | Arch::Riscv64);
    let arch = Arch::from_elf(header.e_machine, class).filter(|arch| linked(arch) && arch.class() == class);
    let arch = match arch {
        Some(arch) => arch,
        None => {
            let usual = match class {
                Class::Elf32 => Arch::I386,
                Class::Elf64 => Arch::X86_64,
            };
            expect("e_machine", header.e_machine, usual.e_machine())?;
            usual
        }
    };
    expect("e_shentsize", header.e_shentsize, u16::try_from(entry).unwrap_or(u16::MAX))?;
    Ok((header, arch))
}

fn expect<T: Into<u64> + PartialEq>(field: &'static str, value: T, expected: T) -> Result<(), Error> {
    if value == expected {
        return Ok(());
    }
    Err(Error::Header { field, value: value.into(), expected: expected.into() })
}

/// Reads the section header table.
fn sections(bytes: &[u8], header: &Header, encoding: Ctx) -> Result<Vec<SectionHeader>, Error> {
    let count = usize::from(header.e_shnum);
    usize::try_from(header.e_shoff)
        .ok()
        .and_then(|offset| SectionHeader::parse(bytes, offset, count, encoding).ok())
        .ok_or_else(|| Error::OutsideFile {
            what: "section header table".to_owned(),
            offset: header.e_shoff,
            size: u64::from(header.e_shnum).saturating_mul(u64::from(header.e_shentsize)),
            len: length(bytes),
        })
}

/// The bytes at a file offset.
fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(size)?).ok()?;
    bytes.get(start..end)
}

/// A section or string index as an index of memory; out of every range if it does not fit.
pub(crate) fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The size of a file.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A name as text.
pub(crate) fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
