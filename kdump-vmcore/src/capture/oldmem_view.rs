//! What /dev/oldmem showed before Linux 3.12: old memory as one linear file.

use kdump_elf::{Paddr, front};

use crate::error::Error;
use crate::source::{OldMemory, ReadAt};

/// Old memory as a file whose offsets are physical addresses. It ends behind the last page of
/// the dead kernel; holes give errors, not zeros.
#[derive(Clone, Copy, Debug)]
pub struct OldmemView<M> {
    memory: M,
    end: u64,
}

impl<M: OldMemory> OldmemView<M> {
    /// A view of the memory below `end`, exclusive.
    pub const fn new(memory: M, end: Paddr) -> Self {
        Self { memory, end: end.0 }
    }
}

impl<M: OldMemory> ReadAt for OldmemView<M> {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.end)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let piece = front(buf, self.end.saturating_sub(offset));
        match self.memory.read_phys(Paddr(offset), piece) {
            Ok(()) => Ok(piece.len()),
            Err(stopped) if stopped.read > 0 => Ok(stopped.read),
            Err(stopped) => Err(stopped.error),
        }
    }
}
