//! An identity map of just what the digest reads: 4 KiB granule, 48 bits (Arm ARM, D8 "The AArch64
//! Virtual Memory System Architecture").
//!
//! Exactly what is asked for is mapped, in pages of 4 KiB and blocks of 2 MiB: what is mapped as Normal
//! memory may be read by speculation, and beside a segment there may be no memory. Nothing may
//! be mapped twice as blocks; and the tables are few. Where either is not enough, there is no map.

use core::arch::asm;
use core::ops::Range;

use crate::cpu::Regime;

/// As `entry.s` has them.
const COUNT: u64 = 24;
const ENTRIES: u64 = 512;
pub(crate) const PAGE: u64 = 4096;
const BLOCK: u64 = 2 << 20;
/// The bits of a virtual address each level looks at begin here; the root's level is the first.
const LEVELS: [u32; 3] = [39, 30, 21];
const PAGES_AT: u32 = 12;

/// Descriptors (Arm ARM, D8.3 "Translation table descriptor formats").
const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 2;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// AttrIndx 0, SH inner shareable, AF.
const NORMAL: u64 = 3 << 8 | 1 << 10;
const READ_ONLY: u64 = 1 << 7;
/// AP\[1\] is 1 where there is one privilege only; elsewhere it would let EL0 in.
const ONE_PRIVILEGE: u64 = 1 << 6;
const PRIVILEGED_NO_EXECUTE: u64 = 1 << 53;
/// UXN, or XN where there is one privilege only.
const NO_EXECUTE: u64 = 1 << 54;

/// What is done with mapped memory.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    /// It is only read.
    Read,
    /// The program itself.
    Run,
}

impl Use {
    fn attributes(self, regime: Regime) -> u64 {
        let access = match self {
            Self::Read => READ_ONLY,
            Self::Run => 0,
        };
        let execute = match (self, regime) {
            (Self::Run, Regime::El2) => 0,
            (Self::Run, _) => NO_EXECUTE,
            (Self::Read, Regime::El2) => NO_EXECUTE,
            (Self::Read, _) => NO_EXECUTE | PRIVILEGED_NO_EXECUTE,
        };
        let privilege = if matches!(regime, Regime::El2) { ONE_PRIVILEGE } else { 0 };
        NORMAL | access | execute | privilege
    }
}

/// The tables, written with the MMU off: every access is aligned.
pub(crate) struct Tables {
    first: u64,
    used: u64,
    regime: Regime,
}

impl Tables {
    /// An empty map.
    pub(crate) fn new(regime: Regime) -> Self {
        let first: u64;
        // SAFETY: computes an address.
        unsafe { asm!("adr {}, tables", out(reg) first, options(pure, nomem, nostack, preserves_flags)) };
        let mut tables = Self { first, used: 0, regime };
        tables.take();
        tables
    }

    /// The address of the first table.
    pub(crate) fn root(&self) -> u64 {
        self.first
    }

    /// Maps the pages of a range whose end is at most `1 << 48`; `None` if that cannot be done.
    pub(crate) fn map(&mut self, range: Range<u64>, purpose: Use) -> Option<()> {
        let attributes = purpose.attributes(self.regime);
        let end = range.end.checked_add(PAGE - 1)? & !(PAGE - 1);
        let mut at = range.start & !(PAGE - 1);
        while at < end {
            let mut table = self.first;
            for level in LEVELS {
                let is_block = level == 21 && at % BLOCK == 0 && end - at >= BLOCK;
                if is_block {
                    self.put_block(table, at, attributes)?;
                    at += BLOCK;
                    table = 0;
                    break;
                }
                table = self.below(table, at >> level)?;
            }
            if table != 0 {
                write(table, at >> PAGES_AT, at | attributes | TABLE_OR_PAGE | VALID);
                at += PAGE;
            }
        }
        Some(())
    }

    fn put_block(&self, table: u64, at: u64, attributes: u64) -> Option<()> {
        let index = at >> 21;
        if read(table, index) != 0 {
            return None;
        }
        write(table, index, at | attributes | VALID);
        Some(())
    }

    /// The table an entry names, a new one if it names none.
    fn below(&mut self, table: u64, index: u64) -> Option<u64> {
        match read(table, index) {
            0 => {
                let next = self.take()?;
                write(table, index, next | TABLE_OR_PAGE | VALID);
                Some(next)
            }
            entry if entry & TABLE_OR_PAGE != 0 => Some(entry & ADDRESS),
            _block => None,
        }
    }

    /// A cleared table.
    fn take(&mut self) -> Option<u64> {
        if self.used == COUNT {
            return None;
        }
        let table = self.first + self.used * PAGE;
        self.used += 1;
        for index in 0..ENTRIES {
            write(table, index, 0);
        }
        Some(table)
    }
}

/// The place of an entry, of whose index the low 9 bits count.
fn entry(table: u64, index: u64) -> *mut u64 {
    (table + index % ENTRIES * 8) as *mut u64
}

fn read(table: u64, index: u64) -> u64 {
    // SAFETY: within a table; volatile, as the processor reads them, too.
    unsafe { entry(table, index).read_volatile() }
}

fn write(table: u64, index: u64, value: u64) {
    // SAFETY: as for `read`.
    unsafe { entry(table, index).write_volatile(value) }
}
