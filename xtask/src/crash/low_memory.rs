//! The first 640 KiB before the crash, seen and marked from outside through the gdbstub.
//!
//! The kernel reserves this memory and leaves most of it zero, so the zero pages are filled with
//! known content: only a backup taken in time can show it in the dump after the capture kernel
//! has used the same memory.

use kdump_witness::{PAGE, page};

use crate::error::Result;
use ::lab::gdbstub::Stub;

/// The whole pages of usable RAM below the EBDA of a PC.
pub(crate) const START: u64 = 0x1000;
pub(crate) const END: u64 = 0x9_f000;
/// Pages from here up are left as they are: the real-mode trampoline lies there.
const MARKS_END: u64 = 0x8_0000;
const STEP: u64 = PAGE as u64;
const SEED: u64 = 0x10_3e3;

#[derive(Debug)]
pub(crate) struct LowMemory {
    /// The bytes from `START` to `END`, marks included.
    pub(crate) before: Vec<u8>,
    /// How many pages were zero and now hold a mark.
    pub(crate) marked: usize,
}

impl LowMemory {
    pub(crate) fn mark_and_record(stub: &mut Stub) -> Result<Self> {
        let mut before = stub.read(START, END.saturating_sub(START))?;
        let mut marked: usize = 0;
        let addresses = (START..MARKS_END).step_by(PAGE);
        for (paddr, content) in addresses.zip(before.chunks_exact_mut(PAGE)) {
            if content.iter().all(|&byte| byte == 0) {
                content.copy_from_slice(&page(SEED, paddr / STEP));
                stub.write(paddr, content)?;
                marked = marked.saturating_add(1);
            }
        }
        Ok(Self { before, marked })
    }
}

/// The addresses of the pages in which two recordings differ.
pub(crate) fn differing(one: &[u8], other: &[u8]) -> Vec<u64> {
    let pages = one.chunks(PAGE).zip(other.chunks(PAGE));
    let addresses = (START..END).step_by(PAGE);
    addresses.zip(pages).filter(|(_, (a, b))| a != b).map(|(paddr, _)| paddr).collect()
}

pub(crate) fn read(stub: &mut Stub) -> Result<Vec<u8>> {
    stub.read(START, END.saturating_sub(START))
}
