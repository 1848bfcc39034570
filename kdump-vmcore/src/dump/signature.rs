//! The dump formats, told apart by their first bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Format, elf};
use crate::error::Error;
use crate::source::ReadAt;

/// The bytes of one file of a dump.
pub(super) type Part<'s> = Box<dyn ReadAt + 's>;
/// Opens a dump of one format from its parts, of which there is one at least.
type Open = for<'s> fn(Vec<Part<'s>>) -> Result<Box<dyn Format + 's>, Error>;

/// A format and how it is dealt with.
struct Known {
    signature: &'static [u8],
    /// What opens it; or why nothing does, and what to do instead.
    open: Result<Open, &'static str>,
}

/// All formats that are recognised; a format is added by its line.
const FORMATS: &[Known] = &[
    Known { signature: b"\x7fELF", open: Ok(elf::open) },
    Known {
        signature: b"KDUMP   ",
        open: Err("dumps in the kdump-compressed format (KDUMP) cannot be read"),
    },
    Known { signature: b"DISKDUMP", open: Err("dumps in the diskdump format (DISKDUMP) cannot be read") },
    Known {
        signature: b"makedumpfile",
        open: Err("flattened dumps cannot be read; `makedumpfile -R DUMP < FLATTENED` puts them together"),
    },
];

/// Bytes that tell the formats apart.
const ROOM: usize = 16;

/// Recognises the format by the first part and opens the dump.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Box<dyn Format + '_>, Error> {
    let Some(first) = parts.first() else {
        return Err(Error::Unsupported { what: "a dump of no file; name one at least" });
    };
    let mut head = [0; ROOM];
    let mut read = 0_usize;
    while let Some(rest) = head.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match first.read_at(read as u64, rest)? {
            0 => break,
            count => read = read.saturating_add(count),
        }
    }
    if read == 0 {
        let need = ROOM as u64;
        return Err(Error::Truncated { what: "signature", offset: 0, need, have: 0 });
    }
    let found = head.first_chunk::<8>().copied().unwrap_or_default();
    let known = FORMATS.iter().find(|known| head.starts_with(known.signature));
    match known.ok_or(Error::UnknownFormat { found })?.open {
        Ok(open) => open(parts),
        Err(what) => Err(Error::Unsupported { what }),
    }
}

/// The only part of a dump whose format is never split; `what` refuses more.
pub(super) fn only<'s>(parts: Vec<Part<'s>>, what: &'static str) -> Result<Part<'s>, Error> {
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(part), None) => Ok(part),
        _ => Err(Error::Unsupported { what }),
    }
}
