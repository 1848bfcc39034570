// SPDX-License-Identifier: MIT OR Apache-2.0
//! What /proc/vmcore makes of an elfcorehdr: the layout of the exported file.
//!
//! The capture kernel merges all notes into one PT_NOTE, rounds every PT_LOAD out to whole
//! pages and lays them back to back (Documentation/admin-guide/kdump/kdump.rst; observed on
//! Linux 6.1 and 6.12). The same rules predict the file before the crash and build the view
//! after it.

use crate::ehdr::PN_XNUM;
use crate::{Encoding, Error, PT_LOAD, PT_NOTE, Phdr, align_down, align_up};

/// The layout of a vmcore whose notes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmcoreLayout {
    encoding: Encoding,
    page_size: u64,
    /// Exported number of program headers.
    phnum: u32,
    header_size: u64,
    notes_len: u64,
    size: u64,
}

/// One program header of the exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VmcorePhdr {
    /// The header as exported: `p_offset` is a file offset.
    pub phdr: Phdr,
    /// What lies behind it in old memory; `None` for the notes.
    pub extent: Option<VmcoreExtent>,
}

/// Whole pages of old memory in the exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VmcoreExtent {
    /// Offset of the first byte in the file; a multiple of the page size.
    pub offset: u64,
    /// Physical address it is read from; a multiple of the page size.
    pub paddr: u64,
    /// Length in bytes; a multiple of the page size, possibly 0.
    pub size: u64,
}

impl VmcoreLayout {
    /// Computes the layout from the program headers of an elfcorehdr and the true length
    /// `notes_len` in bytes of all notes together, for a capture kernel with pages of
    /// `page_size` bytes.
    ///
    /// Stricter than the kernel: there must be a PT_NOTE, all of them must come first (the
    /// kernel would overwrite what stands between them), other types than PT_NOTE and
    /// PT_LOAD are refused, nothing may wrap, and an ELF32 file ends below 4 GiB (the kernel
    /// would cut its offsets).
    ///
    /// # Errors
    /// [`Error::Field`], [`Error::Phdr`] or [`Error::TooLarge`] naming the offending value.
    pub fn new<I>(encoding: Encoding, page_size: u64, phdrs: I, notes_len: u64) -> Result<Self, Error>
    where
        I: Iterator<Item = Phdr>,
    {
        if !page_size.is_power_of_two() || page_size < 0x1000 {
            return Err(Error::Field {
                field: "page size",
                value: page_size,
                expected: "a power of two from 4096",
            });
        }
        let mut notes: u32 = 0;
        let mut loads: u32 = 0;
        let mut memory: u64 = 0;
        for (index, phdr) in (0_u32..).zip(phdrs) {
            match phdr.p_type {
                PT_NOTE if loads == 0 => notes = notes.saturating_add(1),
                PT_LOAD => {
                    loads = loads.saturating_add(1);
                    let size = rounded(index, &phdr, page_size)?.1;
                    memory =
                        memory.checked_add(size).ok_or(phdr_error(index, "p_memsz", phdr.p_memsz, TOTAL))?;
                }
                other => return Err(phdr_error(index, "p_type", u64::from(other), ORDER)),
            }
        }
        if notes == 0 {
            return Err(Error::Field { field: "number of PT_NOTE", value: 0, expected: "at least 1" });
        }
        let phnum = loads.saturating_add(1);
        if phnum >= u32::from(PN_XNUM) {
            return Err(Error::Field {
                field: "e_phnum",
                value: u64::from(phnum),
                expected: "fewer than 65535",
            });
        }
        let table = u64::from(phnum).saturating_mul(u64::from(encoding.phdr_size()));
        let header_size = align_up(table.saturating_add(u64::from(encoding.ehdr_size())), page_size);
        let header_size = header_size.unwrap_or(u64::MAX);
        let too_long = Error::Field { field: "size of all notes", value: notes_len, expected: TOTAL };
        let notes_size = align_up(notes_len, page_size).ok_or(too_long)?;
        let size = header_size.checked_add(notes_size).and_then(|size| size.checked_add(memory));
        let too_large = Error::TooLarge {
            field: "size of the vmcore",
            value: size.unwrap_or(u64::MAX),
            limit: i64::MAX.unsigned_abs(),
        };
        let size = size.filter(|&size| i64::try_from(size).is_ok()).ok_or(too_large)?;
        if size > encoding.word_max() {
            let limit = encoding.word_max();
            return Err(Error::TooLarge { field: "size of the vmcore", value: size, limit });
        }
        Ok(Self { encoding, page_size, phnum, header_size, notes_len, size })
    }

    /// Bytes of the whole file; a multiple of the page size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the file header and program headers, padded to whole pages; the notes begin
    /// there.
    #[must_use]
    pub fn header_size(&self) -> u64 {
        self.header_size
    }

    /// The number of program headers of the exported file.
    #[must_use]
    pub fn phnum(&self) -> u32 {
        self.phnum
    }

    /// Offset of the first page of memory.
    #[must_use]
    pub fn memory_offset(&self) -> u64 {
        let notes = align_up(self.notes_len, self.page_size).unwrap_or(u64::MAX);
        self.header_size.saturating_add(notes)
    }

    /// How the exported file stores its numbers.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The exported program headers: the merged PT_NOTE, then one per PT_LOAD. `phdrs` must
    /// be the ones given to [`VmcoreLayout::new`].
    pub fn phdrs<I>(&self, phdrs: I) -> impl Iterator<Item = VmcorePhdr>
    where
        I: Iterator<Item = Phdr>,
    {
        let note = Phdr {
            p_type: PT_NOTE,
            p_offset: self.header_size,
            p_filesz: self.notes_len,
            p_memsz: self.notes_len,
            ..Phdr::default()
        };
        let page_size = self.page_size;
        let mut cursor = self.memory_offset();
        let loads = phdrs.filter(|phdr| phdr.p_type == PT_LOAD).map(move |mut phdr| {
            let (paddr, size) = rounded(0, &phdr, page_size).unwrap_or((phdr.p_offset, 0));
            let extent = VmcoreExtent { offset: cursor, paddr, size };
            phdr.p_offset = cursor.saturating_add(phdr.p_offset.saturating_sub(paddr));
            cursor = cursor.saturating_add(size);
            VmcorePhdr { phdr, extent: Some(extent) }
        });
        core::iter::once(VmcorePhdr { phdr: note, extent: None }).chain(loads)
    }
}

const ORDER: &str = "PT_NOTE (4) first, then only PT_LOAD (1)";
const TOTAL: &str = "a total below 2^63 bytes";

/// Start and length of the whole pages that cover a PT_LOAD in old memory.
fn rounded(index: u32, phdr: &Phdr, page_size: u64) -> Result<(u64, u64), Error> {
    let start = align_down(phdr.p_offset, page_size);
    let end = phdr.p_offset.checked_add(phdr.p_memsz).and_then(|end| align_up(end, page_size));
    let end = end.ok_or(phdr_error(index, "p_memsz", phdr.p_memsz, "an end below 2^64"))?;
    Ok((start, end.saturating_sub(start)))
}

const fn phdr_error(index: u32, field: &'static str, value: u64, expected: &'static str) -> Error {
    Error::Phdr { index, field, value, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Endian};

    const ELF64: Encoding = Encoding { class: Class::Elf64, endian: Endian::Little };

    fn phdr(p_type: u32, p_offset: u64, p_paddr: u64, size: u64) -> Phdr {
        Phdr { p_type, p_offset, p_paddr, p_filesz: size, p_memsz: size, ..Phdr::default() }
    }

    /// Two CPUs, VMCOREINFO, a backup region and a range that ends inside a page.
    fn sample() -> [Phdr; 5] {
        [
            phdr(PT_NOTE, 0x5000, 0x5000, 368),
            phdr(PT_NOTE, 0x6000, 0x6000, 368),
            phdr(PT_NOTE, 0x7000, 0x7000, 4132),
            phdr(PT_LOAD, 0x12f6_1000, 0x1000, 0x9_ec00),
            phdr(PT_LOAD, 0x10_0018, 0x10_0018, 0x8f0_0000),
        ]
    }

    #[test]
    fn offsets_follow_the_kernel() {
        let layout = VmcoreLayout::new(ELF64, 0x1000, sample().into_iter(), 3000).unwrap();
        assert_eq!((layout.header_size(), layout.phnum(), layout.memory_offset()), (0x1000, 3, 0x2000));
        let out: [VmcorePhdr; 3] = {
            let mut out = layout.phdrs(sample().into_iter());
            [out.next().unwrap(), out.next().unwrap(), out.next().unwrap()]
        };
        assert_eq!((out[0].phdr.p_offset, out[0].phdr.p_filesz, out[0].extent), (0x1000, 3000, None));
        assert_eq!((out[1].phdr.p_offset, out[1].phdr.p_paddr), (0x2000, 0x1000));
        assert_eq!(out[1].extent, Some(VmcoreExtent { offset: 0x2000, paddr: 0x12f6_1000, size: 0x9f000 }));
        assert_eq!(out[2].phdr.p_offset, 0x2000 + 0x9f000 + 0x18);
        assert_eq!(out[2].extent.unwrap().size, 0x8f0_1000);
        assert_eq!(layout.size(), 0x2000 + 0x9f000 + 0x8f0_1000);
    }

    #[test]
    fn what_the_kernel_would_garble_is_refused() {
        let refuse = |phdrs: &[Phdr]| VmcoreLayout::new(ELF64, 0x1000, phdrs.iter().copied(), 0).unwrap_err();
        assert!(matches!(refuse(&sample()[3..]), Error::Field { field: "number of PT_NOTE", .. }));
        let [note, _, _, load, _] = sample();
        assert!(matches!(refuse(&[note, load, note]), Error::Phdr { index: 2, field: "p_type", .. }));
        assert!(matches!(
            refuse(&[note, phdr(7, 0, 0, 8)]),
            Error::Phdr { index: 1, field: "p_type", value: 7, .. }
        ));
        let wrap = phdr(PT_LOAD, u64::MAX - 5, 0, 10);
        assert!(matches!(refuse(&[note, wrap]), Error::Phdr { index: 1, field: "p_memsz", .. }));
        let huge = phdr(PT_LOAD, 0, 0, u64::MAX >> 1);
        assert!(matches!(refuse(&[note, huge]), Error::TooLarge { field: "size of the vmcore", .. }));
        assert!(matches!(refuse(&[note, huge, huge]), Error::Phdr { index: 2, .. }));
    }

    /// 65535 in `e_phnum` means that the number stands elsewhere.
    #[test]
    fn as_many_program_headers_as_the_field_counts() {
        let [note, ..] = sample();
        let layout = |loads| {
            let phdrs =
                core::iter::once(note).chain(core::iter::repeat_n(phdr(PT_LOAD, 0, 0, 0x1000), loads));
            VmcoreLayout::new(ELF64, 0x1000, phdrs, 0)
        };
        assert_eq!(layout(65533).unwrap().phnum(), 65534);
        let refused = layout(65534).unwrap_err();
        assert!(matches!(refused, Error::Field { field: "e_phnum", value: 65535, .. }), "{refused}");
    }

    #[test]
    fn elf32_offsets_are_not_cut() {
        let elf32 = Encoding { class: Class::Elf32, endian: Endian::Little };
        let memory = phdr(PT_LOAD, 0, 0, 0xffff_e000);
        let [note, ..] = sample();
        let layout = |encoding| VmcoreLayout::new(encoding, 0x1000, [note, memory].into_iter(), 100);
        assert!(layout(ELF64).is_ok());
        assert!(matches!(layout(elf32).unwrap_err(), Error::TooLarge { field: "size of the vmcore", .. }));
    }

    #[test]
    fn page_size_must_make_sense() {
        for page_size in [0, 0x800, 0x1001] {
            assert!(VmcoreLayout::new(ELF64, page_size, sample().into_iter(), 0).is_err());
        }
    }
}
