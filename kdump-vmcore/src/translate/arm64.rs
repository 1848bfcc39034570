//! arm64: granules of 4, 16 and 64 KiB, addresses of 36 to 52 bits (Arm Architecture Reference
//! Manual, "VMSAv8-64 translation table format descriptors"; the keys are in
//! Documentation/admin-guide/kdump/vmcoreinfo.rst).

use kdump_elf::Arch;

use super::radix::{Entry, Level, Radix, Raw, upper_half};
use super::row::{Architecture, NOT_TOLD};
use crate::dump::Facts;

pub(super) const ROW: Architecture = Architecture { arch: Arch::Arm64, tables, ..Architecture::PLAIN };

/// Tables of one granule and size of addresses.
struct Shape {
    page_size: u64,
    va_bits: u32,
    levels: &'static [Level],
    entry: fn(Raw) -> Entry,
}

const fn level(shift: u32, bits: u32) -> Level {
    Level { shift, bits }
}

const SHAPES: &[Shape] = &[
    shape(0x1000, 39, &[level(30, 9), level(21, 9), level(12, 9)], plain),
    shape(0x1000, 48, &[level(39, 9), level(30, 9), level(21, 9), level(12, 9)], plain),
    shape(0x1000, 52, &[level(48, 4), level(39, 9), level(30, 9), level(21, 9), level(12, 9)], lpa2),
    shape(0x4000, 36, &[level(25, 11), level(14, 11)], plain),
    shape(0x4000, 47, &[level(36, 11), level(25, 11), level(14, 11)], plain),
    shape(0x4000, 48, &[level(47, 1), level(36, 11), level(25, 11), level(14, 11)], plain),
    shape(0x4000, 52, &[level(47, 5), level(36, 11), level(25, 11), level(14, 11)], lpa2),
    shape(0x1_0000, 42, &[level(29, 13), level(16, 13)], large_granule),
    shape(0x1_0000, 48, &[level(42, 6), level(29, 13), level(16, 13)], large_granule),
    shape(0x1_0000, 52, &[level(42, 10), level(29, 13), level(16, 13)], large_granule),
];

const fn shape(page_size: u64, va_bits: u32, levels: &'static [Level], entry: fn(Raw) -> Entry) -> Shape {
    Shape { page_size, va_bits, levels, entry }
}

/// Address bits 47:12; those below the granule are zero.
fn plain(raw: Raw) -> Entry {
    described(raw, raw.bits & 0x0000_ffff_ffff_f000)
}

/// 4 and 16 KiB with 52-bit addresses: bits 9:8 are address bits 51:50.
fn lpa2(raw: Raw) -> Entry {
    described(raw, (raw.bits & 0x0003_ffff_ffff_f000) | ((raw.bits & 0x300) << 42))
}

/// 64 KiB: bits 15:12 are address bits 51:48, zero without them.
fn large_granule(raw: Raw) -> Entry {
    described(raw, (raw.bits & 0x0000_ffff_ffff_0000) | ((raw.bits & 0xf000) << 36))
}

/// The low two bits: 3 is a table, or a page at the last level; 1 is a block above it.
fn described(raw: Raw, address: u64) -> Entry {
    match (raw.bits & 3, raw.level) {
        (0 | 2, _) => Entry::Absent,
        (3, 1) => Entry::Page(address),
        (3, _) => Entry::Table(address),
        (_, 1) => Entry::Impossible,
        _ => Entry::Page(address),
    }
}

fn tables(facts: &Facts) -> Result<Radix, &'static str> {
    told(facts).ok_or(NOT_TOLD)
}

fn told(facts: &Facts) -> Option<Radix> {
    let info = facts.vmcoreinfo()?;
    let page_size = facts.page_size?;
    let built = u32::try_from(info.number("VA_BITS")?).ok()?;
    let used = info.number("TCR_EL1_T1SZ").and_then(|size| 64_u32.checked_sub(u32::try_from(size).ok()?));
    // Built for 52 bits and run with 48, a kernel with 64 KiB pages keeps its table of 1024
    // entries and uses the last 64; with the other granules it leaves out a level.
    let va_bits = if page_size == 0x1_0000 { built } else { used.unwrap_or(built) };
    let shape = SHAPES.iter().find(|shape| (shape.page_size, shape.va_bits) == (page_size, va_bits))?;
    let voffset = info.number_bits("kimage_voffset")?;
    Some(Radix {
        root: info.symbol("swapper_pg_dir")?.wrapping_sub(voffset),
        levels: shape.levels,
        entry_size: 8,
        endian: facts.encoding.endian,
        ignored: 0,
        above: None,
        entry: shape.entry,
        canonical: upper_half,
    })
}
