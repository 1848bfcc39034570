//! The rows of all architectures.

use kdump_elf::Arch;

use super::row::Architecture;
use super::{arm64, i386, loongarch64, ppc64, riscv64, s390x, x86_64};

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

impl Architecture {
    /// The row for `arch`.
    pub(super) fn of(arch: Option<Arch>) -> &'static Self {
        const PLAIN: &Architecture = &Architecture::PLAIN;
        ROWS.iter().find(|row| Some(row.arch) == arch).unwrap_or(PLAIN)
    }
}
