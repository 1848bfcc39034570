//! The header the dead kernel's loader left for the capture kernel, fetched from old memory.

use alloc::vec::Vec;

use kdump_elf::{Arch, CaptureHeader, Ehdr, Paddr};

use crate::error::{Error, elf};
use crate::room::zeroed;
use crate::source::OldMemory;

/// Reads the file header first, then exactly the table it announces.
pub(crate) fn read_elfcorehdr<M: OldMemory>(
    memory: &M,
    at: Paddr,
    arch: Option<Arch>,
) -> Result<Vec<u8>, Error> {
    let read = |offset: u64, buf: &mut [u8]| {
        let at = at.0.checked_add(offset).ok_or(Error::Truncated {
            what: "the elfcorehdr",
            offset: at.0,
            need: offset,
            have: at.0.wrapping_neg(),
        })?;
        memory.read_phys(Paddr(at), buf)?;
        Ok::<_, Error>(buf.len())
    };
    let ehdr = Ehdr::read(read)?.map_err(elf("elfcorehdr"))?;
    let size = CaptureHeader::size_of(&ehdr, arch).map_err(elf("elfcorehdr"))?;
    let mut bytes = zeroed("the elfcorehdr", size)?;
    read(0, &mut bytes)?;
    Ok(bytes)
}
