//! Finds room in the crash region, part by part.

use alloc::vec::Vec;

use kdump_elf::{PhysRange, align_down, align_up};

use crate::error::check_alignment;
use crate::preflight::{Allocation, Obstacles, find_control_pages};
use crate::{Error, RangeSet};

/// Which end of the free memory a part is put at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As low as possible.
    BottomUp,
    /// As high as possible.
    TopDown,
}

/// What one part needs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Its name in messages.
    pub part: &'static str,
    /// Bytes; rounded up to whole pages.
    pub size: u64,
    /// Alignment of its first byte, a power of two, or 0 for none; at least a page is used.
    pub align: u64,
    /// Lowest address of its first byte.
    pub min: u64,
    /// Highest address of its last byte.
    pub max: u64,
    /// Which end to prefer.
    pub direction: Direction,
}

impl Request {
    /// Anywhere in the region, on whole pages.
    #[must_use]
    pub const fn new(part: &'static str, size: u64, direction: Direction) -> Self {
        Self { part, size, align: 1, min: 0, max: u64::MAX, direction }
    }
}

setters! {
    Request {
        align: u64,
        min: u64,
        max: u64,
    }
}

/// The free memory of a crash region and what was taken from it.
#[derive(Clone, Debug)]
pub struct Placement {
    page_size: u64,
    region: PhysRange,
    free: RangeSet,
}

impl Placement {
    /// All of `region` but `claimed`, whole pages of `page_size` bytes only, a power of two.
    ///
    /// # Errors
    /// [`Error::Conflict`] for another page size, [`Error::NoRoom`] when the region has not one whole page, [`Error::OutOfMemory`].
    pub fn new(region: PhysRange, claimed: &RangeSet, page_size: u64) -> Result<Self, Error> {
        check_alignment("pages of the crash region", page_size)?;
        let region = region.align_inward(page_size).ok_or_else(|| Error::NoRoom {
            part: "anything",
            need: page_size,
            align: page_size,
            min: region.start(),
            max: region.last(),
            region,
            all: None,
        })?;
        let claimed = RangeSet::from_ranges(claimed.iter().map(|range| range.align_outward(page_size)))?;
        Ok(Self { page_size, region, free: claimed.complement_within(region)? })
    }

    /// Gives up all behind `last`.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when nothing is left, [`Error::OutOfMemory`].
    pub(crate) fn end_at(&mut self, last: u64) -> Result<(), Error> {
        let window = PhysRange::from_inclusive(self.region.start(), last.min(u64::MAX - 1)).ok();
        let left = window.and_then(|window| window.intersection(self.region)?.align_inward(self.page_size));
        let left = left.ok_or_else(|| Error::NoRoom {
            part: "anything",
            need: self.page_size,
            align: self.page_size,
            min: self.region.start(),
            max: last,
            region: self.region,
            all: None,
        })?;
        self.free = self.free.intersect(&RangeSet::from_ranges([left])?)?;
        self.region = left;
        Ok(())
    }

    /// Takes room for one part.
    ///
    /// # Errors
    /// Those of [`Placement::find`], and [`Error::OutOfMemory`].
    pub fn place(&mut self, request: &Request) -> Result<PhysRange, Error> {
        let range = self.find(request)?;
        self.take(range)?;
        Ok(range)
    }

    /// The room [`Placement::place`] would take.
    ///
    /// # Errors
    /// [`Error::NoRoom`] for this part, [`Error::Conflict`] for an alignment that is no power of two.
    pub fn find(&self, request: &Request) -> Result<PhysRange, Error> {
        check_alignment(request.part, request.align.max(1))?;
        let align = request.align.max(self.page_size);
        let size = align_up(request.size.max(1), self.page_size);
        let window = PhysRange::from_inclusive(request.min, request.max.min(u64::MAX - 1)).ok();
        let holes = || self.free.iter().filter_map(|hole| hole.intersection(window?));
        let fit = |hole: PhysRange| fit(hole, size?, align, request.direction);
        let found = match request.direction {
            Direction::BottomUp => holes().find_map(fit),
            Direction::TopDown => {
                self.free.iter().rev().filter_map(|hole| hole.intersection(window?)).find_map(fit)
            }
        };
        found.ok_or_else(|| self.no_room(request))
    }

    /// Takes addresses that a part cannot do without.
    ///
    /// # Errors
    /// [`Error::OutsideRegion`] when they are not all in the region, [`Error::NoRoom`] when
    /// something else has some of them.
    pub fn claim(&mut self, part: &'static str, range: PhysRange) -> Result<(), Error> {
        let range = range.align_outward(self.page_size);
        if !self.region.contains_range(range) {
            return Err(Error::OutsideRegion {
                part,
                start: range.start(),
                last: range.last(),
                region_start: self.region.start(),
                region_last: self.region.last(),
            });
        }
        if !self.free.contains_range(range) {
            let (min, max, size) = (range.start(), range.last(), range.size());
            let request =
                Request { part, size, align: self.page_size, min, max, direction: Direction::BottomUp };
            return Err(self.no_room(&request));
        }
        self.take(range)
    }

    /// What is still free.
    #[must_use]
    pub fn free(&self) -> &RangeSet {
        &self.free
    }

    /// Checks that the kernel will find its control pages in `region`, of which this placement
    /// is a part, whichever of `lists` it takes ([`control_pages`](crate::preflight::control_pages)).
    ///
    /// # Errors
    /// [`Error::NoRoom`] for them.
    pub fn check_control_pages(&self, region: PhysRange, lists: &[Vec<Allocation>]) -> Result<(), Error> {
        let taken = self.free.complement_within(self.region)?;
        let taken = Obstacles::new(taken.iter().map(|range| (range.start(), range.size())))?;
        let shortages =
            lists.iter().filter_map(|list| find_control_pages(region, self.page_size, &taken, list).err());
        let Some(shortage) = shortages.max_by_key(|shortage| shortage.needed) else { return Ok(()) };
        let bytes = |pages: u64| pages.saturating_mul(self.page_size);
        let request = Request {
            part: "the page tables and control pages the kernel takes from the region itself",
            size: bytes(shortage.needed),
            align: self.page_size,
            min: region.start(),
            max: region.last(),
            direction: Direction::BottomUp,
        };
        Err(self.no_room(&request))
    }

    fn take(&mut self, range: PhysRange) -> Result<(), Error> {
        self.free = self.free.subtract(&RangeSet::from(range))?;
        Ok(())
    }

    /// The planner, who knows all parts, says how large the region must be.
    fn no_room(&self, request: &Request) -> Error {
        Error::NoRoom {
            part: request.part,
            need: request.size,
            align: request.align.max(self.page_size),
            min: request.min,
            max: request.max,
            region: self.region,
            all: None,
        }
    }
}

/// The place of `size` bytes in `hole`, at the preferred end.
fn fit(hole: PhysRange, size: u64, align: u64, direction: Direction) -> Option<PhysRange> {
    let start = match direction {
        Direction::BottomUp => align_up(hole.start(), align)?,
        Direction::TopDown => align_down(hole.end().checked_sub(size)?, align),
    };
    let range = PhysRange::from_len(start, size).ok()?;
    hole.contains_range(range).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::from_half_open(start, end).unwrap()
    }

    fn request(size: u64, align: u64, direction: Direction) -> Request {
        Request { part: "test", size, align, min: 0, max: u64::MAX, direction }
    }

    #[test]
    fn both_ends_and_around_what_is_claimed() {
        let claimed = RangeSet::from(range(0x20_0800, 0x20_0900));
        let mut placement = Placement::new(range(0x10_0000, 0x40_0000), &claimed, 0x1000).unwrap();
        let low = placement.place(&request(1, 1, Direction::BottomUp)).unwrap();
        assert_eq!(low, range(0x10_0000, 0x10_1000));
        let high = placement.place(&request(0x1001, 0x10_0000, Direction::TopDown)).unwrap();
        assert_eq!(high, range(0x30_0000, 0x30_2000));
        let between = placement.place(&request(0xf_f000, 0x1000, Direction::TopDown)).unwrap();
        assert_eq!(between, range(0x20_1000, 0x30_0000), "the claimed page stays free of segments");
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut placement = Placement::new(range(0x10_0000, 0x40_0000), &RangeSet::new(), 0x1000).unwrap();
        placement.place(&request(0x20_0000, 1, Direction::TopDown)).unwrap();
        let error = placement.place(&request(0x20_0000, 1, Direction::TopDown)).unwrap_err();
        assert!(matches!(error, Error::NoRoom { part: "test", need: 0x20_0000, .. }), "{error}");
        let error = placement.place(&request(0x1000, 1 << 30, Direction::TopDown)).unwrap_err();
        assert!(matches!(error, Error::NoRoom { align: 0x4000_0000, .. }), "alignment counts: {error}");
        let check = |count| {
            let one = vec![Allocation { order: 0, count: 1 }];
            let lists = [one, vec![Allocation { order: 0, count }]];
            placement.check_control_pages(range(0x10_0000, 0x40_0000), &lists)
        };
        assert!(check(256).is_ok());
        assert!(matches!(check(257), Err(Error::NoRoom { need: 0x10_1000, .. })), "any of the lists");
    }

    #[test]
    fn alignments_are_powers_of_two() {
        let (region, none) = (range(0x10_0000, 0x40_0000), RangeSet::new());
        for page_size in [0, 3, 0x1001] {
            let error = Placement::new(region, &none, page_size).unwrap_err().to_string();
            assert!(error.contains(&format!("alignment {page_size:#x} is no power of two")), "{error}");
        }
        let mut placement = Placement::new(region, &none, 0x1000).unwrap();
        for align in [3, 0x1800, u64::MAX] {
            let error = placement.place(&request(1, align, Direction::TopDown)).unwrap_err().to_string();
            assert!(error.contains(&format!("test: its alignment {align:#x} is no power")), "{error}");
        }
        assert!(placement.place(&request(1, 0, Direction::TopDown)).is_ok());
    }

    #[test]
    fn fixed_places_are_checked() {
        let mut placement = Placement::new(range(0x10_0000, 0x40_0000), &RangeSet::new(), 0x1000).unwrap();
        placement.claim("kernel", range(0x10_0000, 0x20_0000)).unwrap();
        assert!(matches!(placement.claim("a", range(0x1f_f000, 0x20_1000)), Err(Error::NoRoom { .. })));
        assert!(matches!(placement.claim("a", range(0x0, 0x1000)), Err(Error::OutsideRegion { .. })));
    }
}
