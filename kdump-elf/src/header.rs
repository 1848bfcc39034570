// SPDX-License-Identifier: MIT OR Apache-2.0
//! A core file's header and its table of program headers, read from one buffer.

use core::convert::Infallible;

use crate::bytes::copy_to;
use crate::ehdr::{PN_XNUM, parse_ident};
use crate::raw::IDENT_LEN;
use crate::{Class, Ehdr, Encoding, Error, Phdr};

/// Bytes of the longest file header and of the longest section header.
const MAX_HEADER: usize = 64;

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
        let copy = |offset: u64, out: &mut [u8]| {
            let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
            let rest = rest.unwrap_or_default();
            copy_to(out, rest);
            Ok::<_, Infallible>(rest.len().min(out.len()))
        };
        let Ok(found) = PhdrTable::find(copy);
        let PhdrTable { ehdr, phnum, offset, size } = found?;
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

/// Where a core's program headers stand: what its file header says, and section header 0 where the
/// number of them does not fit the file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhdrTable {
    /// The file header.
    pub ehdr: Ehdr,
    /// The number of program headers.
    pub phnum: u32,
    /// Offset of the first one in the file.
    pub offset: u64,
    /// Bytes of all of them.
    pub size: u64,
}

impl PhdrTable {
    /// Finds the table of a file that is read piece by piece: `read` fills a buffer from an offset
    /// on and says how many bytes the file had for it. It is asked for `e_ident`, then for the rest
    /// of the file header, then for section header 0 where that is needed; never for more.
    ///
    /// # Errors
    /// The outer one is that of `read`; the inner one is that of [`Ehdr::parse`], of
    /// [`Ehdr::phdr_table`], or [`Error::Truncated`] for section header 0.
    pub fn find<E>(
        mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
    ) -> Result<Result<Self, Error>, E> {
        let ehdr = match Ehdr::read(&mut read)? {
            Ok(ehdr) => ehdr,
            Err(error) => return Ok(Err(error)),
        };
        let mut phnum = u32::from(ehdr.e_phnum);
        if ehdr.e_phnum == PN_XNUM && ehdr.e_shoff != 0 {
            let mut room = [0; MAX_HEADER];
            let (shdr, _) = room.split_at_mut(usize::from(ehdr.encoding.shdr_size()).min(MAX_HEADER));
            let have = read(ehdr.e_shoff, shdr)?;
            match extended_phnum(&ehdr, shdr.get(..have).unwrap_or(shdr)) {
                Ok(count) => phnum = count,
                Err(error) => return Ok(Err(error)),
            }
        }
        let place = ehdr.phdr_table(phnum);
        Ok(place.map(|(offset, size)| Self { ehdr, phnum, offset, size }))
    }
}

impl Ehdr {
    /// Reads the file header of a file that is read piece by piece, as [`PhdrTable::find`] does:
    /// `e_ident` first, which tells how long it is.
    ///
    /// # Errors
    /// The outer one is that of `read`; the inner one is that of [`Ehdr::parse`].
    pub fn read<E>(
        mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
    ) -> Result<Result<Self, Error>, E> {
        let mut room = [0; MAX_HEADER];
        let (ident, rest) = room.split_at_mut(IDENT_LEN);
        let mut have = read(0, ident)?.min(IDENT_LEN);
        // Whether the rest is there or not: `parse` says what is wrong.
        let encoding = if have == IDENT_LEN { parse_ident(ident).ok() } else { None };
        let left = encoding.map_or(0, |encoding| usize::from(encoding.ehdr_size()).saturating_sub(IDENT_LEN));
        if let Some(rest) = rest.get_mut(..left).filter(|rest| !rest.is_empty()) {
            have = have.saturating_add(read(IDENT_LEN as u64, rest)?.min(left));
        }
        Ok(Self::parse(room.get(..have).unwrap_or(&room)))
    }
}

/// The number of program headers of a file with `e_phnum` = [`PN_XNUM`], from its section
/// header 0 (ELF gABI, "Extended program header count").
fn extended_phnum(ehdr: &Ehdr, shdr: &[u8]) -> Result<u32, Error> {
    let sh_info = match ehdr.encoding.class {
        Class::Elf64 => SH_INFO_64,
        Class::Elf32 => SH_INFO_32,
    };
    let (need, have) = (u64::from(ehdr.encoding.shdr_size()), shdr.len() as u64);
    let count = ehdr.encoding.endian.read(shdr, sh_info).filter(|_| have >= need);
    count.ok_or(Error::Truncated { what: "section header 0", offset: ehdr.e_shoff, need, have })
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
