//! Kernels that are entered at their first byte and tell in a header how much memory they take: the `Image`
//! of arm64 (Documentation/arch/arm64/booting.rst) and of riscv64
//! (Documentation/arch/riscv/boot-image-header.rst).

use kdump_elf::{Arch, Endian};

use crate::Error;
use crate::le::{array, u64_at};

/// Bytes of the header.
const HEADER: usize = 64;
const MAGIC_AT: usize = 56;
/// The image lies `text_offset` bytes behind a multiple of this.
pub(super) const BASE_ALIGN: u64 = 2 << 20;
/// The smallest page, and so the least alignment of an image.
const SMALLEST_PAGE: u64 = 4096;
/// Bits of `flags`.
const BIG_ENDIAN: u64 = 1;
const PAGE_SIZE_SHIFT: u32 = 1;

/// What headers differ in.
struct Format {
    arch: Arch,
    magic: [u8; 4],
    /// What [`Error::ImageTruncated`] calls the header.
    header: &'static str,
    /// Where the image lies behind a multiple of 2 MiB.
    offset: fn(u64) -> Result<u64, Error>,
    /// Bytes of its pages by `flags`.
    page_size: fn(u64) -> Option<u64>,
}

const FORMATS: [Format; 2] = [
    Format {
        arch: Arch::Arm64,
        magic: *b"ARM\x64",
        header: "arm64 header",
        offset: below_base_align,
        page_size: page_size_of_flags,
    },
    Format {
        arch: Arch::Riscv64,
        magic: *b"RSC\x05",
        header: "riscv64 header",
        offset: whole_base_align,
        page_size: |_| None,
    },
];

/// An uncompressed `Image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlatImage<'a> {
    /// The architecture it is for.
    pub arch: Arch,
    /// The whole file.
    pub bytes: &'a [u8],
    /// Bytes from a multiple of 2 MiB to its first byte.
    pub text_offset: u64,
    /// Bytes of memory it takes from its first byte on, zeroed data included.
    pub image_size: u64,
    /// Its byte order.
    pub endian: Endian,
    /// Bytes of its pages; `None` when it does not tell.
    pub page_size: Option<u64>,
}

impl<'a> FlatImage<'a> {
    /// Whether the file is one, by its magic.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        format(bytes).is_some()
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::ImageTruncated`]; [`Error::ImageField`] for a field that makes no sense.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let have = bytes.len() as u64;
        let found = format(bytes);
        let what = found.map_or("header of the Image", |format| format.header);
        let cut = || Error::ImageTruncated { what, offset: 0, need: HEADER as u64, have };
        if bytes.len() < HEADER {
            return Err(cut());
        }
        let Some(format) = found else {
            let magic = array::<4>(bytes, MAGIC_AT).map_or(0, u32::from_le_bytes);
            return Err(wrong("magic", MAGIC_AT, u64::from(magic), "that of an Image, ARM\\x64 or RSC\\x05"));
        };
        let field = |offset| u64_at(bytes, offset).ok_or_else(cut);
        let (text_offset, image_size, flags) = ((format.offset)(field(8)?)?, field(16)?, field(24)?);
        // Kernels of arm64 before 3.17 left it out; none of them could be a capture kernel.
        if !(1..=1 << 40).contains(&image_size) {
            return Err(wrong("image_size", 16, image_size, "the memory the kernel takes, up to 1 TiB"));
        }
        let endian = if flags & BIG_ENDIAN == 0 { Endian::Little } else { Endian::Big };
        let page_size = (format.page_size)(flags);
        Ok(Self { arch: format.arch, bytes, text_offset, image_size, endian, page_size })
    }

    /// Bytes of memory to keep for it: a file with more than its kernel, such as a signature, is
    /// loaded whole.
    #[must_use]
    pub fn memsz(&self) -> u64 {
        self.image_size.max(self.bytes.len() as u64)
    }
}

fn format(bytes: &[u8]) -> Option<&'static Format> {
    let magic = array::<4>(bytes, MAGIC_AT)?;
    FORMATS.iter().find(|format| format.magic == magic)
}

/// arm64: a part of 2 MiB.
fn below_base_align(text_offset: u64) -> Result<u64, Error> {
    if text_offset >= BASE_ALIGN || text_offset & (SMALLEST_PAGE - 1) != 0 {
        return Err(wrong("text_offset", 8, text_offset, "a multiple of 4 KiB below 2 MiB"));
    }
    Ok(text_offset)
}

/// riscv64: from the start of RAM, where firmware lies at the first boot; wherever it is loaded, it begins
/// at a multiple of 2 MiB (Documentation/arch/riscv/boot.rst, "Kernel location").
fn whole_base_align(text_offset: u64) -> Result<u64, Error> {
    if text_offset & (BASE_ALIGN - 1) != 0 {
        return Err(wrong("text_offset", 8, text_offset, "a multiple of 2 MiB"));
    }
    Ok(0)
}

fn page_size_of_flags(flags: u64) -> Option<u64> {
    match flags >> PAGE_SIZE_SHIFT & 3 {
        0 => None,
        1 => Some(4 << 10),
        2 => Some(16 << 10),
        _ => Some(64 << 10),
    }
}

fn wrong(field: &'static str, offset: usize, value: u64, expected: &'static str) -> Error {
    Error::ImageField { field, offset: offset as u64, value, expected }
}
