//! Kernels that are entered at their first byte and tell in a header how much memory they take: the `Image`
//! of arm64 (Documentation/arch/arm64/booting.rst) and of riscv64
//! (Documentation/arch/riscv/boot-image-header.rst).

use kdump_elf::{Arch, Endian};

use crate::Error;
use crate::image::pe;
use crate::le::{array, u32_at, u64_at};

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
/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;
/// Bytes of instructions that the header begins with.
const CODE: usize = 8;

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
    /// What [`Error::ImageTruncated`] calls the file.
    image: &'static str,
    /// Where the instruction at an offset branches to, when it does so forward.
    branch: fn(usize, u32) -> Option<u64>,
    /// Bytes of an instruction.
    length: fn(u32) -> usize,
}

const FORMATS: [Format; 2] = [
    Format {
        arch: Arch::Arm64,
        magic: *b"ARM\x64",
        header: "arm64 header",
        offset: below_base_align,
        page_size: page_size_of_flags,
        image: "arm64 Image",
        branch: branch_of_arm64,
        length: |_| 4,
    },
    Format {
        arch: Arch::Riscv64,
        magic: *b"RSC\x05",
        header: "riscv64 header",
        offset: whole_base_align,
        page_size: |_| None,
        image: "riscv64 Image",
        branch: jump_of_riscv64,
        // The short form ends with other bits (volume I, "Expanded Instruction-Length Encoding").
        length: |instruction| if instruction & 3 == 3 { 4 } else { 2 },
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
        let (need, have) = (least_size(format, bytes), bytes.len() as u64);
        if have < need {
            return Err(Error::ImageTruncated { what: format.image, offset: 0, need, have });
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

/// Bytes the file has at least. `image_size` does not tell, because it counts what is zeroed; but the
/// header begins with a branch to the program, and most images are programs for EFI as well.
fn least_size(format: &Format, bytes: &[u8]) -> u64 {
    let mut least = pe::least_size(bytes).max((HEADER as u64).saturating_add(INSTRUCTION));
    let mut at = 0_usize;
    while at < CODE {
        let instruction = u32_at(bytes, at).unwrap_or(0);
        if let Some(target) = (format.branch)(at, instruction) {
            least = least.max(target.saturating_add(INSTRUCTION));
        }
        at = at.saturating_add((format.length)(instruction));
    }
    least
}

/// arm64: `B` (Arm ARM, C6.2.26).
fn branch_of_arm64(at: usize, instruction: u32) -> Option<u64> {
    const FORWARD: u32 = 1 << 25;
    let words = instruction & (FORWARD - 1);
    let is_forward = instruction >> 26 == 0b00_0101 && instruction & FORWARD == 0;
    is_forward.then(|| (at as u64).saturating_add(u64::from(words).saturating_mul(INSTRUCTION)))
}

/// riscv64: `JAL` without a link, or its short form `C.J` (The RISC-V Instruction Set Manual, volume I,
/// "Unconditional Jumps" and "Control Transfer Instructions").
fn jump_of_riscv64(at: usize, instruction: u32) -> Option<u64> {
    let bit = |from: u32, to: u32| (instruction >> from & 1) << to;
    let jal = bit(31, 20) | instruction & 0xf_f000 | bit(20, 11) | (instruction >> 21 & 0x3ff) << 1;
    let short = bit(12, 11)
        | bit(8, 10)
        | (instruction >> 9 & 3) << 8
        | bit(6, 7)
        | bit(7, 6)
        | bit(2, 5)
        | bit(11, 4)
        | (instruction >> 3 & 7) << 1;
    let (offset, sign) = match instruction {
        _ if instruction & 0xfff == 0x6f => (jal, 20),
        _ if instruction & 0xe003 == 0xa001 => (short, 11),
        _ => return None,
    };
    (offset >> sign & 1 == 0).then(|| (at as u64).saturating_add(offset.into()))
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
        header[56..60].copy_from_slice(b"ARM\x64");
        header
    }

    fn truncated(file: &[u8]) -> Option<u64> {
        match FlatImage::parse(file) {
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

    /// Jumps of both lengths; one back says nothing, and one with a link is a call.
    #[test]
    fn an_image_of_riscv64_jumps_to_its_program() {
        assert_eq!(jump_of_riscv64(0, 0x0000_a001), Some(0));
        assert_eq!(jump_of_riscv64(2, 0x0000_a011), Some(6));
        // jal by 0x1000, by -4, and with a link.
        assert_eq!(jump_of_riscv64(4, 0x0000_106f), Some(0x1004));
        assert_eq!(jump_of_riscv64(4, 0xffdf_f06f), None);
        assert_eq!(jump_of_riscv64(4, 0x0000_10ef), None);
    }
}
