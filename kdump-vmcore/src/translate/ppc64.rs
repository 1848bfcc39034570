//! ppc64: the radix tables of POWER9 and later (Power ISA 3.0B, book III, 5.7.10), entries big
//! endian whatever the kernel is; of hash tables only what is mapped as one piece.

use kdump_elf::{Arch, Endian, PhysRange};

use super::radix::{Entry, Level, Radix, Raw};
use super::row::{Architecture, Linear, NOT_TOLD};
use crate::dump::Facts;

pub(super) const ROW: Architecture = Architecture {
    arch: Arch::Ppc64,
    linear: |facts| all_memory(facts).into_iter().collect(),
    tables,
    ..Architecture::PLAIN
};

/// `PAGE_OFFSET`, where all memory is mapped; the top four bits choose the kernel's tables.
const KERNEL: u64 = 0xc << 60;

const UPPER: [Level; 3] =
    [Level { shift: 39, bits: 13 }, Level { shift: 30, bits: 9 }, Level { shift: 21, bits: 9 }];
const PAGES_4K: &[Level] = &[UPPER[0], UPPER[1], UPPER[2], Level { shift: 12, bits: 9 }];
const PAGES_64K: &[Level] = &[UPPER[0], UPPER[1], UPPER[2], Level { shift: 16, bits: 5 }];

const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;
/// Bits 56:12 of a leaf: the frame.
const FRAME: u64 = 0x01ff_ffff_ffff_f000;
/// Bits 59:8 of a directory entry: the next table, which has 2 to the power of bits 4:0 entries.
const TABLE: u64 = 0x0fff_ffff_ffff_ff00;
const TABLE_BITS: u64 = 0x1f;

/// [`Radix::ignored`] has how many bits the index into the tables of pages has.
fn entry(raw: Raw) -> Entry {
    let Raw { bits, level, ignored, .. } = raw;
    let next = if level == 2 { ignored } else { 9 };
    match level {
        _ if bits & VALID == 0 => Entry::Absent,
        // Pages have 2 MiB and 1 GiB, not 512.
        1..=3 if bits & LEAF != 0 => Entry::Page(bits & FRAME),
        2.. if bits & LEAF == 0 && bits & TABLE_BITS == next => Entry::Table(bits & TABLE),
        _ => Entry::Impossible,
    }
}

fn tables(facts: &Facts) -> Result<Radix, &'static str> {
    let info = facts.vmcoreinfo().ok_or(NOT_TOLD)?;
    match info.number("RADIX_MMU") {
        Some(1) => {}
        Some(_) => {
            return Err("no PT_LOAD has it, and the kernel used hash tables, of which only the memory \
                        that is mapped as one piece can be reached: not vmalloc, modules and vmemmap");
        }
        None => {
            return Err("no PT_LOAD has it, and VMCOREINFO does not say (RADIX_MMU) whether the page \
                        tables are a tree");
        }
    }
    let levels = match facts.page_size {
        Some(0x1000) => PAGES_4K,
        Some(0x1_0000) => PAGES_64K,
        _ => return Err("no PT_LOAD has it, and the kernel's pages have neither 4 nor 64 KiB"),
    };
    Ok(Radix {
        root: info.symbol("swapper_pg_dir").ok_or(NOT_TOLD)? & !KERNEL,
        levels,
        entry_size: 8,
        endian: Endian::Big,
        ignored: levels.last().map_or(0, |last| last.bits.into()),
        above: None,
        entry,
        canonical: |vaddr, _| vaddr >> 52 == KERNEL >> 52,
    })
}

/// All memory as one piece; vmalloc begins behind it, lower with hash tables of 4 KiB pages.
fn all_memory(facts: &Facts) -> Option<Linear> {
    let size = if facts.page_size == Some(0x1_0000) { 1 << 51 } else { 0x3d << 40 };
    Some(Linear { range: PhysRange::from_len(KERNEL, size).ok()?, paddr: 0, told: false })
}
