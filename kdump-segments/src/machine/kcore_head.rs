//! Reading the beginning of /proc/kcore, a file as large as the address space.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::os::unix::fs::FileExt;

use alloc::vec::Vec;

use kdump_elf::{CoreHeader, PT_NOTE, PhdrTable};

use crate::room;

/// What messages call what is read.
const HEAD: &str = "head of proc/kcore";

/// The most that is read: 65535 program headers and the notes behind them are 4 MiB.
const LIMIT: u64 = 16 << 20;

/// The file's first bytes: ELF header, program headers, section header 0 where it counts
/// them, and notes. Shorter when the file ends before.
pub(super) fn read_head(file: &File) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let found = PhdrTable::find(|offset, buf| {
        extend_to(file, &mut head, offset.saturating_add(buf.len() as u64))?;
        let mut rest = usize::try_from(offset).ok().and_then(|offset| head.get(offset..)).unwrap_or_default();
        rest.read(buf)
    });
    let PhdrTable { offset, size, .. } = found?.map_err(invalid)?;
    extend_to(file, &mut head, offset.saturating_add(size))?;
    let end_of_notes = match CoreHeader::parse(&head) {
        Ok(header) => header
            .phdrs()
            .filter(|phdr| phdr.p_type == PT_NOTE)
            .map(|phdr| phdr.p_offset.saturating_add(phdr.p_filesz))
            .filter(|&end| end <= LIMIT)
            .max(),
        // Cut off: whoever parses it says so.
        Err(_) => None,
    };
    if let Some(end) = end_of_notes {
        extend_to(file, &mut head, end)?;
    }
    Ok(head)
}

/// Reads on until `head` has `end` bytes or the file ends.
fn extend_to(file: &File, head: &mut Vec<u8>, end: u64) -> Result<()> {
    const PIECE: usize = 1 << 16;
    if end > LIMIT {
        return Err(Error::new(ErrorKind::InvalidData, alloc::format!("its header ends at {end:#x}")));
    }
    let end = usize::try_from(end).unwrap_or(usize::MAX);
    if head.len() >= end {
        return Ok(());
    }
    let mut piece = room::zeroed(HEAD, PIECE).map_err(no_memory)?;
    while head.len() < end {
        let want = end.saturating_sub(head.len()).min(PIECE);
        let Some(piece) = piece.get_mut(..want) else { return Ok(()) };
        match file.read_at(piece, head.len() as u64) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                room::append(head, HEAD, piece.get(..count).unwrap_or_default()).map_err(no_memory)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// As the standard library says it.
fn no_memory(_: crate::Error) -> Error {
    Error::from(ErrorKind::OutOfMemory)
}

fn invalid(error: kdump_elf::Error) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
