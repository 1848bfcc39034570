//! What is particular to the address space of an architecture: a row for each.

use alloc::vec::Vec;

use kdump_elf::{Arch, Paddr, Phdr, PhysRange};

use super::radix::{Mapping, Radix};
use super::{arm64, i386, loongarch64, ppc64, riscv64, s390x, x86_64};
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

/// All architectures with something particular; one is added by its line.
const ROWS: &[Architecture] = &[
    x86_64::ROW,
    arm64::ROW,
    riscv64::ROW,
    i386::ROW,
    ppc64::ROW,
    s390x::ROW,
    loongarch64::ROW,
    Architecture {
        arch: Arch::Arm,
        tables: |_| {
            Err("no PT_LOAD has it, and VMCOREINFO of 32-bit ARM does not say where RAM begins \
                 (PHYS_OFFSET), from which the page tables would be found")
        },
        ..Architecture::PLAIN
    },
    Architecture {
        arch: Arch::Ppc32,
        tables: |_| Err("no PT_LOAD has it, and the page tables of 32-bit PowerPC are not known here"),
        ..Architecture::PLAIN
    },
];

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

    /// The row for `arch`.
    pub(super) fn of(arch: Option<Arch>) -> &'static Self {
        const PLAIN: &Architecture = &Architecture::PLAIN;
        ROWS.iter().find(|row| Some(row.arch) == arch).unwrap_or(PLAIN)
    }
}
