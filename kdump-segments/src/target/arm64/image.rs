//! The arm64 kernel image, as Documentation/arch/arm64/booting.rst describes it.

use kdump_elf::Endian;

use crate::Error;
use crate::le::{array, u64_at};

/// Bytes of the header.
const HEADER: usize = 64;
const MAGIC: [u8; 4] = *b"ARM\x64";
const MAGIC_AT: usize = 56;
/// The image lies `text_offset` bytes behind a multiple of this.
pub(super) const BASE_ALIGN: u64 = 2 << 20;
/// The smallest page, and so the least alignment of an image.
const SMALLEST_PAGE: u64 = 4096;
/// Bits of `flags`.
const BIG_ENDIAN: u64 = 1;
const PAGE_SIZE_SHIFT: u32 = 1;

/// An uncompressed `Image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arm64Image<'a> {
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

impl<'a> Arm64Image<'a> {
    /// Whether the file is one, by its magic.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        array(bytes, MAGIC_AT) == Some(MAGIC)
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::ImageTruncated`]; [`Error::ImageField`] for a field that makes no sense.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let have = bytes.len() as u64;
        let cut = || Error::ImageTruncated { what: "arm64 header", offset: 0, need: HEADER as u64, have };
        if bytes.len() < HEADER {
            return Err(cut());
        }
        let field = |offset| u64_at(bytes, offset).ok_or_else(cut);
        let (text_offset, image_size, flags) = (field(8)?, field(16)?, field(24)?);
        let magic = array::<4>(bytes, MAGIC_AT).ok_or_else(cut)?;
        if magic != MAGIC {
            return Err(wrong("magic", MAGIC_AT, u64::from(u32::from_le_bytes(magic)), "0x644d5241"));
        }
        if text_offset >= BASE_ALIGN || text_offset & (SMALLEST_PAGE - 1) != 0 {
            return Err(wrong("text_offset", 8, text_offset, "a multiple of 4 KiB below 2 MiB"));
        }
        // Kernels before 3.17 left it out; none of them could be a capture kernel.
        if !(1..=1 << 40).contains(&image_size) {
            return Err(wrong("image_size", 16, image_size, "the memory the kernel takes, up to 1 TiB"));
        }
        let page_size = match flags >> PAGE_SIZE_SHIFT & 3 {
            0 => None,
            1 => Some(4 << 10),
            2 => Some(16 << 10),
            _ => Some(64 << 10),
        };
        let endian = if flags & BIG_ENDIAN == 0 { Endian::Little } else { Endian::Big };
        Ok(Self { bytes, text_offset, image_size, endian, page_size })
    }

    /// Bytes of memory to keep for it: a file with more than its kernel, such as a signature, is
    /// loaded whole.
    #[must_use]
    pub fn memsz(&self) -> u64 {
        self.image_size.max(self.bytes.len() as u64)
    }
}

fn wrong(field: &'static str, offset: usize, value: u64, expected: &'static str) -> Error {
    Error::ImageField { field, offset: offset as u64, value, expected }
}
