//! The MMU and the caches, off between two kernels, on while the digest is computed: uncached, every
//! access goes to memory, which takes many times as long.
//!
//! Nothing but the program itself is written meanwhile, and nothing of what was mapped is left in a
//! cache afterwards (Documentation/arch/arm64/booting.rst: the MMU and the data cache are off, the
//! kernel image is cleaned to the point of coherency).

use core::arch::asm;
use core::ops::Range;

use crate::cpu::{self, Regime};
use crate::digest::{Region, used};
use crate::handover;
use crate::tables::{PAGE, Tables, Use};

/// SCTLR_ELx: M, A, C, I and WXN.
const MMU: u64 = 1;
const ALIGNMENT_CHECK: u64 = 1 << 1;
const DATA_CACHE: u64 = 1 << 2;
const INSTRUCTION_CACHE: u64 = 1 << 12;
const WRITABLE_IS_NO_CODE: u64 = 1 << 19;
/// MAIR_ELx, attribute 0: Normal memory, written back, allocated by reads and writes.
const NORMAL: u64 = 0xff;
/// TCR_ELx: T0SZ for 48 bits, IRGN0 and ORGN0 written back, SH0 inner shareable, TG0 4 KiB.
const CONTROL: u64 = 16 | 1 << 8 | 1 << 10 | 3 << 12;
/// TCR_EL1, and TCR_EL2 with the host extensions: T1SZ, EPD1, TG1 4 KiB.
const NO_UPPER_HALF: u64 = 16 << 16 | 1 << 23 | 2 << 30;
/// TCR_EL2 without them: what is 1 there.
const EL2_ONES: u64 = 1 << 23 | 1 << 31;
/// What is said behind the verdict.
const ON: &str = " (caches on)\r\n";
const OFF: &str = " (caches off)\r\n";

/// What was switched on for the digest: SCTLR_ELx as it was before, if anything was.
pub(crate) struct Caches {
    regime: Regime,
    before: Option<u64>,
}

impl Caches {
    /// Switches them on where the loader wants it and the processor can map it all.
    ///
    /// # Safety
    /// The MMU is off, and nothing but the program and the regions is touched until [`off`](Self::off).
    /// `regions` is a table of the hand-over.
    pub(crate) unsafe fn on(regions: *const Region) -> Self {
        let regime = cpu::regime();
        // SAFETY: the caller's promise.
        let map = if handover::caches() { unsafe { map(regime, regions) } } else { None };
        let before = map.map(|map| {
            let before = cpu::sctlr(regime);
            // SAFETY: the caller's promise; the map holds the program.
            unsafe { switch_on(regime, &map, before) };
            before
        });
        Self { regime, before }
    }

    /// Switches off what was switched on. Returns what to say about it.
    ///
    /// # Safety
    /// `regions` is the table of [`on`](Self::on).
    pub(crate) unsafe fn off(self, regions: *const Region) -> &'static str {
        let Some(before) = self.before else { return OFF };
        let on = cpu::sctlr(self.regime) & (MMU | DATA_CACHE) == MMU | DATA_CACHE;
        let line = cpu::cache_line();
        // SAFETY: the map is one of identity, and without it the program runs as before.
        unsafe { switch_off(self.regime, before, line) };
        // SAFETY: the caller's promise.
        for region in unsafe { used(regions) } {
            // The map was made: no sum overflows.
            clean(region.start, region.start + region.len, line);
        }
        if on { ON } else { OFF }
    }
}

/// What the registers of the MMU are given.
struct Map {
    root: u64,
    control: u64,
}

/// Maps the regions, and the program with its tables last.
///
/// # Safety
/// `regions` is a table of the hand-over.
unsafe fn map(regime: Regime, regions: *const Region) -> Option<Map> {
    let output = cpu::output()?;
    let mut tables = Tables::new(regime);
    // SAFETY: the caller's promise.
    for region in unsafe { used(regions) } {
        let end = region.start.checked_add(region.len)?;
        if end > 1 << output.bits {
            return None;
        }
        tables.map(region.start..end, Use::Read)?;
    }
    let own = own();
    if own.end > 1 << output.bits {
        return None;
    }
    tables.map(own, Use::Run)?;
    let control = match regime {
        Regime::El2 => EL2_ONES | output.number << 16,
        Regime::El1 | Regime::El2Host => NO_UPPER_HALF | output.number << 32,
    };
    Some(Map { root: tables.root(), control: CONTROL | control })
}

/// From the first instruction to the end of the tables, in whole pages.
fn own() -> Range<u64> {
    let (start, end): (u64, u64);
    // SAFETY: computes addresses.
    unsafe {
        asm!(
            "adr {start}, purgatory_start",
            "adr {end}, tables_end",
            start = out(reg) start,
            end = out(reg) end,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    start & !(PAGE - 1)..end
}

/// First drops what caches may still hold of the program, so that its stack and tables are what was
/// written past them.
macro_rules! switch_on {
    ($el:literal, $translations:literal, $map:expr, $sctlr:expr, $own:expr) => {
        asm!(
            "dsb sy",
            "2:",
            "dc ivac, {at}",
            "add {at}, {at}, {line}",
            "cmp {at}, {end}",
            "b.lo 2b",
            "dsb sy",
            concat!("msr mair_el", $el, ", {normal}"),
            concat!("msr tcr_el", $el, ", {control}"),
            concat!("msr ttbr0_el", $el, ", {root}"),
            "isb",
            concat!("tlbi ", $translations),
            "ic iallu",
            "dsb sy",
            "isb",
            concat!("msr sctlr_el", $el, ", {sctlr}"),
            "isb",
            at = inout(reg) $own.start => _,
            end = in(reg) $own.end,
            line = in(reg) cpu::cache_line(),
            normal = in(reg) NORMAL,
            control = in(reg) $map.control,
            root = in(reg) $map.root,
            sctlr = in(reg) $sctlr,
            options(nostack),
        )
    };
}

/// # Safety
/// The map holds all that is touched while it is on, by the same addresses.
unsafe fn switch_on(regime: Regime, map: &Map, before: u64) {
    let sctlr = before & !(ALIGNMENT_CHECK | WRITABLE_IS_NO_CODE) | MMU | DATA_CACHE | INSTRUCTION_CACHE;
    let own = own();
    match regime {
        // SAFETY: the caller's promise.
        Regime::El1 => unsafe { switch_on!("1", "vmalle1", map, sctlr, own) },
        // SAFETY: the caller's promise.
        Regime::El2 | Regime::El2Host => unsafe { switch_on!("2", "alle2", map, sctlr, own) },
    }
}

/// Writes what the program has written to memory before its stack is used again.
macro_rules! switch_off {
    ($el:literal, $translations:literal, $sctlr:expr, $line:expr, $own:expr) => {
        asm!(
            "dsb sy",
            "isb",
            concat!("msr sctlr_el", $el, ", {sctlr}"),
            "isb",
            "2:",
            "dc civac, {at}",
            "add {at}, {at}, {line}",
            "cmp {at}, {end}",
            "b.lo 2b",
            "dsb sy",
            concat!("tlbi ", $translations),
            "ic iallu",
            "dsb sy",
            "isb",
            at = inout(reg) $own.start => _,
            end = in(reg) $own.end,
            line = in(reg) $line,
            sctlr = in(reg) $sctlr,
            options(nostack),
        )
    };
}

/// # Safety
/// The map that is on is one of identity.
unsafe fn switch_off(regime: Regime, before: u64, line: u64) {
    let own = own();
    match regime {
        // SAFETY: the caller's promise.
        Regime::El1 => unsafe { switch_off!("1", "vmalle1", before, line, own) },
        // SAFETY: the caller's promise.
        Regime::El2 | Regime::El2Host => unsafe { switch_off!("2", "alle2", before, line, own) },
    }
}

/// Writes a range to memory and drops it from all caches, up to the point of coherency.
fn clean(start: u64, end: u64, line: u64) {
    // SAFETY: changes no memory; the range is not empty.
    unsafe {
        asm!(
            "2:",
            "dc civac, {at}",
            "add {at}, {at}, {line}",
            "cmp {at}, {end}",
            "b.lo 2b",
            "dsb sy",
            at = inout(reg) start & !(line - 1) => _,
            end = in(reg) end,
            line = in(reg) line,
            options(nostack),
        );
    }
}
