//! s390x: two to five levels (z/Architecture Principles of Operation, "Dynamic Address
//! Translation"; large pages are the enhanced-DAT facilities 1 and 2).
//!
//! How many levels there are stands in every entry of the tables of regions, valid or not. The
//! two pages of each CPU that its prefix swaps are not swapped here: addresses are absolute.

use kdump_elf::{Arch, VmcoreInfo};

use super::radix::{Entry, Level, Radix, Raw, from_zero};
use super::row::{Architecture, NOT_TOLD};
use crate::dump::Facts;

/// Kernels before Linux 6.10 run at their physical addresses: unlike elsewhere that can be what is meant.
pub(super) const ROW: Architecture = Architecture {
    arch: Arch::S390x,
    tables,
    has_vaddr: |phdr| phdr.p_vaddr == phdr.p_paddr || (Architecture::PLAIN.has_vaddr)(phdr),
    ..Architecture::PLAIN
};

/// The first, second and third regions, segments, pages.
const LEVELS: &[Level] = &[
    Level { shift: 53, bits: 11 },
    Level { shift: 42, bits: 11 },
    Level { shift: 31, bits: 11 },
    Level { shift: 20, bits: 11 },
    Level { shift: 12, bits: 8 },
];

/// I, in entries of regions and segments.
const INVALID: u64 = 0x20;
/// TT: what the table is one of; 0 for segments.
const TYPE: u64 = 0x0c;
/// FC: the entry maps a page of 1 MiB (segments) or 2 GiB (third regions).
const LARGE: u64 = 0x400;
/// I, in entries of pages.
const PAGE_INVALID: u64 = 0x400;
/// A bit of these that must be zero.
const PAGE_RESERVED: u64 = 0x800;

fn entry(raw: Raw) -> Entry {
    let Raw { bits, level, .. } = raw;
    match level {
        1 if bits & PAGE_INVALID != 0 => Entry::Absent,
        1 if bits & PAGE_RESERVED != 0 => Entry::Impossible,
        1 => Entry::Page(bits & !0xfff),
        _ if bits & INVALID != 0 => Entry::Absent,
        _ if bits & TYPE != u64::from(level).wrapping_sub(2) << 2 => Entry::Impossible,
        2 | 3 if bits & LARGE != 0 => Entry::Page(bits),
        2 => Entry::Table(bits & !0x7ff),
        _ => region(raw),
    }
}

/// The table below a region has a quarter, two or three of what it could have, from the first
/// (TF) to the last (TL) that is there.
fn region(raw: Raw) -> Entry {
    let Raw { bits, level, vaddr, .. } = raw;
    let below = LEVELS.len().checked_sub(usize::from(level).saturating_sub(1));
    let Some(Level { shift, bits: width }) = below.and_then(|below| LEVELS.get(below)).copied() else {
        return Entry::Impossible;
    };
    let quarter = vaddr.checked_shr(shift.saturating_add(width).saturating_sub(2)).unwrap_or(0) & 3;
    let there = ((bits >> 6) & 3)..=(bits & 3);
    if there.contains(&quarter) { Entry::Table(bits & !0xfff) } else { Entry::Absent }
}

fn tables(facts: &Facts) -> Result<Radix, &'static str> {
    let info = facts.vmcoreinfo().ok_or(NOT_TOLD)?;
    Ok(Radix {
        root: physical(&info, info.symbol("swapper_pg_dir").ok_or(NOT_TOLD)?),
        levels: LEVELS,
        entry_size: 8,
        endian: facts.encoding.endian,
        ignored: 0,
        above: Some(|first| usize::from(3_u8.saturating_sub(((first & TYPE) >> 2) as u8))),
        entry,
        canonical: from_zero,
    })
}

/// Since Linux 6.10 the image has addresses of its own, and memory is mapped from a base on.
fn physical(info: &VmcoreInfo<'_>, vaddr: u64) -> u64 {
    match (info.hex("KERNELOFFSET"), info.hex("KERNELOFFPHYS")) {
        (Some(offset), Some(physical)) if vaddr >= offset => {
            vaddr.wrapping_sub(offset).wrapping_add(physical)
        }
        (_, Some(_)) => vaddr.wrapping_sub(info.hex("IDENTITYBASE").unwrap_or(0)),
        _ => vaddr,
    }
}
