//! Kernel images that are compressed as a file: by gzip (RFC 1952), or in an EFI program that
//! unpacks itself (zboot, Linux kernel commit a050910972bb ("efi/libstub: implement generic EFI
//! zboot")).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::Error;
use crate::le::{array, u32_at};

/// What a gzip file begins with: the magic and "deflate".
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
/// Bytes of a gzip header without its optional parts, and of the trailer: CRC-32 and size.
const GZIP_HEADER: usize = 10;
const GZIP_TRAILER: usize = 8;
/// The magic of zboot, and where what it says of its payload stands.
const ZIMG: [u8; 4] = *b"zimg";
const ZIMG_AT: usize = 4;
const PAYLOAD_AT: usize = 8;
const PAYLOAD_SIZE: usize = 12;
const COMPRESSION_AT: usize = 24;
const COMPRESSION_LEN: usize = 32;

/// Whether [`unpack`] has something to do.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP) || is_zboot(bytes)
}

fn is_zboot(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MZ") && array(bytes, ZIMG_AT) == Some(ZIMG)
}

/// The image in a file compressed by gzip or made an EFI zboot program; a file that is neither is
/// given back as it is. No more than `limit` bytes are unpacked.
///
/// # Errors
/// [`Error::Conflict`] naming a compression that is not read, or damage; [`Error::ImageField`] and
/// [`Error::ImageTruncated`] for headers that make no sense; [`Error::TooMany`] for more than
/// `limit` bytes; [`Error::OutOfMemory`].
pub fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, Error> {
    if bytes.starts_with(&GZIP) {
        return gunzip(bytes, limit).map(Cow::Owned);
    }
    if !is_zboot(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let have = bytes.len() as u64;
    let cut = |what, offset: u64, need| Error::ImageTruncated { what, offset, need, have };
    let field = |at| u32_at(bytes, at).ok_or_else(|| cut("zboot header", 0, 64));
    let (start, size) = (field(PAYLOAD_AT)?, field(PAYLOAD_SIZE)?);
    let end = u64::from(start).saturating_add(u64::from(size));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let payload = range.and_then(|(start, end)| bytes.get(start..end));
    let payload = payload.ok_or_else(|| cut("zboot payload", u64::from(start), u64::from(size)))?;
    let name = array::<COMPRESSION_LEN>(bytes, COMPRESSION_AT).unwrap_or_default();
    match name.split(|&byte| byte == 0).next().unwrap_or_default() {
        b"gzip" => gunzip(payload, limit).map(Cow::Owned),
        other => Err(damaged(format!(
            "it is an EFI zboot image compressed by `{}`, of which only gzip is read: unpack the {size:#x} bytes \
             at offset {start:#x} and name the Image inside",
            String::from_utf8_lossy(other).escape_default()
        ))),
    }
}

/// One member of a gzip file, checked against its trailer.
fn gunzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    let cut = || damaged(format!("it is cut off: {:#x} bytes are no gzip file", bytes.len()));
    // Without padding, which no build of a kernel adds, the trailer is the end of the file.
    let trailer = bytes.len().checked_sub(GZIP_TRAILER).ok_or_else(cut)?;
    let data = bytes.get(header_len(bytes).ok_or_else(cut)?..trailer).ok_or_else(cut)?;
    let (crc, size) = u32_at(bytes, trailer)
        .zip(trailer.checked_add(4).and_then(|at| u32_at(bytes, at)))
        .ok_or_else(cut)?;
    let need = u64::from(size);
    if need > limit {
        return Err(Error::TooMany { what: "bytes of the unpacked kernel image", value: need, limit });
    }
    let mut out = Vec::new();
    let len = usize::try_from(need).unwrap_or(usize::MAX);
    out.try_reserve_exact(len).map_err(|_| Error::OutOfMemory { what: "unpacked kernel image", need })?;
    out.resize(len, 0);
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut DecompressorOxide::new(), data, &mut out, 0, flags);
    if status != TINFLStatus::Done || written != len {
        return Err(damaged(format!(
            "its gzip data is damaged ({status:?} after {written:#x} of {need:#x} bytes)"
        )));
    }
    let found = crc32fast::hash(&out);
    if found != crc {
        return Err(damaged(format!("its gzip data is damaged: CRC-32 {found:#010x}, expected {crc:#010x}")));
    }
    Ok(out)
}

/// Bytes before the compressed data (RFC 1952, 2.3).
fn header_len(bytes: &[u8]) -> Option<usize> {
    const HAS_CRC: u8 = 2;
    const HAS_EXTRA: u8 = 4;
    const HAS_NAME: u8 = 8;
    const HAS_COMMENT: u8 = 16;
    let flags = *bytes.get(3)?;
    let mut at = GZIP_HEADER;
    if flags & HAS_EXTRA != 0 {
        let len = u16::from_le_bytes(array(bytes, at)?);
        at = at.checked_add(2)?.checked_add(usize::from(len))?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let len = bytes.get(at..)?.iter().position(|&byte| byte == 0)?;
            at = at.checked_add(len)?.checked_add(1)?;
        }
    }
    if flags & HAS_CRC != 0 {
        at = at.checked_add(2)?;
    }
    Some(at)
}

fn damaged(reason: String) -> Error {
    Error::Conflict { what: "kernel image", reason }
}
