//! The page tables of x86_64 (Documentation/arch/x86/x86_64/mm.rst; Intel SDM volume 3, 4.5).

use kdump_elf::Paddr;

use crate::error::{Error, Stopped};
use crate::source::OldMemory;

/// Bits 51:12 of an entry: the frame.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
const PRESENT: u64 = 1;
/// Bit 7 above the last level: the entry maps a large page.
const LARGE: u64 = 1 << 7;

/// The root of the kernel's page tables and how to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageTables {
    /// Physical address of the root table.
    pub root: Paddr,
    /// Depth: 4, or 5 with `pgtable_l5`.
    pub levels: u8,
    /// The bit that marks encrypted memory and is no part of the address; 0 without
    /// encryption.
    pub sme_mask: u64,
}

/// Where a virtual address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The physical address.
    pub paddr: Paddr,
    /// Bytes from there on that are mapped without a break.
    pub len: u64,
}

impl PageTables {
    /// Whether the address can be mapped at all: the bits above the translated ones are
    /// copies of the highest translated one.
    #[must_use]
    pub fn is_canonical(&self, vaddr: u64) -> bool {
        let low = (1_u64 << self.shift(self.levels.saturating_add(1))).wrapping_sub(1) >> 1;
        vaddr & !low == 0 || vaddr | low == u64::MAX
    }

    /// Walks from the root to the page of `vaddr`.
    ///
    /// # Errors
    /// [`Stopped`] at `vaddr`: [`Error::NotMapped`] with the level where the walk ended, or
    /// why a table could not be read.
    pub fn walk<M: OldMemory + ?Sized>(&self, memory: &M, vaddr: u64) -> Result<Mapping, Stopped> {
        let fail = |error| Stopped { read: 0, at: vaddr, error };
        if !self.is_canonical(vaddr) {
            return Err(fail(Error::NoTranslation { vaddr, reason: "the address is not canonical" }));
        }
        let mut table = self.root.0 & FRAME;
        let mut level = self.levels;
        loop {
            let index = (vaddr >> self.shift(level)) & 0x1ff;
            let mut bytes = [0; 8];
            let at = table.saturating_add(index.saturating_mul(8));
            memory.read_phys(Paddr(at), &mut bytes).map_err(|stopped| fail(stopped.error))?;
            let entry = u64::from_le_bytes(bytes);
            if entry & PRESENT == 0 {
                return Err(fail(Error::NotMapped { vaddr, level, entry }));
            }
            let frame = entry & FRAME & !self.sme_mask;
            let large = matches!(level, 2 | 3) && entry & LARGE != 0;
            if level == 1 || large {
                let low = (1_u64 << self.shift(level)).wrapping_sub(1);
                let paddr = Paddr((frame & !low) | (vaddr & low));
                return Ok(Mapping { paddr, len: low.saturating_sub(vaddr & low).saturating_add(1) });
            }
            table = frame;
            level = level.saturating_sub(1);
        }
    }

    /// Lowest bit of the index into a table of this level; at most 57.
    fn shift(&self, level: u8) -> u32 {
        u32::from(level.clamp(1, 6)).saturating_mul(9).saturating_add(3)
    }
}
