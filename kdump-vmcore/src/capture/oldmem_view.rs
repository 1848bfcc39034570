//! What /dev/oldmem showed before Linux 3.12: old memory as one linear file.

use kdump_elf::Paddr;

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
        let rest = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = rest.min(buf.len());
        let piece = buf.get_mut(..count).unwrap_or_default();
        match self.memory.read_phys(Paddr(offset), piece) {
            Ok(()) => Ok(count),
            Err(stopped) if stopped.read > 0 => Ok(stopped.read),
            Err(stopped) => Err(stopped.error),
        }
    }
}
