//! A set of pages: a bit for each, and room only where there are some.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::Error;
use crate::room::{collect, zeroed_words};

/// Pages of a part: 128 MiB of memory in pages of 4 KiB.
const PART: u64 = 1 << 15;
const PART_WORDS: u64 = PART / 64;

/// Page frame numbers. Takes a bit for each page of the parts that have any, at most.
#[derive(Debug, Default)]
pub(crate) struct PageSet {
    parts: Vec<Vec<u64>>,
}

impl PageSet {
    /// None of the pages below `end`.
    pub(crate) fn new(end: u64) -> Result<Self, Error> {
        let count = usize::try_from(end.div_ceil(PART)).unwrap_or(usize::MAX);
        let parts = collect("the set of pages that are left out", (0..count).map(|_| Vec::new()))?;
        Ok(Self { parts })
    }

    /// How many of `pfns` are in it.
    pub(crate) fn count(&self, pfns: Range<u64>) -> u64 {
        let (mut pfn, mut count) = (self.next(true, pfns.start, pfns.end), 0_u64);
        while pfn < pfns.end {
            let end = pfns.end.min((pfn | 63).saturating_add(1));
            let bits = self.word(pfn & !63) >> (pfn % 64) & ones(end.saturating_sub(pfn));
            count = count.saturating_add(bits.count_ones().into());
            pfn = self.next(true, end, pfns.end);
        }
        count
    }

    /// Adds pages, and says how many were new; those behind the end are passed over.
    pub(crate) fn add(&mut self, pfns: Range<u64>) -> Result<u64, Error> {
        let mut new = 0_u64;
        let mut pfn = pfns.start;
        while pfn < pfns.end {
            let index = usize::try_from(pfn / PART).unwrap_or(usize::MAX);
            let Some(part) = self.parts.get_mut(index) else { break };
            if part.is_empty() {
                *part = zeroed_words("the set of pages that are left out", PART_WORDS)?;
            }
            let word = usize::try_from(pfn % PART / 64).unwrap_or(0);
            let end = pfns.end.min((pfn | 63).saturating_add(1));
            let bits = ones(end.saturating_sub(pfn)) << (pfn % 64);
            if let Some(word) = part.get_mut(word) {
                new = new.saturating_add((bits & !*word).count_ones().into());
                *word |= bits;
            }
            pfn = end;
        }
        Ok(new)
    }

    /// Adds the pages of a set with the same end.
    #[cfg(feature = "std")]
    pub(crate) fn take(&mut self, other: Self) {
        for (mine, theirs) in self.parts.iter_mut().zip(other.parts) {
            if mine.is_empty() {
                *mine = theirs;
                continue;
            }
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine |= theirs;
            }
        }
    }

    /// The 64 pages from `pfn` on, a multiple of 64.
    pub(crate) fn word(&self, pfn: u64) -> u64 {
        let part = usize::try_from(pfn / PART).ok().and_then(|index| self.parts.get(index));
        let word = usize::try_from(pfn % PART / 64).unwrap_or(0);
        part.and_then(|part| part.get(word)).copied().unwrap_or(0)
    }

    /// The first page from `pfn` on that is in the set, or is not; `end` when there is none below it.
    pub(crate) fn next(&self, set: bool, pfn: u64, end: u64) -> u64 {
        let mut pfn = pfn;
        while pfn < end {
            let part = usize::try_from(pfn / PART).ok().and_then(|index| self.parts.get(index));
            if part.is_none_or(Vec::is_empty) {
                if !set {
                    return pfn;
                }
                pfn = (pfn | PART.wrapping_sub(1)).saturating_add(1);
                continue;
            }
            let word = self.word(pfn & !63);
            let found = if set { word } else { !word } >> (pfn % 64);
            if found != 0 {
                return pfn.saturating_add(found.trailing_zeros().into()).min(end);
            }
            pfn = (pfn | 63).saturating_add(1);
        }
        end
    }
}

/// Ones in the lowest `count` bits, at most 64.
pub(crate) fn ones(count: u64) -> u64 {
    let shift = u32::try_from(64_u64.saturating_sub(count)).unwrap_or(64);
    u64::MAX.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By words it would take minutes.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn pages_that_are_not_there_are_passed_over_by_parts() {
        let mut set = PageSet::new(1 << 20).unwrap();
        assert_eq!(set.add(5..6).unwrap(), 1);
        assert_eq!((set.next(true, 0, 1 << 41), set.next(true, 6, 1 << 41)), (5, 1 << 41));
    }

    #[cfg(feature = "std")]
    #[test]
    fn what_is_taken_of_another_comes_to_what_is_there() {
        let set = |pages: &[u64]| {
            let mut set = PageSet::new(2 * PART).unwrap();
            pages.iter().for_each(|pfn| assert_eq!(set.add(*pfn..*pfn + 1).unwrap(), 1));
            set
        };
        // Into a part that is empty, from one that is, and into one with others.
        for (mine, theirs) in [(&[7][..], &[PART + 9][..]), (&[PART + 9], &[7]), (&[7], &[8])] {
            let mut all = set(mine);
            all.take(set(theirs));
            assert_eq!(all.count(0..2 * PART), 2);
            assert!(mine.iter().chain(theirs).all(|pfn| all.count(*pfn..*pfn + 1) == 1));
        }
    }

    proptest::proptest! {
        #[test]
        fn it_has_what_was_added(
            ranges in proptest::collection::vec((0_u64..200_000, 0_u64..40_000), 0..8),
            probes in proptest::collection::vec(0_u64..200_100, 30),
        ) {
            let end = 200_000;
            let mut set = PageSet::new(end).unwrap();
            let mut added = 0;
            let mut plain = alloc::vec![false; 262_144];
            for (start, len) in ranges {
                added += set.add(start..start + len).unwrap();
                plain[start as usize..(start + len) as usize].fill(true);
            }
            // Whole parts are kept.
            let kept = end.next_multiple_of(PART) as usize;
            plain[kept..].fill(false);
            let ones = plain.iter().filter(|bit| **bit).count() as u64;
            assert_eq!(set.count(0..plain.len() as u64), ones);
            assert_eq!(added, ones);
            for pfn in probes {
                let ones = plain[..pfn as usize].iter().filter(|bit| **bit).count() as u64;
                assert_eq!(set.count(0..pfn), ones, "{pfn}");
                assert_eq!(set.count(pfn..end), set.count(0..end).saturating_sub(ones), "{pfn}");
                for state in [true, false] {
                    let found = (pfn..end).find(|at| plain[*at as usize] == state).unwrap_or(end.max(pfn));
                    assert_eq!(set.next(state, pfn, end), if pfn < end { found } else { end }, "{pfn} {state}");
                }
            }
        }
    }
}
