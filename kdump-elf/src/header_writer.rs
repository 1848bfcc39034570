// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the header of a core file into a buffer of the caller, in two phases.
//!
//! The size follows from the number of program headers alone, so room can be reserved (in a
//! segment, in a file) before a byte is written. Nothing is allocated.

use crate::ehdr::PN_XNUM;
use crate::phdr::{PF_RWX, PT_LOAD, PT_NOTE};
use crate::{Class, Ehdr, Encoding, Error, Phdr, PhysRange};

/// What a core file's header will be: known before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLayout {
    encoding: Encoding,
    e_machine: u16,
    phnum: u32,
    extended: bool,
}

impl HeaderLayout {
    /// A header for the capture kernel's `elfcorehdr=`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for 65535 or more program headers: the kernel reads `e_phnum` as
    /// it stands and knows no extension.
    pub const fn elfcorehdr(encoding: Encoding, e_machine: u16, phnum: u32) -> Result<Self, Error> {
        if phnum >= PN_XNUM as u32 {
            let limit = PN_XNUM.saturating_sub(1) as u64;
            return Err(Error::TooLarge { field: "e_phnum", value: phnum as u64, limit });
        }
        Ok(Self { encoding, e_machine, phnum, extended: false })
    }

    /// A header for a file, with section header 0 in front of the program headers when
    /// their number needs it (ELF gABI, `PN_XNUM`).
    #[must_use]
    pub const fn file(encoding: Encoding, e_machine: u16, phnum: u32) -> Self {
        Self { encoding, e_machine, phnum, extended: phnum >= PN_XNUM as u32 }
    }

    /// Bytes of the file header, the section header if any, and all program headers.
    #[must_use]
    pub const fn size(&self) -> u64 {
        let table = (self.phnum as u64).saturating_mul(self.encoding.phdr_size() as u64);
        self.phoff().saturating_add(table)
    }

    /// Begins writing into `out`, which must have room for [`HeaderLayout::size`] bytes.
    ///
    /// # Errors
    /// [`Error::Buffer`] when it has not.
    pub fn writer<'a>(&self, out: &'a mut [u8]) -> Result<HeaderWriter<'a>, Error> {
        let have = out.len() as u64;
        let size = usize::try_from(self.size()).ok();
        let out =
            size.and_then(|size| out.get_mut(..size)).ok_or(Error::Buffer { need: self.size(), have })?;
        out.fill(0);
        self.ehdr().encode(out)?;
        if self.extended {
            self.encode_shdr0(out);
        }
        let table =
            usize::try_from(self.phoff()).ok().and_then(|start| out.get_mut(start..)).unwrap_or_default();
        Ok(HeaderWriter { layout: *self, rest: table, written: 0 })
    }

    /// Writes the header that a capture kernel makes for itself when it was given none it can
    /// trust: an empty PT_NOTE, then each range of `ram` as a PT_LOAD that stands in memory where it
    /// says, at `direct_map` plus its physical address. There are no registers in such a dump, but
    /// all of the memory. The layout is [`HeaderLayout::elfcorehdr`] of one header more than there
    /// are ranges. Returns the size.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` is too short, [`Error::PhdrCount`] or [`Error::PhdrMissing`]
    /// when the number of ranges is another one.
    pub fn write_plain(
        &self,
        out: &mut [u8],
        ram: impl IntoIterator<Item = PhysRange>,
        direct_map: u64,
    ) -> Result<u64, Error> {
        let mut writer = self.writer(out)?;
        writer.push(&Phdr { p_type: PT_NOTE, ..Phdr::default() })?;
        for range in ram {
            writer.push(&Phdr {
                p_type: PT_LOAD,
                p_flags: PF_RWX,
                p_offset: range.start(),
                p_vaddr: direct_map.wrapping_add(range.start()),
                p_paddr: range.start(),
                p_filesz: range.size(),
                p_memsz: range.size(),
                ..Phdr::default()
            })?;
        }
        writer.finish()
    }

    const fn phoff(&self) -> u64 {
        let shdr = if self.extended { self.encoding.shdr_size() as u64 } else { 0 };
        (self.encoding.ehdr_size() as u64).saturating_add(shdr)
    }

    fn ehdr(&self) -> Ehdr {
        let e_phnum = u16::try_from(self.phnum).unwrap_or(PN_XNUM);
        let mut ehdr = Ehdr::core(self.encoding, self.e_machine, e_phnum);
        ehdr.e_phoff = self.phoff();
        if self.extended {
            ehdr.e_shoff = u64::from(self.encoding.ehdr_size());
            ehdr.e_shentsize = self.encoding.shdr_size();
            ehdr.e_shnum = 1;
        }
        ehdr
    }

    /// Section header 0 is all zero but for `sh_info`, the number of program headers
    /// (`e_shnum` says that there is this one section header).
    fn encode_shdr0(&self, out: &mut [u8]) {
        let sh_info = match self.encoding.class {
            Class::Elf64 => 44,
            Class::Elf32 => 28,
        };
        let start = usize::from(self.encoding.ehdr_size()).saturating_add(sh_info);
        // `writer` made room for it.
        let _ = self.encoding.endian.write(out, start, self.phnum);
    }
}

/// Second phase of [`HeaderLayout`]: takes the program headers one by one.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    layout: HeaderLayout,
    rest: &'a mut [u8],
    written: u32,
}

impl HeaderWriter<'_> {
    /// Writes the next program header.
    ///
    /// # Errors
    /// [`Error::PhdrCount`] when all reserved ones are written, [`Error::TooLarge`] when a
    /// value does not fit ELF32.
    pub fn push(&mut self, phdr: &Phdr) -> Result<(), Error> {
        if self.written == self.layout.phnum {
            return Err(Error::PhdrCount { reserved: self.layout.phnum });
        }
        let size = phdr.encode(self.layout.encoding, self.rest)?;
        let rest = core::mem::take(&mut self.rest);
        self.rest = rest.get_mut(size..).unwrap_or_default();
        self.written = self.written.saturating_add(1);
        Ok(())
    }

    /// Ends the header and returns its size in bytes.
    ///
    /// # Errors
    /// [`Error::PhdrMissing`] when fewer program headers were written than reserved.
    pub fn finish(self) -> Result<u64, Error> {
        if self.written != self.layout.phnum {
            return Err(Error::PhdrMissing { reserved: self.layout.phnum, written: self.written });
        }
        Ok(self.layout.size())
    }
}
