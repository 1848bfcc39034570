//! How large an initial ramdisk becomes when the kernel unpacks it, read from the headers and
//! trailers of the file; nothing is decompressed.
//!
//! The layout of an initramfs is that of Documentation/driver-api/early-userspace/buffer-format.rst:
//! newc archives, plain or compressed, one behind the other.

mod codecs;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::align_up;

use super::Basis;

/// How many times its size a file grows of which the format does not tell. Measured initial
/// ramdisks grow 2.5 to 4 times.
pub const UNKNOWN_FACTOR: u64 = 4;

const CPIO_HEADER: usize = 110;
const CPIO_FILESIZE: usize = 54;
const CPIO_NAMESIZE: usize = 94;
const CPIO_MAGIC: [&[u8]; 2] = [b"070701", b"070702"];
const PAGE: u64 = 4096;

/// What unpacking an initial ramdisk takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitrdSize {
    /// Bytes of the file.
    pub packed: u64,
    /// Bytes of the archives in it.
    pub unpacked: u64,
    /// Whether `unpacked` was told by the file or guessed.
    pub basis: Basis,
    /// Bytes the kernel's decompressor takes for its window and buffers.
    pub window: u64,
    /// The formats found, in order, and how the size was found.
    pub source: String,
    /// What is wrong with it, in sentences, as far as headers and trailers tell: that it is cut, or
    /// that there is nothing in it.
    pub defects: Vec<String>,
}

/// One compressed stream.
struct Stream {
    /// Bytes it becomes, exactly or at most.
    unpacked: u64,
    window: u64,
    /// Bytes of the file it takes, when that is known; the rest of the file otherwise.
    packed: Option<usize>,
    format: &'static str,
    told: Told,
    /// What is missing at its end.
    cut: Option<&'static str>,
}

/// How a size was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Exactly,
    /// All blocks are counted as full.
    AtMost,
    Guessed,
}

impl InitrdSize {
    /// Reads the headers of `file`. Whatever the bytes are, there is an answer: what is not
    /// understood is taken to grow by [`UNKNOWN_FACTOR`]. Takes time proportional to the number
    /// of files and compressed blocks, and to the bytes compressed by gzip.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        let mut size = Self {
            packed: file.len() as u64,
            unpacked: 0,
            basis: Basis::Exact,
            window: 0,
            source: String::new(),
            defects: Vec::new(),
        };
        let mut found: Vec<(&'static str, Told)> = Vec::new();
        let mut rest = file;
        loop {
            // Archives are padded with zeros.
            let padding = rest.iter().take_while(|&&byte| byte == 0).count();
            rest = rest.get(padding..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let stream = plain(rest).or_else(|| codecs::read(rest)).unwrap_or_else(|| Stream {
                unpacked: (rest.len() as u64).saturating_mul(UNKNOWN_FACTOR),
                window: 0,
                packed: None,
                format: "unknown format",
                told: Told::Guessed,
                cut: Some("it is no cpio archive and of no format that kernels unpack"),
            });
            size.unpacked = size.unpacked.saturating_add(stream.unpacked);
            size.window = size.window.max(stream.window);
            let from = file.len().saturating_sub(rest.len());
            size.defects.extend(stream.cut.map(|what| {
                format!("the initial ramdisk is cut or damaged in what begins at byte {from:#x}: {what}")
            }));
            if stream.told != Told::Exactly {
                size.basis = Basis::Estimated;
            }
            if !found.contains(&(stream.format, stream.told)) {
                found.push((stream.format, stream.told));
            }
            let used = stream.packed.unwrap_or(rest.len()).max(1);
            rest = rest.get(used..).unwrap_or_default();
        }
        if found.is_empty() && !file.is_empty() {
            size.defects
                .push(format!("the initial ramdisk holds nothing: its {} bytes are all zero", file.len()));
            size.basis = Basis::Estimated;
            size.source = String::from("nothing but zeros");
            return size;
        }
        size.source =
            found.into_iter().map(|(format, told)| told.describe(format)).collect::<Vec<_>>().join(" + ");
        size
    }
}

impl Told {
    fn describe(self, format: &str) -> String {
        match self {
            Self::Exactly => String::from(format),
            Self::AtMost => format!("{format}, at most"),
            Self::Guessed => format!("{format}, {UNKNOWN_FACTOR} times its size assumed"),
        }
    }
}

/// An archive that is not compressed: its files, each rounded up to pages.
fn plain(bytes: &[u8]) -> Option<Stream> {
    let mut unpacked = 0_u64;
    let mut at = 0_usize;
    let mut entries = 0_usize;
    let mut cut = false;
    while let Some((next, size, last)) = entry(bytes, at) {
        unpacked = unpacked.saturating_add(align_up(size, PAGE)?);
        // The zeros that fill up the last word may be missing.
        cut = next.saturating_sub(bytes.len()) > 3;
        at = next.min(bytes.len());
        entries = entries.saturating_add(1);
        if last {
            break;
        }
    }
    let format = "cpio";
    // An archive may lack its trailer, but not a part of a header.
    let rest = bytes.get(at..).unwrap_or_default();
    cut |= rest.len() < CPIO_HEADER && CPIO_MAGIC.iter().any(|magic| rest.starts_with(magic));
    let told = if cut { Told::AtMost } else { Told::Exactly };
    let packed = Some(if cut { bytes.len() } else { at });
    let what = cut.then_some("a file of its cpio archive is not all there");
    (entries != 0 || cut).then_some(Stream { unpacked, window: 0, packed, format, told, cut: what })
}

/// Where the entry behind the one at `at` begins, the size of its file, and whether it is the
/// trailer.
fn entry(bytes: &[u8], at: usize) -> Option<(usize, u64, bool)> {
    let header = bytes.get(at..)?.get(..CPIO_HEADER)?;
    if !CPIO_MAGIC.iter().any(|magic| header.starts_with(magic)) {
        return None;
    }
    let field = |offset: usize| {
        let digits = core::str::from_utf8(header.get(offset..offset.checked_add(8)?)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (size, name_size) = (field(CPIO_FILESIZE)?, field(CPIO_NAMESIZE)?);
    let name_at = at.checked_add(CPIO_HEADER)?;
    let name_end = name_at.checked_add(usize::try_from(name_size).ok()?)?;
    let data = name_end.checked_next_multiple_of(4)?;
    let next = data.checked_add(usize::try_from(size).ok()?)?.checked_next_multiple_of(4)?;
    let last = bytes.get(name_at..name_end)? == b"TRAILER!!!\0";
    // A file that is cut counts with what it says; nothing follows it.
    Some((next, u64::from(size), last))
}
