// SPDX-License-Identifier: MIT OR Apache-2.0
//! A core file's header and its table of program headers, read from one buffer.

use crate::ehdr::PN_XNUM;
use crate::{Ehdr, Encoding, Error, Phdr};

/// Offset of `sh_info` in a section header of either class.
const SH_INFO_64: usize = 44;
const SH_INFO_32: usize = 28;

/// The header of a core file: its [`Ehdr`] and all program headers.
#[derive(Clone, Copy, Debug)]
pub struct CoreHeader<'a> {
    ehdr: Ehdr,
    phnum: u32,
    table: &'a [u8],
}

impl<'a> CoreHeader<'a> {
    /// Reads a header from `bytes`, which begins with the file header and holds the whole
    /// table of program headers (and section header 0 when [`PN_XNUM`] is used).
    ///
    /// # Errors
    /// Those of [`Ehdr::parse`], and [`Error::Truncated`] when the table does not lie within
    /// `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let ehdr = Ehdr::parse(bytes)?;
        let phnum = match ehdr.e_phnum {
            PN_XNUM if ehdr.e_shoff != 0 => {
                let shdr =
                    slice(bytes, "section header 0", ehdr.e_shoff, u64::from(ehdr.encoding.shdr_size()))?;
                extended_phnum(ehdr.encoding, shdr)?
            }
            count => u32::from(count),
        };
        let (offset, size) = ehdr.phdr_table(phnum)?;
        let table = slice(bytes, "program header table", offset, size)?;
        Ok(Self { ehdr, phnum, table })
    }

    /// Puts a header together from parts that were read separately: `table` holds `phnum`
    /// program headers.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `table` is too short.
    pub fn from_parts(ehdr: Ehdr, phnum: u32, table: &'a [u8]) -> Result<Self, Error> {
        let (offset, size) = ehdr.phdr_table(phnum)?;
        let have = table.len() as u64;
        let cut = usize::try_from(size).ok().and_then(|size| table.get(..size));
        let table = cut.ok_or(Error::Truncated { what: "program header table", offset, need: size, have })?;
        Ok(Self { ehdr, phnum, table })
    }

    /// The file header.
    #[must_use]
    pub fn ehdr(&self) -> &Ehdr {
        &self.ehdr
    }

    /// How numbers are stored.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.ehdr.encoding
    }

    /// The number of program headers, the extended one where the file uses it.
    #[must_use]
    pub fn phnum(&self) -> u32 {
        self.phnum
    }

    /// The program header at `index`, counted from 0; `None` beyond the last.
    #[must_use]
    pub fn phdr(&self, index: u32) -> Option<Phdr> {
        let encoding = self.ehdr.encoding;
        let skip = u64::from(index).checked_mul(u64::from(encoding.phdr_size()))?;
        let entry = self.table.get(usize::try_from(skip).ok()?..)?;
        Phdr::parse(entry, encoding).ok()
    }

    /// All program headers in table order.
    #[must_use]
    pub fn phdrs(&self) -> Phdrs<'a> {
        Phdrs { encoding: self.ehdr.encoding, rest: self.table }
    }
}

/// The number of program headers of a file with `e_phnum` = [`PN_XNUM`], from its section
/// header 0 (ELF gABI, "Extended program header count").
///
/// # Errors
/// [`Error::Truncated`] when `shdr` is too short.
pub fn extended_phnum(encoding: Encoding, shdr: &[u8]) -> Result<u32, Error> {
    let offset = match encoding.class {
        crate::Class::Elf64 => SH_INFO_64,
        crate::Class::Elf32 => SH_INFO_32,
    };
    let field = shdr.get(offset..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Error::Truncated {
        what: "section header 0",
        offset: 0,
        need: u64::from(encoding.shdr_size()),
        have: shdr.len() as u64,
    })?;
    Ok(match encoding.endian {
        crate::Endian::Little => u32::from_le_bytes(*field),
        crate::Endian::Big => u32::from_be_bytes(*field),
    })
}

/// Iterator over the program headers of a [`CoreHeader`].
#[derive(Clone, Debug)]
pub struct Phdrs<'a> {
    encoding: Encoding,
    rest: &'a [u8],
}

impl Iterator for Phdrs<'_> {
    type Item = Phdr;

    fn next(&mut self) -> Option<Phdr> {
        let (entry, rest) = self.rest.split_at_checked(usize::from(self.encoding.phdr_size()))?;
        self.rest = rest;
        Phdr::parse(entry, self.encoding).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.rest.len().checked_div(usize::from(self.encoding.phdr_size())).unwrap_or(0);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Phdrs<'_> {}

fn slice<'a>(bytes: &'a [u8], what: &'static str, offset: u64, need: u64) -> Result<&'a [u8], Error> {
    let have = (bytes.len() as u64).saturating_sub(offset);
    let cut = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .and_then(|rest| usize::try_from(need).ok().and_then(|need| rest.get(..need)));
    cut.ok_or(Error::Truncated { what, offset, need, have })
}
