//! The compressed formats an initial ramdisk can have: what their headers and trailers tell of
//! the size inside.

use alloc::vec::Vec;

use kdump_elf::Endian;

use super::{Stream, Told, UNKNOWN_FACTOR};
use crate::le::{u32_at, u64_at};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Deflate makes nothing shorter than 1/1032 (RFC 1951: 258 bytes out of two bits).
const DEFLATE_MOST: u64 = 1032;
/// Bytes of a member's header (RFC 1952, 2.3).
const MEMBER: usize = 10;
/// Blocks of the legacy frame of LZ4 (LZ4 frame format description, "Legacy frame").
const LZ4_BLOCK: u64 = 8 * MIB;
/// LZ4 makes nothing shorter than 1/255 (LZ4 block format description).
const LZ4_MOST: u64 = 255;
/// Zstandard's largest block (RFC 8878, 3.1.1.2.4).
const ZSTD_BLOCK: u64 = 128 * KIB;
/// An xz file ends in a footer of 12 bytes and begins with a header as long (.xz file format 1.0.4).
const XZ_FRAME: usize = 12;
const XZ_FRAMES: u64 = 24;

/// Reads the first stream of `bytes`; `None` when the format is not known or makes no sense.
pub(super) fn read(bytes: &[u8]) -> Option<Stream> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(gzip(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let cut = Some("a zstd frame is not all there");
            Some(zstd(bytes).unwrap_or_else(|| Stream { cut, ..guess(bytes, "zstd", 8 * MIB) }))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Some(xz(bytes).unwrap_or_else(|| guess(bytes, "xz", 8 * MIB)))
        }
        [0x02, 0x21, 0x4c, 0x18, ..] => Some(lz4(bytes)),
        [0x89, b'L', b'Z', b'O', 0, b'\r', b'\n', 0x1a, b'\n', ..] => {
            let cut = Some("an lzop block is not all there");
            Some(lzop(bytes).unwrap_or_else(|| Stream { cut, ..guess(bytes, "lzop", MIB) }))
        }
        // The number behind the magic is the block size in 100 kB; decompression takes four
        // times that (bzip2(1), "Memory management").
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(guess(bytes, "bzip2", 4 * MIB)),
        [0x5d, 0, 0, ..] => Some(lzma(bytes)),
        _ => None,
    }
}

fn guess(bytes: &[u8], format: &'static str, window: u64) -> Stream {
    let unpacked = (bytes.len() as u64).saturating_mul(UNKNOWN_FACTOR);
    Stream { unpacked, window, packed: None, format, told: Told::Guessed, cut: None }
}

/// Each member ends with its size modulo 4 GiB (RFC 1952, ISIZE), which is believed where the
/// member can have become that.
fn gzip(bytes: &[u8]) -> Stream {
    const WINDOW: u64 = 64 * KIB;
    let mut told = Told::Exactly;
    let (mut unpacked, mut from) = (0_u64, 0_usize);
    while let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
        let end = gzip_member(rest, MEMBER).unwrap_or(rest.len());
        let Some(size) = rest.get(..end).and_then(gzip_size) else {
            return guess(bytes, "gzip", WINDOW);
        };
        // What looks like a second member is one but for an accident of the compressed bytes.
        if end < rest.len() || size.1 {
            told = Told::AtMost;
        }
        unpacked = unpacked.saturating_add(size.0);
        from = from.saturating_add(end);
    }
    Stream { unpacked, window: WINDOW, packed: None, format: "gzip", told, cut: None }
}

/// Where the next member begins, from `from` on.
fn gzip_member(bytes: &[u8], from: usize) -> Option<usize> {
    let mut windows = bytes.get(from..)?.windows(MEMBER);
    let found = windows.position(|head| match head {
        // Deflate; no reserved flag; a level and a system that RFC 1952 knows.
        [0x1f, 0x8b, 8, flags, .., level, system] => {
            flags & 0xe0 == 0 && matches!(level, 0 | 2 | 4) && matches!(system, 0..=13 | 255)
        }
        _ => false,
    });
    found?.checked_add(from)
}

/// The size at the end of one member, which may be padded with zeros, and whether it is only the
/// largest of several it may be.
fn gzip_size(member: &[u8]) -> Option<(u64, bool)> {
    let len = member.len() as u64;
    let size_before = |end: usize| {
        let size = u64::from(u32_at(member, end.checked_sub(4)?)?);
        (size >= len.saturating_sub(64) && size <= len.saturating_mul(DEFLATE_MOST)).then_some(size)
    };
    let end = member.iter().rposition(|&byte| byte != 0).map_or(0, |last| last.saturating_add(1));
    // An archive that is not compressed follows.
    if member.get(..end)?.ends_with(b"TRAILER!!!") {
        return None;
    }
    let zeros = member.len().saturating_sub(end);
    // No padding: up to three zeros are the size's own high bytes.
    if zeros < 4 {
        if let Some(size) = size_before(member.len()) {
            return Some((size, false));
        }
    }
    let sizes = (0..=zeros.min(3)).filter_map(|own| size_before(end.checked_add(own)?));
    let mut sizes: Vec<u64> = sizes.collect();
    sizes.sort_unstable();
    Some((*sizes.last()?, sizes.len() > 1))
}

/// The frame's content size, or the sum over its blocks (RFC 8878, 3.1.1).
fn zstd(bytes: &[u8]) -> Option<Stream> {
    let descriptor = *bytes.get(4)?;
    let single = descriptor & 0x20 != 0;
    let mut at = 5_usize;
    let mut window = None;
    if !single {
        let byte = u64::from(*bytes.get(at)?);
        let base = 1_u64.checked_shl(u32::try_from(byte >> 3).ok()?.checked_add(10)?)?;
        window = base.checked_add((base >> 3).checked_mul(byte & 7)?);
        at = at.checked_add(1)?;
    }
    at = at.checked_add([0, 1, 2, 4].get(usize::from(descriptor & 3)).copied()?)?;
    let (content, width) = match (descriptor >> 6, single) {
        (0, false) => (None, 0),
        (0, true) => (Some(u64::from(*bytes.get(at)?)), 1),
        (1, _) => (Some(u64::from(crate::le::u16_at(bytes, at)?).checked_add(256)?), 2),
        (2, _) => (Some(u64::from(u32_at(bytes, at)?)), 4),
        _ => (Some(u64_at(bytes, at)?), 8),
    };
    at = at.checked_add(width)?;
    let largest = window.or(content)?.min(ZSTD_BLOCK);
    let (mut sum, mut last) = (0_u64, false);
    while !last {
        let head = [*bytes.get(at)?, *bytes.get(at.checked_add(1)?)?, *bytes.get(at.checked_add(2)?)?, 0];
        let head = u32::from_le_bytes(head);
        last = head & 1 != 0;
        let size = head >> 3;
        let (stored, becomes) = match head >> 1 & 3 {
            0 => (size, u64::from(size)),
            1 => (1, u64::from(size)),
            2 => (size, largest),
            _ => return None,
        };
        sum = sum.saturating_add(becomes);
        at = at.checked_add(3)?.checked_add(usize::try_from(stored).ok()?)?;
    }
    let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
    // Blocks are counted whole; a content size beyond them is not true.
    let unpacked = content.map_or(sum, |content| content.min(sum));
    let end = at.checked_add(checksum)?;
    let cut = (end > bytes.len()).then_some("a zstd frame is not all there");
    let packed = Some(end.min(bytes.len()));
    // The decompressor keeps the window and a block more, and its tables.
    let window = window.or(content)?.min(unpacked.max(KIB)).saturating_add(512 * KIB);
    let told = if content.is_some() { Told::Exactly } else { Told::AtMost };
    Some(Stream { unpacked, window, packed, format: "zstd", told, cut })
}

/// The index at the end lists every block (.xz file format 1.0.4, 4).
fn xz(bytes: &[u8]) -> Option<Stream> {
    let end = bytes.iter().rposition(|&byte| byte != 0)?.checked_add(1)?;
    let footer = bytes.get(end.checked_sub(XZ_FRAME)?..end)?;
    if !footer.ends_with(b"YZ") {
        return None;
    }
    let backward = usize::try_from(u32_at(footer, 4)?).ok()?.checked_add(1)?.checked_mul(4)?;
    let index_at = end.checked_sub(XZ_FRAME)?.checked_sub(backward)?;
    let mut index = bytes.get(index_at..end.checked_sub(XZ_FRAME)?)?;
    if next(&mut index)? != 0 {
        return None;
    }
    let records = varint(&mut index)?;
    let (mut unpacked, mut packed) = (0_u64, 0_u64);
    for _ in 0..records {
        packed = packed.checked_add(varint(&mut index)?.checked_next_multiple_of(4)?)?;
        unpacked = unpacked.checked_add(varint(&mut index)?)?;
    }
    // One stream only is what compressors write; of several, the first ones are not listed here.
    let stream = packed.checked_add((backward as u64).checked_add(XZ_FRAMES)?)?;
    if stream != end as u64 {
        return None;
    }
    let window = xz_dictionary(bytes).unwrap_or(8 * MIB).min(unpacked.max(KIB)).saturating_add(256 * KIB);
    Some(Stream { unpacked, window, packed: Some(end), format: "xz", told: Told::Exactly, cut: None })
}

/// The dictionary of the last filter of the first block, LZMA2 (.xz file format 1.0.4, 5.3.1).
fn xz_dictionary(bytes: &[u8]) -> Option<u64> {
    let block = bytes.get(XZ_FRAME..)?;
    let flags = *block.get(1)?;
    let mut fields = block.get(2..)?;
    for _ in 0..u32::from(flags & 0x40 != 0).saturating_add(u32::from(flags & 0x80 != 0)) {
        varint(&mut fields)?;
    }
    for _ in 0..=(flags & 3) {
        let (id, len) = (varint(&mut fields)?, usize::try_from(varint(&mut fields)?).ok()?);
        let properties = fields.get(..len)?;
        fields = fields.get(len..)?;
        if id == 0x21 {
            let bits = u32::from(*properties.first()?).min(40);
            let mantissa = 2_u64 | u64::from(bits & 1);
            return mantissa.checked_shl((bits >> 1).saturating_add(11));
        }
    }
    None
}

fn next(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// Seven bits a byte, low ones first (.xz file format 1.0.4, 1.2).
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = next(bytes)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Legacy frames, which the kernel takes: every block but the last is 8 MiB. The kernel keeps a
/// block on either side.
fn lz4(bytes: &[u8]) -> Stream {
    let (mut at, mut sum) = (4_usize, 0_u64);
    while let Some(size) = u32_at(bytes, at) {
        // The frames of concatenated files repeat the magic; a zero is padding.
        if size == 0 {
            break;
        }
        at = at.saturating_add(4);
        if size == 0x184c_2102 {
            continue;
        }
        sum = sum.saturating_add(u64::from(size).saturating_mul(LZ4_MOST).min(LZ4_BLOCK));
        at = at.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
    }
    let cut = (at > bytes.len()).then_some("an lz4 block is not all there");
    let packed = Some(at.min(bytes.len()));
    Stream { unpacked: sum, window: 2 * LZ4_BLOCK, packed, format: "lz4", told: Told::AtMost, cut }
}

/// Every block has its size before it (lzop 1.04, the program's own format; flags as it writes
/// them: Adler-32 and CRC-32 of either side are bits 0, 1, 8 and 9).
fn lzop(bytes: &[u8]) -> Option<Stream> {
    let be = |at: usize| Endian::Big.read::<u32>(bytes, at);
    // Magic 9, versions 2 + 2 + 2, method 1, level 1, flags 4, [filter 4], mode 4, times 8.
    let flags = be(17)?;
    let filter = if flags & 0x800 != 0 { 4 } else { 0 };
    let name_at = 33_usize.checked_add(filter)?;
    let mut at = name_at.checked_add(1)?.checked_add(usize::from(*bytes.get(name_at)?))?.checked_add(4)?;
    let sums = |bits: [u32; 2]| bits.iter().filter(|&&bit| flags & bit != 0).count().saturating_mul(4);
    let mut unpacked = 0_u64;
    loop {
        let size = be(at)?;
        at = at.checked_add(4)?;
        if size == 0 {
            break;
        }
        let stored = be(at)?;
        let own = if stored < size { sums([0x2, 0x200]) } else { 0 };
        at = at.checked_add(4)?.checked_add(sums([0x1, 0x100]))?.checked_add(own)?;
        at = at.checked_add(usize::try_from(stored).ok()?)?;
        unpacked = unpacked.saturating_add(u64::from(size));
    }
    Some(Stream {
        unpacked,
        window: MIB,
        packed: Some(at.min(bytes.len())),
        format: "lzop",
        told: Told::Exactly,
        cut: None,
    })
}

/// The header tells the dictionary, and the size unless the compressor was fed by a pipe.
fn lzma(bytes: &[u8]) -> Stream {
    let dictionary = u32_at(bytes, 1).map_or(8 * MIB, u64::from);
    match u64_at(bytes, 5) {
        Some(size) if size != u64::MAX && size >> 40 == 0 => {
            let window = dictionary.min(size);
            Stream { unpacked: size, window, packed: None, format: "lzma", told: Told::Exactly, cut: None }
        }
        _ => guess(bytes, "lzma", dictionary.min(64 * MIB)),
    }
}
