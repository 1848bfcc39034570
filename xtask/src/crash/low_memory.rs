//! Low memory before the crash, seen and marked from outside through the gdbstub.
//!
//! The kernel leaves some of it zero, so the zero pages are filled with known content: only a backup taken in time can show it in the dump after the capture kernel
//! has used the same memory.

use kdump_witness::{PAGE, page};

use crate::error::Result;
use ::lab::gdbstub::Stub;

/// Low memory of an architecture that a capture kernel overwrites.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LowArea {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Pages from here up are left as they are.
    marks_end: u64,
    /// Whether a plan saves it unasked.
    pub(crate) always: bool,
}

impl LowArea {
    /// The whole pages of usable RAM below the EBDA of a PC; the real-mode trampoline lies high in them.
    pub(crate) const X86: Self = Self { start: 0x1000, end: 0x9_f000, marks_end: 0x8_0000, always: false };
    /// The exception vectors. The dying kernel writes the first 256 bytes.
    pub(crate) const PPC64: Self = Self { start: 0x1000, end: 0x1_0000, marks_end: 0x1_0000, always: true };

    /// Bytes of it.
    pub(crate) fn size(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The addresses of the pages in which two recordings differ.
    pub(crate) fn differing(self, one: &[u8], other: &[u8]) -> Vec<u64> {
        let pages = one.chunks(PAGE).zip(other.chunks(PAGE));
        let addresses = (self.start..self.end).step_by(PAGE);
        addresses.zip(pages).filter(|(_, (a, b))| a != b).map(|(paddr, _)| paddr).collect()
    }

    pub(crate) fn read(self, stub: &mut Stub) -> Result<Vec<u8>> {
        stub.read(self.start, self.size())
    }
}

const STEP: u64 = PAGE as u64;
const SEED: u64 = 0x10_3e3;

#[derive(Debug)]
pub(crate) struct LowMemory {
    pub(crate) area: LowArea,
    /// Its bytes, marks included.
    pub(crate) before: Vec<u8>,
    /// How many pages were zero and now hold a mark.
    pub(crate) marked: usize,
}

impl LowMemory {
    pub(crate) fn mark_and_record(area: LowArea, stub: &mut Stub) -> Result<Self> {
        let mut before = area.read(stub)?;
        let mut marked: usize = 0;
        let addresses = (area.start..area.marks_end).step_by(PAGE);
        for (paddr, content) in addresses.zip(before.chunks_exact_mut(PAGE)) {
            if content.iter().all(|&byte| byte == 0) {
                content.copy_from_slice(&page(SEED, paddr / STEP));
                stub.write(paddr, content)?;
                marked = marked.saturating_add(1);
            }
        }
        Ok(Self { area, before, marked })
    }
}
