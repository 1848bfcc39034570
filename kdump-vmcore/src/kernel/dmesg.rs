//! The dead kernel's log, read by whichever way its VMCOREINFO tells of.

use kdump_elf::{Vaddr, VmcoreInfo};

use super::{Dmesg, KernelMemory};
use crate::error::Error;
use crate::source::PhysMemory;

impl Dmesg {
    /// Reads the log of the kernel in `memory`, described by its VMCOREINFO: the lockless
    /// ring of Linux 5.10 and later, or the records of 3.5 to 5.9.
    ///
    /// Damage in one record loses only this one. Of a log that costs too much, because it was
    /// crafted, the newest records are read (of the old kind the oldest), and the last defect
    /// tells the limit.
    ///
    /// # Errors
    /// When VMCOREINFO does not describe a log, or its descriptor cannot be read.
    pub fn read<M: PhysMemory>(memory: &mut KernelMemory<M>, info: VmcoreInfo<'_>) -> Result<Self, Error> {
        if let Some(prb) = info.symbol("prb") {
            let ring = memory.read_word(Vaddr(prb))?;
            return super::printk_ring::read(memory, info, ring);
        }
        if info.symbol("log_buf").is_some() {
            return super::log_buf::read(memory, info);
        }
        Err(Error::MissingKey { key: "SYMBOL(prb) or SYMBOL(log_buf)" })
    }
}
