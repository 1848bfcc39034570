//! Which physical addresses a dump describes, and where their bytes are.
//!
//! Built once, searched in O(log n). Ranges may overlap: /proc/vmcore lists the kernel's text
//! under its own virtual address and again as part of RAM.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use kdump_elf::PhysRange;

use crate::error::Error;
use crate::room::{collect, push};

/// What there is no memory for, when there is none.
const WHAT: &str = "the index of the dump's memory";

/// A range of physical memory and where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) range: PhysRange,
    /// Where the first byte is, in the terms of the dump; `None` when excluded.
    pub(crate) stored_at: Option<u64>,
}

impl Extent {
    /// Where the byte at `paddr`, which lies in the range, is stored.
    pub(crate) fn position(&self, paddr: u64) -> Option<u64> {
        self.stored_at.map(|at| at.saturating_add(paddr.saturating_sub(self.range.start())))
    }

    /// What stands at `paddr`, which lies in the range.
    fn lookup(&self, paddr: u64) -> Lookup {
        let len = self.range.end().saturating_sub(paddr);
        match self.position(paddr) {
            Some(at) => Lookup::Stored { at, len },
            None => Lookup::Excluded { len },
        }
    }
}

/// What stands at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Bytes at this position, as many as `len` without a break.
    Stored { at: u64, len: u64 },
    /// Filtered out, for `len` bytes from the address on.
    Excluded { len: u64 },
    /// No RAM before this address.
    Hole { next: Option<u64> },
}

/// Sorted, disjoint extents.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtentMap {
    extents: Vec<Extent>,
}

impl ExtentMap {
    /// Makes overlapping candidates disjoint: stored bytes win over excluded ones, then the
    /// candidate given first. O(n log n) time and at most 2n extents for n candidates.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn build(candidates: &[Extent]) -> Result<Self, Error> {
        // Numbers instead of copies: there may be millions.
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let extent = |index: u32| usize::try_from(index).ok().and_then(|at| candidates.get(at)).copied();
        let start = |index: u32| extent(index).map_or(u64::MAX, |extent| extent.range.start());
        let mut by_start: Vec<u32> = collect(WHAT, 0..count)?;
        by_start.sort_unstable_by_key(|&index| (start(index), index));
        let mut pending = by_start.into_iter().peekable();
        // By rank, the smallest first: whether it is excluded, then its number.
        let mut active: BinaryHeap<Reverse<(bool, u32)>> = BinaryHeap::new();
        let mut map = Self::default();
        let mut position = 0;
        loop {
            while let Some(index) = pending.next_if(|&index| start(index) <= position) {
                let need = (active.len() as u64).saturating_mul(size_of::<(bool, u32)>() as u64);
                active.try_reserve(1).map_err(|_| Error::OutOfMemory { what: WHAT, need })?;
                let excluded = extent(index).is_none_or(|extent| extent.stored_at.is_none());
                active.push(Reverse((excluded, index)));
            }
            let best = active.peek().and_then(|&Reverse((_, index))| extent(index));
            match (best, pending.peek().copied().map(start)) {
                (Some(best), _) if best.range.end() <= position => {
                    active.pop();
                }
                (Some(best), next) => {
                    let end = best.range.end().min(next.unwrap_or(u64::MAX));
                    map.push(position, end, best)?;
                    position = end;
                }
                (None, Some(next)) => position = next,
                (None, None) => return Ok(map),
            }
        }
    }

    fn push(&mut self, start: u64, end: u64, from: Extent) -> Result<(), Error> {
        let Ok(range) = PhysRange::from_half_open(start, end) else { return Ok(()) };
        let stored_at = from.position(start);
        if let Some(last) = self.extents.last_mut() {
            let continues = match (last.position(start), stored_at) {
                (Some(expected), Some(at)) => expected == at,
                (None, None) => true,
                _ => false,
            };
            if last.range.end() == start && continues {
                if let Ok(longer) = PhysRange::from_half_open(last.range.start(), end) {
                    last.range = longer;
                    return Ok(());
                }
            }
        }
        push(&mut self.extents, WHAT, Extent { range, stored_at })
    }

    /// What stands at `paddr`.
    pub(crate) fn find(&self, paddr: u64) -> Lookup {
        let index = self.index(paddr);
        match self.extents.get(index) {
            Some(extent) if extent.range.contains(paddr) => extent.lookup(paddr),
            next => Lookup::Hole { next: next.map(|extent| extent.range.start()) },
        }
    }

    /// As [`ExtentMap::find`], looking first where `hint` says that the last address was found:
    /// reads of one place after another need no search.
    pub(crate) fn find_near(&self, paddr: u64, hint: &mut usize) -> Lookup {
        match self.extents.get(self.index_near(paddr, hint)) {
            Some(extent) if extent.range.contains(paddr) => extent.lookup(paddr),
            next => Lookup::Hole { next: next.map(|extent| extent.range.start()) },
        }
    }

    /// Index of the extent that holds `paddr`, or else of the first one behind it.
    pub(crate) fn index(&self, paddr: u64) -> usize {
        self.extents.partition_point(|extent| extent.range.end() <= paddr)
    }

    /// As [`ExtentMap::index`], looking first at the index that `hint` keeps and the next one.
    pub(crate) fn index_near(&self, paddr: u64, hint: &mut usize) -> usize {
        let ends_behind = |index: usize| self.extents.get(index).is_none_or(|it| it.range.end() > paddr);
        let is_it = |index: usize| {
            index <= self.extents.len()
                && ends_behind(index)
                && index.checked_sub(1).is_none_or(|before| !ends_behind(before))
        };
        let near = [*hint, hint.saturating_add(1)].into_iter().find(|&index| is_it(index));
        *hint = near.unwrap_or_else(|| self.index(paddr));
        *hint
    }

    /// The extent that holds `paddr`.
    pub(crate) fn extent_at(&self, paddr: u64) -> Option<Extent> {
        self.extents.get(self.index(paddr)).filter(|extent| extent.range.contains(paddr)).copied()
    }

    /// All extents, by address.
    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent(start: u64, len: u64, stored_at: Option<u64>) -> Extent {
        Extent { range: PhysRange::from_len(start, len).unwrap(), stored_at }
    }

    #[test]
    fn the_first_of_overlapping_ranges_wins() {
        let map = ExtentMap::build(&[extent(0x2000, 0x1000, Some(5)), extent(0x1000, 0x4000, Some(0x9000))])
            .unwrap();
        assert_eq!(map.find(0x1fff), Lookup::Stored { at: 0x9fff, len: 1 });
        assert_eq!(map.find(0x2000), Lookup::Stored { at: 5, len: 0x1000 });
        assert_eq!(map.find(0x3000), Lookup::Stored { at: 0xb000, len: 0x2000 });
        assert_eq!(map.find(0x5000), Lookup::Hole { next: None });
        assert_eq!(map.find(0), Lookup::Hole { next: Some(0x1000) });
    }

    #[test]
    fn stored_bytes_win_over_excluded_ones() {
        let map = ExtentMap::build(&[extent(0, 0x3000, None), extent(0x1000, 0x1000, Some(7))]).unwrap();
        assert_eq!(map.find(0), Lookup::Excluded { len: 0x1000 });
        assert_eq!(map.find(0x1008), Lookup::Stored { at: 15, len: 0xff8 });
        assert_eq!(map.find(0x2000), Lookup::Excluded { len: 0x1000 });
    }

    #[test]
    fn between_ranges_there_is_none() {
        let map = ExtentMap::build(&[extent(0x1000, 0x1000, Some(0)), extent(0x4000, 0x1000, None)]).unwrap();
        assert_eq!(map.extent_at(0x1fff), Some(extent(0x1000, 0x1000, Some(0))));
        assert_eq!(map.extent_at(0x4000), Some(extent(0x4000, 0x1000, None)));
        for paddr in [0, 0xfff, 0x2000, 0x3fff, 0x5000, u64::MAX] {
            assert_eq!(map.extent_at(paddr), None, "{paddr:#x}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_of_single_bytes(
            candidates in prop::collection::vec((0_u64..60, 1_u64..30, prop::option::of(0_u64..1000)), 0..12),
        ) {
            let candidates: Vec<Extent> =
                candidates.into_iter().map(|(start, len, at)| extent(start, len, at)).collect();
            let map = ExtentMap::build(&candidates).unwrap();
            prop_assert!(map.extents().len() <= candidates.len() * 2);
            prop_assert!(map.extents().windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start()));
            let mut hint = 0;
            for paddr in (0..100).chain([50, 3, 90]) {
                prop_assert_eq!(map.index_near(paddr, &mut hint), map.index(paddr));
                let covering = || candidates.iter().filter(|extent| extent.range.contains(paddr));
                let stored = covering().find_map(|extent| extent.position(paddr));
                match map.find(paddr) {
                    Lookup::Stored { at, .. } => prop_assert_eq!(Some(at), stored),
                    Lookup::Excluded { .. } => prop_assert!(stored.is_none() && covering().next().is_some()),
                    Lookup::Hole { .. } => prop_assert!(covering().next().is_none()),
                }
            }
        }
    }
}
