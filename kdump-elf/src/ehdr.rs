// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ELF file header (`elf(5)`, `Elf64_Ehdr` and `Elf32_Ehdr`).

use zerocopy::{ByteOrder, FromBytes};

use crate::bytes::{fit_u32, write_prefix};
use crate::raw::{Ehdr32, Ehdr64, IDENT_LEN};
use crate::with_byte_order;
use crate::{Class, Endian, Error};

/// `e_type` of a core file.
pub const ET_CORE: u16 = 4;
/// `e_phnum` of a file whose real count stands in `sh_info` of section header 0.
pub const PN_XNUM: u16 = 0xffff;

const MAGIC: [u8; 4] = *b"\x7fELF";
const EI_CLASS: usize = 4;
const EI_DATA: usize = 5;
const EI_VERSION: usize = 6;
const EI_OSABI: usize = 7;

/// How an ELF file stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// Word size.
    pub class: Class,
    /// Byte order.
    pub endian: Endian,
}

impl Encoding {
    /// Bytes of the file header: 64 or 52.
    #[must_use]
    pub const fn ehdr_size(self) -> u16 {
        match self.class {
            Class::Elf64 => 64,
            Class::Elf32 => 52,
        }
    }

    /// Bytes of one program header: 56 or 32.
    #[must_use]
    pub const fn phdr_size(self) -> u16 {
        match self.class {
            Class::Elf64 => 56,
            Class::Elf32 => 32,
        }
    }

    /// Bytes of one section header: 64 or 40.
    #[must_use]
    pub const fn shdr_size(self) -> u16 {
        match self.class {
            Class::Elf64 => 64,
            Class::Elf32 => 40,
        }
    }

    /// The largest value of an address, offset or size field.
    #[must_use]
    pub const fn word_max(self) -> u64 {
        match self.class {
            Class::Elf64 => u64::MAX,
            Class::Elf32 => u32::MAX as u64,
        }
    }
}

/// An ELF file header, widened to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of elf(5), one to one")]
pub struct Ehdr {
    pub encoding: Encoding,
    pub ei_osabi: u8,
    pub e_type: u16,
    pub e_machine: u16,
    pub e_version: u32,
    pub e_entry: u64,
    pub e_phoff: u64,
    pub e_shoff: u64,
    pub e_flags: u32,
    pub e_ehsize: u16,
    pub e_phentsize: u16,
    pub e_phnum: u16,
    pub e_shentsize: u16,
    pub e_shnum: u16,
    pub e_shstrndx: u16,
}

impl Ehdr {
    /// A core file header with `phnum` program headers directly behind it. `phnum` is
    /// stored as is: a count that needs [`PN_XNUM`] is the header writer's business.
    #[must_use]
    pub const fn core(encoding: Encoding, e_machine: u16, phnum: u16) -> Self {
        Self {
            encoding,
            ei_osabi: 0,
            e_type: ET_CORE,
            e_machine,
            e_version: 1,
            e_entry: 0,
            e_phoff: encoding.ehdr_size() as u64,
            e_shoff: 0,
            e_flags: 0,
            e_ehsize: encoding.ehdr_size(),
            e_phentsize: encoding.phdr_size(),
            e_phnum: phnum,
            e_shentsize: 0,
            e_shnum: 0,
            e_shstrndx: 0,
        }
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// Checks what is needed to read the other fields: the magic, `EI_CLASS`, `EI_DATA`,
    /// `EI_VERSION`, `e_version`, and that `e_phentsize` is the size of the class (0 program
    /// headers may have any size). `e_ehsize` is not looked at: nothing is found by it, and
    /// QEMU up to at least 7.2 stores the size of a pointer there.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Magic`] or [`Error::Field`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let encoding = parse_ident(bytes)?;
        let parsed = with_byte_order!(encoding.endian, O => match encoding.class {
         Class::Elf64 => Self::parse64::<O>(bytes, encoding),
         Class::Elf32 => Self::parse32::<O>(bytes, encoding),
        });
        let ehdr = parsed.ok_or(Error::Truncated {
            what: "ELF header",
            offset: 0,
            need: u64::from(encoding.ehdr_size()),
            have: bytes.len() as u64,
        })?;
        ehdr.check()?;
        Ok(ehdr)
    }

    /// Writes the header to the start of `out` and returns its size.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` is too short, [`Error::TooLarge`] when a value does not
    /// fit ELF32.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Error> {
        with_byte_order!(self.encoding.endian, O => match self.encoding.class {
         Class::Elf64 => write_prefix(out, &self.raw64::<O>()),
         Class::Elf32 => write_prefix(out, &self.raw32::<O>()?),
        })
    }

    /// Offset and size in bytes of the table of `phnum` program headers.
    ///
    /// # Errors
    /// [`Error::Field`] when the table would pass the end of the address space.
    pub fn phdr_table(&self, phnum: u32) -> Result<(u64, u64), Error> {
        let size = u64::from(phnum).saturating_mul(u64::from(self.encoding.phdr_size()));
        match self.e_phoff.checked_add(size) {
            Some(_) => Ok((self.e_phoff, size)),
            None => Err(Error::Field {
                field: "e_phoff",
                value: self.e_phoff,
                expected: "an offset with room for all program headers",
            }),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.e_version != 1 {
            return Err(field("e_version", u64::from(self.e_version), "1"));
        }
        if self.e_phnum != 0 && self.e_phentsize != self.encoding.phdr_size() {
            return Err(field(
                "e_phentsize",
                u64::from(self.e_phentsize),
                "the size of a program header of this class",
            ));
        }
        Ok(())
    }

    fn parse64<O: ByteOrder>(bytes: &[u8], encoding: Encoding) -> Option<Self> {
        let (raw, _) = Ehdr64::<O>::ref_from_prefix(bytes).ok()?;
        Some(Self {
            encoding,
            ei_osabi: raw.e_ident[EI_OSABI],
            e_type: raw.e_type.get(),
            e_machine: raw.e_machine.get(),
            e_version: raw.e_version.get(),
            e_entry: raw.e_entry.get(),
            e_phoff: raw.e_phoff.get(),
            e_shoff: raw.e_shoff.get(),
            e_flags: raw.e_flags.get(),
            e_ehsize: raw.e_ehsize.get(),
            e_phentsize: raw.e_phentsize.get(),
            e_phnum: raw.e_phnum.get(),
            e_shentsize: raw.e_shentsize.get(),
            e_shnum: raw.e_shnum.get(),
            e_shstrndx: raw.e_shstrndx.get(),
        })
    }

    fn parse32<O: ByteOrder>(bytes: &[u8], encoding: Encoding) -> Option<Self> {
        let (raw, _) = Ehdr32::<O>::ref_from_prefix(bytes).ok()?;
        Some(Self {
            encoding,
            ei_osabi: raw.e_ident[EI_OSABI],
            e_type: raw.e_type.get(),
            e_machine: raw.e_machine.get(),
            e_version: raw.e_version.get(),
            e_entry: u64::from(raw.e_entry.get()),
            e_phoff: u64::from(raw.e_phoff.get()),
            e_shoff: u64::from(raw.e_shoff.get()),
            e_flags: raw.e_flags.get(),
            e_ehsize: raw.e_ehsize.get(),
            e_phentsize: raw.e_phentsize.get(),
            e_phnum: raw.e_phnum.get(),
            e_shentsize: raw.e_shentsize.get(),
            e_shnum: raw.e_shnum.get(),
            e_shstrndx: raw.e_shstrndx.get(),
        })
    }

    fn ident(&self) -> [u8; IDENT_LEN] {
        let class = match self.encoding.class {
            Class::Elf32 => 1,
            Class::Elf64 => 2,
        };
        let data = match self.encoding.endian {
            Endian::Little => 1,
            Endian::Big => 2,
        };
        let [m0, m1, m2, m3] = MAGIC;
        [m0, m1, m2, m3, class, data, 1, self.ei_osabi, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn raw64<O: ByteOrder>(&self) -> Ehdr64<O> {
        Ehdr64 {
            e_ident: self.ident(),
            e_type: self.e_type.into(),
            e_machine: self.e_machine.into(),
            e_version: self.e_version.into(),
            e_entry: self.e_entry.into(),
            e_phoff: self.e_phoff.into(),
            e_shoff: self.e_shoff.into(),
            e_flags: self.e_flags.into(),
            e_ehsize: self.e_ehsize.into(),
            e_phentsize: self.e_phentsize.into(),
            e_phnum: self.e_phnum.into(),
            e_shentsize: self.e_shentsize.into(),
            e_shnum: self.e_shnum.into(),
            e_shstrndx: self.e_shstrndx.into(),
        }
    }

    fn raw32<O: ByteOrder>(&self) -> Result<Ehdr32<O>, Error> {
        Ok(Ehdr32 {
            e_ident: self.ident(),
            e_type: self.e_type.into(),
            e_machine: self.e_machine.into(),
            e_version: self.e_version.into(),
            e_entry: fit_u32("e_entry", self.e_entry)?.into(),
            e_phoff: fit_u32("e_phoff", self.e_phoff)?.into(),
            e_shoff: fit_u32("e_shoff", self.e_shoff)?.into(),
            e_flags: self.e_flags.into(),
            e_ehsize: self.e_ehsize.into(),
            e_phentsize: self.e_phentsize.into(),
            e_phnum: self.e_phnum.into(),
            e_shentsize: self.e_shentsize.into(),
            e_shnum: self.e_shnum.into(),
            e_shstrndx: self.e_shstrndx.into(),
        })
    }
}

const fn field(field: &'static str, value: u64, expected: &'static str) -> Error {
    Error::Field { field, value, expected }
}

pub(crate) fn parse_ident(bytes: &[u8]) -> Result<Encoding, Error> {
    let Some(ident) = bytes.first_chunk::<IDENT_LEN>() else {
        let (need, have) = (IDENT_LEN as u64, bytes.len() as u64);
        return Err(Error::Truncated { what: "e_ident", offset: 0, need, have });
    };
    let [m0, m1, m2, m3, ..] = *ident;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Error::Magic { found: [m0, m1, m2, m3] });
    }
    let class = match ident[EI_CLASS] {
        1 => Class::Elf32,
        2 => Class::Elf64,
        other => {
            return Err(field("EI_CLASS", u64::from(other), "1 (ELF32) or 2 (ELF64)"));
        }
    };
    let endian = match ident[EI_DATA] {
        1 => Endian::Little,
        2 => Endian::Big,
        other => {
            return Err(field("EI_DATA", u64::from(other), "1 (little endian) or 2 (big endian)"));
        }
    };
    if ident[EI_VERSION] != 1 {
        return Err(field("EI_VERSION", u64::from(ident[EI_VERSION]), "1"));
    }
    Ok(Encoding { class, endian })
}
