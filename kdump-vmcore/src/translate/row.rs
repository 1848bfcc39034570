//! What is particular to the address space of an architecture.

use alloc::vec::Vec;

use kdump_elf::{Arch, Paddr, Phdr, PhysRange};

use super::radix::{Mapping, Radix};
use crate::dump::Facts;

/// How the kernel of an architecture maps memory, told from what a dump says about itself.
pub(super) struct Architecture {
    pub(super) arch: Arch,
    /// Ranges that are mapped as one piece, as the kernel's image.
    pub(super) linear: fn(&Facts) -> Vec<Linear>,
    /// Its page tables; or why an address that no PT_LOAD has cannot be translated.
    pub(super) tables: fn(&Facts) -> Result<Radix, &'static str>,
    /// Whether the `p_vaddr` of a PT_LOAD can be an address of the kernel.
    pub(super) has_vaddr: fn(&Phdr) -> bool,
}

/// A range of virtual addresses that is mapped as one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    /// The virtual addresses.
    pub(super) range: PhysRange,
    /// The physical address of the first, modulo 2^64.
    pub(super) paddr: u64,
    /// Whether the kernel itself says so, in VMCOREINFO.
    pub(super) told: bool,
}

impl Linear {
    pub(super) fn mapping(&self, vaddr: u64) -> Option<Mapping> {
        self.range.contains(vaddr).then(|| Mapping {
            paddr: Paddr(self.paddr.wrapping_add(vaddr.wrapping_sub(self.range.start()))),
            len: self.range.end().saturating_sub(vaddr),
        })
    }
}

/// Why the page tables are not found in most dumps that do not tell of them.
pub(super) const NOT_TOLD: &str = "no PT_LOAD has it, and the dump has no VMCOREINFO that says where the \
                                   page tables are";

impl Architecture {
    /// Nothing but the addresses in PT_LOADs. Loaders write all ones for memory without one
    /// (high memory of 32-bit machines); QEMU writes 0 or the physical address.
    pub(super) const PLAIN: Self = Self {
        arch: Arch::I386,
        linear: |_| Vec::new(),
        tables: |_| {
            Err("no PT_LOAD has it, and without VMCOREINFO of a known architecture the page tables \
                 cannot be found")
        },
        has_vaddr: |phdr| ![0, u64::from(u32::MAX), u64::MAX, phdr.p_paddr].contains(&phdr.p_vaddr),
    };
}
