//! The header the dead kernel's loader left for the capture kernel, fetched from old memory.

use alloc::vec::Vec;

use kdump_elf::{Arch, CaptureHeader, Paddr};

use crate::error::{Error, elf};
use crate::room::zeroed;
use crate::source::OldMemory;

/// Bytes that tell the class, and with it the size of the file header.
const IDENT: usize = 16;
/// Bytes of the longest file header.
const EHDR_ROOM: usize = 64;

/// Reads the file header first, then exactly the table it announces.
pub(crate) fn read_elfcorehdr<M: OldMemory>(
    memory: &M,
    at: Paddr,
    arch: Option<Arch>,
) -> Result<Vec<u8>, Error> {
    let read = |buf: &mut [u8]| memory.read_phys(at, buf).map_err(|stopped| stopped.error);
    let mut head = [0; EHDR_ROOM];
    read(head.get_mut(..IDENT).unwrap_or_default())?;
    let size = if head.get(4) == Some(&1) { 52 } else { EHDR_ROOM };
    let head = head.get_mut(..size).unwrap_or_default();
    read(head)?;
    let size = CaptureHeader::size_of(head, arch).map_err(elf("elfcorehdr"))?;
    let mut bytes = zeroed("the elfcorehdr", size)?;
    read(&mut bytes)?;
    Ok(bytes)
}
