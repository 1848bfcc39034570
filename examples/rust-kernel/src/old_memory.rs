//! The dead kernel's memory, as the second kernel may read it.

use kdump_elf::{Paddr, PhysRange};
use kdump_segments::RangeSet;
use kdump_vmcore::{Error, OldMemory, Stopped};

use crate::phys;

/// Physical memory without what is not known to be RAM: touching a device's registers could
/// change its state or hang the machine.
#[derive(Clone, Debug)]
pub(crate) struct PhysMemory {
    ram: RangeSet,
}

impl PhysMemory {
    pub(crate) fn new(ram: RangeSet) -> Self {
        Self { ram }
    }
}

impl OldMemory for PhysMemory {
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = paddr.0 + done as u64;
            let Some(range) = self.ram.range_of(at) else {
                let next = self.ram.iter().map(PhysRange::start).find(|&start| start > at);
                return Err(Stopped { read: done, at, error: Error::Hole { paddr: at, next } });
            };
            let len = rest.len().min((range.end() - at) as usize);
            let (now, _) = rest.split_at_mut(len);
            // SAFETY: RAM of the dead kernel; nothing in it runs any more.
            now.copy_from_slice(unsafe { phys::bytes(at, len) });
            done += len;
        }
        Ok(())
    }
}
