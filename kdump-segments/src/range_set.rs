//! Sets of physical addresses: sorted, disjoint ranges with a real interval algebra.

use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::Error;
use crate::room::{self, RANGES};

/// A set of physical addresses, held as ranges that are sorted, do not overlap and do not
/// touch: equal sets are equal values.
///
/// Building takes O(n log n); union, intersection and difference of two sets take O(n + m),
/// a look-up O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<PhysRange>,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The set of all addresses in `ranges`, which may come in any order and overlap.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], as of everything that makes a set of unknown size.
    pub fn from_ranges(ranges: impl IntoIterator<Item = PhysRange>) -> Result<Self, Error> {
        let mut ranges = room::collect(RANGES, ranges)?;
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let joined = join(*last, *next);
            joined.is_some_and(|joined| {
                *last = joined;
                true
            })
        });
        Ok(Self { ranges })
    }

    /// A copy.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], which [`Clone`] cannot say.
    pub fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self { ranges: room::copy(RANGES, &self.ranges)? })
    }

    /// Addresses in either set.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn union(&self, other: &Self) -> Result<Self, Error> {
        let mut out = Self::new();
        let mut left = self.iter().peekable();
        let mut right = other.iter().peekable();
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a <= b => left.next(),
                (Some(_), None) => left.next(),
                (_, Some(_)) => right.next(),
                (None, None) => return Ok(out),
            };
            if let Some(range) = next {
                out.push(range)?;
            }
        }
    }

    /// Addresses in this set that are not in `other`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn subtract(&self, other: &Self) -> Result<Self, Error> {
        Ok(Self { ranges: subtract_sorted(self.iter(), other)? })
    }

    /// Addresses in both sets.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn intersect(&self, other: &Self) -> Result<Self, Error> {
        let mut out = Vec::new();
        let mut left = self.iter().peekable();
        let mut right = other.iter().peekable();
        while let (Some(&a), Some(&b)) = (left.peek(), right.peek()) {
            if let Some(both) = a.intersection(b) {
                room::push(&mut out, RANGES, both)?;
            }
            if a.end() <= b.end() {
                left.next();
            } else {
                right.next();
            }
        }
        Ok(Self { ranges: out })
    }

    /// Addresses of `window` that are not in this set.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn complement_within(&self, window: PhysRange) -> Result<Self, Error> {
        Ok(Self { ranges: subtract_sorted(core::iter::once(window), self)? })
    }

    /// Whether `paddr` is in the set.
    #[must_use]
    pub fn contains(&self, paddr: u64) -> bool {
        self.range_of(paddr).is_some()
    }

    /// Whether every address of `range` is in the set.
    #[must_use]
    pub fn contains_range(&self, range: PhysRange) -> bool {
        self.range_of(range.start()).is_some_and(|found| found.contains_range(range))
    }

    /// Whether any address of `range` is in the set.
    #[must_use]
    pub fn overlaps(&self, range: PhysRange) -> bool {
        let first = self.ranges.partition_point(|held| held.end() <= range.start());
        self.ranges.get(first).is_some_and(|held| held.overlaps(range))
    }

    /// The range of the set in which `paddr` lies.
    #[must_use]
    pub fn range_of(&self, paddr: u64) -> Option<PhysRange> {
        let first = self.ranges.partition_point(|held| held.end() <= paddr);
        self.ranges.get(first).copied().filter(|held| held.contains(paddr))
    }

    /// Number of bytes in the set.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ranges.iter().fold(0, |sum, range| sum.saturating_add(range.size()))
    }

    /// Number of ranges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the set has no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[PhysRange] {
        &self.ranges
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> core::iter::Copied<core::slice::Iter<'_, PhysRange>> {
        self.ranges.iter().copied()
    }

    /// Adds a range that does not begin before the last one, joining the two where they meet.
    fn push(&mut self, range: PhysRange) -> Result<(), Error> {
        if let Some(last) = self.ranges.last_mut() {
            if let Some(joined) = join(*last, range) {
                *last = joined;
                return Ok(());
            }
        }
        room::push(&mut self.ranges, RANGES, range)
    }
}

/// Both as one, where `next`, which does not begin before `last`, meets it.
fn join(last: PhysRange, next: PhysRange) -> Option<PhysRange> {
    let meets = next.start() <= last.end();
    PhysRange::from_half_open(last.start(), last.end().max(next.end())).ok().filter(|_| meets)
}

impl From<PhysRange> for RangeSet {
    fn from(range: PhysRange) -> Self {
        Self { ranges: alloc::vec![range] }
    }
}

impl<'a> IntoIterator for &'a RangeSet {
    type Item = PhysRange;
    type IntoIter = core::iter::Copied<core::slice::Iter<'a, PhysRange>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What `holes` leaves of ranges that are sorted and disjoint but may touch: touching ranges
/// stay separate. O(n + m).
pub(crate) fn subtract_sorted(
    ranges: impl Iterator<Item = PhysRange>,
    holes: &RangeSet,
) -> Result<Vec<PhysRange>, Error> {
    let mut out = Vec::new();
    let mut holes = holes.iter().peekable();
    for range in ranges {
        let mut start = range.start();
        while let Some(&hole) = holes.peek() {
            if hole.start() >= range.end() {
                break;
            }
            room::extend(&mut out, RANGES, PhysRange::from_half_open(start, hole.start()))?;
            start = start.max(hole.end());
            // A hole that reaches beyond this range may cut the next one too.
            if hole.end() > range.end() {
                break;
            }
            holes.next();
        }
        room::extend(&mut out, RANGES, PhysRange::from_half_open(start, range.end()))?;
    }
    Ok(out)
}
