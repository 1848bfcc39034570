//! The files of a dump, before its format is known.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::Error;
use crate::source::ReadAt;

/// The bytes of one file of a dump.
pub(super) type Part<'s> = Box<dyn ReadAt + 's>;
/// Bytes that tell the formats apart.
const ROOM: usize = 16;

/// The first bytes of a file, zeros where it is shorter.
pub(super) fn head(part: &dyn ReadAt) -> Result<[u8; ROOM], Error> {
    let mut head = [0; ROOM];
    let mut read = 0_usize;
    while let Some(rest) = head.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match part.read_at(read as u64, rest)? {
            0 => break,
            count => read = read.saturating_add(count),
        }
    }
    if read == 0 {
        let need = ROOM as u64;
        return Err(Error::Truncated { what: "signature", offset: 0, need, have: 0 });
    }
    Ok(head)
}

/// The only part of a dump whose format is never split; `what` refuses more.
pub(super) fn only<'s>(parts: Vec<Part<'s>>, what: &'static str) -> Result<Part<'s>, Error> {
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(part), None) => Ok(part),
        _ => Err(Error::Unsupported { what }),
    }
}
