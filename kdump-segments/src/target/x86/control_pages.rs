//! What an x86 kernel takes from the crash region for itself.
//!
//! Of x86_64, measured with `cargo xtask preflight-soak`. First comes the control code, then the page tables of
//! the identity map in which the next kernel is entered, last the copy of VMCOREINFO.

use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::preflight::{Allocation, Environment};
use crate::{Error, RangeSet, room};

/// Address bits that one entry of a page table of each level maps (x86_64).
const GIB_BITS: u32 = 30;
const LEVEL_4_BITS: u32 = 39;
const LEVEL_5_BITS: u32 = 48;
/// Below this, all is mapped whether it is RAM or not.
const LOW: u64 = 1 << 20;

/// How kernels differ in what they take. No file shows it; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlPages {
    /// Whether control code and topmost page table are one block of two pages. They became
    /// two blocks with "x86/kexec: Allocate PGD for x86_64 transition page tables separately".
    pub pair: Option<bool>,
    /// Whether a GiB that is RAM in part is mapped as a whole. Kernels with "x86/mm/ident_map:
    /// Use gbpages only where full GB page should be mapped." take a page table for each.
    pub whole_gib: Option<bool>,
}

/// What the kernel takes, in this order: one list for each thing it may be, where `environment`
/// does not tell which.
pub(super) fn control_pages(environment: &Environment) -> Result<Vec<Vec<Allocation>>, Error> {
    let either = |known: Option<bool>| known.map_or(vec![false, true], |known| vec![known]);
    let low = PhysRange::from_half_open(0, LOW).ok();
    let ram = environment.ram.union(&RangeSet::from_ranges(low)?)?;
    let mut lists: Vec<Vec<Allocation>> = Vec::new();
    for tables in [&RangeSet::new(), &environment.mapped_tables] {
        for five_levels in either(environment.five_levels) {
            for gib_pages in either(environment.gib_pages) {
                for whole_gib in either(environment.control_pages.whole_gib) {
                    let single = page_tables(&ram, tables, five_levels, gib_pages, whole_gib)?;
                    for pair in either(environment.control_pages.pair) {
                        let list = allocations(pair, single);
                        if !lists.contains(&list) {
                            lists.push(list);
                        }
                    }
                }
            }
        }
    }
    Ok(lists)
}

/// What an i386 kernel takes: control code and a copy of VMCOREINFO. How many pages they are was not
/// measured; where there is room for eight nothing is in doubt, where there is none nothing fits.
pub(super) fn control_pages_32bit(_: &Environment) -> Result<Vec<Vec<Allocation>>, Error> {
    Ok(vec![vec![Allocation { order: 0, count: 1 }], vec![Allocation { order: 0, count: 8 }]])
}

/// Control code and topmost table, `tables` more page tables, and the copy of VMCOREINFO.
fn allocations(pair: bool, tables: u64) -> Vec<Allocation> {
    let rest = tables.saturating_add(1);
    if pair {
        vec![Allocation { order: 1, count: 1 }, Allocation { order: 0, count: rest }]
    } else {
        vec![Allocation { order: 0, count: rest.saturating_add(2) }]
    }
}

/// Page tables below the topmost that map `ram` and, in small pages, `tables`.
fn page_tables(
    ram: &RangeSet,
    tables: &RangeSet,
    five_levels: bool,
    gib_pages: bool,
    whole_gib: bool,
) -> Result<u64, Error> {
    let all = ram.union(tables)?;
    let level_4 = if five_levels { windows(&all, LEVEL_5_BITS) } else { 0 };
    let level_2 = match (gib_pages, whole_gib) {
        (false, _) => windows(&all, GIB_BITS),
        (true, true) => 0,
        (true, false) => partial_gibs(ram, tables)?,
    };
    Ok(level_4.saturating_add(windows(&all, LEVEL_4_BITS)).saturating_add(level_2))
}

/// How many aligned windows of 2 to the power of `bits` bytes `set` touches.
fn windows(set: &RangeSet, bits: u32) -> u64 {
    let mut next = 0;
    let mut count: u64 = 0;
    for range in set {
        let (first, end) = ((range.start() >> bits).max(next), (range.last() >> bits).saturating_add(1));
        count = count.saturating_add(end.saturating_sub(first));
        next = end.max(next);
    }
    count
}

/// How many aligned GiB are touched, but not filled by one range of `ram`.
fn partial_gibs(ram: &RangeSet, tables: &RangeSet) -> Result<u64, Error> {
    let mut partial = Vec::new();
    for range in ram.iter().chain(tables) {
        for gib in [range.start() >> GIB_BITS, range.last() >> GIB_BITS] {
            let whole = PhysRange::from_len(gib << GIB_BITS, 1 << GIB_BITS);
            if !whole.is_ok_and(|whole| ram.contains_range(whole)) {
                room::push(&mut partial, "GiB of memory", gib)?;
            }
        }
    }
    partial.sort_unstable();
    partial.dedup();
    Ok(partial.len() as u64)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::from_half_open(start, end).unwrap()
    }

    /// RAM of a PC with 6 GiB: three below 4 GiB but for the firmware's, three above.
    fn six_gib() -> RangeSet {
        RangeSet::from_ranges([
            range(0x1000, 0x9_fc00),
            range(0x10_0000, 0xbffd_f000),
            range(4 << 30, 7 << 30),
        ])
        .unwrap()
    }

    #[test]
    fn page_tables_as_measured() {
        let (none, gib) = (RangeSet::new(), |count: u64| RangeSet::from(range(0, count << 30)));
        let ram = six_gib().union(&RangeSet::from(range(0, LOW))).unwrap();
        let of =
            |ram: &RangeSet, five, gib_pages, whole| page_tables(ram, &none, five, gib_pages, whole).unwrap();
        assert_eq!(of(&ram, true, true, false), 3, "one for the GiB that ends early");
        assert_eq!(of(&ram, false, true, false), 2);
        assert_eq!(of(&ram, false, true, true), 1);
        assert_eq!(of(&ram, true, false, false), 8);
        assert_eq!(of(&gib(4), false, true, false), 1, "whole GiB only");
        assert_eq!(of(&gib(513), false, true, false), 2);
        assert_eq!(of(&gib(513), true, false, false), 1 + 2 + 513);
        let tables = RangeSet::from(range(0x1_8000_0000, 0x1_8000_1000));
        assert_eq!(page_tables(&gib(4), &tables, false, true, false).unwrap(), 2, "tables outside RAM");
        assert_eq!(
            page_tables(&gib(8), &tables, false, true, false).unwrap(),
            1,
            "tables that are mapped anyway"
        );
    }

    #[test]
    fn two_ranges_in_one_gib_share_its_table() {
        let ram = [range(0, 0x1000), range(0x2000, 0x3000), range(0x5000_0000, 0xc000_0000)];
        let ram = RangeSet::from_ranges(ram).unwrap();
        assert_eq!(partial_gibs(&ram, &RangeSet::new()).unwrap(), 2);
        assert_eq!(windows(&ram, GIB_BITS), 3);
    }
}
