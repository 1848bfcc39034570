//! The pages the kernel takes from the crash region for itself: how it finds them. What it takes
//! is each target's.
//!
//! Measured with `cargo xtask preflight-soak` on x86_64. The kernel walks upward from the start of
//! the region, around the segments, and never back: a page it passed over because it looked for
//! two together is lost to it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{PhysRange, align_up};

use super::Environment;
use crate::target::Target;
use crate::{Error, room};

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

/// What the kernel takes, in this order: one list for each thing it may be, where `environment`
/// does not tell which. Empty for an architecture of which it is not known.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn control_pages(environment: &Environment) -> Result<Vec<Vec<Allocation>>, Error> {
    Target::of(environment.arch).map_or_else(|| Ok(Vec::new()), |target| (target.control_pages)(environment))
}

/// Segments in the way of the kernel, each an address and a length in bytes; one may be empty.
#[derive(Clone, Debug)]
pub struct Obstacles {
    /// The starts in ascending order, each with the highest end of all segments up to it.
    by_start: Vec<(u64, u64)>,
}

impl Obstacles {
    /// Puts the segments, which come in any order, into that of the kernel's walk.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(segments: impl IntoIterator<Item = (u64, u64)>) -> Result<Self, Error> {
        let ends = segments.into_iter().map(|(mem, memsz)| (mem, mem.saturating_add(memsz)));
        let mut by_start = room::collect("segments", ends)?;
        by_start.sort_unstable();
        let mut highest = 0;
        for (_, end) in &mut by_start {
            highest = highest.max(*end);
            *end = highest;
        }
        Ok(Self { by_start })
    }
}

/// Walks upward through `region` as the kernel does, around the segments. `page_size` is a power of two. Takes time
/// proportional to the number of segments, however they lie.
///
/// # Errors
/// [`Shortage`] when the end is reached before every block was found.
pub fn find_control_pages(
    region: PhysRange,
    page_size: u64,
    segments: &Obstacles,
    list: &[Allocation],
) -> Result<(), Shortage> {
    let needed =
        list.iter().map(|block| block.count.saturating_mul(pages(*block))).fold(0, u64::saturating_add);
    let mut walk = Walk { region, segments: &segments.by_start, at: region.start() };
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

/// The kernel's way through the region. It never goes back.
struct Walk<'o> {
    region: PhysRange,
    /// As [`Obstacles`] has them.
    segments: &'o [(u64, u64)],
    at: u64,
}

impl Walk<'_> {
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
        find_control_pages(
            range(start, start + pages.len() as u64 * PAGE),
            PAGE,
            &Obstacles::new(segments).unwrap(),
            list,
        )
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
        assert!(
            find_control_pages(range(0, u64::MAX), PAGE, &Obstacles::new(all).unwrap(), &PAIR_AND_4).is_err()
        );
        let many = [Allocation { order: 0, count: 1 << 51 }];
        assert_eq!(find_control_pages(range(0, 1 << 63), PAGE, &Obstacles::new([]).unwrap(), &many), Ok(()));
    }

    #[test]
    fn many_obstacles_are_passed_in_one_walk() {
        const COUNT: u64 = 400_000;
        let segments = Obstacles::new((0..COUNT).map(|index| ((0x101 + 2 * index) * PAGE, PAGE))).unwrap();
        let region = range(0x100 * PAGE, (0x100 + 2 * COUNT) * PAGE);
        // Looking at every segment for every page passed over would take minutes.
        assert_eq!(
            find_control_pages(region, PAGE, &segments, &PAIR_AND_4),
            Err(Shortage { needed: 6, found: 0 })
        );
        let singles = [Allocation { order: 0, count: COUNT }];
        assert_eq!(find_control_pages(region, PAGE, &segments, &singles), Ok(()));
    }
}
