//! The pages the kernel takes from the crash region for itself, in which order and from where.
//!
//! Measured with `cargo xtask preflight-soak` on x86_64. The kernel walks upward from the start of
//! the region, around the segments, and never back: a page it passed over because it looked for
//! two together is lost to it. First comes the control code, then the page tables of the identity
//! map in which the next kernel is entered, last the copy of VMCOREINFO.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::{PhysRange, align_up};

use super::Environment;
use crate::RangeSet;

/// Address bits that one entry of a page table of each level maps (x86_64).
const GIB_BITS: u32 = 30;
const LEVEL_4_BITS: u32 = 39;
const LEVEL_5_BITS: u32 = 48;
/// Below this, all is mapped whether it is RAM or not.
const LOW: u64 = 1 << 20;

/// Some blocks of equal size, taken one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// A block is 2 to the power of this many pages, aligned to its own size.
    pub order: u32,
    /// How many blocks.
    pub count: u64,
}

/// A region without room for some [`Allocation`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// Pages the kernel asks for.
    pub needed: u64,
    /// Pages it has found before it gives up.
    pub found: u64,
}

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
#[must_use]
pub fn control_pages(environment: &Environment) -> Vec<Vec<Allocation>> {
    let either = |known: Option<bool>| known.map_or(vec![false, true], |known| vec![known]);
    let low = PhysRange::from_half_open(0, LOW).ok();
    let ram = environment.ram.union(&low.into_iter().collect());
    let mut lists: Vec<Vec<Allocation>> = Vec::new();
    for tables in [&RangeSet::new(), &environment.mapped_tables] {
        for five_levels in either(environment.five_levels) {
            for gib_pages in either(environment.gib_pages) {
                for whole_gib in either(environment.control_pages.whole_gib) {
                    let single = page_tables(&ram, tables, five_levels, gib_pages, whole_gib);
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
    lists
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
) -> u64 {
    let all = ram.union(tables);
    let level_4 = if five_levels { windows(&all, LEVEL_5_BITS) } else { 0 };
    let level_2 = match (gib_pages, whole_gib) {
        (false, _) => windows(&all, GIB_BITS),
        (true, true) => 0,
        (true, false) => partial_gibs(ram, tables),
    };
    level_4.saturating_add(windows(&all, LEVEL_4_BITS)).saturating_add(level_2)
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
fn partial_gibs(ram: &RangeSet, tables: &RangeSet) -> u64 {
    let mut partial = Vec::new();
    for range in ram.iter().chain(tables) {
        for gib in [range.start() >> GIB_BITS, range.last() >> GIB_BITS] {
            let whole = PhysRange::from_len(gib << GIB_BITS, 1 << GIB_BITS);
            if !whole.is_ok_and(|whole| ram.contains_range(whole)) {
                partial.push(gib);
            }
        }
    }
    partial.sort_unstable();
    partial.dedup();
    partial.len() as u64
}

/// Walks upward through `region` as the kernel does, around the segments, which are given as
/// address and length in bytes and may be empty. `page_size` is a power of two. Takes time
/// proportional to the number of segments and its logarithm, however they lie.
///
/// # Errors
/// [`Shortage`] when the end is reached before every block was found.
pub fn find_control_pages(
    region: PhysRange,
    page_size: u64,
    segments: &[(u64, u64)],
    list: &[Allocation],
) -> Result<(), Shortage> {
    let needed =
        list.iter().map(|block| block.count.saturating_mul(pages(*block))).fold(0, u64::saturating_add);
    let mut walk = Walk { region, segments: by_start(segments), at: region.start() };
    let mut found: u64 = 0;
    for block in list {
        let size = page_size.saturating_mul(pages(*block));
        let got = walk.take(size, block.count);
        found = found.saturating_add(got.saturating_mul(pages(*block)));
        if got < block.count {
            return Err(Shortage { needed, found });
        }
    }
    Ok(())
}

fn pages(block: Allocation) -> u64 {
    1_u64.checked_shl(block.order).unwrap_or(u64::MAX)
}

/// The starts in ascending order, each with the highest end of all segments up to it.
fn by_start(segments: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let end = |&(mem, memsz): &(u64, u64)| (mem, mem.saturating_add(memsz));
    let mut segments: Vec<(u64, u64)> = segments.iter().map(end).collect();
    segments.sort_unstable();
    let mut highest = 0;
    for (_, end) in &mut segments {
        highest = highest.max(*end);
        *end = highest;
    }
    segments
}

/// The kernel's way through the region. It never goes back.
struct Walk {
    region: PhysRange,
    /// As [`by_start`] gives them.
    segments: Vec<(u64, u64)>,
    at: u64,
}

impl Walk {
    /// Takes up to `count` blocks of `size` bytes and says how many there were.
    fn take(&mut self, size: u64, count: u64) -> u64 {
        let mut taken: u64 = 0;
        while taken < count {
            let Some(start) = align_up(self.at, size) else { break };
            let Some(last) = start.checked_add(size.saturating_sub(1)) else { break };
            if last > self.region.last() {
                break;
            }
            if let Some(end) = self.end_of_obstacle(start, last) {
                self.at = end;
                continue;
            }
            // As many as fit before the next segment.
            let blocks = self.next_segment(last).saturating_sub(start).checked_div(size).unwrap_or(0);
            let blocks = blocks.clamp(1, count.saturating_sub(taken));
            taken = taken.saturating_add(blocks);
            self.at = start.saturating_add(blocks.saturating_mul(size));
        }
        taken
    }

    /// The end of the segments in the way. One without length is in the way of a block around it.
    fn end_of_obstacle(&self, start: u64, last: u64) -> Option<u64> {
        let before = self.segments.partition_point(|&(mem, _)| mem <= last);
        let (_, end) = self.segments.get(before.checked_sub(1)?)?;
        (start < *end).then_some(*end)
    }

    fn next_segment(&self, after: u64) -> u64 {
        let next = self.segments.partition_point(|&(mem, _)| mem <= after);
        self.segments.get(next).map_or(self.region.end(), |&(mem, _)| mem.min(self.region.end()))
    }
}

/// `list` in words: `2 pages together and 4 single pages`.
pub(super) fn describe(list: &[Allocation]) -> String {
    let words: Vec<String> = list
        .iter()
        .map(|block| match block.order {
            0 => format!("{} single pages", block.count),
            _ => format!("{} pages together", pages(*block)),
        })
        .collect();
    words.join(" and ")
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const PAGE: u64 = 0x1000;
    const PAIR_AND_4: [Allocation; 2] =
        [Allocation { order: 1, count: 1 }, Allocation { order: 0, count: 4 }];

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::from_half_open(start, end).unwrap()
    }

    /// Pages of a region of 16 from `first` on: `x` is a segment, `.` is free, `0` is free with an
    /// empty segment at its start.
    fn room(first: u64, pages: &str, list: &[Allocation]) -> Result<(), Shortage> {
        let start = first * PAGE;
        let segments: Vec<(u64, u64)> = (0..)
            .zip(pages.chars())
            .filter(|&(_, kind)| kind != '.')
            .map(|(index, kind)| (start + index * PAGE, if kind == 'x' { PAGE } else { 0 }))
            .collect();
        find_control_pages(range(start, start + pages.len() as u64 * PAGE), PAGE, &segments, list)
    }

    #[test]
    fn the_pair_comes_first_and_is_aligned() {
        assert_eq!(room(0x100, "......", &PAIR_AND_4), Ok(()));
        assert_eq!(room(0x100, ".....", &PAIR_AND_4), Err(Shortage { needed: 6, found: 5 }));
        assert_eq!(room(0x101, "......", &PAIR_AND_4), Err(Shortage { needed: 6, found: 5 }));
        assert_eq!(room(0x101, ".......", &PAIR_AND_4), Ok(()), "an odd page before the pair");
    }

    #[test]
    fn what_was_passed_over_is_lost() {
        assert_eq!(room(0x100, ".x.x.x.x....", &PAIR_AND_4), Err(Shortage { needed: 6, found: 4 }));
        assert_eq!(room(0x100, ".x.x.x.x......", &PAIR_AND_4), Ok(()));
        assert_eq!(room(0x100, ".x.x.x.x..", &[Allocation { order: 0, count: 6 }]), Ok(()));
        assert_eq!(room(0x100, "..x.x.x.x", &PAIR_AND_4), Err(Shortage { needed: 6, found: 5 }));
        assert_eq!(room(0x100, "..x.x.x.x.", &PAIR_AND_4), Ok(()));
    }

    #[test]
    fn an_empty_segment_splits_a_pair_but_no_page() {
        assert_eq!(room(0x100, ".0....", &PAIR_AND_4), Err(Shortage { needed: 6, found: 4 }));
        assert_eq!(room(0x100, "0.....", &PAIR_AND_4), Ok(()));
        assert_eq!(room(0x100, "000000", &[Allocation { order: 0, count: 6 }]), Ok(()));
    }

    #[test]
    fn nonsense_ends() {
        let list = [Allocation { order: 70, count: u64::MAX }, Allocation { order: 0, count: 1 }];
        assert!(room(0, "....", &list).is_err());
        let all = [(0, u64::MAX), (u64::MAX, u64::MAX)];
        assert!(find_control_pages(range(0, u64::MAX), PAGE, &all, &PAIR_AND_4).is_err());
        let many = [Allocation { order: 0, count: 1 << 51 }];
        assert_eq!(find_control_pages(range(0, 1 << 63), PAGE, &[], &many), Ok(()));
    }

    #[test]
    fn many_obstacles_are_passed_in_one_walk() {
        const COUNT: u64 = 400_000;
        let segments: Vec<(u64, u64)> = (0..COUNT).map(|index| ((0x101 + 2 * index) * PAGE, PAGE)).collect();
        let region = range(0x100 * PAGE, (0x100 + 2 * COUNT) * PAGE);
        // Looking at every segment for every page passed over would take minutes.
        assert_eq!(
            find_control_pages(region, PAGE, &segments, &PAIR_AND_4),
            Err(Shortage { needed: 6, found: 0 })
        );
        let singles = [Allocation { order: 0, count: COUNT }];
        assert_eq!(find_control_pages(region, PAGE, &segments, &singles), Ok(()));
    }

    /// RAM of a PC with 6 GiB: three below 4 GiB but for the firmware's, three above.
    fn six_gib() -> RangeSet {
        [range(0x1000, 0x9_fc00), range(0x10_0000, 0xbffd_f000), range(4 << 30, 7 << 30)]
            .into_iter()
            .collect()
    }

    #[test]
    fn page_tables_as_measured() {
        let (none, gib) = (RangeSet::new(), |count: u64| RangeSet::from(range(0, count << 30)));
        let ram = six_gib().union(&RangeSet::from(range(0, LOW)));
        let of = |ram: &RangeSet, five, gib_pages, whole| page_tables(ram, &none, five, gib_pages, whole);
        assert_eq!(of(&ram, true, true, false), 3, "one for the GiB that ends early");
        assert_eq!(of(&ram, false, true, false), 2);
        assert_eq!(of(&ram, false, true, true), 1);
        assert_eq!(of(&ram, true, false, false), 8);
        assert_eq!(of(&gib(4), false, true, false), 1, "whole GiB only");
        assert_eq!(of(&gib(513), false, true, false), 2);
        assert_eq!(of(&gib(513), true, false, false), 1 + 2 + 513);
        let tables = RangeSet::from(range(0x1_8000_0000, 0x1_8000_1000));
        assert_eq!(page_tables(&gib(4), &tables, false, true, false), 2, "tables outside RAM");
        assert_eq!(page_tables(&gib(8), &tables, false, true, false), 1, "tables that are mapped anyway");
    }

    #[test]
    fn two_ranges_in_one_gib_share_its_table() {
        let ram: RangeSet =
            [range(0, 0x1000), range(0x2000, 0x3000), range(0x5000_0000, 0xc000_0000)].into_iter().collect();
        assert_eq!(partial_gibs(&ram, &RangeSet::new()), 2);
        assert_eq!(windows(&ram, GIB_BITS), 3);
    }
}
