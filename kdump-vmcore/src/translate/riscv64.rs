//! riscv64: Sv39, Sv48 and Sv57 (RISC-V privileged architecture, "Supervisor-Level ISA"; the
//! keys are in Documentation/admin-guide/kdump/vmcoreinfo.rst).

use kdump_elf::{Arch, Endian};

use super::radix::{Entry, Level, Radix, Raw, sign_extended};
use super::row::{Architecture, NOT_TOLD};
use crate::dump::Facts;

pub(super) const ROW: Architecture = Architecture {
    arch: Arch::Riscv64,
    tables,
    has_vaddr: |phdr| phdr.p_vaddr >= LOWEST,
    ..Architecture::PLAIN
};

/// The kernel's half begins here with Sv57, higher with the others.
const LOWEST: u64 = 0xff00_0000_0000_0000;

const LEVELS: &[Level] = &[
    Level { shift: 48, bits: 9 },
    Level { shift: 39, bits: 9 },
    Level { shift: 30, bits: 9 },
    Level { shift: 21, bits: 9 },
    Level { shift: 12, bits: 9 },
];

const VALID: u64 = 1;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
/// Svnapot: the entry is one of 16 for a naturally aligned 64 KiB.
const NAPOT: u64 = 1 << 63;
/// Bits 53:10, the number of the page.
const PAGE_NUMBER: u64 = (1 << 44) - 1;

fn entry(raw: Raw) -> Entry {
    let Raw { bits, level, vaddr, .. } = raw;
    let number = (bits >> 10) & PAGE_NUMBER;
    match bits & (READ | WRITE | EXECUTE) {
        _ if bits & VALID == 0 => Entry::Absent,
        0 if level == 1 => Entry::Impossible,
        0 => Entry::Table(number << 12),
        // Writable but not readable is reserved.
        flags if flags & (READ | WRITE) == WRITE => Entry::Impossible,
        _ if bits & NAPOT == 0 => Entry::Page(number << 12),
        _ if level == 1 && number & 0xf == 8 => Entry::Page(((number & !0xf) | ((vaddr >> 12) & 0xf)) << 12),
        _ => Entry::Impossible,
    }
}

fn tables(facts: &Facts) -> Result<Radix, &'static str> {
    told(facts).ok_or(NOT_TOLD)
}

fn told(facts: &Facts) -> Option<Radix> {
    let info = facts.vmcoreinfo()?;
    let offset = info.number_bits("va_kernel_pa_offset")?;
    let skip = match info.number("VA_BITS")? {
        57 => 0,
        48 => 1,
        39 => 2,
        _ => return None,
    };
    Some(Radix {
        root: info.symbol("swapper_pg_dir")?.wrapping_sub(offset),
        levels: LEVELS.get(skip..)?,
        entry_size: 8,
        endian: Endian::Little,
        ignored: 0,
        above: None,
        entry,
        canonical: sign_extended,
    })
}
