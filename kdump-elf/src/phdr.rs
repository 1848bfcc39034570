// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ELF program header (`elf(5)`, `Elf64_Phdr` and `Elf32_Phdr`).

use zerocopy::{ByteOrder, FromBytes};

use crate::bytes::{fit_u32, write_prefix};
use crate::raw::{Phdr32, Phdr64};
use crate::with_byte_order;
use crate::{Class, Encoding, Error};

/// `p_type` of a segment that is memory.
pub const PT_LOAD: u32 = 1;
/// `p_type` of a segment of notes.
pub const PT_NOTE: u32 = 4;
/// `p_flags` read, write and execute together, as dumps mark all memory.
pub const PF_RWX: u32 = 7;

/// An ELF program header, widened to 64 bits.
///
/// In an elfcorehdr `p_offset` is a physical address of the dead kernel's memory; it differs
/// from `p_paddr` where memory was saved to a backup region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of elf(5), one to one")]
pub struct Phdr {
    pub p_type: u32,
    pub p_flags: u32,
    pub p_offset: u64,
    pub p_vaddr: u64,
    pub p_paddr: u64,
    pub p_filesz: u64,
    pub p_memsz: u64,
    pub p_align: u64,
}

impl Phdr {
    /// Reads the program header at the start of `bytes`.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `bytes` is too short.
    pub fn parse(bytes: &[u8], encoding: Encoding) -> Result<Self, Error> {
        let parsed = with_byte_order!(encoding.endian, O => match encoding.class {
         Class::Elf64 => Self::parse64::<O>(bytes),
         Class::Elf32 => Self::parse32::<O>(bytes),
        });
        parsed.ok_or(Error::Truncated {
            what: "program header",
            offset: 0,
            need: u64::from(encoding.phdr_size()),
            have: bytes.len() as u64,
        })
    }

    /// Writes the program header to the start of `out` and returns its size.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` is too short, [`Error::TooLarge`] when a value does not
    /// fit ELF32.
    pub fn encode(&self, encoding: Encoding, out: &mut [u8]) -> Result<usize, Error> {
        with_byte_order!(encoding.endian, O => match encoding.class {
         Class::Elf64 => write_prefix(out, &self.raw64::<O>()),
         Class::Elf32 => write_prefix(out, &self.raw32::<O>()?),
        })
    }

    fn parse64<O: ByteOrder>(bytes: &[u8]) -> Option<Self> {
        let (raw, _) = Phdr64::<O>::ref_from_prefix(bytes).ok()?;
        Some(Self {
            p_type: raw.p_type.get(),
            p_flags: raw.p_flags.get(),
            p_offset: raw.p_offset.get(),
            p_vaddr: raw.p_vaddr.get(),
            p_paddr: raw.p_paddr.get(),
            p_filesz: raw.p_filesz.get(),
            p_memsz: raw.p_memsz.get(),
            p_align: raw.p_align.get(),
        })
    }

    fn parse32<O: ByteOrder>(bytes: &[u8]) -> Option<Self> {
        let (raw, _) = Phdr32::<O>::ref_from_prefix(bytes).ok()?;
        Some(Self {
            p_type: raw.p_type.get(),
            p_flags: raw.p_flags.get(),
            p_offset: u64::from(raw.p_offset.get()),
            p_vaddr: u64::from(raw.p_vaddr.get()),
            p_paddr: u64::from(raw.p_paddr.get()),
            p_filesz: u64::from(raw.p_filesz.get()),
            p_memsz: u64::from(raw.p_memsz.get()),
            p_align: u64::from(raw.p_align.get()),
        })
    }

    fn raw64<O: ByteOrder>(&self) -> Phdr64<O> {
        Phdr64 {
            p_type: self.p_type.into(),
            p_flags: self.p_flags.into(),
            p_offset: self.p_offset.into(),
            p_vaddr: self.p_vaddr.into(),
            p_paddr: self.p_paddr.into(),
            p_filesz: self.p_filesz.into(),
            p_memsz: self.p_memsz.into(),
            p_align: self.p_align.into(),
        }
    }

    fn raw32<O: ByteOrder>(&self) -> Result<Phdr32<O>, Error> {
        Ok(Phdr32 {
            p_type: self.p_type.into(),
            p_offset: fit_u32("p_offset", self.p_offset)?.into(),
            p_vaddr: fit_u32("p_vaddr", self.p_vaddr)?.into(),
            p_paddr: fit_u32("p_paddr", self.p_paddr)?.into(),
            p_filesz: fit_u32("p_filesz", self.p_filesz)?.into(),
            p_memsz: fit_u32("p_memsz", self.p_memsz)?.into(),
            p_flags: self.p_flags.into(),
            p_align: fit_u32("p_align", self.p_align)?.into(),
        })
    }
}
