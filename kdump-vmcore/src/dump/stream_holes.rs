//! The bytes of a file that no record of the flattened stream gives.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::Error;
use crate::room::push;
use crate::source::ReadAt;

/// Pieces of memory that lie in holes and may be listed in any case.
const FEW: u64 = 1 << 20;
/// How many times over the holes may be listed.
const MAX_TIMES: u64 = 16;

const WHAT: &str = "the bytes that no record of the flattened stream gives";

/// Sorted, disjoint ranges of a file. Only streams have any: asking once keeps reads of all others free.
#[derive(Debug, Default)]
pub(super) struct StreamHoles(Vec<Range<u64>>);

impl StreamHoles {
    /// Those of the first `size` bytes of `source`.
    pub(super) fn of(source: &dyn ReadAt, size: u64) -> Result<Self, Error> {
        let (mut holes, mut at) = (Vec::new(), 0);
        while let Some(hole) = source.hole(at..size).filter(|hole| hole.end > at) {
            at = hole.end;
            push(&mut holes, WHAT, hole)?;
        }
        Ok(Self(holes))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hole that `at` lies in, or else what lies between the holes around it.
    pub(super) fn around(&self, at: u64) -> Result<Range<u64>, Range<u64>> {
        let index = self.0.partition_point(|hole| hole.end <= at);
        let next = self.0.get(index);
        if let Some(hole) = next.filter(|hole| hole.contains(&at)) {
            return Ok(hole.clone());
        }
        let before = index.checked_sub(1).and_then(|index| self.0.get(index));
        Err(before.map_or(0, |hole| hole.end)..next.map_or(u64::MAX, |hole| hole.start))
    }

    /// Those that `range` touches.
    pub(super) fn touched(&self, range: &Range<u64>) -> &[Range<u64>] {
        let first = self.0.partition_point(|hole| hole.end <= range.start);
        let end = self.0.partition_point(|hole| hole.start < range.end);
        self.0.get(first..end).unwrap_or_default()
    }

    /// What is wrong when a part of `range` of the file, which every writer gives, is in none of the records.
    pub(super) fn defect(&self, range: Range<u64>) -> Option<Error> {
        let hole = self.touched(&range).first().filter(|_| !range.is_empty())?;
        let what = "the place of bytes of headers or notes that no record of the flattened stream gives";
        let expected = "padding: the offset of a record is damaged, or a record was lost; make the stream again \
                        where the dump still is";
        Some(Error::Corrupt { what, value: hole.start.max(range.start), expected })
    }

    /// Refuses `ranges` of the file that touch so many holes in all that a crafted stream of few bytes would
    /// take hours.
    pub(super) fn check_times(&self, ranges: impl Iterator<Item = Range<u64>>) -> Result<(), Error> {
        let value = ranges.map(|range| self.touched(&range).len() as u64).fold(0, u64::saturating_add);
        let limit = (self.0.len() as u64).saturating_mul(MAX_TIMES).max(FEW);
        if value > limit {
            let what =
                "pieces of memory that no record of the flattened stream gives, many times over the same,";
            return Err(Error::TooLarge { what, value, limit });
        }
        Ok(())
    }
}
