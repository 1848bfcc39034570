//! The arm64 kernel image, as Documentation/arch/arm64/booting.rst describes it.

use kdump_elf::Endian;

use crate::Error;
use crate::image::pe;
use crate::le::{array, u32_at, u64_at};

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
/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;

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
        let (need, have) = (least_size(bytes), bytes.len() as u64);
        if have < need {
            return Err(Error::ImageTruncated { what: "arm64 Image", offset: 0, need, have });
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

/// Bytes the file has at least. `image_size` does not tell, because it counts what is zeroed; but the
/// header begins with a branch to the program, and most images are programs for EFI as well.
fn least_size(bytes: &[u8]) -> u64 {
    let program = [0_usize, 4].into_iter().filter_map(|at| branch_target(at, u32_at(bytes, at)?));
    let program = program.map(|target| target.saturating_add(INSTRUCTION));
    program.chain([(HEADER as u64).saturating_add(INSTRUCTION), pe::least_size(bytes)]).fold(0, u64::max)
}

/// Where the instruction at `at` branches to, if it is `B` and does so forward (Arm ARM, C6.2.26).
fn branch_target(at: usize, instruction: u32) -> Option<u64> {
    const FORWARD: u32 = 1 << 25;
    let words = instruction & (FORWARD - 1);
    let is_forward = instruction >> 26 == 0b00_0101 && instruction & FORWARD == 0;
    is_forward.then(|| (at as u64).saturating_add(u64::from(words).saturating_mul(INSTRUCTION)))
}

fn wrong(field: &'static str, offset: usize, value: u64, expected: &'static str) -> Error {
    Error::ImageField { field, offset: offset as u64, value, expected }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// The header of Debian's 6.1: a branch to 0x1668d5c, and where it is a PE file.
    fn header() -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&[0x4d, 0x5a, 0x40, 0xfa, 0x56, 0xa3, 0x59, 0x14]);
        header[16..20].copy_from_slice(&0x201_0000_u32.to_le_bytes());
        header[24] = 0xa;
        header[56..60].copy_from_slice(&MAGIC);
        header
    }

    fn truncated(file: &[u8]) -> Option<u64> {
        match Arm64Image::parse(file) {
            Err(Error::ImageTruncated { what: "arm64 Image", need, .. }) => Some(need),
            _ => None,
        }
    }

    #[test]
    fn an_image_that_ends_before_its_program_is_cut() {
        let header = header();
        assert_eq!(truncated(&header), Some(0x166_8d60));
        let mut file = header.to_vec();
        file.resize(0x166_8d5f, 0);
        assert_eq!(truncated(&file), Some(0x166_8d60));
        file.push(0);
        assert_eq!(truncated(&file), None);
        // The same for the first instruction; a branch back says nothing, and something must follow.
        for (code, need) in
            [([0x11, 0, 0, 0x14], Some(0x48)), ([0x11, 0, 0, 0x17], Some(0x44)), ([0; 4], Some(0x44))]
        {
            let mut header = header;
            header[..4].copy_from_slice(&code);
            header[4..8].fill(0);
            assert_eq!(truncated(&header), need, "{code:x?}");
        }
    }

    #[test]
    fn an_image_that_ends_before_its_sections_is_cut() {
        let mut file = header().to_vec();
        file[4..8].fill(0);
        file[60] = 0x40;
        assert_eq!(truncated(&file), Some(0x58));
        file.resize(0x58 + 40, 0);
        file[0x40..0x42].copy_from_slice(b"PE");
        file[0x46] = 1;
        file[0x58 + 16] = 0xf0;
        file[0x58 + 20] = 0x80;
        assert_eq!(truncated(&file), Some(0x170));
        file.resize(0x170, 0);
        assert_eq!(truncated(&file), None);
    }
}
